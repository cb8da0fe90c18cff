//! An upload: one intent to deliver one original.

#[cfg(feature = "server")]
pub mod create;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::config::UploadDefaults;
use crate::error::Failure;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::store::Pin;

/// UUIDv4 in 32 lower-case hex digits, as the seed's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(value_type = String, pattern = "^[0-9a-f]{32}$", example = "0123456789abcdef0123456789abcdef"))]
pub struct UploadId(String);

impl UploadId {
    /// A new one.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The id of an object that nobody announced: the same one whenever it is asked for.
    pub fn of_object(bucket: &str, key: &Key) -> Self {
        let hash = Sha256::digest(format!("{bucket}/{key}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid().simple().to_string())
    }

    /// An id as a client writes it: 32 hex digits, or a UUID with hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        matches!(text.len(), 32 | 36)
            .then(|| uuid::Uuid::try_parse(text).ok())
            .flatten()
            .map(|id| Self(id.simple().to_string()))
    }

    /// The 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum Status {
    /// A credential is out; no original has been seen.
    Pending,
    /// The original has arrived.
    Processing,
    /// Every variant is in the store.
    Completed,
    /// Nothing came of it, and the reason is known.
    Failed,
    /// The credential ran out before an original came.
    Expired,
}

impl Status {
    /// The word the contract uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// The status a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Expired]
            .into_iter()
            .find(|status| status.as_str() == word)
    }

    /// Whether it is an end state.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired)
    }
}

/// How one original ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every variant is in the store.
    Completed(Box<Manifest>),
    /// A remote processor without manifests, such as the seed's Lambda, says that it wrote this key.
    Processed(Key),
    /// The reason why not.
    Failed(Failure),
}

/// Whether a content type is an exact image type, or `image/*`.
pub fn is_image_type(text: &str) -> bool {
    let subtype = text.strip_prefix("image/").unwrap_or_default();
    !subtype.is_empty() && subtype.bytes().all(|b| b.is_ascii_alphanumeric() || b"*+-.".contains(&b))
}

/// How a client is to send the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum Method {
    /// A form with a signed policy, which bounds size and type.
    #[serde(alias = "post")]
    Post,
    /// A signed URL, for stores and clients without forms.
    #[serde(alias = "put")]
    Put,
}

/// What a client may deliver; fixed when the upload is made, so that its credential can be signed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Form or URL.
    pub method: Method,
    /// The `Content-Type` field; `image/*` leaves it to the client.
    pub content_type: String,
    /// Most bytes.
    pub max_bytes: u64,
    /// Exact bytes, when the client told them beforehand.
    pub size: Option<u64>,
    /// The client's own metadata.
    pub metadata: BTreeMap<String, String>,
    /// Seconds after its end within which the backend is to claim it; as it was configured then, so that no other upload
    /// is ever removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_within: Option<u64>,
}

/// An upload, as the ledger has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Where the original is to be put, or was found.
    pub key: Key,
    /// Where it stands.
    pub status: Status,
    /// What the client may deliver.
    pub policy: Policy,
    /// The extension that was promised for variants, when the key has none.
    pub extension: Option<String>,
    /// Name of the preset.
    pub preset: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its credential runs out.
    pub expires_at: OffsetDateTime,
    /// The key of the variant `original`, once it is there.
    pub processed_key: Option<Key>,
    /// How it ended, once it has.
    pub manifest: Option<Manifest>,
    /// Why it failed, if it did.
    pub error: Option<Failure>,
    /// The trace that it was asked for in (W3C Trace Context).
    pub traceparent: Option<String>,
    /// Which bytes it is: the first that were accepted.
    pub pin: Option<Pin>,
    /// Who asked for it: an API key's id, or the address of a caller without one.
    pub owner: Option<String>,
    /// What the client calls the file.
    pub filename: Option<String>,
    /// When the backend said that it keeps the upload.
    pub claimed_at: Option<OffsetDateTime>,
}

impl Upload {
    /// One whose original was found, and whose credential, if there was one, another server gave out.
    pub fn unannounced(id: UploadId, key: Key, preset: &str, defaults: &UploadDefaults) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            id,
            key,
            status: Status::Pending,
            policy: Policy {
                method: Method::Post,
                content_type: defaults.content_type.clone(),
                max_bytes: defaults.max_bytes,
                size: None,
                metadata: BTreeMap::new(),
                claim_within: None,
            },
            extension: None,
            preset: preset.to_owned(),
            created_at: now,
            expires_at: now,
            processed_key: None,
            manifest: None,
            error: None,
            traceparent: None,
            pin: None,
            owner: None,
            filename: None,
            claimed_at: None,
        }
    }
}

impl Upload {
    /// The state of its original that counts; of rows from before pins, that of what was developed.
    pub fn state(&self) -> Pin {
        let developed = self.manifest.as_ref().map(|manifest| &manifest.original).filter(|read| read.key == self.key);
        let mut pin = self.pin.clone().unwrap_or_default();
        if !pin.is_known() {
            pin.etag = developed.and_then(|read| read.etag.clone());
        }
        if pin.sha256.is_none() {
            pin.sha256 =
                developed.filter(|read| read.pin().is_same(&pin) == Some(true)).map(|read| read.sha256.clone());
        }
        pin
    }

    /// Whether its original came, and all of it was removed since nobody claimed it in time.
    pub fn has_lapsed(&self) -> bool {
        self.status == Status::Expired && self.pin.is_some()
    }

    /// Whether somebody was given a credential for it. Otherwise its original was found.
    pub fn was_asked_for(&self) -> bool {
        self.expires_at > self.created_at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_id_of_an_object_is_its_own_and_always_the_same() {
        let id = |bucket: &str, key: &str| UploadId::of_object(bucket, &Key::new(key).unwrap());
        assert_eq!(id("b", "temp/a.jpg"), id("b", "temp/a.jpg"));
        assert_ne!(id("b", "temp/a.jpg"), id("c", "temp/a.jpg"));
        let one = id("b", "temp/a.jpg");
        assert_eq!(UploadId::parse(one.as_str()), Some(one));
    }
}
