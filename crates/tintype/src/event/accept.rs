//! From a storage event to a job.

use std::sync::Arc;

use tracing::Instrument;

use super::StorageEvent;
use super::order::{Rule, Stale};
use crate::app::App;
use crate::key::Key;
use crate::ledger::{Arrival, Arrived, LedgerError};
use crate::metrics;
use crate::seldom::Seldom;
use crate::store::StoreError;
use crate::upload::{Upload, UploadId};

/// Why an event of an earlier state is ignored.
const OLDER: &str = "a later version is known";

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// There is a job for it.
    Queued(UploadId),
    /// It is none of ours, for this reason.
    Ignored(&'static str),
}

/// Why an event could not be taken just now. The sender is to try again.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The objects.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upload of this key is just being deleted.
    #[error("what was at {0} before is just being deleted")]
    Busy(Key),
    /// A fault of this program.
    #[error("accepting an event crashed")]
    Crashed,
}

/// Turns an event into a job. Once this returns, the job outlives a crash; and it goes on to its end even if
/// the caller goes away, as a client does that closes its connection after the last byte.
///
/// # Errors
/// When ledger or store fail; nothing is lost if the sender tries again.
pub async fn accept(app: &Arc<App>, event: StorageEvent) -> Result<Accepted, AcceptError> {
    let app = app.clone();
    let work = async move { take_in(&app, event).await };
    tokio::spawn(work.in_current_span()).await.map_err(|_| AcceptError::Crashed)?
}

/// The same, which ends with its caller.
///
/// # Errors
/// As [`accept`].
pub async fn take_in(app: &App, event: StorageEvent) -> Result<Accepted, AcceptError> {
    if event.bucket.as_ref().is_some_and(|bucket| *bucket != app.bucket) {
        return Ok(Accepted::Ignored("it is of another bucket"));
    }
    // Variants are objects too: without this they would be processed for ever.
    if app.layout.is_output(&event.key) {
        return Ok(Accepted::Ignored("it is in the folder of variants"));
    }
    let rule = app.config.rule(&event.key);
    let row = unannounced(app, &event.key).await?;
    let key = event.key.clone();
    let Some((event, is_current)) = with_state(app, event, rule).await? else {
        if let Some(upload) = app.ledger.find(&key).await? {
            app.ledger.note_stale(&upload.id, Stale::Older).await?;
            note_stale(&upload, Stale::Older);
        }
        return Ok(Accepted::Ignored(OLDER));
    };
    match app.ledger.arrive(&row, Arrival { event: &event, rule, is_current }).await? {
        Arrived::Queued(upload) => {
            tracing::info!(upload = %upload.id, key = %event.key, "original arrived");
            app.signals.job(&upload.id);
            Ok(Accepted::Queued(upload.id))
        }
        Arrived::Stale(upload, why) => {
            note_stale(&upload, why);
            Ok(Accepted::Ignored(match why {
                Stale::Replaced | Stale::Refused => "other bytes came first under its credential",
                Stale::Older => OLDER,
            }))
        }
        // What its owner puts there anew is not to go with what was there before.
        Arrived::Refused if !app.layout.is_upload_key(&event.key) => Err(AcceptError::Busy(event.key)),
        Arrived::Refused => {
            app.store.delete(&event.key).await?;
            Ok(Accepted::Ignored("its upload was deleted, or has expired"))
        }
    }
}

/// Counts bytes that do not count, and tells of them once in a while.
pub fn note_stale(upload: &Upload, why: Stale) {
    static TOLD: Seldom = Seldom::new();
    metrics::stale(why);
    if let Some(times) = TOLD.again() {
        tracing::info!(upload = %upload.id, why = why.as_str(), times, "bytes came that change nothing");
    }
}

/// The event with the state that it tells of. Where it names none, or no order decides whether it is older than what is
/// known, the store is asked for the state of the object now, which `true` says. None: it is older.
async fn with_state(app: &App, event: StorageEvent, rule: Rule) -> Result<Option<(StorageEvent, bool)>, AcceptError> {
    let told = event.pin();
    let known = match rule {
        Rule::FirstBytes => None,
        Rule::Newest => app.ledger.find(&event.key).await?.map(|row| row.state()),
    };
    let is_decided = known.as_ref().is_none_or(|known| {
        let is_ordered = known.sequencer.is_some() && told.sequencer.is_some();
        !known.is_known() || is_ordered || known.is_same(&told) == Some(true)
    });
    if told.is_known() && is_decided {
        return Ok(Some((event, false)));
    }
    let now = match app.store.head(&event.key).await {
        Ok(now) => now,
        Err(StoreError::NotFound(_)) => return Ok(Some((event, false))),
        // The first word of an object is kept although its state is not known yet: the job reads what is there.
        Err(_) if !told.is_known() && known.is_none_or(|known| !known.is_known()) => return Ok(Some((event, false))),
        Err(error) => return Err(error.into()),
    };
    if told.etag.is_some() && told.etag == now.etag {
        return Ok(Some((event, true)));
    }
    let current = StorageEvent { size: Some(now.size), etag: now.etag, version: None, ..event };
    let is_news = known.is_none_or(|known| known.is_same(&current.pin()) != Some(true));
    // What names no state tells of the one that is there.
    Ok((is_news || !told.is_known()).then_some((current, true)))
}

/// A row for an original whose credential another server gave out.
async fn unannounced(app: &App, key: &Key) -> Result<Upload, LedgerError> {
    let id = match app.layout.upload_id(key) {
        Some(id) if app.ledger.get(&id).await?.is_none_or(|row| row.key == *key) => id,
        _ => UploadId::random(),
    };
    let preset = &app.config.presets.of_key(key).name;
    Ok(Upload::unannounced(id, key.clone(), preset, &app.config.upload))
}
