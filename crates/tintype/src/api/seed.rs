//! The seed's own API, for its existing clients and its Lambda: `/async_image_upload/presignedurl/`.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::admission::{Address, admit};
use super::auth::Caller;
use super::extract::{Body, Id};
use super::problem::Problem;
use super::results::{may_tell, record};
use super::uploads::{find, json_body};
use crate::app::App;
use crate::auth::Scope;
use crate::upload::create::{NewUpload, create as create_upload, ticket};
use crate::upload::{Upload, UploadId};

/// Its two paths, with and without the last slash.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/async_image_upload/presignedurl/", post(create))
        .route("/async_image_upload/presignedurl", post(create))
        .route("/async_image_upload/presignedurl/{uuid}/", get(read).put(update))
        .route("/async_image_upload/presignedurl/{uuid}", get(read).put(update))
}

/// `{"metadata": {...}}` gives a credential.
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must(Scope::UploadsCreate)?;
    let body = json_body(&headers, &body)?;
    admit(&app, &caller, &address, 1).await?;
    let metadata = match body.get("metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        None | Some(Value::Null) => Default::default(),
        Some(_) => return Err(Problem::invalid("metadata must be an object")),
    };
    let mut tickets = create_upload(&app, &[NewUpload { metadata, ..Default::default() }], None).await?;
    let upload = find(&app, tickets.remove(0).id.as_str()).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &upload).await?)))
}

/// How an upload stands.
async fn read(State(app): State<Arc<App>>, caller: Caller, Id(uuid): Id) -> Result<Json<Value>, Problem> {
    let id = parse(&uuid)?;
    caller.must_hold(&app, &id, Scope::UploadsRead)?;
    let upload = find(&app, id.as_str()).await?;
    Ok(Json(view(&app, &upload).await?))
}

/// The Lambda's callback: `{"processed_key"}` or `{"error"}`, or Tintype's own.
async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(uuid): Id,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let id = parse(&uuid)?;
    may_tell(&app, &caller, id.as_str(), &headers, &body).await?;
    let upload = find(&app, id.as_str()).await?;
    record(&app, &upload, &json_body(&headers, &body)?).await?;
    let upload = find(&app, id.as_str()).await?;
    Ok(Json(view(&app, &upload).await?))
}

/// The Lambda calls back on the key less its folder, which may end in an extension.
fn parse(uuid: &str) -> Result<UploadId, Problem> {
    let stem = uuid.split_once('.').map_or(uuid, |(stem, _)| stem);
    UploadId::parse(stem).ok_or_else(|| Problem::not_found("there is no such upload"))
}

async fn view(app: &App, upload: &Upload) -> Result<Value, Problem> {
    let presign = ticket(app, upload).await?.presign;
    Ok(json!({
        "uuid": upload.id,
        "credential": {"url": presign.url, "fields": presign.fields},
        "timestamp_expire": upload.expires_at.format(&Rfc3339).ok(),
        "processed_key": upload.processed_key,
        "error": upload.error.as_ref().map(|failure| failure.to_string()),
        "status": upload.status,
        "metadata": upload.policy.metadata,
    }))
}
