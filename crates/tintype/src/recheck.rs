//! Names under which a lost process may still write: one that was stopped, or whose writes were on their way, when its job
//! was taken over or its upload deleted. They are looked at again, at growing distances, for a day.
//!
//! What lies under the names of an upload that is gone is removed; what an upload shows is held against its row, and made
//! again if it is not that. Nothing is removed but under the id of an upload that this ledger removed, let lapse or failed:
//! other names may be anybody's by now.

use std::time::Duration;

use futures::{StreamExt, stream};
use time::OffsetDateTime;

use crate::app::{App, DeleteError};
use crate::event::StorageEvent;
use crate::key::Key;
use crate::ledger::{LedgerError, Recheck};
use crate::manifest::Manifest;
use crate::process::ProcessError;
use crate::queue::QueueError;
use crate::store::{Pin, StoreError};
use crate::upload::{Status, Upload};

/// How long names are looked at.
const LAST: Duration = Duration::from_secs(24 * 3600);
/// Each look comes after so many times the time that has passed.
const GROWTH: u32 = 3;
/// Names that are looked at in one go.
const MOST: u32 = 100;
/// Of these at once.
const AT_ONCE: usize = 4;

/// Why names could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum RecheckError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The jobs.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The objects.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows and objects.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// A set.
    #[error(transparent)]
    Set(#[from] ProcessError),
}

/// Looks at all names whose time it is.
///
/// # Errors
/// When the ledger fails: try again.
pub async fn all(app: &App) -> Result<(), LedgerError> {
    loop {
        let due = app.ledger.rechecks(OffsetDateTime::now_utc(), MOST).await?;
        let is_last = due.len() < MOST as usize;
        let looks = stream::iter(due).map(|recheck| one(app, recheck)).buffer_unordered(AT_ONCE);
        looks.collect::<Vec<_>>().await.into_iter().collect::<Result<(), _>>()?;
        if is_last {
            return Ok(());
        }
    }
}

/// What fails once is looked at again all the same, and holds back no other.
async fn one(app: &App, recheck: Recheck) -> Result<(), LedgerError> {
    if let Err(error) = look(app, &recheck.key).await {
        tracing::warn!(key = %recheck.key, %error, "names that a lost process may have written under could not be looked at");
    }
    app.ledger.rechecked(&recheck, next(recheck.since, OffsetDateTime::now_utc(), app.settled_after())).await
}

/// When to look again; never after the last look.
fn next(since: OffsetDateTime, now: OffsetDateTime, least: Duration) -> Option<OffsetDateTime> {
    let (age, end) = ((now - since).max(time::Duration::ZERO), since + LAST);
    (now < end).then(|| (now + (age * GROWTH).max(least.try_into().unwrap_or(time::Duration::MAX))).min(end))
}

/// Looks at what lies under the names of an original, and has it be what its row says.
///
/// # Errors
/// When ledger or store fail: try again.
pub async fn look(app: &App, key: &Key) -> Result<(), RecheckError> {
    let Some(row) = app.ledger.find(key).await? else { return erase(app, key, None).await };
    match row.status {
        // The worker that has the job writes the whole set, and is rechecked itself if it is lost.
        _ if app.queue.has(&row.id).await? => Ok(()),
        Status::Completed => mend(app, &row).await,
        // A worker proves its lease before it seals, so this set is another's. `verify` reports it.
        Status::Failed if app.has_manifest(&row).await? => Ok(()),
        Status::Failed => erase(app, key, Some(&row)).await,
        Status::Expired if row.has_lapsed() => erase(app, key, Some(&row)).await,
        _ => Ok(()),
    }
}

/// Removes what lies under the names of an upload that has nothing to show, as long as that is so.
async fn erase(app: &App, key: &Key, row: Option<&Upload>) -> Result<(), RecheckError> {
    for object in app.named(key).await? {
        let has_job = match row {
            Some(row) => app.queue.has(&row.id).await?,
            None => false,
        };
        if has_job || app.ledger.find(key).await?.as_ref() != row {
            return Ok(());
        }
        tracing::warn!(key = %object, "removed: it came back after its upload had gone");
        app.store.delete(&object).await?;
    }
    Ok(())
}

/// Has a completed upload's set made again that is not whole.
async fn mend(app: &App, row: &Upload) -> Result<(), RecheckError> {
    let Some(manifest) = &row.manifest else { return Ok(()) };
    if shows(app, row, manifest).await? || app.ledger.find(&row.key).await?.as_ref() != Some(row) {
        return Ok(());
    }
    let there = match app.store.head(&row.key).await {
        Ok(found) => row.state().again(found.etag, app.config.rule(&row.key)).map(|pin| (found.size, pin)),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Some((size, pin)) = there else {
        tracing::error!(upload = %row.id, "its variants are not what they were, and its original is gone: see `tintype verify`");
        return Ok(());
    };
    let Pin { etag, version, sequencer, .. } = pin;
    let event = StorageEvent { bucket: None, key: row.key.clone(), size: Some(size), etag, version, sequencer };
    if app.ledger.reopen(&row.id, &event).await? {
        tracing::warn!(upload = %row.id, "a lost process wrote over its variants: they are made again");
        app.signals.job(&row.id);
    }
    Ok(())
}

/// Whether the store shows what a completed upload's row says. Under keys of their owner's own, another whole set may have
/// taken its place.
pub async fn shows(app: &App, row: &Upload, manifest: &Manifest) -> Result<bool, RecheckError> {
    for sealed in app.sealed(row).await? {
        let is_it = sealed.is_set_of(manifest) || !app.layout.is_upload_key(&row.key);
        if is_it && app.processor.is_whole(&sealed).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_at_growing_distances_for_a_day() {
        let since = OffsetDateTime::UNIX_EPOCH;
        let mut at = since + Duration::from_secs(60);
        let mut looks = vec![];
        while let Some(then) = next(since, at, Duration::from_secs(90)) {
            looks.push((then - since).whole_seconds());
            at = then;
        }
        assert_eq!(looks, [240, 960, 3840, 15_360, 61_440, 86_400]);
    }
}
