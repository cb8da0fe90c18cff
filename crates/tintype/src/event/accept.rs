//! From a storage event to a job.

use std::sync::Arc;

use super::StorageEvent;
use crate::app::App;
use crate::key::Key;
use crate::ledger::LedgerError;
use crate::store::StoreError;
use crate::upload::{Upload, UploadId};

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
    tokio::spawn(async move { queue(&app, event).await }).await.map_err(|_| AcceptError::Crashed)?
}

async fn queue(app: &App, event: StorageEvent) -> Result<Accepted, AcceptError> {
    if event.bucket.as_ref().is_some_and(|bucket| *bucket != app.bucket) {
        return Ok(Accepted::Ignored("it is of another bucket"));
    }
    // Variants are objects too: without this they would be processed for ever.
    if app.layout.is_output(&event.key) {
        return Ok(Accepted::Ignored("it is in the folder of variants"));
    }
    let Some(upload) = app.ledger.arrived(&unannounced(app, &event.key).await?, &event).await? else {
        app.store.delete(&event.key).await?;
        return Ok(Accepted::Ignored("its upload was deleted"));
    };
    tracing::info!(upload = %upload.id, key = %event.key, "original arrived");
    app.signals.job(&upload.id);
    Ok(Accepted::Queued(upload.id))
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
