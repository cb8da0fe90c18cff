//! The rest of S3: signed GET, PUT, HEAD, LIST and DELETE by the `s3s` crate over [`DiskStore`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use url::form_urlencoded;

use super::checksum::{Checksums, of_whole};
use super::condition::{Asked, of_write};
use super::disk::DiskError;
use super::form::is_too_much;
use super::kept::{self, Headers};
use super::lenient::{self, Lenient, Verified};
use super::{BUCKET, Endpoint, REGION, retry_after};
use crate::aside::aside;
use crate::key::Key;
use crate::presign::Credential;
use crate::presign::policy::Refusal;
use crate::store::{ObjectMeta, Precondition, PutOptions};

/// Most keys of one listing, as S3's.
const MAX_KEYS: i32 = 1000;
/// How headers with metadata begin.
pub const METADATA: &str = "x-amz-meta-";
/// Most bytes of a request in XML: the longest keys, a thousand of them, and what is around each.
const MAX_XML: usize = 4 << 20;
/// Longest lifetime of a presigned URL in seconds, as S3's.
const LONGEST_LIFETIME: u32 = 7 * 24 * 3600;
/// Bytes of an object that are read at once, as many as a client costs that takes none of them.
const PART: u64 = 4 << 10;
/// How far the clock of a client that signs headers may be off, as S3's.
const MAX_SKEW: time::Duration = time::Duration::minutes(15);

/// Builds the service.
pub fn service(endpoint: Arc<Endpoint>) -> S3Service {
    let mut config = S3Config::default();
    // A URL signed an hour ago is still good if its lifetime says so.
    config.presigned_url_max_skew_time_secs =
        u32::try_from(endpoint.longest_lifetime.as_secs()).unwrap_or(u32::MAX).max(900);
    config.xml_max_body_size = MAX_XML;
    let config = Arc::new(StaticConfigProvider::new(Arc::new(config)));
    let builder = || {
        let mut builder = S3ServiceBuilder::new(Protocol(endpoint.clone()));
        // Without an account `s3s` asks `Access` nothing.
        builder.set_auth(Account(endpoint.account.clone()));
        builder.set_access(Access { public_folder: endpoint.public_folder.clone() });
        builder.set_config(config.clone());
        builder
    };
    let mut outer = builder();
    outer.set_route(Lenient(builder().build()));
    outer.build()
}

struct Account(Credential);

#[async_trait]
impl S3Auth for Account {
    async fn get_secret_key(&self, key_id: &str) -> S3Result<SecretKey> {
        if key_id == self.0.key_id {
            return Ok(self.0.secret.clone().into());
        }
        Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."))
    }
}

struct Access {
    public_folder: String,
}

