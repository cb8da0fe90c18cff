//! Originals whose outputs may meet are one piece of work at a time in this process: whoever takes the turn waits until the
//! one before is done, its last write included, even if nobody waited for that any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// Locks that are forgotten together when there are so many.
const MANY: usize = 256;

/// Who has which names.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

/// Names are held as long as one of these is.
#[derive(Debug, Clone)]
pub struct Turn(Arc<OwnedMutexGuard<()>>);

/// Wait between looks at who else holds a turn.
const PAUSE: Duration = Duration::from_millis(10);

impl Turn {
    /// Waits until nobody else holds it: what was cut off has ended, and nobody new has begun.
    pub async fn alone(&self) {
        while Arc::strong_count(&self.0) > 1 {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Turns {
    /// Waits for names ([`crate::key::Layout::names`]); those who wait get them in the order they came.
    pub async fn take(&self, names: &str) -> Turn {
        Turn(Arc::new(self.lock(names).lock_owned().await))
    }

    fn lock(&self, names: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = known.get(names).and_then(Weak::upgrade) {
            return lock;
        }
        if known.len() >= MANY {
            known.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::default();
        known.insert(names.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_until_its_last_holder_is_gone() {
        let turns = Turns::default();
        let (one, other) = ("a", "b");
        let held = turns.take(one).await;
        let writer = held.clone();
        assert!(held.alone().now_or_never().is_none());
        drop(held);
        assert!(turns.take(one).now_or_never().is_none());
        assert!(turns.take(other).now_or_never().is_some());
        drop(writer);
        assert!(turns.take(one).now_or_never().is_some());
    }

    #[tokio::test]
    async fn keys_of_the_past_are_forgotten() {
        let turns = Turns::default();
        for n in 0..3 * MANY {
            turns.take(&n.to_string()).await;
        }
        assert!(turns.0.lock().unwrap().len() <= MANY);
    }
}
