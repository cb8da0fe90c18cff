//! Uploads that are followed. Who follows one is woken by its own changes alone, and the ledger is asked how all of them
//! stand in one query a second: another process may have changed them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::ledger::{Ledger, LedgerError};
use crate::seldom::Seldom;
use crate::upload::{Status, UploadId};

/// How often the ledger is asked.
const LOOK: Duration = Duration::from_secs(1);
/// Uploads that are asked for at once.
const AT_ONCE: usize = 500;

/// Asks until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let failed = Seldom::new();
    let looking = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Err(error) = app.signals.followed.look(app.ledger.as_ref()).await
                && let Some(times) = failed.again()
            {
                tracing::warn!(%error, times, "how followed uploads stand could not be looked up");
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop.cancelled() => {}
    }
}

/// All of them.
#[derive(Default)]
pub struct Followed(Mutex<HashMap<UploadId, Entry>>);

struct Entry {
    followers: usize,
    changed: watch::Sender<()>,
    last: Seen,
}

/// How the ledger had an upload when it was last asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    NotYet,
    Gone,
    As(Status),
}

impl Followed {
    /// Follows an upload until what is returned is dropped.
    pub fn follow(self: &Arc<Self>, id: &UploadId) -> Following {
        let mut entries = self.lock();
        let entry = entries.entry(id.clone()).or_insert_with(|| Entry {
            followers: 0,
            changed: watch::Sender::new(()),
            last: Seen::NotYet,
        });
        entry.followers += 1;
        // What was seen before this follower came, it may not have seen.
        entry.last = Seen::NotYet;
        Following { of: self.clone(), id: id.clone(), changed: entry.changed.subscribe() }
    }

    /// Wakes who follows an upload.
    pub fn changed(&self, id: &UploadId) {
        if let Some(entry) = self.lock().get(id) {
            entry.changed.send_replace(());
        }
    }

    /// Wakes who follows what stands otherwise in the ledger than it did.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn look(&self, ledger: &dyn Ledger) -> Result<(), LedgerError> {
        let ids: Vec<_> = self.lock().keys().cloned().collect();
        for ids in ids.chunks(AT_ONCE) {
            let statuses: HashMap<_, _> = ledger.statuses(ids).await?.into_iter().collect();
            let mut entries = self.lock();
            for id in ids {
                let now = statuses.get(id).map_or(Seen::Gone, |status| Seen::As(*status));
                if let Some(entry) = entries.get_mut(id).filter(|entry| entry.last != now) {
                    entry.last = now;
                    entry.changed.send_replace(());
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who follows.
pub struct Following {
    of: Arc<Followed>,
    id: UploadId,
    changed: watch::Receiver<()>,
}

impl Following {
    /// Ready once the upload may have changed since the last time.
    pub async fn changed(&mut self) {
        // While this is there, so is the sender.
        let _ = self.changed.changed().await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut entries = self.of.lock();
        if let Some(entry) = entries.get_mut(&self.id) {
            entry.followers -= 1;
            if entry.followers == 0 {
                entries.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::ledger::testing;

    async fn hears(following: &mut Following) -> bool {
        timeout(Duration::from_millis(100), following.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn who_follows_one_upload_is_woken_by_no_other() {
        let followed = Arc::new(Followed::default());
        let (a, b) = (UploadId::random(), UploadId::random());
        let (mut one, mut two, mut other) = (followed.follow(&a), followed.follow(&a), followed.follow(&b));
        followed.changed(&a);
        assert!(hears(&mut one).await && hears(&mut two).await && !hears(&mut other).await);
        assert!(!hears(&mut one).await, "once");
        drop((one, two, other));
        assert!(followed.lock().is_empty());
    }

    #[tokio::test]
    async fn what_another_process_changes_is_seen() {
        let (_folder, ledger) = testing::sqlite().await;
        let (here, gone) = (testing::upload(), testing::upload());
        ledger.create(&[here.clone(), gone.clone()], None).await.unwrap();
        let followed = Arc::new(Followed::default());
        let (mut stays, mut goes) = (followed.follow(&here.id), followed.follow(&gone.id));
        followed.look(&ledger).await.unwrap();
        assert!(hears(&mut stays).await && hears(&mut goes).await, "the first look may tell something new");
        followed.look(&ledger).await.unwrap();
        assert!(!hears(&mut stays).await && !hears(&mut goes).await);
        ledger.mark_deleted(&gone.id).await.unwrap();
        followed.look(&ledger).await.unwrap();
        assert!(!hears(&mut stays).await && hears(&mut goes).await);
    }
}
