//! The disk as the port's provider: the service's own way to the objects, past the endpoint.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Condition, DiskError, DiskStore};
use crate::key::Key;
use crate::room;
use crate::store::{Listed, Object, ObjectMeta, Precondition, PutOptions, Store, StoreError, Written};

impl DiskStore {
    async fn blocking<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl FnOnce(&Self, &Key) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, key) = (self.clone(), key.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &key).map_err(|e| failure(&key, e))).await;
        done.map_err(|e| StoreError::Unavailable(e.to_string()))?
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<Key>, StoreError> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let found = tokio::task::spawn_blocking(move || store.keys_from(&prefix)).await;
        found.map_err(|e| StoreError::Unavailable(e.to_string()))?.map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        self.blocking(key, |store, key| store.head(key).map(|known| known.meta)).await
    }

    /// What is read is held against the hash that was made when it was written.
    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        let (meta, bytes) = self
            .blocking(key, move |store, key| {
                let mut opened = store.read(key)?;
                let meta = opened.record.meta(key.clone());
                let mut bytes = Vec::new();
                if meta.size <= limit {
                    io::Read::read_to_end(&mut opened.file, &mut bytes)?;
                    opened.record.check(&bytes)?;
                }
                Ok((meta, bytes))
            })
            .await?;
        if meta.size > limit {
            return Err(StoreError::TooLarge { key: meta.key, size: meta.size, limit });
        }
        Ok(Object { meta, bytes: bytes.into() })
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let options = options.clone();
        self.blocking(key, move |store, key| {
            let mut incoming = store.begin()?;
            incoming.write(&bytes)?;
            let condition = match &options.condition {
                Precondition::None => Condition::None,
                Precondition::Absent => Condition::Absent,
                Precondition::Etag(etag) => Condition::Present(Some(etag.clone())),
            };
            match store.commit(incoming, key, &options, &condition) {
                // Gone is another state too.
                Err(DiskError::NotFound) => Err(DiskError::ConditionFailed),
                written => Ok(Written { etag: written?.etag }),
            }
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.blocking(key, |store, key| store.remove(key)).await
    }

    async fn delete_listed(&self, key: &Key, listed: &Listed) -> Result<bool, StoreError> {
        let listed = listed.clone();
        self.blocking(key, move |store, key| store.remove_listed(key, &listed)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let found = tokio::task::spawn_blocking(move || store.scan(&prefix)).await;
        found.map_err(|e| StoreError::Unavailable(e.to_string()))?.map_err(|e| StoreError::Unavailable(e.to_string()))
    }

    /// Names are held in memory, records are not.
    fn scan<'a>(&'a self, prefix: &'a str, after: &'a str) -> BoxStream<'a, Result<Listed, StoreError>> {
        let known = move |key: Key| async move {
            match Store::head(self, &key).await {
                // An object removed since the walk is left out.
                Err(StoreError::NotFound(_)) => Ok(None),
                found => found.map(|meta| Some(Listed::from(meta))),
            }
        };
        let listed = async move {
            let keys = self.keys(prefix).await?.into_iter().filter(move |key| key.as_str() > after);
            Ok(stream::iter(keys.map(Ok)).try_filter_map(known))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn check(&self) -> Result<(), StoreError> {
        std::fs::metadata(self.index()).map(drop).map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

fn failure(key: &Key, error: DiskError) -> StoreError {
    match error {
        DiskError::NotFound => StoreError::NotFound(key.clone()),
        DiskError::ConditionFailed => StoreError::Precondition(key.clone()),
        DiskError::NameTooLong => StoreError::Invalid(format!("{key}: {error}")),
        DiskError::Damaged(how) => {
            tracing::error!(%key, how, "the bytes of an object are not those that were written");
            StoreError::Damaged { key: key.clone(), how }
        }
        DiskError::Io(error) if room::is_full(&error) => StoreError::Full(format!("{key}: {error}")),
        error => StoreError::Unavailable(format!("{key}: {error}")),
    }
}
