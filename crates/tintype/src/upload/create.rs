//! Step 1: what a client asks for becomes an upload with a credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tintype_image::Format;
use utoipa::ToSchema;

use super::{Method, Policy, Status, Upload, UploadId, is_image_type};
use crate::app::App;
use crate::key::{Key, extension_of_filename, image_extensions, promised_extension};
use crate::ledger::{Created, Idempotency, LedgerError};
use crate::metrics;
use crate::preset::Preset;
use crate::presign::{Presign, PresignError};
use crate::trace;

/// Most bytes of all metadata, names and values: S3's limit.
const MAX_METADATA: usize = 2048;
/// Most bytes of a file name, as most file systems'.
const MAX_FILENAME: usize = 255;
/// Most uploads of one call.
pub const MAX_BATCH: usize = 100;

/// What a client asks for.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Carried to every variant and the callback; texts, numbers and booleans.
    #[serde(default)]
    #[schema(example = json!({"id": "12345"}))]
    pub metadata: Map<String, Value>,
    /// What the client calls the file: kept, shown and searched; its extension ends the key. Folders before it are cut off.
    #[schema(example = "corgi.jpg")]
    pub filename: Option<String>,
    /// `image/png`, or `image/*` to leave it to the client.
    #[schema(example = "image/jpeg")]
    pub content_type: Option<String>,
    /// Bytes, if known; then no other size is taken.
    #[schema(example = 2412345)]
    pub size: Option<u64>,
    /// Name of a preset.
    #[schema(example = "default")]
    pub preset: Option<String>,
    /// `POST` or `PUT`.
    pub method: Option<Method>,
}

/// What a client gets: the credential, and what will come of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ticket {
    /// The upload's id.
    pub id: UploadId,
    /// Where it stands.
    pub status: Status,
    /// Lets a browser see this upload.
    #[schema(example = "kq3J...")]
    pub token: String,
    /// How to send the original.
    pub presign: Presign,
    /// What is promised.
    pub variants: Vec<Promised>,
    /// Where its status is.
    #[schema(example = "https://uploads.example.com/v1/uploads/0123456789abcdef0123456789abcdef")]
    pub status_url: String,
    /// Where its changes are told.
    #[schema(example = "https://uploads.example.com/v1/uploads/0123456789abcdef0123456789abcdef/events")]
    pub events_url: String,
}

/// A variant before it exists.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Promised {
    /// Its name.
    #[schema(example = "400x400")]
    pub name: String,
    /// Its key, if that can be known: not for `format = "auto"`, nor while the original's extension is unknown.
    pub key: Option<Key>,
    /// Its address, likewise.
    #[schema(example = "https://images.example.com/image/0123456789abcdef0123456789abcdef_400x400.jpg")]
    pub url: Option<String>,
}

/// Why no upload was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The request is wrong; mend it.
    #[error("{0}")]
    Invalid(String),
    /// More bytes than are taken.
    #[error("{0}")]
    TooLarge(String),
    /// The file's name, or its content type, is not an image's.
    #[error("{0}")]
    UnsupportedFormat(String),
    /// The Idempotency-Key was used for another request.
    #[error("this Idempotency-Key was used for another request; use a new one")]
    Conflict,
    /// What the Idempotency-Key was answered with is gone.
    #[error("an upload that this Idempotency-Key was answered with has been deleted; use a new key")]
    Deleted,
    /// Try again.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Try again.
    #[error(transparent)]
    Presign(#[from] PresignError),
}

impl CreateError {
    /// The same, with the request of a list named first.
    fn of_request(self, index: usize) -> Self {
        match self {
            Self::Invalid(why) => Self::Invalid(format!("request {index}: {why}")),
            Self::TooLarge(why) => Self::TooLarge(format!("request {index}: {why}")),
            Self::UnsupportedFormat(why) => Self::UnsupportedFormat(format!("request {index}: {why}")),
            other => other,
        }
    }
}

