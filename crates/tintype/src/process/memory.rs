//! A budget of memory that all originals in work share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is handed out at once; a semaphore counts no further than the bytes of half a gigabyte.
const UNIT: u64 = 1 << 20;

/// Memory for pixels; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    units: u32,
}

impl MemoryBudget {
    /// Of so many bytes, in whole mebibytes, at least one.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from((bytes / UNIT).max(1)).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Waits until so many bytes are free, and holds them until the share is dropped. Who asks for more than there
    /// is gets all. First come, first served: a large one is not starved by small ones.
    pub async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        // Fails only on a closed semaphore, and nobody closes this one.
        self.free.clone().acquire_many_owned(units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_wait_for_each_other_and_the_largest_is_all() {
        let budget = MemoryBudget::new(10 * UNIT);
        let first = budget.take(6 * UNIT).await;
        let second = budget.take(4 * UNIT).await;
        assert!(first.is_some() && second.is_some());
        let mut whole = Box::pin(budget.take(1000 * UNIT));
        assert!(futures::poll!(&mut whole).is_pending());
        drop(first);
        assert!(futures::poll!(&mut whole).is_pending());
        drop(second);
        assert!(whole.await.is_some());
    }
}
