//! `/v1/uploads`: make, list, process again, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::admission::{Address, admit, caller_id};
use super::auth::Caller;
use super::extract::{Id, Params, Unread};
use super::openapi::{OneOrMany, ProblemDocument};
use super::paging::{Listing, next};
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::ledger::{Idempotency, Search};
use crate::manifest::Manifest;
use crate::preset::hex;
use crate::store::{ObjectMeta, StoreError};
use crate::trace;
use crate::upload::create::{Asker, MAX_BATCH, NewUpload, Ticket};
use crate::upload::{self, Status, Upload, UploadId};

/// Most bytes that an upload is looked for by: no key is longer.
const LONGEST_SEARCH: usize = 1024;

/// What anyone who may see an upload sees.
#[derive(Serialize, ToSchema)]
#[schema(as = Upload, example = json!({
    "id": "0123456789abcdef0123456789abcdef", "status": "completed",
    "created_at": "2026-05-01T12:30:00Z", "expires_at": "2026-05-01T12:45:00Z",
    "filename": "corgi.jpg", "metadata": {"id": "12345"},
    "manifest": {
        "original": {
            "key": "image/0123456789abcdef0123456789abcdef.jpg", "bytes": 2412345, "content_type": "image/jpeg",
            "width": 3024, "height": 4032, "etag": "d41d8cd98f00b204e9800998ecf8427e",
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        },
        "variants": [{
            "name": "400x400", "key": "image/0123456789abcdef0123456789abcdef_400x400.jpg",
            "url": "https://images.example.com/image/0123456789abcdef0123456789abcdef_400x400.jpg",
            "content_type": "image/jpeg", "width": 300, "height": 400, "bytes": 23456,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        }],
        "image": {
            "format": "jpeg", "orientation": 6, "frames": 1, "has_alpha": false,
            "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w", "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
            "dominant_color": "#a07b52", "palette": [{"color": "#a07b52", "share": 0.41}],
            "perceptual_hash": "d4c4a4b4e4c8d0e0", "taken_at": "2026-05-01T14:29:51+02:00",
            "camera": {"make": "FUJIFILM", "model": "X-T5", "lens": "XF23mmF2 R WR"}
        },
        "metadata": {"id": "12345"}, "preset": {"name": "default", "version": "5f2c1a9be07d"}, "engine": "tintype 0.1.0"
    },
    "error": null, "claimed_at": null
}))]
pub struct View {
    id: UploadId,
    status: Status,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// What the client calls the file, if it said so.
    filename: Option<String>,
    /// As it was asked for.
    metadata: BTreeMap<String, String>,
    manifest: Option<Manifest>,
    error: Option<Failure>,
    /// When its backend said that it keeps it.
    #[serde(with = "time::serde::rfc3339::option")]
    claimed_at: Option<OffsetDateTime>,
}

/// Some uploads.
#[derive(Serialize, ToSchema)]
pub struct UploadPage {
    uploads: Vec<View>,
    /// Goes on after the last of them; null at the end.
    cursor: Option<String>,
}

impl From<Upload> for View {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id,
            status: upload.status,
            created_at: upload.created_at,
            expires_at: upload.expires_at,
            filename: upload.filename,
            metadata: upload.policy.metadata,
            manifest: upload.manifest.filter(|_| upload.status == Status::Completed),
            error: upload.error.filter(|_| upload.status == Status::Failed),
            claimed_at: upload.claimed_at,
        }
    }
}

/// What is asked for, and what is given, one or many.
type Asked = OneOrMany<NewUpload>;
type Given = OneOrMany<Ticket>;

/// The upload of a path, or a problem.
pub async fn find(app: &App, id: &str) -> Result<Upload, Problem> {
    let missing = || Problem::not_found("there is no such upload");
    let id = UploadId::parse(id).ok_or_else(missing)?;
    app.ledger.get(&id).await?.ok_or_else(missing)
}

