//! Any S3, by the `object_store` crate: AWS, Ceph, SeaweedFS, MinIO, R2 …

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::{ClientOptions, HttpClient, HttpConnector, ReqwestConnector};
use object_store::path::Path;
use object_store::{Attribute, Attributes, GetOptions, GetResult, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use time::OffsetDateTime;
use url::Url;

use super::s3_conditions::Conditions;
use super::s3_etag::{self, Tags};
use super::s3_pages::Pages;
use super::{Listed, Object, ObjectMeta, Pin, PutOptions, Store, StoreError, Written};
use crate::aws::credentials;
use crate::key::Key;
use crate::presign::s3::CredentialSource;
use crate::presign::{Credential, PresignError};

/// Longest time for one request, as `object_store` has it: a store may be at it for as long after its sender has gone.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// One bucket of an S3.
pub struct S3Store {
    inner: Arc<AmazonS3>,
    /// The same over the same connections, but for a store that may answer 501: a request is tried once.
    once: OnceLock<Result<AmazonS3, String>>,
    builder: Box<AmazonS3Builder>,
    pages: Pages,
    pub(super) conditions: Conditions,
    tags: Tags,
}

/// Gives every client that is built the connections of the first.
#[derive(Debug, Clone, Default)]
struct SharedConnections(Arc<OnceLock<HttpClient>>);

impl HttpConnector for SharedConnections {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let client = ReqwestConnector::default().connect(options)?;
        Ok(self.0.get_or_init(|| client).clone())
    }
}

/// Which bucket, and where.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Name of the bucket.
    pub bucket: String,
    /// Address of a store other than AWS; path style is used with it.
    pub endpoint: Option<Url>,
    /// Region of the bucket.
    pub region: String,
}

impl S3Config {
    /// The address of the bucket as clients reach it.
    pub fn bucket_url(&self) -> Url {
        let text = match &self.endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.as_str().trim_end_matches('/'), self.bucket),
            None if !self.is_virtual_hosted() => format!("https://s3.{}.amazonaws.com/{}", self.region, self.bucket),
            None => format!("https://{}.s3.{}.amazonaws.com", self.bucket, self.region),
        };
        text.parse().expect("a checked endpoint and a bucket name make an address")
    }

    /// Whether the bucket is named by the host. AWS's certificate is for one name before its own, so not with a dot in it:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>.
    fn is_virtual_hosted(&self) -> bool {
        self.endpoint.is_none() && !self.bucket.contains('.')
    }
}

impl S3Store {
    /// A store with credentials as AWS programs find them: environment, profile, web identity, container, instance.
    ///
    /// # Errors
    /// When the parts do not make a configuration; the text says which.
    pub fn new(config: &S3Config) -> Result<Self, String> {
        Self::build(config, signing(config)?)
    }

