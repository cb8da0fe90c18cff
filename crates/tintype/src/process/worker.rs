//! Takes jobs, develops their originals, records how they ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{ProcessError, Step, Task, Watch};
use crate::app::App;
use crate::error::Failure;
use crate::ledger::Finished;
use crate::metrics;
use crate::queue::{JobEnd, Leased, QueueError};
use crate::trace;
use crate::upload::{Outcome, Upload};

/// How long to sleep when there is no job and nobody calls.
const IDLE: Duration = Duration::from_secs(1);
/// Pause between tries while there is no room for variants.
const NO_ROOM: Duration = Duration::from_secs(5);
/// Longest pause between tries while the store fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a lease is extended in its length.
const BEATS: u32 = 3;

/// When workers end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// No new job; the one in hand is finished.
    pub gently: CancellationToken,
    /// The job in hand is handed on.
    pub now: CancellationToken,
}

/// Works until told to stop.
pub async fn run(app: Arc<App>, stop: Stop) {
    let _at_work = app.health.at_work();
    while !stop.gently.is_cancelled() {
        // Not even the end of a job could be recorded.
        if app.room.is_full() {
            tracing::warn!("the disk is full; work waits until there is room");
            pause_for_room(&stop).await;
            continue;
        }
        match app.queue.claim(app.config.lease).await {
            Ok(Some(leased)) => {
                // There may be more than one worker was woken for.
                app.signals.jobs.notify_one();
                let Leased { id, attempt, job, traceparent, .. } = &leased;
                let span = tracing::info_span!("job", upload = %job.upload_id, job = id, attempt);
                work(&app, &leased, &stop).instrument(trace::follow(span, traceparent.as_deref())).await;
            }
            Ok(None) => rest(&app, &stop).await,
            Err(error) => {
                tracing::error!(%error, "jobs cannot be read");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

async fn work(app: &App, leased: &Leased, stop: &Stop) {
    if let Err(error) = hold(app, leased, stop).await {
        tracing::error!(%error, "a job could not be settled; it will be done again");
    }
}

async fn rest(app: &App, stop: &Stop) {
    tokio::select! {
        () = app.signals.jobs.notified() => {}
        () = tokio::time::sleep(IDLE) => {}
        () = stop.gently.cancelled() => {}
    }
}

async fn pause_for_room(stop: &Stop) {
    tokio::select! {
        () = tokio::time::sleep(NO_ROOM) => {}
        () = stop.gently.cancelled() => {}
    }
}

/// Does a job for as long as it is this worker's.
async fn hold(app: &App, leased: &Leased, stop: &Stop) -> Result<(), QueueError> {
    let upload = app.ledger.get(&leased.job.upload_id).await.map_err(|e| QueueError(e.to_string()))?;
    let Some(upload) = upload else {
        // Deleted since.
        return app.queue.drop_job(leased).await;
    };
    tokio::select! {
        done = handle(app, &upload, leased, stop) => done,
        () = lost(app, leased) => abandon(app, &upload).await,
        () = stop.now.cancelled() => {
            tracing::warn!("no time left: the job is handed on");
            app.queue.release(leased).await
        }
    }
}

/// Extends the lease again and again; done once it is lost, or may be.
async fn lost(app: &App, leased: &Leased) {
    let lease = app.config.lease;
    let mut held = Instant::now();
    loop {
        tokio::time::sleep(lease / BEATS).await;
        match app.queue.extend(leased, lease).await {
            Ok(true) => held = Instant::now(),
            Ok(false) => return,
            Err(error) if held.elapsed() < lease => tracing::warn!(%error, "a lease could not be extended"),
            Err(_) => return,
        }
    }
}

/// The job is another's by now, or its upload was deleted: then what was written meanwhile goes too.
async fn abandon(app: &App, upload: &Upload) -> Result<(), QueueError> {
    tracing::warn!("a job was taken away: its lease ran out, or its upload was deleted");
    if app.ledger.get(&upload.id).await.is_ok_and(|row| row.is_none()) {
        app.erase(upload).await.map_err(|e| QueueError(e.to_string()))?;
    }
    Ok(())
}

async fn handle(app: &App, upload: &Upload, leased: &Leased, stop: &Stop) -> Result<(), QueueError> {
    let job = &leased.job;
    // Only a crash skips the end of an attempt: such a job would take every worker down in turn.
    if leased.crashes >= app.config.crashes {
        let why = format!("given up: {} attempts ended without a word", leased.crashes);
        leave_nothing(app, upload, leased).await;
        return record(app, upload, &Outcome::Failed(Failure::new("internal", &why)), JobEnd::Dead(leased, &why)).await;
    }
    let Some(preset) = app.config.presets.get(&upload.preset).cloned() else {
        let why = format!(
            "its preset {:?} is not configured any more (there is {}): put it back and retry",
            upload.preset,
            app.config.presets.names()
        );
        return record(app, upload, &Outcome::Failed(Failure::new("invalid_request", why)), JobEnd::Done(leased)).await;
    };
    let task = Task {
        pin: job.event.pin(),
        extension: upload.extension.clone(),
        force: job.force,
        ..Task::new(job.event.key.clone(), preset)
    };
    let progress = Progress::default();
    match app.processor.develop_watched(&task, &progress).await {
        Ok(developed) => {
            record(app, upload, &Outcome::Completed(Box::new(developed.manifest)), JobEnd::Done(leased)).await
        }
        Err(ProcessError::Full(why)) => {
            tracing::warn!(why, "no room for variants; will try again, however often it takes");
            metrics::retry("full");
            pause_for_room(stop).await;
            app.queue.release(leased).await
        }
        Err(ProcessError::Final(failure)) => {
            if progress.may_have_written() || leased.attempt > 1 {
                leave_nothing(app, upload, leased).await;
            }
            record(app, upload, &Outcome::Failed(failure), JobEnd::Done(leased)).await
        }
        Err(error) if leased.attempt < app.config.attempts => {
            let pause = pause(leased.attempt);
            tracing::warn!(%error, ?pause, "will try again");
            metrics::retry(if matches!(error, ProcessError::NoDecoder(_)) { "decoder" } else { "store" });
            app.queue.retry(leased, pause, &error.to_string()).await
        }
        Err(error) => {
            leave_nothing(app, upload, leased).await;
            let failure = error.given_up(leased.attempt);
            let why = failure.message.clone();
            record(app, upload, &Outcome::Failed(failure), JobEnd::Dead(leased, &why)).await
        }
    }
}

/// Removes variants of a set that will not be finished, before its end is recorded: cut off in between, the job is done again.
async fn leave_nothing(app: &App, upload: &Upload, leased: &Leased) {
    // Whose lease has run out would remove what another writes.
    if !app.queue.extend(leased, app.config.lease).await.unwrap_or(false) {
        return;
    }
    if let Err(error) = app.erase_unsealed(upload).await {
        tracing::warn!(%error, "variants of a set that was never finished are left; they go with the original");
    }
}

/// How far an attempt came.
#[derive(Default)]
struct Progress(AtomicBool);

impl Progress {
    fn may_have_written(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watch for Progress {
    fn done(&self, step: Step<'_>, took: Duration) {
        metrics::step(&step, took);
        self.0.fetch_or(matches!(step, Step::Rendered(_)), Ordering::Relaxed);
    }
}

/// One transaction for the outcome, its callback and the job's end; then whoever waits is told.
async fn record(app: &App, upload: &Upload, outcome: &Outcome, end: JobEnd<'_>) -> Result<(), QueueError> {
    let (JobEnd::Done(leased) | JobEnd::Dead(leased, _)) = end;
    let finished = app.settle(upload, outcome, Some(end)).await.map_err(|e| QueueError(e.to_string()))?;
    if finished == Finished::Recorded {
        metrics::job_done(OffsetDateTime::now_utc() - leased.queued_at);
    }
    match (finished, outcome) {
        (Finished::LeaseLost, _) => tracing::warn!("done too late: another has the job"),
        (Finished::Gone, _) => tracing::info!("deleted while it was developed"),
        (Finished::Recorded, Outcome::Completed(manifest)) => {
            tracing::info!(variants = manifest.variants.len(), "completed");
        }
        (Finished::Recorded, Outcome::Processed(_)) => {}
        (Finished::Recorded, Outcome::Failed(failure)) => {
            tracing::info!(code = %failure.code, message = failure.message, "failed");
        }
    }
    Ok(())
}

/// About 1 s, 2 s, 4 s … up to five minutes; up to half less, so that jobs that failed together do not come back together.
fn pause(attempt: u32) -> Duration {
    let most = Duration::from_secs(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    most.mul_f64(rand::rng().random_range(0.5..=1.0))
}