#[async_trait]
impl S3Access for Access {
    /// The account may do everything; anyone may read the public folder; nobody else anything.
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        if cx.credentials().is_some() {
            return is_well_signed(cx.uri(), cx.headers());
        }
        if cx.extensions_mut().get::<Verified>().is_some() {
            return Ok(());
        }
        let query: Vec<_> = form_urlencoded::parse(cx.uri().query().unwrap_or_default().as_bytes()).collect();
        // As on S3, only who signs may choose a type: a public image is never served as a page.
        if query.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("response-")) {
            return Err(s3_error!(
                InvalidRequest,
                "Request specific response headers cannot be used for anonymous GET requests."
            ));
        }
        let reads = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
        match cx.s3_path().as_object() {
            Some((BUCKET, key)) if reads && key.starts_with(&self.public_folder) => Ok(()),
            _ => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// What the protocol layer does not look at of a signature that is good.
pub fn is_well_signed(uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    is_version_4_and_fresh(&query, headers)?;
    every_amz_header_is_signed(&query, headers)
}

/// The lifetime of presigned URLs, which `s3s` allows to all, is theirs alone; and version 2 signs too little.
fn is_version_4_and_fresh(query: &[(Cow<'_, str>, Cow<'_, str>)], headers: &HeaderMap) -> S3Result<()> {
    if query.iter().any(|(name, _)| name == "X-Amz-Signature") {
        let lifetime = query.iter().find(|(name, _)| name == "X-Amz-Expires").and_then(|(_, text)| text.parse().ok());
        return match lifetime {
            Some(0..=LONGEST_LIFETIME) => Ok(()),
            _ => Err(s3_error!(AuthorizationQueryParametersError, "X-Amz-Expires must be less than a week in seconds")),
        };
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text("authorization").starts_with("AWS4-") {
        return Err(s3_error!(InvalidRequest, "Please use AWS4-HMAC-SHA256."));
    }
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed_at = PrimitiveDateTime::parse(text("x-amz-date"), format).map(PrimitiveDateTime::assume_utc);
    match signed_at {
        Ok(at) if (OffsetDateTime::now_utc() - at).abs() <= MAX_SKEW => Ok(()),
        _ => Err(s3_error!(
            RequestTimeTooSkewed,
            "The difference between the request time and the current time is too large."
        )),
    }
}

/// A presigned URL fixes what the client may send: an `x-amz-` header that is not signed is none of its signer's.
fn every_amz_header_is_signed(query: &[(Cow<'_, str>, Cow<'_, str>)], headers: &HeaderMap) -> S3Result<()> {
    let Some((_, signed)) = query.iter().find(|(name, _)| name == "X-Amz-SignedHeaders") else { return Ok(()) };
    let unsigned = headers.keys().map(HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-") && *name != "x-amz-content-sha256" && !signed.split(';').any(|s| s == *name)
    });
    match unsigned {
        Some(name) => {
            Err(s3_error!(AccessDenied, "There were headers present in the request which were not signed: {name}"))
        }
        None => Ok(()),
    }
}

struct Protocol(Arc<Endpoint>);

impl Protocol {
    async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&super::DiskStore) -> Result<T, DiskError> + Send + 'static,
    ) -> S3Result<T> {
        let disk = self.0.disk.clone();
        let done = tokio::task::spawn_blocking(move || work(&disk)).await.map_err(S3Error::internal_error)?;
        done.map_err(|error| worded(error.into()))
    }

    async fn objects(&self, prefix: Option<&str>) -> S3Result<Vec<ObjectMeta>> {
        let prefix = prefix.unwrap_or_default().to_owned();
        self.disk(move |disk| Ok(disk.scan(&prefix)?)).await
    }
}