    /// The same for a caller that tries again itself: here a request is tried for some seconds, not minutes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn impatient(config: &S3Config) -> Result<Self, String> {
        let retry = RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
        Self::build(config, signing(config)?.with_retry(retry))
    }

    /// A store by a client that is set up but for what the configuration says.
    pub(super) fn build(config: &S3Config, mut builder: AmazonS3Builder) -> Result<Self, String> {
        builder = builder
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(config.is_virtual_hosted())
            // The signature holds the same hash, but only this one is kept with the object.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_http_connector(SharedConnections::default());
        if let Some(endpoint) = &config.endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        let client = builder.clone().build().map_err(|e| e.to_string())?;
        let pages = Pages::new(config, client.credentials().clone());
        let builder = Box::new(builder.with_credentials(client.credentials().clone()));
        let (once, conditions, tags) = Default::default();
        Ok(Self { inner: Arc::new(client), once, builder, pages, conditions, tags })
    }

    /// Reads an object, and once more if its bytes are not those that its entity tag tells of.
    async fn read(&self, key: &Key, limit: u64, options: GetOptions) -> Result<Object, StoreError> {
        let object = self.read_once(key, limit, options.clone()).await?;
        if self.tags.fit(&object) {
            return Ok(object);
        }
        tracing::warn!(%key, bytes = object.bytes.len(), "other bytes came than the entity tag tells of: they are read again");
        let again = self.read_once(key, limit, options.clone()).await?;
        if self.tags.fit(&again) {
            return Ok(again);
        }
        // The same bytes twice: the tag may be no MD5.
        if again.bytes == object.bytes && self.pages.has_opaque_tag(key, options.version.as_deref()).await? {
            self.tags.are_opaque();
            return Ok(again);
        }
        Err(s3_etag::misread(&again))
    }

    /// Writes an object.
    pub(super) async fn write(
        &self,
        key: &Key,
        bytes: Bytes,
        options: &PutOptions,
        mode: PutMode,
    ) -> Result<Written, StoreError> {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, options.content_type.clone().into());
        if !options.cache_control.is_empty() {
            attributes.insert(Attribute::CacheControl, options.cache_control.clone().into());
        }
        for (name, value) in &options.metadata {
            attributes.insert(Attribute::Metadata(name.clone().into()), value.clone().into());
        }
        let client = if mode == PutMode::Overwrite || self.conditions.are_kept() { &self.inner } else { self.once()? };
        let options = object_store::PutOptions { attributes, mode, ..Default::default() };
        let written = client.put_opts(&path(key)?, bytes.into(), options).await.map_err(|e| failure(key, e))?;
        Ok(Written { etag: written.e_tag.as_deref().map(bare) })
    }

    fn once(&self) -> Result<&AmazonS3, StoreError> {
        let build = || {
            let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
            self.builder.as_ref().clone().with_retry(retry).build().map_err(|e| e.to_string())
        };
        self.once.get_or_init(build).as_ref().map_err(|why| StoreError::Unavailable(why.clone()))
    }

    async fn read_once(&self, key: &Key, limit: u64, options: GetOptions) -> Result<Object, StoreError> {
        let found = self.inner.get_opts(&path(key)?, options).await.map_err(|e| failure(key, e))?;
        if found.meta.size > limit {
            return Err(StoreError::TooLarge { key: key.clone(), size: found.meta.size, limit });
        }
        let meta = meta_with_attributes(key, &found);
        let bytes = found.bytes().await.map_err(|e| failure(key, e))?;
        if bytes.len() as u64 != meta.size {
            return Err(StoreError::Unavailable(format!("{key}: {} bytes came of {}", bytes.len(), meta.size)));
        }
        Ok(Object { meta, bytes })
    }

    /// The store's credentials, for signing.
    pub fn credentials(&self) -> Arc<dyn CredentialSource> {
        Arc::new(Borrowed(self.inner.clone()))
    }
}

/// A client with this machine's credentials; where they come from is logged.
fn signing(config: &S3Config) -> Result<AmazonS3Builder, String> {
    let (builder, source) = credentials::builder()?;
    tracing::info!(bucket = config.bucket, source, "calls to the bucket are signed");
    Ok(builder)
}

struct Borrowed(Arc<AmazonS3>);

#[async_trait]
impl CredentialSource for Borrowed {
    async fn credential(&self) -> Result<Credential, PresignError> {
        let found = self.0.credentials().get_credential().await.map_err(|e| PresignError(credentials::missing(&e)))?;
        Ok(Credential { key_id: found.key_id.clone(), secret: found.secret_key.clone(), token: found.token.clone() })
    }
}

