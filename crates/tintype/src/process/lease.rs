//! A worker's hold on its job: proof that it is still its own, for as long as one write may take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::Fence;
use crate::queue::{Leased, Queue, QueueError};
use crate::store::StoreError;

/// A lease is proven so often in its length: what is left of one that counts is the time that a write may take.
pub const PROOFS: u32 = 3;

/// When something was, by the clock that never stops and by the one that a machine's sleep does not stop.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    steady: Instant,
    wall: OffsetDateTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { steady: Instant::now(), wall: OffsetDateTime::now_utc() }
    }

    fn is_within(self, span: Duration) -> bool {
        self.steady.elapsed() <= span && OffsetDateTime::now_utc() - self.wall <= span
    }
}

/// A job in hand.
pub struct Lease {
    queue: Arc<dyn Queue>,
    /// The job.
    pub leased: Leased,
    length: Duration,
    proven: Mutex<Moment>,
    lost: AtomicBool,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("job", &self.leased.id).field("lost", &self.is_lost()).finish_non_exhaustive()
    }
}

impl Lease {
    /// The hold on a job that was claimed for a length, not before `asked`.
    pub fn new(queue: Arc<dyn Queue>, leased: Leased, length: Duration, asked: Moment) -> Self {
        Self { queue, leased, length, proven: Mutex::new(asked), lost: AtomicBool::new(false) }
    }

    /// How long it holds without a sign of life.
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// Whether it is known that another has the job, or may have it.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says that it is.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Holds the job for another lease from now. False when it is lost.
    pub async fn extend(&self) -> Result<bool, QueueError> {
        let asked = Moment::now();
        let held = self.queue.extend(&self.leased, self.length).await?;
        match held {
            true => *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = asked,
            false => self.lose(),
        }
        Ok(held && !self.is_lost())
    }

    /// Has the job done again after a pause, for this reason.
    pub async fn again(&self, pause: Duration, why: &str) -> Result<(), QueueError> {
        self.settled(self.queue.retry(&self.leased, pause, why).await?)
    }

    /// Gives the job back as if it had not been claimed.
    pub async fn give_back(&self) -> Result<(), QueueError> {
        self.settled(self.queue.release(&self.leased).await?)
    }

    /// The same, and says that it is slow.
    pub async fn set_back(&self) -> Result<(), QueueError> {
        self.settled(self.queue.set_back(&self.leased).await?)
    }

    /// A job that was not there to be given back was taken away meanwhile, or its upload was deleted.
    fn settled(&self, was_ours: bool) -> Result<(), QueueError> {
        if !was_ours {
            self.lose();
        }
        Ok(())
    }

    fn is_fresh(&self) -> bool {
        let proven = *self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.is_within(self.length / PROOFS)
    }
}

#[async_trait]
impl Fence for Lease {
    /// The ledger is asked only where the last proof is too old, as it is after the process was stopped for a while.
    async fn holds(&self) -> Result<bool, StoreError> {
        if self.is_lost() {
            return Ok(false);
        }
        if self.is_fresh() {
            return Ok(true);
        }
        self.extend().await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn may_write(&self) -> Result<bool, StoreError> {
        self.holds().await
    }
}