#[async_trait]
impl S3 for Protocol {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = Bucket { name: Some(BUCKET.into()), bucket_region: None, creation_date: None };
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(vec![bucket]), ..Default::default() }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(REGION.into()), ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let key = object_key(&input.bucket, &input.key)?;
        let known = self.disk(move |disk| disk.head(&key)).await?;
        let checksum = of_whole(&known, input.checksum_mode.as_ref());
        let meta = known.meta;
        Asked::of_head(&input.if_match, &input.if_none_match, &input.if_modified_since, &input.if_unmodified_since)
            .check(&meta)?;
        let kept = Kept::of(known.headers);
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: Some(known.cache_control).filter(|text| !text.is_empty()),
            checksum_type: checksum.as_ref().map(|_| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            checksum_sha256: checksum,
            content_disposition: kept.disposition,
            content_encoding: kept.encoding,
            content_language: kept.language,
            content_length: Some(signed(meta.size)),
            expires: kept.expires,
            content_type: meta.content_type.clone(),
            e_tag: etag(&meta),
            last_modified: Some(meta.modified.into()),
            metadata: Some(meta.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let key = object_key(&input.bucket, &input.key)?;
        let (known, file) = self.disk(move |disk| disk.read(&key)).await?.into_parts();
        let checksum = of_whole(&known, input.checksum_mode.as_ref()).filter(|_| input.range.is_none());
        let meta = known.meta;
        Asked::of_head(&input.if_match, &input.if_none_match, &input.if_modified_since, &input.if_unmodified_since)
            .check(&meta)?;
        let range = input.range.map(|range| range.check(meta.size)).transpose()?;
        // Of nothing there is no last part.
        if range.as_ref().is_some_and(std::ops::Range::is_empty) {
            return Err(s3_error!(InvalidRange, "The requested range is not satisfiable"));
        }
        let (start, end) = range.as_ref().map_or((0, meta.size), |range| (range.start, range.end));
        let body = parts(file, start, end);
        let kept = Kept::of(known.headers);
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(body)),
            cache_control: Some(known.cache_control).filter(|text| !text.is_empty()),
            checksum_type: checksum.as_ref().map(|_| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
            checksum_sha256: checksum,
            content_disposition: kept.disposition,
            content_encoding: kept.encoding,
            content_language: kept.language,
            expires: kept.expires,
            content_length: Some(signed(end - start)),
            content_range: range.map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size)),
            content_type: meta.content_type.clone(),
            e_tag: etag(&meta),
            last_modified: Some(meta.modified.into()),
            metadata: Some(meta.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let S3Request { input, headers, extensions, trailing_headers, .. } = request;
        let key = object_key(&input.bucket, &input.key)?;
        self.0.admit(&key).await.map_err(worded)?;
        let _sender = self.0.sending.begin(&key).map_err(worded)?;
        let condition = of_write(&input.if_match, &input.if_none_match)?;
        let mut checksums = Checksums::announced_in(&headers);
        let options = PutOptions {
            content_type: input.content_type.unwrap_or_else(|| "binary/octet-stream".into()),
            cache_control: input.cache_control.unwrap_or_default(),
            metadata: metadata(extensions.get::<lenient::Metadata>().map_or(&headers, |given| &given.0))?,
            condition: Precondition::None,
        };
        if is_too_much(&options.metadata) {
            return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size."));
        }
        let mut body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let kept = kept::of(|name| headers.get(name).and_then(|value| value.to_str().ok()));
        let mut incoming = self.disk(|disk| Ok(disk.begin()?)).await?.within(self.0.room.clone()).with(kept);
        while let Some(chunk) = body.try_next().await.map_err(|e| s3_error!(IncompleteBody, "{e}"))? {
            if incoming.size() + chunk.len() as u64 > self.0.max_bytes {
                return Err(s3_error!(EntityTooLarge, "An object here has at most {} bytes.", self.0.max_bytes));
            }
            checksums.update(&chunk);
            incoming = self.disk(move |_| Ok(incoming.write(&chunk).map(|()| incoming)?)).await?;
        }
        checksums.check(&headers, trailing_headers.and_then(|trailers| trailers.take()))?;
        if input.content_md5.is_some_and(|expected| expected != incoming.content_md5()) {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        let taken = self.0.take(incoming, key, options, condition).await;
        let object = taken.map_err(|error| worded(error.refusal(&self.0)))?;
        Ok(S3Response::new(PutObjectOutput { e_tag: etag(&object), ..Default::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let key = object_key(&request.input.bucket, &request.input.key)?;
        self.disk(move |disk| disk.remove(&key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        check_bucket(&bucket)?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in delete.objects {
            // What no key can name is not there, and so is deleted.
            let removed = match Key::new(object.key.as_str()) {
                Ok(key) => self.disk(move |disk| disk.remove(&key)).await,
                Err(_) => Ok(()),
            };
            match removed {
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                }),
            }
        }
        // Who asked for quiet hears of errors alone.
        let deleted = Some(deleted).filter(|_| delete.quiet != Some(true));
        Ok(S3Response::new(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        check_bucket(&input.bucket)?;
        let objects = self.objects(input.prefix.as_deref()).await?;
        let page = page(objects, &Cut::new(&input.prefix, &input.delimiter, input.max_keys, &input.marker));
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            marker: input.marker,
            max_keys: Some(input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS)),
            is_truncated: Some(page.next.is_some()),
            next_marker: page.next,
            contents: Some(page.contents),
            common_prefixes: Some(page.folders),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        check_bucket(&input.bucket)?;
        let after = input.continuation_token.clone().or_else(|| input.start_after.clone());
        let objects = self.objects(input.prefix.as_deref()).await?;
        let page = page(objects, &Cut::new(&input.prefix, &input.delimiter, input.max_keys, &after));
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS)),
            key_count: i32::try_from(page.contents.len() + page.folders.len()).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(page.contents),
            common_prefixes: Some(page.folders),
            ..Default::default()
        }))
    }
}

/// Headers that were kept with an object, as the protocol layer writes them.
struct Kept {
    disposition: Option<String>,
    encoding: Option<String>,
    language: Option<String>,
    expires: Option<Timestamp>,
}

