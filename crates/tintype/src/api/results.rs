//! `PUT /v1/uploads/{id}/result`: a remote processor's callback in.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;
use url::Url;

use super::auth::Caller;
use super::extract::{Id, Unread};
use super::openapi::ProblemDocument;
use super::problem::Problem;
use super::uploads::{View, find};
use crate::app::{App, ReadBody};
use crate::auth::Scope;
use crate::callback::{self, Secrets};
use crate::key::Key;
use crate::manifest::{Manifest, Variant};
use crate::queue::Leased;
use crate::store::StoreError;
use crate::upload::{Outcome, Status, Upload, UploadId};

/// How long a result waits for a worker to end that is at the same upload.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest side of a variant, in pixels: only PNG and TIFF have longer ones, and no such image is made here.
const LONGEST_SIDE: u32 = 65_535;
/// Between two tries to have it alone.
const PAUSE: Duration = Duration::from_millis(50);

/// Take a remote processor's result
///
/// From a server with an API key, or from a processor that signs with `callback.secret`, or with one before it, for this
/// upload and within five minutes. Variants that it names must be this upload's own, and in the store with the bytes that
/// the manifest says. PUT and POST do the same.
#[utoipa::path(
    method(put, post), path = "/v1/uploads/{id}/result", operation_id = "upload_result", tag = "processing",
    security(("api_key" = ["results"]), ("signature" = [])), params(("id" = UploadId, Path, description = "The upload")),
    request_body(
        content = Object, description = "A callback's body: `status` and the manifest, or `processed_key`, or `error`",
        example = json!({"status": "failed", "error": {"code": "corrupt", "message": "the file is cut off"}})
    ),
    responses(
        (status = 200, description = "It ended so", body = View),
        (status = 409, description = "`variant_missing`: it names a variant that is not in the store, or has other bytes there",
         body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "`foreign_variant`: it names a key that no variant of this upload can have",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    body: Unread,
) -> Result<Json<View>, Problem> {
    let body = read(&app, &caller, &id, &headers, body).await?;
    let upload = find(&app, &id).await?;
    let value: Value =
        serde_json::from_slice(&body).map_err(|e| Problem::invalid(format!("the body is no JSON: {e}")))?;
    record(&app, &upload, &value).await?;
    Ok(Json(find(&app, &id).await?.into()))
}

/// Holds a result against the store and records it.
pub async fn record(app: &Arc<App>, upload: &Upload, value: &Value) -> Result<(), Problem> {
    // A signed result of one upload is not to be played back on another.
    let told = value.get("id").and_then(Value::as_str);
    if told.is_some_and(|id| UploadId::parse(id).as_ref() != Some(&upload.id)) {
        return Err(Problem::invalid("the result is of another upload"));
    }
    let outcome = callback::parse(value).map_err(Problem::invalid)?;
    let hold = alone(app, upload).await?;
    let (app, upload) = (app.clone(), upload.clone());
    // What is begun is ended, whether or not the caller waits for it.
    let done = tokio::spawn(async move {
        let done = settle(&app, &upload, &outcome, &hold).await;
        app.queue.drop_job(&hold).await?;
        // A retry that was asked for meanwhile has its turn.
        app.signals.job(&upload.id);
        done
    });
    done.await.unwrap_or_else(|crash| Err(Problem::unavailable(&crash)))
}

/// Has no worker at the upload until the hold is dropped: the row would say one thing, and the store show what the worker writes.
async fn alone(app: &App, upload: &Upload) -> Result<Leased, Problem> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(hold) = app.queue.hold(&upload.id, &upload.key, app.config.lease).await? {
            return Ok(hold);
        }
        if Instant::now() >= end {
            return Err(Problem::unavailable(&format!("upload {} is being worked on", upload.id)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn settle(app: &App, upload: &Upload, outcome: &Outcome, hold: &Leased) -> Result<(), Problem> {
    app.while_held(hold, check(app, upload, outcome)).await?;
    let now = app.ledger.get(&upload.id).await?;
    if matches!(outcome, Outcome::Failed(_)) && now.is_some_and(|now| now.status != Status::Pending) {
        // What a status says and what the public can read are one thing.
        app.erase_in_hand(upload, Some(hold)).await?;
    }
    app.settle(upload, outcome, None).await?;
    Ok(())
}

/// The body of a server with an API key; or of a processor that shares the callback secret, if it is signed, lately and
/// for this very upload.
pub async fn read(
    app: &App,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
    body: Unread,
) -> Result<ReadBody, Problem> {
    let refusal = match caller.must(Scope::Results) {
        Ok(may) => return body.read(app, &may).await,
        Err(refusal) => refusal,
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (signed, at, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    // Who shows no signature sends no body.
    if signed.is_empty() || signatures.is_empty() {
        return Err(refusal);
    }
    let secrets = app.signing.current().await.unwrap_or_else(|why| {
        tracing::warn!(why, "the callback secret cannot be had; no signature can be checked");
        Secrets::default()
    });
    let body = body.read_unproven(app).await?;
    let is_good = std::str::from_utf8(&body)
        .is_ok_and(|text| secrets.verify(signed, at, signatures, text, OffsetDateTime::now_utc()));
    if is_good && is_bound(id, signed, &body) { Ok(body) } else { Err(refusal) }
}

/// Whether what is signed says which upload it is of: otherwise it could be played back on another. An id in the body
/// is held against the upload's by [`record`].
fn is_bound(id: &str, webhook_id: &str, body: &[u8]) -> bool {
    let of_upload = UploadId::parse(id).is_some_and(|id| webhook_id.starts_with(id.as_str()));
    of_upload || serde_json::from_slice(body).is_ok_and(|body: Value| body.get("id").is_some_and(Value::is_string))
}

/// Of a preset that is no longer configured nobody can say.
fn has_whole_preset(app: &App, upload: &Upload, manifest: &Manifest) -> bool {
    let has = |name: &str| manifest.variants.iter().any(|variant| variant.name == name);
    app.config.presets.get(&upload.preset).is_some_and(|preset| preset.variants.iter().all(|spec| has(&spec.name)))
}

/// A result is of this upload, and what it says was written is in the store: no other is `completed`.
async fn check(app: &App, upload: &Upload, outcome: &Outcome) -> Result<(), Problem> {
    let keys: Vec<(&Key, Option<&Variant>)> = match outcome {
        Outcome::Failed(_) => return Ok(()),
        Outcome::Processed(key) => vec![(key, None)],
        Outcome::Completed(manifest) if manifest.original.key != upload.key => {
            return Err(Problem::invalid("the manifest is of another original"));
        }
        Outcome::Completed(manifest) if !has_whole_preset(app, upload, manifest) => {
            return Err(Problem::invalid(format!(
                "the manifest does not hold every variant of the preset {:?}",
                upload.preset
            )));
        }
        Outcome::Completed(manifest) => {
            check_variants(&manifest.variants).map_err(Problem::invalid)?;
            manifest.variants.iter().map(|variant| (&variant.key, Some(variant))).collect()
        }
    };
    let suffixes = app.config.presets.suffixes();
    for (key, variant) in keys {
        if !app.layout.is_output(key) {
            return Err(Problem::invalid(format!("{key} is not in the folder of variants, {}", app.layout.folder())));
        }
        // What is recorded here is what a deletion takes along.
        if !app.layout.is_variant_of(&upload.key, key, &suffixes) {
            let detail = format!("{key} cannot be a variant of {}, by the presets of this server", upload.key);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "foreign_variant", detail));
        }
        match app.store.head(key).await {
            Ok(_) => {}
            Err(StoreError::NotFound(_)) => {
                let detail = format!("{key} is not in the store, so this upload is not completed");
                return Err(Problem::new(StatusCode::CONFLICT, "variant_missing", detail));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(variant) = variant
            && !app.processor.has_bytes(variant).await.map_err(|error| Problem::unavailable(&error))?
        {
            let detail = format!("{key} has other bytes in the store than the manifest says");
            return Err(Problem::new(StatusCode::CONFLICT, "variant_missing", detail));
        }
    }
    Ok(())
}

/// Refuses what is not said of images: browsers and backends are shown it as it came.
fn check_variants(variants: &[Variant]) -> Result<(), String> {
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    for variant in variants {
        if !is_web_address(variant) {
            return Err(format!("the url of the variant {:?} is no http address", variant.name));
        }
        let Variant { name, content_type, width, height, .. } = variant;
        if !names.insert(name.as_str()) || !keys.insert(variant.key.as_str()) {
            return Err(format!("the variant {name:?} is there twice"));
        }
        if !content_type.starts_with("image/") {
            return Err(format!("the variant {name:?} is {content_type:?}, and no image"));
        }
        if ![width, height].iter().all(|side| (1..=LONGEST_SIDE).contains(*side)) {
            return Err(format!("the variant {name:?} is {width} by {height} pixels, and no image"));
        }
    }
    Ok(())
}

/// What is shown to browsers and told to the backend is no script.
fn is_web_address(variant: &Variant) -> bool {
    let is_web = |url: &str| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    variant.url.as_deref().is_none_or(is_web)
}
