//! Whether this process would take an upload and do it: what `/readyz` and the metrics tell of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::app::App;
use crate::event::StorageEvent;
use crate::ledger::sql::damage;
use crate::upload::{Upload, UploadId};

/// How long a rehearsal stays valid. Requests to `/readyz` thus take the ledger's one writer once a second at most.
const FRESH: Duration = Duration::from_secs(1);
/// How long it may take before the ledger counts as failing.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is known.
#[derive(Debug, Default)]
pub struct Health {
    workers: AtomicUsize,
    stuck: AtomicU64,
    checked: AtomicI64,
    rehearsed: Mutex<Option<(Instant, Result<(), String>)>>,
}

/// A worker that is at work, until it is dropped.
#[derive(Debug)]
pub struct AtWork(Arc<Health>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Health {
    /// Counts a worker for as long as what is given back lives: a panic ends it too.
    pub fn at_work(self: &Arc<Self>) -> AtWork {
        self.workers.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }

    /// Workers that are at work.
    pub fn workers(&self) -> usize {
        self.workers.load(Ordering::Relaxed)
    }

    /// Notes how many uploads do not move.
    pub fn saw_stuck(&self, uploads: usize) {
        self.stuck.store(uploads as u64, Ordering::Relaxed);
    }

    /// Uploads that do not move, as of the last look.
    pub fn stuck(&self) -> u64 {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Notes that the ledger was checked and found whole.
    pub fn found_whole(&self) {
        self.checked.store(OffsetDateTime::now_utc().unix_timestamp(), Ordering::Relaxed);
    }

    /// When the ledger was last found whole, in seconds since 1970; 0 for not yet.
    pub fn checked(&self) -> i64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// Whether an upload could be recorded now: one is, with its job, and taken back.
    ///
    /// # Errors
    /// Why not, for the log.
    pub async fn rehearse(&self, app: &App) -> Result<(), String> {
        let mut known = self.rehearsed.lock().await;
        if let Some((_, result)) = known.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return result.clone();
        }
        let result = rehearse(app).await;
        *known = Some((Instant::now(), result.clone()));
        result
    }
}

async fn rehearse(app: &App) -> Result<(), String> {
    let id = UploadId::random();
    let key = app.layout.upload_key(&id, None);
    let preset = &app.config.presets.of_key(&key).name;
    let event = StorageEvent { bucket: None, key: key.clone(), size: None, etag: None, version: None, sequencer: None };
    let upload = Upload::unannounced(id, key, preset, &app.config.upload);
    match tokio::time::timeout(PATIENCE, app.ledger.rehearse(&upload, &event)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("the ledger took no write for {PATIENCE:?}")),
    }
    damage::found().map_or(Ok(()), |what| Err(what.to_owned()))
}
