//! What time does to uploads: credentials run out, and originals are kept for a while only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::upload::UploadId;

/// How often to look for credentials that ran out.
const EVERY: Duration = Duration::from_secs(5);
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY: Duration = Duration::from_secs(24 * 3600);
/// Originals are listed this many times in the time they are kept; listing costs money in a cloud.
const LISTINGS: u32 = 24;

/// Sweeps until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut listed: Option<Instant> = None;
    loop {
        if let Err(error) = expire(&app).await {
            tracing::warn!(%error, "expired uploads could not be marked");
        }
        if let Some(kept) = app.config.keep_originals
            && listed.is_none_or(|at| at.elapsed() >= kept / LISTINGS)
        {
            listed = Some(Instant::now());
            if let Err(error) = drop_originals(&app, kept).await {
                tracing::warn!(%error, "old originals could not be removed");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn expire(app: &App) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc();
    app.ledger.forget_idempotency(now - IDEMPOTENCY).await?;
    let expired: Vec<UploadId> = app.ledger.expire(now).await?;
    for id in &expired {
        tracing::info!(upload = %id, "expired");
        app.signals.changed(id);
    }
    Ok(())
}

/// Removes originals past their time. Those still waiting for a worker are left.
async fn drop_originals(app: &App, kept: Duration) -> anyhow::Result<()> {
    let before = OffsetDateTime::now_utc() - kept;
    for object in app.store.list(app.layout.prefix()).await? {
        if object.modified >= before {
            continue;
        }
        let upload = app.ledger.find(&object.key).await?;
        if upload.is_none_or(|upload| upload.status.is_final()) {
            tracing::info!(key = %object.key, "original removed after its time");
            app.store.delete(&object.key).await?;
        }
    }
    Ok(())
}
