//! A file that stands for an upload's original.

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use tintype::key::Key;
use tintype::store::{Object, ObjectMeta, PutOptions, Store, StoreError, Written};
use tintype::upload::Upload;

/// A store of one object, which can be read alone.
pub struct Given(Object);

impl Given {
    /// Bytes under an upload's key, with what its client was to send along.
    pub fn new(upload: &Upload, bytes: Bytes) -> Self {
        let meta = ObjectMeta {
            key: upload.key.clone(),
            size: bytes.len() as u64,
            etag: upload.manifest.as_ref().and_then(|manifest| manifest.original.etag.clone()),
            version: None,
            content_type: Some(upload.policy.content_type.clone()),
            metadata: upload.policy.metadata.clone(),
            modified: OffsetDateTime::now_utc(),
        };
        Self(Object { meta, bytes })
    }

    fn refused() -> StoreError {
        StoreError::Invalid("the given original is not written to".to_owned())
    }
}

#[async_trait]
impl Store for Given {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        if *key == self.0.meta.key { Ok(self.0.meta.clone()) } else { Err(StoreError::NotFound(key.clone())) }
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        let size = self.head(key).await?.size;
        if size > limit {
            return Err(StoreError::TooLarge { key: key.clone(), size, limit });
        }
        Ok(self.0.clone())
    }

    async fn put(&self, _: &Key, _: Bytes, _: &PutOptions) -> Result<Written, StoreError> {
        Err(Self::refused())
    }

    async fn delete(&self, _: &Key) -> Result<(), StoreError> {
        Err(Self::refused())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        Ok(Some(self.0.meta.clone()).filter(|meta| meta.key.as_str().starts_with(prefix)).into_iter().collect())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