#[async_trait]
impl Store for S3Store {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        self.head_pinned(key, &Pin::default()).await
    }

    async fn head_pinned(&self, key: &Key, pin: &Pin) -> Result<ObjectMeta, StoreError> {
        let options = GetOptions { head: true, version: pin.version.clone(), ..GetOptions::default() };
        let found = self.inner.get_opts(&path(key)?, options).await.map_err(|e| failure(key, e))?;
        let found = meta_with_attributes(key, &found);
        match (&pin.etag, &found.etag) {
            (Some(wanted), Some(etag)) if wanted != etag => Err(StoreError::Changed(key.clone())),
            _ => Ok(found),
        }
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        self.read(key, limit, GetOptions::default()).await
    }

    async fn get_version(&self, key: &Key, version: &str, limit: u64) -> Result<Object, StoreError> {
        self.read(key, limit, GetOptions { version: Some(version.to_owned()), ..GetOptions::default() }).await
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        self.put_if(key, bytes, options).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        match self.inner.delete(&path(key)?).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(e) => Err(failure(key, e)),
        }
    }

    /// AWS removes on condition (`If-Match`); a store that knows none of that was asked right before.
    async fn delete_listed(&self, key: &Key, listed: &Listed) -> Result<bool, StoreError> {
        let found = match self.head(key).await {
            Ok(found) => found,
            Err(StoreError::NotFound(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if !listed.is_still(&found) {
            return Ok(false);
        }
        let judged = match &found.etag {
            Some(etag) => self.pages.delete_if(key, etag).await?,
            None => None,
        };
        match judged {
            Some(deleted) => Ok(deleted),
            None => self.delete(key).await.map(|()| true),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let found: Vec<Listed> = self.scan(prefix, "").try_collect().await?;
        let objects = found.into_iter().filter_map(|object| Some(meta_of_listed(Key::new(&object.name).ok()?, object)));
        let mut objects: Vec<_> = objects.collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: &'a str) -> BoxStream<'a, Result<Listed, StoreError>> {
        self.pages.scan(prefix, after).boxed()
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), StoreError> {
        let probe = Path::from("tintype-readiness-probe");
        match self.inner.head(&probe).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::Unavailable(e.to_string())),
        }
    }
}

/// An entity tag without its quotes.
fn bare(tag: &str) -> String {
    tag.trim_matches('"').to_owned()
}

fn path(key: &Key) -> Result<Path, StoreError> {
    Path::parse(key.as_str()).map_err(|e| StoreError::Unavailable(e.to_string()))
}

fn meta_with_attributes(key: &Key, found: &GetResult) -> ObjectMeta {
    ObjectMeta {
        content_type: found.attributes.get(&Attribute::ContentType).map(|v| v.to_string()),
        metadata: metadata(&found.attributes),
        ..meta(key.clone(), &found.meta)
    }
}

fn meta(key: Key, found: &object_store::ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        key,
        size: found.size,
        etag: found.e_tag.as_deref().map(bare),
        // What a bucket says that once kept versions, and no longer does.
        version: found.version.clone().filter(|version| version != "null"),
        content_type: None,
        metadata: BTreeMap::new(),
        modified: OffsetDateTime::from_unix_timestamp(found.last_modified.timestamp())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}

fn meta_of_listed(key: Key, object: Listed) -> ObjectMeta {
    let Listed { name: _, size, etag, modified } = object;
    ObjectMeta { key, size, etag, version: None, content_type: None, metadata: BTreeMap::new(), modified }
}

fn metadata(attributes: &Attributes) -> BTreeMap<String, String> {
    let pairs = attributes.iter().filter_map(|(name, value)| match name {
        Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
        _ => None,
    });
    pairs.collect()
}

fn failure(key: &Key, error: object_store::Error) -> StoreError {
    use object_store::Error as E;
    if let Some(why) = credentials::lack(&error) {
        return StoreError::NoCredentials(why);
    }
    match error {
        E::NotFound { .. } => StoreError::NotFound(key.clone()),
        E::AlreadyExists { .. } | E::Precondition { .. } => StoreError::Precondition(key.clone()),
        E::NotImplemented { .. } => StoreError::Unsupported(error.to_string()),
        E::Generic { .. } if error.to_string().contains("501 Not Implemented") => {
            StoreError::Unsupported(error.to_string())
        }
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => StoreError::Denied(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_buckets() {
        let address = |bucket: &str, endpoint: Option<&str>| {
            let endpoint = endpoint.and_then(|text| text.parse().ok());
            S3Config { bucket: bucket.into(), endpoint, region: "eu-west-1".into() }.bucket_url().to_string()
        };
        assert_eq!(address("photos", None), "https://photos.s3.eu-west-1.amazonaws.com/");
        assert_eq!(address("photos.example.com", None), "https://s3.eu-west-1.amazonaws.com/photos.example.com");
        assert_eq!(address("photos", Some("http://127.0.0.1:9000/")), "http://127.0.0.1:9000/photos");
    }
}
