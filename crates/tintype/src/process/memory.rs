//! A budget of memory that all originals in work share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tintype_image::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Failure;

/// What is handed out at once; a semaphore counts no further than the bytes of half a gigabyte.
const UNIT: u64 = 1 << 20;

/// Memory for pixels; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    units: u32,
}

impl MemoryBudget {
    /// Of so many bytes, in whole mebibytes, at least one.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
        Self { free: Arc::new(Semaphore::new(units as usize)), waiting: Arc::default(), units }
    }

    /// Waits until so many bytes are free, and holds them until the share is dropped. First come, first served: a large one is
    /// not starved by small ones.
    ///
    /// # Errors
    /// `too_many_pixels` for more than all there is.
    pub async fn take(&self, bytes: u64) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if bytes > u64::from(self.units) * UNIT {
            let (needed, there) = (bytes.div_ceil(UNIT), self.units);
            let why = format!("its pixels may take {needed} MiB of memory, and there are {there}: raise limits.memory");
            return Err(Failure::new(ErrorCode::TooManyPixels.as_str(), why));
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        let _waits = Waits::begin(&self.waiting);
        // Fails only on a closed semaphore, and nobody closes this one.
        Ok(self.free.clone().acquire_many_owned(units).await.ok())
    }

    /// All there is, in bytes.
    pub fn total(&self) -> u64 {
        u64::from(self.units) * UNIT
    }

    /// What is taken of it.
    pub fn used(&self) -> u64 {
        self.total() - self.free.available_permits() as u64 * UNIT
    }

    /// How many wait for a share.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One more waits, until this is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_wait_for_each_other() {
        let budget = MemoryBudget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await;
        let second = budget.take(4 * UNIT).await;
        assert!(first.is_ok() && second.is_ok());
        let mut whole = Box::pin(budget.take(10 * UNIT));
        assert!(futures::poll!(&mut whole).is_pending());
        assert_eq!((budget.waiting(), budget.used()), (1, budget.total()));
        drop(first);
        assert!(futures::poll!(&mut whole).is_pending());
        drop(second);
        assert!(whole.await.is_ok());
        assert_eq!((budget.waiting(), budget.used()), (0, 0));
    }

    #[tokio::test]
    async fn what_no_budget_holds_is_refused() {
        let budget = MemoryBudget::new(10 * UNIT);
        assert!(budget.take(10 * UNIT).await.is_ok());
        assert_eq!(budget.take(10 * UNIT + 1).await.expect_err("it is too much").code, "too_many_pixels");
    }
}