/// Ask for one upload or many
///
/// Gives a signed credential for each, with which the client sends its file straight to the store. A list of up to 100 is
/// answered by a list in the same order: all are made, or none. Of the form, send the `fields` in their order and the field
/// `file` last; the store answers 204. A server calls this with its key and hands `presign` and `token` to its client; the
/// key stays on the server.
#[utoipa::path(
    post, path = "/v1/uploads", operation_id = "create_upload", tag = "uploads",
    security(("api_key" = ["uploads:create"])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[\\t -~]+$",
            description = "The same request again is answered the same, for a day: the same JSON, in whatever order its members are. It belongs to the API key that it came with. Spaces and tabs around it are HTTP's, not the key's"),
           ("traceparent" = Option<String>, Header, description = "W3C Trace Context: goes with the callback; ignored where it is not well formed")),
    request_body(
        content = inline(Asked), description = "What the client wants to send",
        example = json!({"filename": "corgi.jpg", "metadata": {"id": "12345"}})
    ),
    responses(
        (status = 201, description = "A credential for each", body = inline(Given)),
        (status = 409, description = "`upload_deleted`: what that Idempotency-Key was answered with is gone",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "`invalid_request`: the body does not say that it is JSON",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "`queue_full`, `quota_exceeded`, `too_many_requests`: again after `Retry-After`",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`idempotency_conflict`: that key was used for another request. `unsupported_format`: the file is called as no image is, or its content type is no image's",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    headers: HeaderMap,
    body: Unread,
) -> Result<Response, Problem> {
    let may = caller.must(Scope::UploadsCreate)?;
    let body = body.read(&app, &may).await?;
    let body = json_body(&headers, &body)?;
    let (idempotency, traceparent) = (idempotency(&caller, &headers, &body)?, trace::of_request(&headers));
    let asker = Asker { owner: caller_id(&caller, &address), idempotency, traceparent };
    admit(&app, &caller, &address, body.as_array().map_or(1, Vec::len).min(MAX_BATCH)).await?;
    if let Value::Array(list) = body {
        if !(1..=MAX_BATCH).contains(&list.len()) {
            return Err(Problem::invalid(format!("a list has 1 to {MAX_BATCH} requests, this one has {}", list.len())));
        }
        let asked = list
            .into_iter()
            .enumerate()
            .map(|(index, value)| parse(value).map_err(|problem| problem.at(&format!("request {index}"))));
        let asked: Vec<NewUpload> = asked.collect::<Result<_, _>>()?;
        let tickets = upload::create::create(&app, &asked, asker).await?;
        return Ok((StatusCode::CREATED, Json(tickets)).into_response());
    }
    let mut tickets = upload::create::create(&app, &[parse(body)?], asker).await?;
    Ok((StatusCode::CREATED, Json(tickets.remove(0))).into_response())
}

/// A JSON body that says it is one: a page of another origin cannot send that unasked.
pub fn json_body(headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
    let content_type =
        headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "send JSON with `Content-Type: application/json`",
        ));
    }
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|e| Problem::invalid(format!("the body is no JSON: {e}")))
}

fn parse(value: Value) -> Result<NewUpload, Problem> {
    let Value::Object(fields) = &value else {
        return Err(Problem::invalid(
            "the body must be an object such as {\"filename\": \"a.jpg\"}, or a list of them",
        ));
    };
    // One field at a time, so that the message can name it.
    for (name, field) in fields {
        let alone = json!({name.as_str(): field});
        serde_json::from_value::<NewUpload>(alone).map_err(|e| Problem::invalid(format!("{name}: {e}")))?;
    }
    serde_json::from_value(value).map_err(|e| Problem::invalid(e.to_string()))
}

fn idempotency(caller: &Caller, headers: &HeaderMap, body: &Value) -> Result<Option<Idempotency>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::invalid("Idempotency-Key must be 1 to 255 printable ASCII characters"))?;
    let request = hex(&Sha256::digest(canonical(body).to_string()));
    Ok(Some(Idempotency { owner: caller.key().map(str::to_owned), key: key.to_owned(), request }))
}

/// What a JSON text means: members in one order, and one form of a whole number.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().map(|(name, value)| (name.clone(), canonical(value))).collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(sorted.into_iter().collect())
        }
        Value::Number(number) => {
            number.as_f64().filter(|_| number.is_f64()).and_then(whole).unwrap_or_else(|| value.clone())
        }
        other => other.clone(),
    }
}

/// `1.0` and `1e0` as `1`, as far as all whole numbers have a floating-point number of their own.
fn whole(number: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then(|| Value::from(number as i64))
}

/// What uploads are looked for by.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Query {
    /// Only those whose id, key (with or without `upload.prefix`) or a value of whose metadata begins so, or whose file name
    /// holds this; in names and metadata the case of ASCII letters does not count. Letters beyond ASCII are found as they were
    /// written. A whole id finds that upload alone.
    #[param(max_length = 1024)]
    q: Option<String>,
}

impl Query {
    /// What to look for, as rows have it.
    fn search(self, app: &App) -> Result<Search, Problem> {
        let asked = self.q.unwrap_or_default();
        let text = asked.trim().to_owned();
        if text.is_empty() && asked.len() <= LONGEST_SEARCH {
            return Ok(Search::default());
        }
        if asked.len() > LONGEST_SEARCH || text.contains('\0') {
            return Err(Problem::invalid(
                "`q` must be a part of a file name, or the beginning of an id or key: 1024 bytes at most",
            ));
        }
        if let Some(id) = UploadId::parse(&text) {
            return Ok(Search { beginnings: vec![id.as_str().to_owned()], text: None });
        }
        let below = format!("{}{text}", app.layout.prefix());
        Ok(Search { beginnings: vec![text.clone(), below], text: Some(text) })
    }
}

