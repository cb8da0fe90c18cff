//! What is looked up when somebody asks. The ledger is asked once in a while only, however often that is.

use std::time::{Duration, Instant};

use prometheus::{GaugeVec, TextEncoder};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::METRICS;
use crate::app::App;
use crate::ledger::{LedgerError, Outstanding};
use crate::queue::Depth;

/// How old the ledger's figures may be.
const FRESH: Duration = Duration::from_secs(2);
/// How long the ledger has to tell them: less than the ten seconds that Prometheus waits.
const PATIENCE: Duration = Duration::from_secs(4);

/// When the ledger was asked last. Who comes meanwhile waits, and does not ask too.
static ASKED: Mutex<Option<Instant>> = Mutex::const_new(None);

/// Everything, in Prometheus's text format.
pub async fn scrape(app: &App) -> String {
    let mut asked = ASKED.lock().await;
    if asked.is_none_or(|at| at.elapsed() >= FRESH) {
        look_at_ledger(app).await;
        *asked = Some(Instant::now());
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
    // Nothing is better than what was true once.
    for gauge in [&m.jobs, &m.oldest_job, &m.deliveries] {
        gauge.reset();
    }
    let Some((depth, outstanding)) = told else { return };
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
    set(&m.memory_budget, memory.total() as f64);
    set(&m.memory_used, memory.used() as f64);
    set(&m.memory_waiting, memory.waiting() as f64);
    set(&m.disk_free, app.room.known().map_or(f64::INFINITY, |free| free as f64));
    set(&m.disk_reserve, app.config.front.min_free_disk as f64);
    m.process.look();
}

fn set(gauge: &GaugeVec, value: f64) {
    gauge.with_label_values::<&str>(&[]).set(value);
}
