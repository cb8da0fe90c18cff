//! Step 4: the port to object storage. One file a provider.

#[cfg(all(test, feature = "server"))]
mod conformance;
#[cfg(feature = "server")]
pub(crate) mod counted;
#[cfg(feature = "server")]
pub mod embedded;
#[cfg(feature = "server")]
pub mod file;
pub mod s3;
mod s3_conditions;
mod s3_etag;
mod s3_pages;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use crate::key::Key;

/// What a store says of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: Key,
    /// Bytes.
    pub size: u64,
    /// Entity tag, unquoted.
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps them, if the store said.
    pub version: Option<String>,
    /// Declared media type.
    pub content_type: Option<String>,
    /// The client's own metadata, names less `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// When it was written.
    pub modified: OffsetDateTime,
}

/// One line of a listing. The name may be none of ours: a folder's mark (`photos/`), `a//b`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The object's name, as the store has it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Entity tag, unquoted.
    pub etag: Option<String>,
    /// When it was written.
    pub modified: OffsetDateTime,
}

impl Listed {
    /// Whether an object is the one that was listed. Answers about one object may know its time to the second only.
    pub fn is_still(&self, found: &ObjectMeta) -> bool {
        let same_bytes = self.etag.is_none() || found.etag.is_none() || self.etag == found.etag;
        same_bytes && self.size == found.size && found.modified - self.modified <= time::Duration::SECOND
    }
}

impl From<ObjectMeta> for Listed {
    fn from(meta: ObjectMeta) -> Self {
        Self { name: meta.key.into(), size: meta.size, etag: meta.etag, modified: meta.modified }
    }
}

/// An object, whole.
#[derive(Debug, Clone)]
pub struct Object {
    /// What the store says of it.
    pub meta: ObjectMeta,
    /// Its content.
    pub bytes: Bytes,
}

/// One state of an object: what is read under it is those bytes or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Entity tag, unquoted.
    pub etag: Option<String>,
    /// Version or generation, in a bucket that keeps them.
    pub version: Option<String>,
    /// Its place in the store's own order of what happened to the key, if the store gave one.
    #[serde(default)]
    pub sequencer: Option<String>,
    /// SHA-256 of its bytes, in hex, once they were read: an entity tag may be an MD5, of which there can be two files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Pin {
    /// Whether it names a state at all: an order alone does not.
    pub fn is_known(&self) -> bool {
        self.etag.is_some() || self.version.is_some()
    }

    /// Whether both name one state of an object. None when they have nothing in common to go by.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        let both = |one: &Option<String>, other: &Option<String>| Some(one.as_ref()? == other.as_ref()?);
        both(&self.version, &other.version).or_else(|| both(&self.etag, &other.etag))
    }
}

/// What goes with an object's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Media type.
    pub content_type: String,
    /// Cache-Control; empty for none.
    pub cache_control: String,
    /// The client's own metadata.
    pub metadata: BTreeMap<String, String>,
    /// What must be there for the write to be made.
    pub condition: Precondition,
}

/// What must be there for a write to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is.
    #[default]
    None,
    /// No object.
    Absent,
    /// The object of this entity tag.
    Etag(String),
}

/// What a store says of a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The new object's entity tag, unquoted, if the store has them.
    pub etag: Option<String>,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such object. Final.
    #[error("there is no object `{0}`")]
    NotFound(Key),
    /// The object is there, but not in the state that was asked for. Final.
    #[error("the object `{0}` was replaced by other bytes before it could be read")]
    Changed(Key),
    /// Another wrote there first, so the condition of a write does not hold. Look again at what is there.
    #[error("the object `{0}` was written by another meanwhile")]
    Precondition(Key),
    /// The store knows no such request.
    #[error("the store cannot do that: {0}")]
    Unsupported(String),
    /// The object passes the caller's limit. Final.
    #[error("the object `{key}` has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Which one.
        key: Key,
        /// Its bytes.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// The store cannot have such an object. Final.
    #[error("{0}")]
    Invalid(String),
    /// What is there is not what was written. Only a copy from elsewhere helps; a second look may see that it was not so.
    #[error("the object `{key}` is damaged: {how}")]
    Damaged {
        /// Which one.
        key: Key,
        /// What does not fit.
        how: String,
    },
    /// The store refuses these credentials. Try again once they are mended.
    #[error("the store denied access: {0}")]
    Denied(String),
    /// This machine has no credentials to ask the store with. Try again once it has.
    #[error("{0}")]
    NoCredentials(String),
    /// The store has no room. Try again once it has.
    #[error("the store is full: {0}")]
    Full(String),
    /// Anything that may pass: try again later.
    #[error("the store failed: {0}")]
    Unavailable(String),
}

