//! What time does: credentials run out, originals are kept for a while only, and what fell between two steps
//! (a crash, an event that was never sent) is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::key::Key;
use crate::metrics;
use crate::store::Listed;
use crate::upload::{Status, Upload, UploadId};

/// How often to look for credentials that ran out.
const EVERY: Duration = Duration::from_secs(5);
/// However short the settings.
const LEAST: Duration = Duration::from_secs(1);
/// Originals are listed at least this many times in the time they are kept.
const LISTINGS: u32 = 24;
/// What a clock that is set right again and again may go back.
const DRIFT: Duration = Duration::from_secs(10);
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);

/// Sweeps until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let reconcile = app.config.reconcile;
    let list_every = app.config.keep_originals.map_or(reconcile, |kept| (kept / LISTINGS).min(reconcile));
    let mut listed: Option<Instant> = None;
    // Whatever was there before this process started has no event on its way, unless others are there to get it.
    let mut settled = OffsetDateTime::now_utc();
    if app.config.ledger.is_shared() {
        settled -= app.config.event_time;
    }
    let mut clock = Clock::new();
    loop {
        if listed.is_none_or(|at| at.elapsed() >= list_every) {
            listed = Some(Instant::now());
            if let Err(error) = look_at_originals(&app, settled).await {
                tracing::warn!(%error, "originals could not be looked through");
            }
        }
        if let Err(error) = expire(&app).await {
            tracing::warn!(%error, "expired uploads could not be marked");
        }
        if clock.went_back()
            && let Err(error) = hasten(&app).await
        {
            tracing::warn!(%error, "what waits for its time could not be hastened");
        }
        tokio::select! {
            () = tokio::time::sleep(list_every.clamp(LEAST, EVERY)) => {}
            () = stop.cancelled() => return,
        }
        settled = OffsetDateTime::now_utc() - app.config.event_time;
    }
}

/// Tells when the system's clock was put back, by one that never is.
struct Clock {
    wall: OffsetDateTime,
    steady: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { wall: OffsetDateTime::now_utc(), steady: Instant::now() }
    }

    /// Since it was asked last.
    fn went_back(&mut self) -> bool {
        let before = std::mem::replace(self, Self::new());
        self.wall < before.wall + (self.steady - before.steady) - DRIFT
    }
}

/// What waits would wait for a time that was meant to be near: it is tried now, which does no harm.
async fn hasten(app: &App) -> anyhow::Result<()> {
    tracing::warn!("the clock was put back: jobs and callbacks that wait are tried now");
    app.ledger.hasten().await?;
    app.signals.jobs.notify_one();
    app.signals.callbacks.notify_one();
    Ok(())
}

async fn expire(app: &App) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    app.ledger.forget(now - IDEMPOTENCY).await?;
    app.finish_deletions().await?;
    let expired: Vec<UploadId> = app.ledger.expire(now).await?;
    metrics::expired(expired.len());
    for id in &expired {
        tracing::info!(upload = %id, "expired");
        app.signals.changed(id);
    }
    Ok(())
}

/// Takes up originals that nobody works on, and removes those past their time.
async fn look_at_originals(app: &Arc<App>, settled: OffsetDateTime) -> anyhow::Result<()> {
    let mut originals = app.store.scan(app.layout.prefix(), "");
    while let Some(object) = originals.try_next().await? {
        // What no key can name is none of ours.
        let Ok(key) = Key::new(object.name.as_str()) else { continue };
        let upload = app.ledger.find(&key).await?;
        if object.modified < settled && is_lost(app, upload.as_ref()).await? {
            tracing::info!(%key, "found an original that nobody worked on");
            take_up(app, key, object).await?;
        } else if is_past_its_time(app, &object, upload.as_ref()) {
            if let Some(failed) = upload.as_ref().filter(|row| row.status == Status::Failed) {
                app.erase_unsealed(failed).await?;
            }
            tracing::info!(%key, "original removed after its time");
            app.store.delete(&key).await?;
        }
    }
    Ok(())
}

async fn is_lost(app: &App, upload: Option<&Upload>) -> anyhow::Result<bool> {
    Ok(match upload {
        None => true,
        Some(row) if row.status == Status::Processing => !app.queue.has(&row.id).await?,
        Some(row) => matches!(row.status, Status::Pending | Status::Expired),
    })
}

async fn take_up(app: &Arc<App>, key: Key, object: Listed) -> anyhow::Result<()> {
    let event =
        StorageEvent { bucket: None, key, size: Some(object.size), etag: object.etag, version: None, sequencer: None };
    accept(app, event).await?;
    Ok(())
}

fn is_past_its_time(app: &App, object: &Listed, upload: Option<&Upload>) -> bool {
    let ended = upload.is_some_and(|row| row.status.is_final());
    ended && app.config.keep_originals.is_some_and(|kept| object.modified < OffsetDateTime::now_utc() - kept)
}
