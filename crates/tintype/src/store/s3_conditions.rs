//! Conditional writes on stores that may not know them: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>.
//!
//! AWS, SeaweedFS, Ceph and most others decide `If-None-Match: *` and `If-Match` themselves. One that ignores them, or
//! answers 501, is found out at the first conditional write: the same write is made twice, and the second must fail. There
//! a look before and a look after each write decide instead, which leaves a gap between the two.

use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use object_store::{PutMode, UpdateVersion};

use super::s3::S3Store;
use super::{Precondition, PutOptions, Store, StoreError, Written};
use crate::key::Key;

const UNKNOWN: u8 = 0;
const KEPT: u8 = 1;
const IGNORED: u8 = 2;

/// What is known of a store's conditions.
#[derive(Debug, Default)]
pub(super) struct Conditions(AtomicU8);

impl Conditions {
    fn are(&self, known: u8) -> bool {
        self.0.load(Ordering::Relaxed) == known
    }

    /// Whether the store is known to keep them.
    pub(super) fn are_kept(&self) -> bool {
        self.are(KEPT)
    }

    fn found(&self, known: u8) {
        self.0.store(known, Ordering::Relaxed);
        if known == IGNORED {
            tracing::warn!(
                "the store ignores conditions of writes (If-None-Match): a look before and after each write takes their \
                 place, so two processes that write one set at the same instant may both believe that it is theirs"
            );
        }
    }
}

impl S3Store {
    /// A write that is made only if what is there is as it should be.
    pub(super) async fn put_if(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        if self.conditions.are(IGNORED) && options.condition != Precondition::None {
            return self.put_between_looks(key, bytes, options).await;
        }
        let tried = match &options.condition {
            Precondition::None => return self.write(key, bytes, options, PutMode::Overwrite).await,
            Precondition::Absent => self.write(key, bytes.clone(), options, PutMode::Create).await,
            Precondition::Etag(etag) => self.replace(key, bytes.clone(), options, etag).await,
        };
        match tried {
            Err(StoreError::Unsupported(_)) => {
                self.conditions.found(IGNORED);
                self.put_between_looks(key, bytes, options).await
            }
            Ok(written) if self.conditions.are(UNKNOWN) && options.condition == Precondition::Absent => {
                self.try_out(key, bytes, options).await?;
                Ok(written)
            }
            Err(StoreError::Precondition(key)) => {
                if self.conditions.are(UNKNOWN) {
                    self.conditions.found(KEPT);
                }
                Err(StoreError::Precondition(key))
            }
            tried => tried,
        }
    }

    /// Some stores (Ceph 16) compare the header as it is, quotes and all, with a tag that has none.
    async fn replace(&self, key: &Key, bytes: Bytes, options: &PutOptions, etag: &str) -> Result<Written, StoreError> {
        let update = |tag: String| PutMode::Update(UpdateVersion { e_tag: Some(tag), version: None });
        match self.write(key, bytes.clone(), options, update(format!("\"{etag}\""))).await {
            Err(StoreError::Precondition(_)) if self.is_tagged(key, etag).await? => {
                self.write(key, bytes, options, update(etag.to_owned())).await
            }
            written => written,
        }
    }

    async fn is_tagged(&self, key: &Key, etag: &str) -> Result<bool, StoreError> {
        match self.head(key).await {
            Ok(found) => Ok(found.etag.as_deref() == Some(etag)),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The object is there now, so the same write again must fail.
    async fn try_out(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<(), StoreError> {
        match self.write(key, bytes, options, PutMode::Create).await {
            Err(StoreError::Precondition(_)) => self.conditions.found(KEPT),
            Ok(_) => self.conditions.found(IGNORED),
            Err(error) => tracing::debug!(%error, "whether the store keeps conditions is not known yet"),
        }
        Ok(())
    }

    async fn put_between_looks(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let found = match self.head(key).await {
            Ok(found) => Some(found.etag),
            Err(StoreError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let holds = match (&options.condition, found) {
            (Precondition::None, _) | (Precondition::Absent, None) => true,
            (Precondition::Etag(wanted), Some(etag)) => etag.as_ref() == Some(wanted),
            _ => false,
        };
        if !holds {
            return Err(StoreError::Precondition(key.clone()));
        }
        let written = self.write(key, bytes, options, PutMode::Overwrite).await?;
        match (self.head(key).await?.etag, &written.etag) {
            (Some(there), Some(ours)) if there != *ours => Err(StoreError::Precondition(key.clone())),
            _ => Ok(written),
        }
    }
}