/// List uploads
///
/// Newest first, 100 at most; the `cursor` of the answer asks for those after it.
#[utoipa::path(
    get, path = "/v1/uploads", operation_id = "list_uploads", tag = "uploads",
    security(("api_key" = ["uploads:read"])), params(Listing, Query),
    responses((status = 200, description = "A page, and the cursor of the next", body = UploadPage))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Listing>,
    Params(asked): Params<Query>,
) -> Result<Json<UploadPage>, Problem> {
    caller.must(Scope::UploadsRead)?;
    let page = query.page(|word| Status::parse(word).is_some())?;
    let rows = app.ledger.list(&page, &asked.search(&app)?).await?;
    let cursor = next(page.limit, rows.len(), rows.last().map(|row| (row.created_at, row.id.as_str())));
    let uploads: Vec<View> = rows.into_iter().map(View::from).collect();
    Ok(Json(UploadPage { uploads, cursor }))
}

/// Delete an upload
///
/// Original, variants, manifest and row go, whatever its status.
#[utoipa::path(
    delete, path = "/v1/uploads/{id}", operation_id = "delete_upload", tag = "uploads",
    security(("api_key" = ["uploads:write"])), params(("id" = UploadId, Path, description = "The upload")),
    responses((status = 204, description = "All gone"))
)]
pub async fn delete(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.must(Scope::UploadsWrite)?;
    let upload = find(&app, &id).await?;
    app.delete(&upload).await?;
    tracing::info!(upload = %upload.id, "deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Process an upload again
///
/// Develops the original again, whatever came of it before: the bytes that the upload was made of, and no others that may
/// be at its key by now. The outcome is told by another callback.
#[utoipa::path(
    post, path = "/v1/uploads/{id}/retry", operation_id = "retry_upload", tag = "uploads",
    security(("api_key" = ["uploads:write"])), params(("id" = UploadId, Path, description = "The upload")),
    responses(
        (status = 202, description = "It is being processed", body = View, example = json!({
            "id": "0123456789abcdef0123456789abcdef", "status": "processing", "created_at": "2026-05-01T12:30:00Z",
            "expires_at": "2026-05-01T12:45:00Z", "filename": "corgi.jpg", "metadata": {"id": "12345"}, "manifest": null,
            "error": null
        })),
        (status = 409, description = "`original_missing`, `original_changed`: ask for a new upload",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn retry(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    caller.must(Scope::UploadsWrite)?;
    let upload = find(&app, &id).await?;
    let object = original(&app, &upload).await?;
    let event = again(&app, &upload, object).ok_or_else(|| {
        let detail = "other bytes are at its key by now than the upload was made of; ask for a new upload";
        Problem::new(StatusCode::CONFLICT, "original_changed", detail)
    })?;
    if !app.ledger.reopen(&upload.id, &event).await? {
        return Err(Problem::not_found("there is no such upload"));
    }
    app.signals.job(&upload.id);
    let now = find(&app, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(View::from(now))).into_response())
}

/// What the store says of an upload's original, or that it is not there.
pub async fn original(app: &App, upload: &Upload) -> Result<ObjectMeta, Problem> {
    app.store.head(&upload.key).await.map_err(|error| match error {
        StoreError::NotFound(_) => {
            let detail = "the original is not in the store (any more); send it, or ask for a new upload";
            Problem::new(StatusCode::CONFLICT, "original_missing", detail)
        }
        error => error.into(),
    })
}

/// The event of developing an original again.
fn again(app: &App, upload: &Upload, now: ObjectMeta) -> Option<StorageEvent> {
    let pin = upload.state().again(now.etag, app.config.rule(&upload.key))?;
    Some(StorageEvent {
        bucket: None,
        key: upload.key.clone(),
        size: Some(now.size),
        etag: pin.etag,
        version: pin.version,
        sequencer: pin.sequencer,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_what_its_json_means() {
        let print = |text: &str| canonical(&serde_json::from_str(text).unwrap()).to_string();
        let one = print(r#"{"filename": "a.jpg", "size": 10, "metadata": {"x": 1, "y": [true, null]}}"#);
        assert_eq!(one, print(r#"{"metadata":{"y":[true,null],"x":1.0},"size":1e1,"filename":"\u0061.jpg"}"#));
        for other in [
            r#"{"filename": "a.jpg", "size": 10, "metadata": {"x": 1, "y": [null, true]}}"#,
            r#"{"filename": "a.jpg", "size": 10, "metadata": {"x": "1", "y": [true, null]}}"#,
            r#"{"filename": "a.jpg", "size": 10.5, "metadata": {"x": 1, "y": [true, null]}}"#,
        ] {
            assert_ne!(one, print(other));
        }
        assert_ne!(print("[1, 2]"), print("[2, 1]"));
    }
}
