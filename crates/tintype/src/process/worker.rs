//! Takes jobs, develops their originals, records how they ended.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Developed, ProcessError, Task};
use crate::app::App;
use crate::error::Failure;
use crate::queue::{Leased, QueueError};
use crate::upload::{Outcome, Upload};

/// How long to sleep when there is no job and nobody calls.
const IDLE: Duration = Duration::from_secs(1);
/// What a lease allows beyond the deadline of the pixels: reading and writing.
const STORE_TIME: Duration = Duration::from_secs(120);
/// Pause between tries while there is no room for variants.
const NO_ROOM: Duration = Duration::from_secs(5);
/// Longest pause between tries while the store fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Works until told to stop; a job in hand is finished first.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let lease = app.processor.deadline + STORE_TIME;
    while !stop.is_cancelled() {
        // A job that is claimed while not even its end can be recorded has lost an attempt for nothing.
        if app.room.is_full() {
            tracing::warn!("the disk is full; work waits until there is room");
            wait(NO_ROOM, &stop).await;
            continue;
        }
        match app.queue.claim(lease).await {
            Ok(Some(leased)) => {
                // There may be more than one worker was woken for.
                app.signals.jobs.notify_one();
                if let Err(error) = handle(&app, &leased, &stop).await {
                    tracing::error!(%error, upload = %leased.job.upload_id, "a job could not be settled; it will be done again");
                }
            }
            Ok(None) => rest(&app, &stop).await,
            Err(error) => {
                tracing::error!(%error, "jobs cannot be read");
                rest(&app, &stop).await;
            }
        }
    }
}

async fn rest(app: &App, stop: &CancellationToken) {
    tokio::select! {
        () = app.signals.jobs.notified() => {}
        () = tokio::time::sleep(IDLE) => {}
        () = stop.cancelled() => {}
    }
}

async fn wait(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}

/// Develops an original. While there is no room for its variants the job is kept, so that no attempt is its last.
async fn develop(app: &App, task: &Task, stop: &CancellationToken) -> Result<Developed, ProcessError> {
    loop {
        match app.processor.develop(task).await {
            Err(ProcessError::Full(why)) if !stop.is_cancelled() => {
                tracing::warn!(key = %task.key, why, "no room for variants; will try again");
                wait(NO_ROOM, stop).await;
            }
            ended => return ended,
        }
    }
}

async fn handle(app: &App, leased: &Leased, stop: &CancellationToken) -> Result<(), QueueError> {
    let job = &leased.job;
    let upload = app.ledger.get(&job.upload_id).await.map_err(|e| QueueError(e.to_string()))?;
    let Some(upload) = upload else {
        // Deleted since.
        return app.queue.ack(leased).await;
    };
    // Only a crash skips the end of an attempt: such a job would take every worker down in turn.
    if leased.attempt > app.config.attempts {
        let why = format!("given up: {} attempts ended without a word", leased.attempt - 1);
        record(app, &upload, &Outcome::Failed(Failure::new("internal", why))).await.map_err(QueueError)?;
        return app.queue.ack(leased).await;
    }
    let Some(preset) = app.config.presets.get(&upload.preset).cloned() else {
        let why = format!(
            "its preset {:?} is not configured any more (there is {}): put it back and retry",
            upload.preset,
            app.config.presets.names()
        );
        let failure = Failure::new("invalid_request", why);
        record(app, &upload, &Outcome::Failed(failure)).await.map_err(QueueError)?;
        return app.queue.ack(leased).await;
    };
    let task = Task {
        version: job.event.version.clone(),
        extension: upload.extension.clone(),
        force: job.force,
        ..Task::new(job.event.key.clone(), preset)
    };
    let outcome = match develop(app, &task, stop).await {
        Ok(developed) => Outcome::Completed(Box::new(developed.manifest)),
        Err(ProcessError::Final(failure)) => Outcome::Failed(failure),
        Err(ProcessError::Full(_)) => return app.queue.retry(leased, Duration::ZERO).await,
        Err(ProcessError::Passing(why)) if leased.attempt < app.config.attempts => {
            let pause = pause(leased.attempt);
            tracing::warn!(upload = %upload.id, attempt = leased.attempt, why, ?pause, "will try again");
            return app.queue.retry(leased, pause).await;
        }
        Err(ProcessError::Passing(why)) => Outcome::Failed(Failure::new(
            "store_unavailable",
            format!("given up after {} attempts: {why}", leased.attempt),
        )),
    };
    record(app, &upload, &outcome).await.map_err(QueueError)?;
    app.queue.ack(leased).await
}

/// One transaction for the outcome and its callback; then whoever waits is told.
async fn record(app: &App, upload: &Upload, outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Completed(manifest) => {
            tracing::info!(upload = %upload.id, variants = manifest.variants.len(), "completed");
        }
        Outcome::Processed(_) => {}
        Outcome::Failed(failure) => {
            tracing::info!(upload = %upload.id, code = %failure.code, message = failure.message, "failed");
        }
    }
    app.settle(upload, outcome).await.map_err(|e| e.to_string())
}

/// 1 s, 2 s, 4 s … up to five minutes.
fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}
