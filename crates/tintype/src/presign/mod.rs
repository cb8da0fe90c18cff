//! Step 2: a credential that lets a client put one original in the store, and nothing else.
//!
//! One file a provider. Only this folder signs with a store's secrets.

pub mod header;
pub mod policy;
pub mod s3;
mod sigv4;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::key::Key;
use crate::upload::Policy;

/// Long-lived or borrowed credentials of a store.
#[derive(Clone)]
pub struct Credential {
    /// Access key id; public.
    pub key_id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token of temporary credentials.
    pub token: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A signed permission to upload. There is no unsigned one: only a [`Presigner`] makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Presign {
    /// `POST` (a form) or `PUT`.
    #[cfg_attr(feature = "server", schema(example = "POST"))]
    pub method: String,
    /// Where to send it.
    #[cfg_attr(feature = "server", schema(example = "https://bucket.s3.eu-central-1.amazonaws.com/"))]
    pub url: String,
    /// Headers the client must send as they are.
    #[cfg_attr(feature = "server", schema(value_type = std::collections::BTreeMap<String, String>, example = json!({})))]
    pub headers: Map<String, Value>,
    /// Form fields, in this order, before the field `file`. Empty for `PUT`.
    #[cfg_attr(feature = "server", schema(value_type = std::collections::BTreeMap<String, String>, example = json!({"key": "image/0123456789abcdef0123456789abcdef.jpg", "Content-Type": "image/*", "policy": "eyJleHBpcmF0aW9uIjoi...", "x-amz-signature": "4f1c..."})))]
    pub fields: Map<String, Value>,
    /// When it runs out (RFC 3339).
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// What holds, and who sees to it.
    pub constraints: Constraints,
}

/// What a presign promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Constraints {
    /// Most bytes of the original.
    #[cfg_attr(feature = "server", schema(example = 10485760))]
    pub max_bytes: u64,
    /// Exact or wildcard media type.
    #[cfg_attr(feature = "server", schema(example = "image/*"))]
    pub content_type: String,
    /// Who refuses an original that breaks them: the `store` at once, or the `processor` after the upload.
    pub enforced_by: EnforcedBy,
}

/// Who refuses an original past the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum EnforcedBy {
    /// The store, before it takes the bytes.
    Store,
    /// The processor, after the store took them.
    Processor,
}

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign for the store: {0}")]
pub struct PresignError(pub String);

/// Signs credentials for one bucket.
#[async_trait]
pub trait Presigner: Send + Sync {
    /// Signs for one key under one policy, valid from `now` to `expires_at`. Equal arguments and
    /// store credentials give equal results.
    ///
    /// # Errors
    /// When the store's own credentials cannot be had; try again, or mend the configuration.
    async fn presign(
        &self,
        key: &Key,
        policy: &Policy,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<Presign, PresignError>;
}
