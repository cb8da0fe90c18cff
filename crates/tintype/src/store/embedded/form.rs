//! POST Object: a browser's multipart form, checked against its policy and streamed to disk.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, StatusCode, header};
use multer::{Field, Multipart};
use time::OffsetDateTime;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use super::disk::{DiskError, Incoming};
use super::kept::{self, Headers};
use super::{BUCKET, Condition, Endpoint, retry_after};
use crate::key::Key;
use crate::presign::policy::{Form, Grant, Refusal, verify};
use crate::store::{ObjectMeta, Precondition, PutOptions};

/// Most bytes of all text fields together, names and values; S3 allows 20 KB.
const MAX_FIELDS: usize = 20 * 1024;
/// Most text fields; a form of S3's has a dozen, and one for each name of metadata.
const MAX_COUNT: usize = 100;
/// Most bytes of a field's own headers.
const MAX_PART_HEADERS: usize = 4096;
/// Most bytes of what parts a form's fields, as RFC 2046 says.
const MAX_BOUNDARY: usize = 70;
/// Most bytes on the wire before the file begins: what fields may have, thrice, and one packet in which the file begins.
/// What is buffered of a form is bounded by this.
const MAX_BEFORE_FILE: usize = 128 * 1024;
/// What all forms together may have buffered whose policy is not checked yet, and in what steps it is taken.
const BEFORE_FILES: usize = 32 << 20;
const STEP: usize = 8 << 10;
/// How long a form waits for its share of that.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of metadata, names and values, as S3's.
const MAX_METADATA: usize = 2048;
/// Most bytes read and thrown away after a refusal, so that the client gets to read why.
const MAX_DRAIN: usize = 64 * 1024 * 1024;

/// Answers one POST upload.
pub async fn post_object(endpoint: &Endpoint, request: Request) -> Response {
    let bucket = request.uri().path().trim_matches('/').to_owned();
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let base = format!("{}://{host}", if endpoint.https { "https" } else { "http" });
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).ok();
    let Some(boundary) = boundary.filter(|text| (1..=MAX_BOUNDARY).contains(&text.len())) else {
        let message = "The multipart form must have a boundary of 1 to 70 characters.";
        return refuse(&Refusal::new(400, "MalformedPOSTRequest", message));
    };
    let wire = Wire::new(request.into_body(), endpoint.forms.clone());
    let received = receive(endpoint, &bucket, Multipart::new(wire.stream(), boundary), &wire).await;
    match received {
        Ok((form, object)) => accept(&form, &object, &base),
        Err(refusal) => {
            wire.give_back();
            if wire.crowded.load(Ordering::Relaxed) {
                return refuse(&Refusal::new(503, "SlowDown", "There are too many forms at once. Please try again."));
            }
            wire.drain().await;
            refuse(&refusal)
        }
    }
}

/// The memory of forms before their files.
#[derive(Clone)]
pub struct Forms(Arc<Semaphore>);

impl Default for Forms {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BEFORE_FILES / STEP)))
    }
}

/// The body, bounded until the file begins, and still at hand when the form is given up.
#[derive(Clone)]
struct Wire {
    body: Arc<Mutex<BodyDataStream>>,
    file_begun: Arc<AtomicBool>,
    forms: Forms,
    /// What it has of the memory, until its file begins.
    held: Arc<std::sync::Mutex<Vec<OwnedSemaphorePermit>>>,
    /// Whether there was none left.
    crowded: Arc<AtomicBool>,
}

impl Wire {
    fn new(body: Body, forms: Forms) -> Self {
        Self {
            body: Arc::new(Mutex::new(body.into_data_stream())),
            file_begun: Arc::default(),
            forms,
            held: Arc::default(),
            crowded: Arc::default(),
        }
    }

    /// The file begins: it is streamed, and what came before is known to be good or not.
    fn begin_file(&self) {
        self.file_begun.store(true, Ordering::Relaxed);
        self.give_back();
    }

