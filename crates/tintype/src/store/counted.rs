//! Counts what a store is asked for, and how that came out.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::{Listed, Object, ObjectMeta, Pin, PutOptions, Store, StoreError, Written};
use crate::key::Key;
use crate::metrics;

/// A store whose calls are counted.
pub struct Counted(pub Arc<dyn Store>);

/// Counts one call.
async fn told<T>(operation: &'static str, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let began = Instant::now();
    let done = call.await;
    metrics::store_call(operation, began, done.as_ref().err());
    done
}

#[async_trait]
impl Store for Counted {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        told("head", self.0.head(key)).await
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        told("get", self.0.get(key, limit)).await
    }

    async fn get_version(&self, key: &Key, version: &str, limit: u64) -> Result<Object, StoreError> {
        told("get", self.0.get_version(key, version, limit)).await
    }

    async fn get_pinned(&self, key: &Key, pin: &Pin, limit: u64) -> Result<Object, StoreError> {
        told("get", self.0.get_pinned(key, pin, limit)).await
    }

    async fn head_pinned(&self, key: &Key, pin: &Pin) -> Result<ObjectMeta, StoreError> {
        told("head", self.0.head_pinned(key, pin)).await
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        told("put", self.0.put(key, bytes, options)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        told("delete", self.0.delete(key)).await
    }

    async fn delete_listed(&self, key: &Key, listed: &Listed) -> Result<bool, StoreError> {
        told("delete", self.0.delete_listed(key, listed)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        told("list", self.0.list(prefix)).await
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: &'a str) -> BoxStream<'a, Result<Listed, StoreError>> {
        let began = Instant::now();
        let listing = stream::unfold(Some(self.0.scan(prefix, after)), move |listing| async move {
            let mut listing = listing?;
            let next = listing.next().await;
            match next {
                Some(Ok(listed)) => Some((Ok(listed), Some(listing))),
                Some(Err(error)) => {
                    metrics::store_call("list", began, Some(&error));
                    Some((Err(error), None))
                }
                None => {
                    metrics::store_call("list", began, None);
                    None
                }
            }
        });
        listing.boxed()
    }

    fn is_remote(&self) -> bool {
        self.0.is_remote()
    }

    async fn check(&self) -> Result<(), StoreError> {
        told("check", self.0.check()).await
    }
}