/// Who asks, and how.
#[derive(Debug, Default)]
pub struct Asker<'a> {
    /// The id of its API key, or its address: whose turn a job of the upload is.
    pub owner: String,
    /// The promise that equal keys are equal requests.
    pub idempotency: Option<Idempotency>,
    /// The trace that the request is part of.
    pub traceparent: Option<&'a str>,
}

/// Makes uploads, all or none, and a ticket for each.
///
/// # Errors
/// Which request is wrong, and how.
pub async fn create(app: &App, asked: &[NewUpload], asker: Asker<'_>) -> Result<Vec<Ticket>, CreateError> {
    let now = OffsetDateTime::now_utc();
    // Whole seconds, so that the row can be signed again to the same credential.
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let mut uploads = Vec::with_capacity(asked.len());
    for (index, new) in asked.iter().enumerate() {
        let upload = draft(app, new, now);
        let upload = upload.map_err(|error| if asked.len() > 1 { error.of_request(index) } else { error })?;
        let owner = Some(asker.owner.clone()).filter(|owner| !owner.is_empty());
        uploads.push(Upload { traceparent: trace::here(asker.traceparent), owner, ..upload });
    }
    let uploads = match app.ledger.create(&uploads, asker.idempotency.as_ref()).await? {
        Created::New => {
            metrics::created(&uploads);
            uploads
        }
        Created::Replayed(before) if before.len() == asked.len() => before,
        Created::Replayed(_) => return Err(CreateError::Deleted),
        Created::Conflict => return Err(CreateError::Conflict),
    };
    let mut tickets = Vec::with_capacity(uploads.len());
    for upload in &uploads {
        tickets.push(ticket(app, upload).await?);
    }
    Ok(tickets)
}

fn draft(app: &App, new: &NewUpload, now: OffsetDateTime) -> Result<Upload, CreateError> {
    let defaults = &app.config.upload;
    let id = UploadId::random();
    let filename = new.filename.as_deref().map(check_filename).transpose()?.flatten();
    let extension = filename.as_deref().and_then(extension_of_filename);
    let key = app.layout.upload_key(&id, extension);
    let preset = match new.preset.as_deref() {
        Some(name) => check_preset(app, name)?,
        None => app.config.presets.of_key(&key),
    };
    // What is no image is told before what else is wrong: by its name first, which whoever chose it knows.
    check_extension(extension, preset)?;
    let given = new.content_type.as_deref().filter(|text| !preset.any_filename || is_image_type(text));
    let content_type = check_content_type(given.unwrap_or(&defaults.content_type))?;
    if new.size == Some(0) {
        return Err(CreateError::Invalid("the file is empty: its size is 0 bytes".to_owned()));
    }
    if let Some(size) = new.size.filter(|size| *size > defaults.max_bytes) {
        let detail = format!("size is {size} bytes; it must be from 1 to {}", defaults.max_bytes);
        return Err(CreateError::TooLarge(detail));
    }
    let promised = Format::from_content_type(&content_type).map(|format| format.extension().to_owned());
    let extension_is_given = extension.is_some();
    Ok(Upload {
        key,
        id,
        status: Status::Pending,
        policy: Policy {
            method: new.method.unwrap_or(defaults.method),
            content_type,
            max_bytes: defaults.max_bytes,
            size: new.size,
            metadata: check_metadata(&new.metadata)?,
            claim_within: app.config.claim_within.map(|within| within.as_secs()),
        },
        extension: promised.filter(|_| !extension_is_given),
        preset: preset.name.clone(),
        created_at: now,
        expires_at: now + defaults.expires,
        processed_key: None,
        manifest: None,
        error: None,
        traceparent: None,
        pin: None,
        owner: None,
        filename,
        claimed_at: None,
    })
}

/// The last part of a client's path, if there is one.
pub(crate) fn check_filename(given: &str) -> Result<Option<String>, CreateError> {
    let name = given.rsplit(['/', '\\']).next().unwrap_or(given);
    if name.len() > MAX_FILENAME {
        let detail = format!("filename has {} bytes of UTF-8; it may have {MAX_FILENAME}", name.len());
        return Err(CreateError::Invalid(detail));
    }
    if name.contains(char::is_control) {
        return Err(CreateError::Invalid("filename holds a control character".to_owned()));
    }
    Ok(Some(name.to_owned()).filter(|name| !name.trim().is_empty()))
}