    fn give_back(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes memory for so many bytes in all, before the file.
    async fn reserve(&self, bytes: usize) -> io::Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).len();
        for _ in held..bytes.div_ceil(STEP) {
            let Ok(Ok(permit)) = timeout(PATIENCE, self.forms.0.clone().acquire_owned()).await else {
                self.crowded.store(true, Ordering::Relaxed);
                return Err(io::Error::other("there are too many forms"));
            };
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(permit);
        }
        Ok(())
    }

    fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures::stream::unfold((self.clone(), 0), |(wire, seen)| async move {
            let chunk = wire.body.lock().await.next().await?;
            let seen = seen + chunk.as_ref().map_or(0, Bytes::len);
            if !wire.file_begun.load(Ordering::Relaxed) {
                let reserved = match seen {
                    ..=MAX_BEFORE_FILE => wire.reserve(seen).await,
                    _ => Err(io::Error::other("too much before the file")),
                };
                if let Err(error) = reserved {
                    return Some((Err(error), (wire, seen)));
                }
            }
            Some((chunk.map_err(io::Error::other), (wire, seen)))
        })
    }

    /// Lets the client finish sending, within bounds: most clients read no answer before.
    async fn drain(&self) {
        let mut left = MAX_DRAIN;
        let mut body = self.body.lock().await;
        while let Some(Ok(chunk)) = body.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

async fn receive(
    endpoint: &Endpoint,
    bucket: &str,
    mut multipart: Multipart<'static>,
    wire: &Wire,
) -> Result<(Form, ObjectMeta), Refusal> {
    let (form, file) = read_fields(&mut multipart).await?;
    wire.begin_file();
    if bucket != BUCKET {
        return Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"));
    }
    let key = object_key(&form, file.file_name())?;
    let (options, headers) = (options(&form)?, kept_headers(&form)?);
    let grant = verify(&form, bucket, &endpoint.account, OffsetDateTime::now_utc())?;
    endpoint.admit(&key).await?;
    let _sender = endpoint.sending.begin(&key)?;
    let incoming = read_file(endpoint, file, &grant).await?.with(headers);
    let taken = endpoint.take(incoming, key, options, Condition::None).await;
    let object = taken.map_err(|error| error.refusal(endpoint))?;
    Ok((form, object))
}

/// Reads text fields up to the file, as S3 does: whatever comes after the file is ignored. A field that came
/// twice would be checked as one and used as the other, so it is refused.
pub(crate) async fn read_fields(multipart: &mut Multipart<'static>) -> Result<(Form, Field<'static>), Refusal> {
    let mut form = Form::default();
    let mut total = 0;
    while let Some(mut field) = multipart.next_field().await.map_err(malformed)? {
        let headers: usize = field.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if headers > MAX_PART_HEADERS || form.fields.len() >= MAX_COUNT {
            let message =
                format!("A form has at most {MAX_COUNT} fields, each with {MAX_PART_HEADERS} bytes of headers.");
            return Err(Refusal::new(400, "MaxPostPreDataLengthExceeded", message));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name.eq_ignore_ascii_case("file") {
            return Ok((form, field));
        }
        if form.get(&name).is_some() {
            return Err(Refusal::new(400, "InvalidArgument", format!("The form has the field {name} twice.")));
        }
        let mut count = |bytes: usize| {
            total += bytes;
            let much =
                || Refusal::new(400, "MaxPostPreDataLengthExceeded", "The fields before the file are too large.");
            if total > MAX_FIELDS { Err(much()) } else { Ok(()) }
        };
        count(name.len())?;
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(malformed)? {
            count(chunk.len())?;
            value.extend_from_slice(&chunk);
        }
        let value = String::from_utf8(value).ok().filter(|text| !text.contains(char::is_control));
        let bad = || Refusal::new(400, "InvalidArgument", format!("The field {name} holds what no header can."));
        form.fields.push((name.clone(), value.ok_or_else(bad)?));
    }
    Err(Refusal::new(400, "InvalidArgument", "POST requires exactly one file upload per request."))
}

pub(crate) fn object_key(form: &Form, filename: Option<&str>) -> Result<Key, Refusal> {
    let text = form
        .get("key")
        .ok_or_else(|| Refusal::new(400, "InvalidArgument", "Bucket POST must contain a field named 'key'."))?;
    let filename = filename.and_then(|name| name.rsplit(['/', '\\']).next()).unwrap_or_default();
    Key::new(text.replace("${filename}", filename)).map_err(|e| Refusal::new(400, "InvalidArgument", e.to_string()))
}

async fn read_file(endpoint: &Endpoint, mut file: Field<'static>, grant: &Grant) -> Result<Incoming, Refusal> {
    let most = grant.max_bytes.min(endpoint.max_bytes);
    let mut incoming = begin(endpoint).await?;
    while let Some(chunk) = file.chunk().await.map_err(malformed)? {
        if incoming.size() + chunk.len() as u64 > most {
            let message = format!("Your proposed upload exceeds the maximum allowed size of {most} bytes");
            return Err(Refusal::new(400, "EntityTooLarge", message));
        }
        incoming = tokio::task::spawn_blocking(move || incoming.write(&chunk).map(|()| incoming))
            .await
            .map_err(|e| DiskError::Io(e.into()))?
            .map_err(DiskError::Io)?;
    }
    if incoming.size() < grant.min_bytes {
        let message =
            format!("Your proposed upload is smaller than the minimum allowed size of {} bytes", grant.min_bytes);
        return Err(Refusal::new(400, "EntityTooSmall", message));
    }
    Ok(incoming)
}

async fn begin(endpoint: &Endpoint) -> Result<Incoming, Refusal> {
    let disk = endpoint.disk.clone();
    let begun = tokio::task::spawn_blocking(move || disk.begin()).await;
    Ok(begun.map_err(|e| DiskError::Io(e.into()))?.map_err(DiskError::Io)?.within(endpoint.room.clone()))
}

pub(crate) fn options(form: &Form) -> Result<PutOptions, Refusal> {
    let named = form.fields.iter().filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        name.strip_prefix("x-amz-meta-").map(|name| (name.to_owned(), value.clone()))
    });
    let metadata: BTreeMap<String, String> = named.collect();
    if is_too_much(&metadata) {
        let message = "Your metadata headers exceed the maximum allowed metadata size.";
        return Err(Refusal::new(400, "MetadataTooLarge", message));
    }
    let options = PutOptions {
        content_type: form.get("Content-Type").unwrap_or("binary/octet-stream").to_owned(),
        cache_control: form.get("Cache-Control").unwrap_or_default().to_owned(),
        metadata,
        condition: Precondition::None,
    };
    let bad = || Refusal::new(400, "InvalidArgument", "A type or metadata of the form holds what no header can.");
    if are_headers(&options) { Ok(options) } else { Err(bad()) }
}

