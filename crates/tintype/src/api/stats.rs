//! `GET /v1/stats`: how much there is to do, and what came of the last hour.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::ledger::Activity;
use crate::upload::Status;

/// What is looked back on.
const MINUTES: i64 = 60;

/// How the service does.
#[derive(Serialize, ToSchema)]
pub struct Stats {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// Uploads by status.
    #[schema(example = json!({"completed": 1204, "failed": 3, "pending": 2}))]
    uploads: BTreeMap<String, u64>,
    queue: QueueStats,
    callbacks: CallbackStats,
    last_hour: LastHour,
}

/// Jobs.
#[derive(Serialize, ToSchema)]
pub struct QueueStats {
    /// For their time, or for a worker.
    waiting: u64,
    /// In hand.
    running: u64,
    /// Given up.
    dead: u64,
    /// Seconds since the oldest that waits was added; null when none waits.
    oldest_seconds: Option<f64>,
}

/// Deliveries.
#[derive(Serialize, ToSchema)]
pub struct CallbackStats {
    /// An attempt is to come.
    pending: u64,
    /// Given up.
    dead: u64,
}

/// What ended in the last hour.
#[derive(Serialize, ToSchema)]
pub struct LastHour {
    completed: u64,
    failed: u64,
    /// Failures by code.
    #[schema(example = json!({"corrupt": 1}))]
    failures: BTreeMap<String, u64>,
    latency: Latency,
    /// Sixty, oldest first; the last one is not over yet.
    per_minute: Vec<PerMinute>,
}

/// Milliseconds from the storage event to the end, of the up to 1000 jobs that ended last.
#[derive(Serialize, ToSchema)]
pub struct Latency {
    /// How many jobs.
    #[schema(example = 210)]
    jobs: usize,
    /// Half took no longer; null when none ended.
    #[schema(example = 184)]
    p50_ms: Option<u64>,
    /// One in a hundred took longer.
    #[schema(example = 911)]
    p99_ms: Option<u64>,
}

/// What ended in one minute.
#[derive(Serialize, ToSchema)]
pub struct PerMinute {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    completed: u64,
    failed: u64,
}

/// Figures of the service
///
/// Uploads by status, queue and callbacks now; throughput, latency and failures of the last hour.
#[utoipa::path(
    get, path = "/v1/stats", operation_id = "get_stats", tag = "operation", security(("api_key" = ["admin"])),
    responses((status = 200, description = "How the service does", body = Stats))
)]
pub async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Stats>, Problem> {
    caller.must(Scope::Admin)?;
    let at = OffsetDateTime::now_utc();
    let first = at.replace_second(0).and_then(|at| at.replace_nanosecond(0)).unwrap_or(at) - minutes(MINUTES - 1);
    let counts = app.ledger.count().await?;
    let (depth, outstanding, activity) =
        (app.queue.depth().await?, app.ledger.outstanding().await?, app.ledger.activity(first).await?);
    let age = |since: OffsetDateTime| (at - since).as_seconds_f64().max(0.0);
    Ok(Json(Stats {
        at,
        uploads: counts.into_iter().map(|(status, n)| (status.as_str().to_owned(), n)).collect(),
        queue: QueueStats {
            waiting: depth.waiting,
            running: depth.leased,
            dead: depth.dead,
            oldest_seconds: depth.oldest.map(age),
        },
        callbacks: CallbackStats { pending: outstanding.pending, dead: outstanding.dead },
        last_hour: last_hour(first, activity),
    }))
}

fn minutes(n: i64) -> time::Duration {
    time::Duration::minutes(n)
}

fn last_hour(first: OffsetDateTime, mut activity: Activity) -> LastHour {
    let mut per_minute: Vec<PerMinute> =
        (0..MINUTES).map(|n| PerMinute { at: first + minutes(n), completed: 0, failed: 0 }).collect();
    let (mut completed, mut failures) = (0, BTreeMap::<String, u64>::new());
    for minute in activity.minutes {
        let place = usize::try_from((minute.at - first).whole_minutes()).ok().and_then(|n| per_minute.get_mut(n));
        // It may have begun since.
        let Some(place) = place else { continue };
        if minute.outcome == Status::Completed.as_str() {
            completed += minute.count;
            place.completed += minute.count;
        } else {
            place.failed += minute.count;
            *failures.entry(minute.outcome).or_default() += minute.count;
        }
    }
    activity.took.sort_unstable();
    let latency = Latency {
        jobs: activity.took.len(),
        p50_ms: percentile(&activity.took, 50),
        p99_ms: percentile(&activity.took, 99),
    };
    LastHour { completed, failed: failures.values().sum(), failures, latency, per_minute }
}

/// The least of sorted numbers that so many of a hundred are not above.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let place = (sorted.len() * percent).div_ceil(100);
    sorted.get(place.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ledger::Minute;

    #[test]
    fn a_percentile_is_a_number_that_was_there() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99), percentile(&[], 50)), (Some(7), Some(7), None));
        assert_eq!(percentile(&[1, 2, 3], 99), Some(3));
    }

    #[test]
    fn each_outcome_counts_in_its_minute() {
        let first = OffsetDateTime::UNIX_EPOCH;
        let minute = |n, outcome: &str, count| Minute { at: first + minutes(n), outcome: outcome.to_owned(), count };
        let ended = vec![
            minute(0, "completed", 3),
            minute(59, "completed", 1),
            minute(59, "corrupt", 2),
            minute(60, "corrupt", 9),
        ];
        let told = last_hour(first, Activity { minutes: ended, took: vec![30, 10, 20] });
        assert_eq!((told.completed, told.failed, told.per_minute.len()), (4, 2, 60));
        assert_eq!(
            (told.per_minute[0].completed, told.per_minute[59].completed, told.per_minute[59].failed),
            (3, 1, 2)
        );
        assert_eq!(told.failures, BTreeMap::from([("corrupt".to_owned(), 2)]));
        assert_eq!((told.latency.jobs, told.latency.p50_ms, told.latency.p99_ms), (3, Some(20), Some(30)));
    }
}
