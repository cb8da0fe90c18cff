//! Looks in the background whether the ledger is whole and every upload moves; metrics, `/readyz` and the log tell.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often to look for uploads that do not move.
const EVERY: Duration = Duration::from_secs(15);
/// How old a job is by then: retries while a store is away are over in minutes, or this is worth a look.
const STUCK: Duration = Duration::from_secs(3600);
/// Most of them that are counted.
const MOST: u32 = 1000;
/// How many the log names.
const NAMED: usize = 5;

/// Looks until told to stop.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let looking = async { tokio::join!(check(&app), watch(&app)) };
    tokio::select! {
        _ = looking => {}
        () = stop.cancelled() => {}
    }
}

/// Reads the whole ledger, at the start and then once in a while.
async fn check(app: &App) {
    let Some(every) = app.config.check_every else { return };
    loop {
        match app.ledger.check().await {
            Ok(true) => app.health.found_whole(),
            // The log has it already, and nothing makes it whole again.
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the ledger could not be checked"),
        }
        tokio::time::sleep(every).await;
    }
}

/// Counts the uploads that are `processing` though nobody works on them, or for too long.
async fn watch(app: &App) {
    let mut before = 0;
    loop {
        match app.ledger.stuck(OffsetDateTime::now_utc() - STUCK, MOST).await {
            Ok(stuck) => {
                if stuck.len() > before {
                    let named: Vec<_> = stuck.iter().take(NAMED).map(ToString::to_string).collect();
                    tracing::warn!(
                        uploads = stuck.len(),
                        ids = named.join(" "),
                        "uploads do not move: `tintype replay ID` and `tintype jobs` show why (docs/runbook.md, TintypeUploadsStuck)"
                    );
                }
                before = stuck.len();
                app.health.saw_stuck(before);
            }
            Err(error) => tracing::warn!(%error, "uploads that do not move could not be looked for"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
