//! Holds the store against the ledger: what the rows say is there is there, and nothing else.
//!
//! `rows` goes from the ledger to the store, `originals` and `orphans` from the store to the ledger, `repair` mends. Memory
//! does not grow with the bucket: rows come by the page, objects by the scan. It runs beside a server, so whatever seems
//! not to fit is looked at a second time before it is told.

mod finding;
mod originals;
mod orphans;
mod owners;
mod repair;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

pub use finding::{Action, Finding, Kind, Summary};

use crate::app::Beside;
use crate::key::Layout;
use crate::ledger::{Ledger, LedgerError};
use crate::preset::Presets;
use crate::queue::{Queue, QueueError};
use crate::store::{Store, StoreError};

/// What a job may take between its first variant and its row.
const JOB_TIME: Duration = Duration::from_secs(600);

/// What is wanted of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read every object and hold its SHA-256 against the manifest, not its size alone.
    pub deep: bool,
    /// Develop again what is missing or damaged, while its original is there.
    pub repair: bool,
    /// Remove orphans that are older than a day.
    pub delete_orphans: bool,
}

/// Why it ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The jobs.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store could not be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Hears what is found, and how far it has come.
pub trait Tell: Send {
    /// Something does not fit.
    fn found(&mut self, finding: &Finding);
    /// So much was looked at.
    fn looked(&mut self, at: &Summary);
}

/// A service that is looked at.
pub struct Verifier {
    ledger: Arc<dyn Ledger>,
    queue: Arc<dyn Queue>,
    store: Arc<dyn Store>,
    layout: Layout,
    presets: Presets,
    /// Most bytes of an object that is read.
    max_bytes: u64,
    options: Options,
}

impl Verifier {
    /// One for what is there.
    pub fn new(service: &Beside, options: Options) -> Self {
        Self {
            ledger: service.ledger.clone(),
            queue: service.ledger.clone(),
            store: service.store.clone(),
            layout: service.config.layout.clone(),
            presets: service.config.presets.clone(),
            max_bytes: u64::MAX,
            options,
        }
    }

    /// Goes through all of it.
    ///
    /// # Errors
    /// When rows cannot be read or the bucket cannot be listed; what was told until then holds.
    pub async fn run(&self, tell: &mut dyn Tell) -> Result<Summary, VerifyError> {
        let mut summary = Summary::default();
        rows::all(self, &mut summary, tell).await?;
        originals::all(self, &mut summary, tell).await?;
        orphans::all(self, &mut summary, tell).await?;
        Ok(summary)
    }

    /// Whether an object is so young that its job may not have ended.
    fn is_young(&self, modified: OffsetDateTime) -> bool {
        modified > OffsetDateTime::now_utc() - JOB_TIME
    }
}

/// Counts a finding and tells it.
fn report(finding: &Finding, summary: &mut Summary, tell: &mut dyn Tell) {
    summary.findings += 1;
    match finding.action {
        Action::Deleted => summary.deleted += 1,
        Action::Enqueued => summary.enqueued += 1,
        Action::None | Action::Impossible(_) => {}
    }
    tell.found(finding);
}