/// A bucket.
#[async_trait]
pub trait Store: Send + Sync {
    /// What is known of an object; content type and metadata where the store keeps them.
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError>;

    /// Reads an object whole, if it has at most `limit` bytes. A store that keeps hashes checks them.
    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError>;

    /// Reads one version of an object, in a bucket that keeps them.
    async fn get_version(&self, key: &Key, version: &str, _limit: u64) -> Result<Object, StoreError> {
        Err(StoreError::Invalid(format!(
            "version {version} of `{key}` was asked for, and this store keeps no versions"
        )))
    }

    /// Reads an object in one state of it: a version, bytes of an entity tag, or as it is now where the pin names neither.
    async fn get_pinned(&self, key: &Key, pin: &Pin, limit: u64) -> Result<Object, StoreError> {
        let object = match &pin.version {
            Some(version) => self.get_version(key, version, limit).await?,
            None => self.get(key, limit).await?,
        };
        match (&pin.etag, &object.meta.etag) {
            (Some(wanted), Some(found)) if wanted != found => Err(StoreError::Changed(key.clone())),
            _ => Ok(object),
        }
    }

    /// What is known of an object in one state of it; [`StoreError::Changed`] when it is in another.
    async fn head_pinned(&self, key: &Key, pin: &Pin) -> Result<ObjectMeta, StoreError> {
        let found = self.head(key).await?;
        match (&pin.etag, &found.etag) {
            (Some(wanted), Some(found)) if wanted != found => Err(StoreError::Changed(key.clone())),
            _ => Ok(found),
        }
    }

    /// Writes an object whole: readers see the old one or the new one, never a part. [`StoreError::Precondition`] when the
    /// condition of the options does not hold; then nothing is written.
    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError>;

    /// Removes an object; one that is not there is no error.
    async fn delete(&self, key: &Key) -> Result<(), StoreError>;

    /// Removes an object that is still as a listing told it; false when it is another by now, or gone. A store that can
    /// removes on that condition; others look right before.
    async fn delete_listed(&self, key: &Key, listed: &Listed) -> Result<bool, StoreError> {
        match self.head(key).await {
            Ok(found) if listed.is_still(&found) => self.delete(key).await.map(|()| true),
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Every object whose key starts with a prefix, in the order of keys. Content type and metadata may be absent.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError>;

    /// The same a page at a time, for buckets of any size: every object whose name starts with a prefix and comes after
    /// a name, which may be empty, in the order of names. A store on this machine's disk may take all of it at once.
    fn scan<'a>(&'a self, prefix: &'a str, after: &'a str) -> BoxStream<'a, Result<Listed, StoreError>> {
        let listed = async move {
            let found = self.list(prefix).await?.into_iter().filter(move |object| object.key.as_str() > after);
            Ok(stream::iter(found.map(|object| Ok(Listed::from(object)))))
        };
        stream::once(listed).try_flatten().boxed()
    }

    /// Whether it is another's word that an object was written: it is looked at then before it is believed.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether the store answers at all.
    async fn check(&self) -> Result<(), StoreError>;
}

/// Where the public fetches objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// A base address; a last slash is added.
    pub fn new(base: &Url) -> Self {
        let mut base = base.clone();
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        Self(base)
    }

    /// The address of one object.
    pub fn of(&self, key: &Key) -> String {
        const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
        format!("{}{}", self.0, utf8_percent_encode(key.as_str(), SAFE))
    }
}
