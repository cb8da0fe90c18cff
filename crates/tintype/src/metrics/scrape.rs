//! What is looked up when somebody asks. The ledger is asked once in a while only, however often that is.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use prometheus::{GaugeVec, TextEncoder};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::METRICS;
use crate::app::App;
use crate::ledger::sql::damage;
use crate::ledger::{LedgerError, Outstanding};
use crate::queue::Depth;

/// How old the ledger's figures may be.
const FRESH: Duration = Duration::from_secs(2);
/// How long Prometheus waits for them; then it gets those from before, and finds the new ones the next time.
const MOMENT: Duration = Duration::from_millis(500);
/// How long the ledger has to tell them before it counts as down.
const PATIENCE: Duration = Duration::from_secs(4);

/// When the ledger was asked last; locked while it is.
static ASKED: LazyLock<Arc<Mutex<Option<Instant>>>> = LazyLock::new(Arc::default);

/// Everything, in Prometheus's text format.
pub async fn scrape(app: &Arc<App>) -> String {
    if let Ok(mut asked) = ASKED.clone().try_lock_owned()
        && asked.is_none_or(|at| at.elapsed() >= FRESH)
    {
        let app = app.clone();
        let looking = tokio::spawn(async move {
            look_at_ledger(&app).await;
            *asked = Some(Instant::now());
        });
        // Given up here, it goes on.
        let _ = tokio::time::timeout(MOMENT, looking).await;
    }
    look_here(app);
    let families = METRICS.registry.gather();
    TextEncoder::new().encode_to_string(&families).unwrap_or_default()
}

async fn look_at_ledger(app: &App) {
    let m = &*METRICS;
    let told = match tokio::time::timeout(PATIENCE, ask(app)).await {
        Ok(Ok(told)) => Some(told),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the ledger's figures cannot be had");
            None
        }
        Err(_) => {
            tracing::warn!("the ledger's figures cannot be had in time");
            None
        }
    };
    set(&m.ledger_up, if told.is_some() { 1.0 } else { 0.0 });
    let Some((depth, outstanding)) = told else {
        // Nothing is better than what was true once.
        return [&m.jobs, &m.oldest_job, &m.deliveries].into_iter().for_each(GaugeVec::reset);
    };
    for (state, jobs) in [("waiting", depth.waiting), ("leased", depth.leased), ("dead", depth.dead)] {
        m.jobs.with_label_values(&[state]).set(jobs as f64);
    }
    let oldest = depth.oldest.map_or(0.0, |at| (OffsetDateTime::now_utc() - at).as_seconds_f64());
    set(&m.oldest_job, oldest.max(0.0));
    for (status, deliveries) in [("pending", outstanding.pending), ("dead", outstanding.dead)] {
        m.deliveries.with_label_values(&[status]).set(deliveries as f64);
    }
}

async fn ask(app: &App) -> Result<(Depth, Outstanding), LedgerError> {
    let depth = app.queue.depth().await.map_err(|error| LedgerError(error.0))?;
    Ok((depth, app.ledger.outstanding().await?))
}

fn look_here(app: &App) {
    let (m, memory) = (&*METRICS, &app.processor.memory);
    set(&m.workers, app.config.workers as f64);
    set(&m.workers_alive, app.health.workers() as f64);
    set(&m.ledger_damaged, f64::from(u8::from(damage::found().is_some())));
    set(&m.ledger_checked, app.health.checked() as f64);
    set(&m.uploads_stuck, app.health.stuck() as f64);
    set(&m.memory_budget, memory.total() as f64);
    set(&m.memory_used, memory.used() as f64);
    set(&m.memory_waiting, memory.waiting() as f64);
    set(&m.disk_free, app.room.known().map_or(f64::INFINITY, |free| free as f64));
    set(&m.disk_inodes, app.room.inodes().map_or(f64::INFINITY, |left| left as f64));
    set(&m.disk_reserve, app.config.front.min_free_disk as f64);
    m.process.look();
}

fn set(gauge: &GaugeVec, value: f64) {
    gauge.with_label_values::<&str>(&[]).set(value);
}