impl Kept {
    fn of(mut headers: Headers) -> Self {
        let mut take = |name: &str| headers.remove(name);
        Self {
            disposition: take("content-disposition"),
            encoding: take("content-encoding"),
            language: take("content-language"),
            expires: take("expires").and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, &text).ok()),
        }
    }
}

fn worded(refusal: Refusal) -> S3Error {
    let code = S3ErrorCode::from_bytes(refusal.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, refusal.message);
    if let Ok(status) = StatusCode::from_u16(refusal.status) {
        error.set_status_code(status);
        error.set_headers(retry_after(status).map(|wait| (header::RETRY_AFTER, wait)).into_iter().collect());
    }
    error
}

/// Which part of a listing is asked for.
struct Cut<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    most: usize,
    after: &'a str,
}

impl<'a> Cut<'a> {
    fn new(
        prefix: &'a Option<String>,
        delimiter: &'a Option<String>,
        most: Option<i32>,
        after: &'a Option<String>,
    ) -> Self {
        Self {
            prefix: prefix.as_deref().unwrap_or_default(),
            delimiter: delimiter.as_deref().unwrap_or_default(),
            most: usize::try_from(most.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS)).unwrap_or(0),
            after: after.as_deref().unwrap_or_default(),
        }
    }

    /// The folder of a key below the prefix, if a delimiter was asked for.
    fn folder(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix(self.prefix).filter(|_| !self.delimiter.is_empty())?;
        rest.find(self.delimiter).map(|at| key[..self.prefix.len() + at + self.delimiter.len()].to_owned())
    }
}

#[derive(Default)]
struct Page {
    contents: Vec<Object>,
    folders: Vec<CommonPrefix>,
    next: Option<String>,
}

fn page(objects: Vec<ObjectMeta>, cut: &Cut<'_>) -> Page {
    let mut page = Page::default();
    let mut last = cut.after.to_owned();
    for object in objects {
        let folder = cut.folder(object.key.as_str());
        let name = folder.clone().unwrap_or_else(|| object.key.to_string());
        if name <= last {
            continue;
        }
        if page.contents.len() + page.folders.len() >= cut.most {
            page.next = Some(last).filter(|_| cut.most > 0);
            return page;
        }
        match folder {
            Some(prefix) => page.folders.push(CommonPrefix { prefix: Some(prefix) }),
            None => page.contents.push(Object {
                e_tag: etag(&object),
                key: Some(name.clone()),
                last_modified: Some(object.modified.into()),
                size: Some(signed(object.size)),
                ..Default::default()
            }),
        }
        last = name;
    }
    page
}

/// The bytes of a file from a start to an end.
fn parts(file: File, start: u64, end: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((Arc::new(file), start), move |(file, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let reader = file.clone();
        let part = aside(move || {
            let mut part = vec![0; usize::try_from(PART.min(end - at)).unwrap_or_default()];
            reader.read_exact_at(&mut part, at).map(|()| part)
        });
        let part = part.await.map_err(io::Error::other)??;
        let next = at + part.len() as u64;
        Ok(Some((Bytes::from(part), (file, next))))
    })
}

/// As it was given: the protocol layer would decode what looks like RFC 2047, where S3 keeps it.
fn metadata(headers: &HeaderMap) -> S3Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(METADATA).filter(|name| !name.is_empty()) else { continue };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| s3_error!(InvalidArgument, "The metadata {name} is not UTF-8."))?;
        if metadata.insert(name.to_owned(), text.trim().to_owned()).is_some() {
            return Err(s3_error!(InvalidArgument, "The metadata {name} is there twice."));
        }
    }
    Ok(metadata)
}

fn check_bucket(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET { Ok(()) } else { Err(s3_error!(NoSuchBucket, "The one bucket here is `{BUCKET}`.")) }
}

fn object_key(bucket: &str, key: &str) -> S3Result<Key> {
    check_bucket(bucket)?;
    Key::new(key).map_err(|e| s3_error!(InvalidArgument, "{e}"))
}

fn etag(meta: &ObjectMeta) -> Option<ETag> {
    meta.etag.clone().map(ETag::Strong)
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