/// A file that is called as no image is would be sent for nothing.
fn check_extension(extension: Option<&str>, preset: &Preset) -> Result<(), CreateError> {
    let Some(extension) = extension.filter(|_| !preset.any_filename) else { return Ok(()) };
    let known = image_extensions();
    if known.contains(&extension.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let detail = format!(".{extension} is not an image format that this server reads; it reads {}", known.join(", "));
    Err(CreateError::UnsupportedFormat(detail))
}

fn check_preset<'a>(app: &'a App, name: &str) -> Result<&'a Arc<Preset>, CreateError> {
    let presets = &app.config.presets;
    let unknown = || {
        CreateError::Invalid(format!(
            "there is no preset {name:?}; this server has {}, as its configuration was when it started",
            presets.names()
        ))
    };
    presets.get(name).ok_or_else(unknown)
}

fn check_content_type(text: &str) -> Result<String, CreateError> {
    if is_image_type(text) {
        return Ok(text.to_owned());
    }
    if text.is_empty() || text.to_ascii_lowercase().starts_with("image/") {
        let detail =
            format!("content_type {text:?} is none; write it as image/png, or leave it out if it is not known");
        return Err(CreateError::Invalid(detail));
    }
    let known = image_extensions().join(", ");
    Err(CreateError::UnsupportedFormat(format!("a file of type {text:?} is not an image; this server reads {known}")))
}

/// Metadata travels as HTTP headers, so it must be what headers can carry, and within S3's bound.
fn check_metadata(given: &Map<String, Value>) -> Result<BTreeMap<String, String>, CreateError> {
    let mut metadata = BTreeMap::new();
    for (name, value) in given {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                return Err(CreateError::Invalid(format!("metadata {name:?} must be a text, a number or a boolean")));
            }
        };
        let good_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if !good_name {
            return Err(CreateError::Invalid(format!("metadata name {name:?} may hold letters, digits, - and _ only")));
        }
        if value.trim() != value || !value.bytes().all(|b| (0x20..0x7F).contains(&b)) {
            let detail =
                format!("metadata {name:?} must be printable ASCII without spaces at its ends; percent-encode it, say");
            return Err(CreateError::Invalid(detail));
        }
        // Headers have no case.
        if metadata.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err(CreateError::Invalid(format!("metadata has {name:?} twice: case does not count in names")));
        }
    }
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_METADATA {
        return Err(CreateError::Invalid(format!("metadata has {bytes} bytes; S3 takes at most {MAX_METADATA}")));
    }
    Ok(metadata)
}

/// The ticket of an upload: the same one whenever it is asked for again.
pub async fn ticket(app: &App, upload: &Upload) -> Result<Ticket, PresignError> {
    let presign = app.presigner.presign(&upload.key, &upload.policy, upload.created_at, upload.expires_at).await?;
    let base = app.api_url();
    Ok(Ticket {
        id: upload.id.clone(),
        status: upload.status,
        token: app.tokens.of(&upload.id),
        presign,
        variants: promised(app, upload),
        status_url: format!("{base}/v1/uploads/{}", upload.id),
        events_url: format!("{base}/v1/uploads/{}/events", upload.id),
    })
}

fn promised(app: &App, upload: &Upload) -> Vec<Promised> {
    let extension = upload.key.extension().or_else(|| upload.extension.clone());
    let preset = app.config.presets.get(&upload.preset);
    let variants = preset.iter().flat_map(|preset| &preset.variants).map(|spec| {
        let extension = promised_extension(extension.as_deref(), spec.format);
        let key = extension.and_then(|extension| app.layout.variant_key(&upload.key, &spec.name, &extension).ok());
        let url = key.as_ref().zip(app.processor.public_url.as_ref()).map(|(key, base)| base.of(key));
        Promised { name: spec.name.clone(), key, url }
    });
    variants.collect()
}
