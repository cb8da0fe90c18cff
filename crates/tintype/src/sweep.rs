//! What time does: credentials run out, originals are kept for a while only, and what fell between two steps
//! (a crash, an event that was never sent) is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::NOT_FOUND;
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::event::order::Rule;
use crate::key::Key;
use crate::metrics;
use crate::recheck;
use crate::store::{Listed, Pin, StoreError};
use crate::upload::{Status, Upload, UploadId};

/// How often to look for credentials that ran out.
const EVERY: Duration = Duration::from_secs(5);
/// However short the settings.
const LEAST: Duration = Duration::from_secs(1);
/// Originals are listed at least this many times in the time they are kept.
const LISTINGS: u32 = 24;
/// What a clock that is set right again and again may go back.
const DRIFT: Duration = Duration::from_secs(10);
/// Unclaimed uploads are looked for at least this many times in the time they have.
const LOOKS: u32 = 20;
/// The longest time between two such looks.
const CLAIMS: Duration = Duration::from_secs(600);
/// Uploads asked for before that have had their time: credential, work and claim within a month.
const OLDEST_CLAIM: Duration = Duration::from_secs(40 * 24 * 3600);
/// Unclaimed uploads of one look.
const MOST_CLAIMS: u32 = 10_000;
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);

/// Sweeps until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let reconcile = app.config.reconcile;
    let list_every = app.config.keep_originals.map_or(reconcile, |kept| (kept / LISTINGS).min(reconcile));
    let mut listed: Option<Instant> = None;
    let claims_every = app.config.claim_within.map_or(CLAIMS, |within| (within / LOOKS).min(CLAIMS));
    let mut claims_looked: Option<Instant> = None;
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
        if claims_looked.is_none_or(|at| at.elapsed() >= claims_every) {
            claims_looked = Some(Instant::now());
            if let Err(error) = look_at_claims(&app).await {
                tracing::warn!(%error, "unclaimed uploads could not be looked through");
            }
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

/// Ends uploads that their backends said they would claim, and did not.
async fn look_at_claims(app: &App) -> anyhow::Result<()> {
    app.clear_lapsed().await?;
    if app.config.claim_within.is_none() {
        return Ok(());
    }
    let now = OffsetDateTime::now_utc();
    for (upload, ended) in app.ledger.unclaimed(now - OLDEST_CLAIM, MOST_CLAIMS).await? {
        let within = upload.policy.claim_within.map(Duration::from_secs);
        if within.is_some_and(|within| ended + within <= now) {
            app.lapse(&upload).await?;
        }
    }
    Ok(())
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
    recheck::all(app).await?;
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
        if object.modified < settled && is_lost(app, &object, upload.as_ref()).await? {
            tracing::info!(%key, "found an original that nobody worked on");
            take_up(app, key, object, upload.as_ref()).await?;
        } else if let Some(upload) = upload.filter(|row| is_past_its_time(app, &object, row)) {
            if upload.status == Status::Failed {
                app.erase_variants(&upload).await?;
            }
            remove(app, &key, &object, &upload).await?;
        }
    }
    Ok(())
}

async fn is_lost(app: &App, object: &Listed, upload: Option<&Upload>) -> anyhow::Result<bool> {
    Ok(match upload {
        None => true,
        Some(row) if row.status == Status::Processing || is_missing(row) => !app.queue.has(&row.id).await?,
        Some(row) if matches!(row.status, Status::Pending | Status::Expired) => true,
        Some(row) => is_newer(app, object, row).await?,
    })
}

/// Whether an upload failed because an event came before its original: no state of that was ever read.
fn is_missing(row: &Upload) -> bool {
    let code = row.error.as_ref().map(|failure| failure.code.as_ref());
    row.status == Status::Failed && code == Some(NOT_FOUND) && !row.state().is_known()
}

/// Whether a key that may be written again holds other bytes than those its upload ended with: their event was lost.
async fn is_newer(app: &App, object: &Listed, row: &Upload) -> anyhow::Result<bool> {
    let known = row.state().etag;
    if app.config.rule(&row.key) == Rule::FirstBytes || known.is_none() || object.etag.is_none() || known == object.etag
    {
        return Ok(false);
    }
    // Some stores list other tags than they answer with.
    match app.store.head(&row.key).await {
        Ok(now) => Ok(now.etag.is_some() && now.etag != known && now.etag == object.etag),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn take_up(app: &Arc<App>, key: Key, object: Listed, upload: Option<&Upload>) -> anyhow::Result<()> {
    let known = upload.map(Upload::state).filter(Pin::is_known);
    let pin = match known {
        // Whatever is there now: these bytes are the upload.
        Some(pin) if app.config.rule(&key) == Rule::FirstBytes => pin,
        _ => Pin { etag: object.etag, ..Pin::default() },
    };
    let Pin { etag, version, sequencer, .. } = pin;
    accept(app, StorageEvent { bucket: None, key, size: Some(object.size), etag, version, sequencer }).await?;
    Ok(())
}

fn is_past_its_time(app: &App, object: &Listed, upload: &Upload) -> bool {
    let kept = app.config.keep_originals;
    upload.status.is_final() && kept.is_some_and(|kept| object.modified < OffsetDateTime::now_utc() - kept)
}

/// Removes what was judged, and nothing that came since the listing: the row is looked at again, and the store is asked
/// to remove that state of the object alone.
async fn remove(app: &App, key: &Key, object: &Listed, judged: &Upload) -> anyhow::Result<()> {
    let now = app.ledger.find(key).await?;
    if now.as_ref() != Some(judged) || app.queue.has(&judged.id).await? {
        return Ok(());
    }
    if app.store.delete_listed(key, object).await? {
        tracing::info!(%key, "original removed after its time");
    }
    Ok(())
}
