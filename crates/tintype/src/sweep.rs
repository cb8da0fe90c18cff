//! What time does: credentials run out, originals are kept for a while only, and what fell between two steps
//! (a crash, an event that was never sent) is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::store::ObjectMeta;
use crate::upload::{Status, Upload, UploadId};

/// How often to look for credentials that ran out.
const EVERY: Duration = Duration::from_secs(5);
/// How often originals are listed at most: listing costs money in a cloud.
const LIST_EVERY: Duration = Duration::from_secs(3600);
/// Originals are listed at least this many times in the time they are kept.
const LISTINGS: u32 = 24;
/// How long an event may be on its way before it counts as lost.
const EVENT_TIME: Duration = Duration::from_secs(60);
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);

/// Sweeps until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let list_every = app.config.keep_originals.map_or(LIST_EVERY, |kept| (kept / LISTINGS).min(LIST_EVERY));
    let mut listed: Option<Instant> = None;
    // Whatever was there before this process started has no event on its way.
    let mut settled = OffsetDateTime::now_utc();
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
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        settled = OffsetDateTime::now_utc() - EVENT_TIME;
    }
}

async fn expire(app: &App) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    app.ledger.forget(now - IDEMPOTENCY).await?;
    app.finish_deletions().await?;
    let expired: Vec<UploadId> = app.ledger.expire(now).await?;
    for id in &expired {
        tracing::info!(upload = %id, "expired");
        app.signals.changed(id);
    }
    Ok(())
}

/// Takes up originals that nobody works on, and removes those past their time.
async fn look_at_originals(app: &Arc<App>, settled: OffsetDateTime) -> anyhow::Result<()> {
    for object in app.store.list(app.layout.prefix()).await? {
        let upload = app.ledger.find(&object.key).await?;
        if object.modified < settled && is_lost(app, upload.as_ref()).await? {
            tracing::info!(key = %object.key, "found an original that nobody worked on");
            take_up(app, object).await?;
        } else if is_past_its_time(app, &object, upload.as_ref()) {
            tracing::info!(key = %object.key, "original removed after its time");
            app.store.delete(&object.key).await?;
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

async fn take_up(app: &Arc<App>, object: ObjectMeta) -> anyhow::Result<()> {
    let event =
        StorageEvent { bucket: None, key: object.key, size: Some(object.size), etag: object.etag, version: None };
    accept(app, event).await?;
    Ok(())
}

fn is_past_its_time(app: &App, object: &ObjectMeta, upload: Option<&Upload>) -> bool {
    let ended = upload.is_some_and(|row| row.status.is_final());
    ended && app.config.keep_originals.is_some_and(|kept| object.modified < OffsetDateTime::now_utc() - kept)
}