fn kept_headers(form: &Form) -> Result<Headers, Refusal> {
    let headers = kept::of(|name| form.get(name));
    match headers.iter().find(|(_, text)| !is_value(text)) {
        Some((name, _)) => {
            Err(Refusal::new(400, "InvalidArgument", format!("The field {name} holds what no header can.")))
        }
        None => Ok(headers),
    }
}

fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7F).contains(&byte))
}

/// What is kept is given back as headers: what not every client can read there is refused, as the API does.
fn are_headers(options: &PutOptions) -> bool {
    let named = |name: &String| HeaderName::try_from(format!("x-amz-meta-{name}")).is_ok();
    is_value(&options.content_type)
        && is_value(&options.cache_control)
        && options.metadata.iter().all(|(name, text)| named(name) && is_value(text))
}

/// Whether metadata is more than S3 keeps.
pub fn is_too_much(metadata: &BTreeMap<String, String>) -> bool {
    metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_METADATA
}

fn malformed(error: multer::Error) -> Refusal {
    Refusal::new(400, "MalformedPOSTRequest", format!("The form could not be read: {error}"))
}

fn accept(form: &Form, object: &ObjectMeta, base: &str) -> Response {
    let etag = format!("\"{}\"", object.etag.as_deref().unwrap_or_default());
    let location = format!("{base}/{BUCKET}/{}", object.key);
    let mut response = match (form.get("success_action_redirect"), form.get("success_action_status")) {
        (Some(target), _) if is_web_page(target) => redirect(target, object, &etag),
        (_, Some("200")) => StatusCode::OK.into_response(),
        (_, Some("201")) => created(object, &location, &etag),
        _ => StatusCode::NO_CONTENT.into_response(),
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&etag).map(|value| (header::ETAG, value)));
    if !headers.contains_key(header::LOCATION) {
        headers.extend(HeaderValue::from_str(&location).map(|value| (header::LOCATION, value)));
    }
    response
}

fn is_web_page(target: &str) -> bool {
    Url::parse(target).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn redirect(target: &str, object: &ObjectMeta, etag: &str) -> Response {
    let Ok(mut url) = Url::parse(target) else {
        return StatusCode::NO_CONTENT.into_response();
    };
    url.query_pairs_mut()
        .append_pair("bucket", BUCKET)
        .append_pair("key", object.key.as_str())
        .append_pair("etag", etag);
    (StatusCode::SEE_OTHER, [(header::LOCATION, url.to_string())]).into_response()
}

fn created(object: &ObjectMeta, location: &str, etag: &str) -> Response {
    let body = format!(
        "<PostResponse><Location>{}</Location><Bucket>{BUCKET}</Bucket><Key>{}</Key><ETag>{}</ETag></PostResponse>",
        escape(location),
        escape(object.key.as_str()),
        escape(etag)
    );
    xml(StatusCode::CREATED, body)
}

/// A refusal as S3 writes it.
pub fn refuse(refusal: &Refusal) -> Response {
    tracing::debug!(code = refusal.code, message = refusal.message, "refused an upload");
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = format!("<Error><Code>{}</Code><Message>{}</Message></Error>", refusal.code, escape(&refusal.message));
    let mut response = xml(status, body);
    response.headers_mut().extend(retry_after(status).map(|wait| (header::RETRY_AFTER, wait)));
    response
}

fn xml(status: StatusCode, body: String) -> Response {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    (status, [(header::CONTENT_TYPE, "application/xml")], Body::from(body)).into_response()
}

/// As XML has it, which knows no control characters.
fn escape(text: &str) -> String {
    let text = text.replace(|c: char| c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'), "?");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
