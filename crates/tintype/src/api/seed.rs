//! The seed's own API, for its existing clients and its Lambda: `/async_image_upload/presignedurl/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admission::{Address, admit, caller_id};
use super::auth::Caller;
use super::extract::{Id, Unread};
use super::openapi::ProblemDocument;
use super::problem::Problem;
use super::results::{read as read_result, record};
use super::uploads::{find, json_body};
use crate::app::App;
use crate::auth::Scope;
use crate::key::Key;
use crate::upload::create::{Asker, NewUpload, create as create_upload, ticket};
use crate::upload::{Status, Upload, UploadId};

/// Its two paths, with and without the last slash.
pub fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(read, update))
        .route("/async_image_upload/presignedurl", post(create))
        .route("/async_image_upload/presignedurl/{uuid}", get(read).put(update))
}

/// Ask for an upload (seed)
///
/// For the seed's existing clients; `POST /v1/uploads` is what new ones call.
#[utoipa::path(
    post, path = "/async_image_upload/presignedurl/", operation_id = "seed_create", tag = "seed",
    security(("api_key" = ["uploads:create"])),
    request_body(content = Object, example = json!({"metadata": {"id": "12345"}})),
    responses(
        (status = 201, description = "A credential", body = View),
        (status = 429, description = "`queue_full`, `quota_exceeded`, `too_many_requests`: again after `Retry-After`",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "`invalid_request`: the body does not say that it is JSON",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    headers: HeaderMap,
    body: Unread,
) -> Result<(StatusCode, Json<View>), Problem> {
    let may = caller.must(Scope::UploadsCreate)?;
    let body = body.read(&app, &may).await?;
    let body = json_body(&headers, &body)?;
    if !body.is_object() {
        return Err(Problem::invalid("the body must be an object such as {\"metadata\": {}}"));
    }
    admit(&app, &caller, &address, 1).await?;
    let metadata = match body.get("metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        None | Some(Value::Null) => Default::default(),
        Some(_) => return Err(Problem::invalid("metadata must be an object")),
    };
    let asker = Asker { owner: caller_id(&caller, &address), idempotency: None, traceparent: None };
    let mut tickets = create_upload(&app, &[NewUpload { metadata, ..Default::default() }], asker).await?;
    let upload = find(&app, tickets.remove(0).id.as_str()).await?;
    Ok((StatusCode::CREATED, Json(view(&app, &upload).await?)))
}

/// How an upload stands (seed)
///
/// For the seed's existing clients; `GET /v1/uploads/{id}` is what new ones call.
#[utoipa::path(
    get, path = "/async_image_upload/presignedurl/{uuid}/", operation_id = "seed_read", tag = "seed",
    security(("api_key" = ["uploads:read"]), ("upload_token" = []), ("upload_token_query" = [])),
    params(("uuid" = UploadId, Path, description = "The upload")),
    responses((status = 200, description = "How it stands", body = View))
)]
async fn read(State(app): State<Arc<App>>, caller: Caller, Id(uuid): Id) -> Result<Json<View>, Problem> {
    let id = parse(&uuid)?;
    caller.must_hold(&app, &id, Scope::UploadsRead)?;
    let upload = find(&app, id.as_str()).await?;
    Ok(Json(view(&app, &upload).await?))
}

/// Take the seed Lambda's result
///
/// Its callback, `{"processed_key"}` or `{"error"}`; Tintype's own body is taken too. A key is believed if it can be one of
/// this upload's variants and is in the store.
#[utoipa::path(
    put, path = "/async_image_upload/presignedurl/{uuid}/", operation_id = "seed_update", tag = "seed",
    security(("api_key" = ["results"]), ("signature" = [])),
    params(("uuid" = UploadId, Path, description = "The upload, or the key less its folder")),
    request_body(content = Object, example = json!({"processed_key": "image/abc.jpg"})),
    responses(
        (status = 200, description = "It ended so", body = View),
        (status = 409, description = "`variant_missing`: that key is not in the store",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`foreign_variant`: no variant of this upload can have that key",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "`invalid_request`: the body does not say that it is JSON",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(uuid): Id,
    headers: HeaderMap,
    body: Unread,
) -> Result<Json<View>, Problem> {
    let id = parse(&uuid)?;
    let body = read_result(&app, &caller, id.as_str(), &headers, body).await?;
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

/// An upload, in the seed's words.
#[derive(Serialize, ToSchema)]
#[schema(as = SeedUpload)]
struct View {
    uuid: UploadId,
    credential: Credential,
    #[serde(with = "time::serde::rfc3339")]
    timestamp_expire: OffsetDateTime,
    processed_key: Option<Key>,
    error: Option<String>,
    status: Status,
    metadata: BTreeMap<String, String>,
}

/// Where to send the form, and its fields.
#[derive(Serialize, ToSchema)]
#[schema(as = SeedCredential)]
struct Credential {
    url: String,
    #[schema(value_type = BTreeMap<String, String>)]
    fields: Map<String, Value>,
}

async fn view(app: &App, upload: &Upload) -> Result<View, Problem> {
    let presign = ticket(app, upload).await?.presign;
    Ok(View {
        uuid: upload.id.clone(),
        credential: Credential { url: presign.url, fields: presign.fields },
        timestamp_expire: upload.expires_at,
        processed_key: upload.processed_key.clone(),
        error: upload.error.as_ref().map(ToString::to_string),
        status: upload.status,
        metadata: upload.policy.metadata.clone(),
    })
}
