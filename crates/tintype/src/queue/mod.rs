//! The port to jobs: durable units of work, each done at least once.
//!
//! A job comes with the change of state that causes it, in one transaction ([`crate::ledger::Ledger::arrive`],
//! [`crate::ledger::Ledger::reopen`]), and goes with the outcome it finds ([`crate::ledger::Ledger::finish`]); between
//! those two it is here. A claim is a lease that its worker extends: a worker that dies lets go of its job when the
//! lease runs out, and another takes it.

#[cfg(all(test, feature = "server"))]
mod conformance;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

use crate::event::StorageEvent;
use crate::key::Key;
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
    /// How many tries before this ended without a word: their process died.
    pub crashes: u32,
    /// When it was added.
    pub queued_at: OffsetDateTime,
    /// When this try began.
    pub claimed_at: OffsetDateTime,
    /// The trace that its upload was asked for in.
    pub traceparent: Option<String>,
    /// What to do.
    pub job: Job,
}

/// How a job ends, together with the outcome of its upload.
#[derive(Debug, Clone, Copy)]
pub enum JobEnd<'a> {
    /// It did what it could do, and goes.
    Done(&'a Leased),
    /// It was given up: it is kept as dead, with the reason, until its upload is tried again or deleted.
    Dead(&'a Leased, &'a str),
}

impl<'a> JobEnd<'a> {
    /// The job that ends.
    pub const fn leased(self) -> &'a Leased {
        match self {
            Self::Done(leased) | Self::Dead(leased, _) => leased,
        }
    }
}

/// A job as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRow {
    /// The queue's own name for it.
    pub id: i64,
    /// The upload it belongs to.
    pub upload_id: UploadId,
    /// Where it stands.
    pub state: JobState,
    /// Tries so far.
    pub attempts: u32,
    /// Why the last try came to nothing, or why it is dead.
    pub last_error: Option<String>,
    /// When the next try is due; of one in hand, when its lease runs out.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// For its time, or for a worker.
    Waiting,
    /// A worker has it.
    Leased,
    /// Given up.
    Dead,
}

/// How many jobs there are, and how long the oldest has waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// For their time, or for a worker.
    pub waiting: u64,
    /// In hand.
    pub leased: u64,
    /// Given up.
    pub dead: u64,
    /// When the oldest that waits was added.
    pub oldest: Option<OffsetDateTime>,
}

/// Why the queue did not do what it was asked. Try again.
#[derive(Debug, thiserror::Error)]
#[error("the queue failed: {0}")]
pub struct QueueError(pub String);

/// The jobs.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Takes the oldest job that is due, for the length of a lease. Jobs of one upload are done one after another. Of one that is
    /// taken over from a process that was lost there is a [`crate::ledger::Recheck`] from now on.
    /// Those that were found to be slow are left to others unless `slow_too`.
    async fn claim(&self, lease: Duration, slow_too: bool) -> Result<Option<Leased>, QueueError>;

    /// Holds a job for another lease from now. False when it is not the caller's any more: stop working on it.
    async fn extend(&self, leased: &Leased, lease: Duration) -> Result<bool, QueueError>;

    /// Keeps every job whose outputs may meet an upload's from being claimed, until [`Queue::drop_job`] or for a lease. None
    /// while one of them is in hand.
    async fn hold(&self, upload: &UploadId, key: &Key, lease: Duration) -> Result<Option<Leased>, QueueError>;

    /// The job goes, without an outcome: its upload is gone.
    async fn drop_job(&self, leased: &Leased) -> Result<(), QueueError>;

    /// Not done, for this reason: the job is due again after a while. False when it is not the caller's any more.
    async fn retry(&self, leased: &Leased, after: Duration, why: &str) -> Result<bool, QueueError>;

    /// Not done, and not tried either: the job is due at once, and this claim counts for nothing. False as with
    /// [`Self::retry`].
    async fn release(&self, leased: &Leased) -> Result<bool, QueueError>;

    /// The same for one that was found to be slow, while there is no place for it: it is known from now on.
    async fn set_back(&self, leased: &Leased) -> Result<bool, QueueError>;

    /// Makes every leased job due: for the only process on this queue, as it starts.
    async fn recover(&self) -> Result<(), QueueError>;

    /// Whether an upload has a job that waits or is in hand.
    async fn has(&self, upload: &UploadId) -> Result<bool, QueueError>;

    /// How many there are.
    async fn depth(&self) -> Result<Depth, QueueError>;

    /// Jobs, newest first: of one upload, or of all; those in one state, or in any.
    async fn jobs(
        &self,
        upload: Option<&UploadId>,
        state: Option<JobState>,
        most: u32,
    ) -> Result<Vec<JobRow>, QueueError>;
}
