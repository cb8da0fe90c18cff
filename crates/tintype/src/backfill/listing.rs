//! The bucket's names, some way ahead of the work, so that most of what is to come is known: never all in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::{self, Stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Backfill, retry};
use crate::store::{Listed, Store, StoreError};

/// How many names are read ahead.
const AHEAD: usize = 10_000;

/// What was listed so far.
#[derive(Debug, Default)]
pub struct Seen {
    objects: AtomicU64,
    bytes: AtomicU64,
    complete: AtomicBool,
}

impl Seen {
    /// Objects.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether that is all there is.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    fn add(&self, object: &Listed) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(object.size, Ordering::Relaxed);
    }
}

/// A listing under way; ends when dropped.
pub struct Listing {
    names: mpsc::Receiver<Listed>,
    seen: Arc<Seen>,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Listing {
    /// Begins.
    pub fn start(backfill: &Backfill) -> Self {
        let (send, names) = mpsc::channel(AHEAD);
        let seen = Arc::new(Seen::default());
        let lister = Lister {
            store: backfill.processor.source.clone(),
            prefix: backfill.prefix.clone(),
            folder: backfill.selection.layout.folder().to_owned(),
            seen: seen.clone(),
            send,
        };
        Self { names, seen, task: tokio::spawn(lister.run()) }
    }

    /// What was listed so far.
    pub fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }

    /// The names as they come.
    pub fn names(&mut self) -> impl Stream<Item = Listed> + Unpin + '_ {
        stream::poll_fn(|context| self.names.poll_recv(context))
    }

    /// Whether it came to the end of the bucket; to be asked when there are no more names.
    pub async fn end(&mut self) -> Result<(), StoreError> {
        (&mut self.task).await.unwrap_or_else(|crash| Err(StoreError::Unavailable(format!("listing: {crash}"))))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Lister {
    store: Arc<dyn Store>,
    prefix: String,
    /// The folder of variants, which is left out: it has several times as many names as there are originals.
    folder: String,
    seen: Arc<Seen>,
    send: mpsc::Sender<Listed>,
}

impl Lister {
    async fn run(self) -> Result<(), StoreError> {
        let mut after = String::new();
        let mut tries = 1;
        loop {
            let before = after.clone();
            match self.scan(&mut after).await {
                Err(StoreError::Unavailable(why)) if tries < retry::TRIES => {
                    tracing::debug!(why, "the listing is taken up again");
                    tokio::time::sleep(retry::pause(tries)).await;
                    tries = if after == before { tries + 1 } else { 1 };
                }
                Err(error) => return Err(error),
                Ok(true) => {}
                Ok(false) => {
                    self.seen.complete.store(true, Ordering::Relaxed);
                    return Ok(());
                }
            }
        }
    }

    /// Lists from a name on, which it moves along; true if there is more to list from where that is now.
    async fn scan(&self, after: &mut String) -> Result<bool, StoreError> {
        let (from, past_folder) = (after.clone(), format!("{}\u{10ffff}", self.folder));
        let mut names = self.store.scan(&self.prefix, &from);
        while let Some(object) = names.next().await {
            let object = object?;
            // A store that does not know where to begin begins at the beginning.
            if object.name <= from {
                continue;
            }
            if object.name.starts_with(&self.folder) {
                if from < past_folder {
                    *after = past_folder;
                    return Ok(true);
                }
                continue;
            }
            after.clone_from(&object.name);
            self.seen.add(&object);
            // Nobody listens: it was stopped.
            if self.send.send(object).await.is_err() {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use bytes::Bytes;

    use crate::key::Key;
    use crate::store::PutOptions;
    use crate::store::file::FileStore;

    #[tokio::test]
    async fn the_folder_of_variants_is_jumped_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::new(dir.path());
        for name in ["a.jpg", "image/a.jpg", "image/z/b.jpg", "imagery/c.jpg", "temp/d.jpg"] {
            store.put(&Key::new(name).unwrap(), Bytes::from_static(b"x"), &PutOptions::default()).await.unwrap();
        }
        let (send, mut names) = mpsc::channel(10);
        let seen = Arc::new(Seen::default());
        let (prefix, folder) = (String::new(), "image/".to_owned());
        let lister = Lister { store: Arc::new(store), prefix, folder, seen: seen.clone(), send };
        lister.run().await.unwrap();
        let mut found = Vec::new();
        while let Some(object) = names.recv().await {
            found.push(object.name);
        }
        assert_eq!(found, ["a.jpg", "imagery/c.jpg", "temp/d.jpg"]);
        assert!(seen.is_complete());
        assert_eq!((seen.objects(), seen.bytes()), (3, 3));
    }
}
