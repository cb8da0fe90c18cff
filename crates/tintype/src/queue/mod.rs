//! The port to jobs: durable units of work, each done at least once.
//!
//! A claim is a lease: a worker that dies lets go of its job when the lease runs out, and another takes it.

#[cfg(all(test, feature = "server"))]
mod conformance;
#[cfg(feature = "server")]
mod ledger;

use std::time::Duration;

use async_trait::async_trait;

use crate::event::StorageEvent;
use crate::upload::UploadId;

/// Work that one storage event asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The upload it belongs to.
    pub upload_id: UploadId,
    /// What the store said.
    pub event: StorageEvent,
    /// Do the pixel work again, even when a manifest says it is done.
    pub force: bool,
}

/// A job in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// The queue's own name for it.
    pub id: i64,
    /// Proof of the lease: settling with an old one does nothing.
    pub lease: String,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// What to do.
    pub job: Job,
}

/// Why the queue did not do what it was asked. Try again.
#[derive(Debug, thiserror::Error)]
#[error("the queue failed: {0}")]
pub struct QueueError(pub String);

/// The jobs.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds a job. Once this returns it outlives a crash.
    async fn push(&self, job: &Job) -> Result<(), QueueError>;

    /// Takes the oldest job that is due, for the length of a lease. Jobs of one upload are done one after another.
    async fn claim(&self, lease: Duration) -> Result<Option<Leased>, QueueError>;

    /// Done: the job goes.
    async fn ack(&self, leased: &Leased) -> Result<(), QueueError>;

    /// Not done: the job is due again after a while.
    async fn retry(&self, leased: &Leased, after: Duration) -> Result<(), QueueError>;

    /// Makes every leased job due: for the only process on this queue, as it starts.
    async fn recover(&self) -> Result<(), QueueError>;

    /// Whether an upload has a job that waits or is in hand.
    async fn has(&self, upload: &UploadId) -> Result<bool, QueueError>;

    /// Jobs that wait or are in hand.
    async fn depth(&self) -> Result<u64, QueueError>;
}
