//! `POST /v1/uploads/{id}/uploaded` and `/claim`: what a client and its backend say of an upload.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use time::OffsetDateTime;

use super::auth::Caller;
use super::extract::Id;
use super::openapi::ProblemDocument;
use super::problem::Problem;
use super::uploads::{View, find, original};
use super::watch::see;
use crate::app::App;
use crate::auth::Scope;
use crate::event::StorageEvent;
use crate::event::accept::{Accepted, accept};
use crate::event::order::Rule;
use crate::upload::{Status, UploadId};

/// Say that the original is sent
///
/// The server asks the store itself, and develops the original as if the store had told of it: where a store sends no
/// events, nothing is waited for. The upload's own token is enough. Said again, it changes nothing.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/uploaded", operation_id = "upload_sent", tag = "uploads",
    security(("api_key" = ["uploads:create"]), ("upload_token" = []), ("upload_token_query" = [])),
    params(("id" = UploadId, Path, description = "The upload")),
    responses(
        (status = 200, description = "That was known: how it stands", body = View),
        (status = 202, description = "It is being processed", body = View, example = json!({
            "id": "0123456789abcdef0123456789abcdef", "status": "processing", "created_at": "2026-05-01T12:30:00Z",
            "expires_at": "2026-05-01T12:45:00Z", "manifest": null, "error": null
        })),
        (status = 409, description = "`original_missing`: the store does not have it",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn uploaded(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    let upload = see(&app, &caller, &id, Scope::UploadsCreate).await?;
    // The first bytes are the upload: what else may be there by now is not asked for.
    let is_settled = app.config.rule(&upload.key) == Rule::FirstBytes && upload.state().is_known();
    if is_settled || upload.has_lapsed() {
        return Ok(Json(View::from(upload)).into_response());
    }
    let object = original(&app, &upload).await?;
    let event = StorageEvent {
        bucket: None,
        key: upload.key.clone(),
        size: Some(object.size),
        etag: object.etag,
        version: None,
        sequencer: None,
    };
    let status = match accept(&app, event).await? {
        Accepted::Queued(_) => StatusCode::ACCEPTED,
        Accepted::Ignored(_) => StatusCode::OK,
    };
    let now = find(&app, &id).await?;
    Ok((status, Json(View::from(now))).into_response())
}

/// Claim an upload
///
/// The backend keeps it: with `upload.claim_within`, an upload that nobody claims in time goes, with all its variants.
/// Claimed again, it stays claimed.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/claim", operation_id = "claim_upload", tag = "uploads",
    security(("api_key" = ["uploads:write"])), params(("id" = UploadId, Path, description = "The upload")),
    responses(
        (status = 200, description = "It is kept", body = View),
        (status = 409, description = "`upload_expired`: it is gone; ask for a new upload",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn claim(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Json<View>, Problem> {
    caller.must(Scope::UploadsWrite)?;
    let upload = find(&app, &id).await?;
    match app.ledger.claim_upload(&upload.id, OffsetDateTime::now_utc()).await? {
        Some(claimed) => Ok(Json(claimed.into())),
        None if find(&app, &id).await?.status == Status::Expired => {
            let detail = "it has expired, and nothing of it is left; ask for a new upload";
            Err(Problem::new(StatusCode::CONFLICT, "upload_expired", detail))
        }
        None => Err(Problem::not_found("there is no such upload")),
    }
}
