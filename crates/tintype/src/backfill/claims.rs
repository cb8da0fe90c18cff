//! No two originals that would have one manifest are in work at once: of `a.JPG` and `a.jpg` the second waits, and then
//! sees what the first has written.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::key::Key;

/// Manifests that are on their way.
#[derive(Debug, Default)]
pub struct Claims {
    taken: Mutex<HashSet<Key>>,
    freed: Notify,
}

/// Given back when dropped.
#[derive(Debug)]
pub struct Claim<'a> {
    claims: &'a Claims,
    manifests: Vec<Key>,
}

impl Claims {
    /// Waits for all manifests that an original may come to have.
    pub async fn take(&self, manifests: Vec<Key>) -> Claim<'_> {
        loop {
            // Before the look, so that nothing is freed unheard in between.
            let freed = self.freed.notified();
            if self.try_take(&manifests) {
                return Claim { claims: self, manifests };
            }
            freed.await;
        }
    }

    fn try_take(&self, manifests: &[Key]) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !manifests.iter().any(|key| taken.contains(key));
        if free {
            taken.extend(manifests.iter().cloned());
        }
        free
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut taken = self.claims.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.manifests {
            taken.remove(key);
        }
        drop(taken);
        self.claims.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn who_wants_the_same_waits() {
        let claims = Claims::default();
        let keys = |names: &[&str]| names.iter().map(|name| Key::new(*name).unwrap()).collect::<Vec<_>>();
        let first = claims.take(keys(&["m"])).await;
        let other = claims.take(keys(&["n"])).await;
        let mut second = Box::pin(claims.take(keys(&["n", "m"])));
        assert!(futures::poll!(&mut second).is_pending());
        drop(other);
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await.manifests.len(), 2);
    }
}
