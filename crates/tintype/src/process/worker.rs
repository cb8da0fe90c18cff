//! Takes jobs, develops their originals, records how they ended.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rand::RngExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::lease::{Lease, Moment, PROOFS};
use super::{FirstBytes, ProcessError, State, Step, Task, Watch};
use crate::app::App;
use crate::config::StoreUrl;
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::event::accept::take_in;
use crate::event::order::Rule;
use crate::ledger::{Finished, Ledger};
use crate::manifest::Manifest;
use crate::metrics;
use crate::queue::{Job, JobEnd, Leased, QueueError};
use crate::recheck;
use crate::store::{Pin, StoreError};
use crate::trace;
use crate::upload::{Outcome, Status, Upload, UploadId};

/// How long to sleep when there is no job and nobody calls.
const IDLE: Duration = Duration::from_secs(1);
/// Pause between tries while there is no room for variants.
const NO_ROOM: Duration = Duration::from_secs(5);
/// Longest pause between tries while the store fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

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
        let asked = Moment::now();
        match app.queue.claim(app.config.lease, app.slow_places.is_free()).await {
            Ok(Some(leased)) => {
                // There may be more than one worker was woken for.
                app.signals.jobs.notify_one();
                let Leased { id, attempt, job, traceparent, .. } = &leased;
                let span = tracing::info_span!("job", upload = %job.upload_id, job = id, attempt);
                let span = trace::follow(span, traceparent.as_deref());
                let lease = Arc::new(Lease::new(app.queue.clone(), leased, app.config.lease, asked));
                work(&app, &lease, &stop).instrument(span).await;
            }
            Ok(None) => rest(&app, &stop).await,
            Err(error) => {
                tracing::error!(%error, "jobs cannot be read");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

async fn work(app: &App, lease: &Arc<Lease>, stop: &Stop) {
    if let Err(error) = hold(app, lease, stop).await {
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
async fn hold(app: &App, lease: &Arc<Lease>, stop: &Stop) -> Result<(), QueueError> {
    let leased = &lease.leased;
    let upload = app.ledger.get(&leased.job.upload_id).await.map_err(|e| QueueError(e.to_string()))?;
    let Some(upload) = upload else {
        // Deleted since.
        return app.queue.drop_job(leased).await;
    };
    let done = tokio::select! {
        done = handle(app, &upload, lease, stop) => done,
        () = lost(lease) => Ok(()),
        () = stop.now.cancelled() => {
            tracing::warn!("no time left: the job is handed on");
            quiet(app, leased).await;
            lease.give_back().await
        }
    };
    if lease.is_lost() {
        quiet(app, leased).await;
        abandon(app, &upload).await?;
    }
    done
}

/// A job ends when all it started has ended: what it was writing when it was cut off is written or refused by now.
async fn quiet(app: &App, leased: &Leased) {
    drop(app.processor.turn(&leased.job.event.key).await);
}

/// Extends the lease again and again; done once it is lost, or may be.
async fn lost(lease: &Lease) {
    let length = lease.length();
    let mut held = Instant::now();
    loop {
        tokio::time::sleep(length / PROOFS).await;
        match lease.extend().await {
            Ok(true) => held = Instant::now(),
            Ok(false) => return,
            Err(error) if held.elapsed() < length => tracing::warn!(%error, "a lease could not be extended"),
            Err(_) => return lease.lose(),
        }
    }
}

/// The job is another's by now, or its upload was deleted: then what was written meanwhile goes too, and what another sealed
/// is looked at.
async fn abandon(app: &App, upload: &Upload) -> Result<(), QueueError> {
    tracing::warn!("a job was taken away: its lease ran out, or its upload was deleted");
    match app.ledger.get(&upload.id).await {
        Ok(None) => app.erase_variants(upload).await.map_err(|e| QueueError(e.to_string())),
        _ => recheck::look(app, &upload.key).await.map_err(|e| QueueError(e.to_string())),
    }
}

async fn handle(app: &App, upload: &Upload, lease: &Arc<Lease>, stop: &Stop) -> Result<(), QueueError> {
    let leased = &lease.leased;
    let job = &leased.job;
    // Only a crash skips the end of an attempt: such a job would take every worker down in turn.
    if leased.crashes >= app.config.crashes {
        let why = format!("given up: {} attempts ended without a word", leased.crashes);
        if !leave_nothing(app, upload, lease).await {
            tracing::warn!("variants of an upload that failed are left; they go with the original");
        }
        let outcome = Outcome::Failed(Failure::new("internal", &why));
        return record(app, upload, &outcome, lease, JobEnd::Dead(leased, &why)).await;
    }
    let Some(preset) = app.config.presets.get(&upload.preset).cloned() else {
        let why = format!(
            "its preset {:?} is not configured any more (there is {}): put it back and retry",
            upload.preset,
            app.config.presets.names()
        );
        return fail(app, upload, lease, Failure::new("invalid_request", why)).await;
    };
    let task = Task {
        named_before: named_before(upload, &job.event.pin()),
        pin: job.event.pin(),
        extension: upload.extension.clone(),
        force: job.force,
        // Of other bytes under this key, the job of a worker that died may have writes on their way.
        again: leased.attempt > 1 || app.config.replaceable || !app.layout.is_upload_key(&job.event.key),
        has_own_names: app.has_own_names(upload),
        fence: Some(lease.clone()),
        first_bytes: first_bytes(app, upload, job),
        slow_places: Some(app.slow_places.clone()),
        ..Task::new(job.event.key.clone(), preset)
    };
    let progress = Progress::default();
    match app.processor.develop_watched(&task, &progress).await {
        Ok(developed) => {
            let outcome = Outcome::Completed(Box::new(developed.manifest));
            record(app, upload, &outcome, lease, JobEnd::Done(leased)).await
        }
        Err(ProcessError::Slow) => {
            tracing::debug!("it is slow: it waits for its place, and others go first");
            lease.set_back().await
        }
        Err(ProcessError::Full(why)) => {
            tracing::warn!(why, "no room for variants; will try again, however often it takes");
            metrics::retry("full");
            pause_for_room(stop).await;
            lease.give_back().await
        }
        Err(ProcessError::Final(failure)) => match stands(app, upload, job, &failure).await? {
            Stands::Done(manifest) => {
                record(app, upload, &Outcome::Completed(manifest), lease, JobEnd::Done(leased)).await
            }
            Stands::Renewed => app.queue.drop_job(leased).await,
            Stands::Again => lease.again(pause(leased.attempt), &failure.message).await,
            Stands::Failed => {
                let wrote = progress.may_have_written() || leased.attempt > 1;
                if wrote || may_have_variants(app, upload).await {
                    return fail(app, upload, lease, failure).await;
                }
                record(app, upload, &Outcome::Failed(failure), lease, JobEnd::Done(leased)).await
            }
        },
        Err(error) if leased.attempt < app.config.attempts => {
            let pause = pause(leased.attempt);
            tracing::warn!(%error, ?pause, "will try again");
            metrics::retry(if matches!(error, ProcessError::NoDecoder(_)) { "decoder" } else { "store" });
            lease.again(pause, &error.to_string()).await
        }
        Err(error) => {
            if !leave_nothing(app, upload, lease).await {
                tracing::warn!("variants of an upload that failed are left; they go with the original");
            }
            let failure = error.given_up(leased.attempt);
            let why = failure.message.clone();
            record(app, upload, &Outcome::Failed(failure), lease, JobEnd::Dead(leased, &why)).await
        }
    }
}

/// How an upload's manifest names the state that is to be read, if it was made of that state: what an event has added since,
/// such as its place in the store's order, makes no other outcome of the same bytes.
fn named_before(upload: &Upload, pin: &Pin) -> Option<State> {
    let read = &upload.manifest.as_ref()?.original;
    let is_it = read.key == upload.key && read.pin().is_same(pin) == Some(true);
    is_it.then(|| State { version: read.version.clone(), sequencer: read.sequencer.clone(), seal: None })
}

/// The bytes of an upload that was asked for, where a store lets others come in their place: until they are read, an entity tag
/// is all that is known of them.
fn first_bytes(app: &App, upload: &Upload, job: &Job) -> Option<Arc<dyn FirstBytes>> {
    let is_named = app.config.rule(&upload.key) == Rule::Newest || job.event.version.is_some();
    let (ledger, id, known) = (app.ledger.clone(), upload.id.clone(), upload.state().sha256);
    match app.config.store {
        _ if is_named => None,
        // It takes no second file.
        StoreUrl::Embedded if known.is_none() => None,
        _ => Some(Arc::new(FirstRead { ledger, id, known })),
    }
}

/// What the ledger knows of an upload's bytes.
struct FirstRead {
    ledger: Arc<dyn Ledger>,
    id: UploadId,
    known: Option<String>,
}

impl Debug for FirstRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstRead").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl FirstBytes for FirstRead {
    async fn are(&self, sha256: &str) -> Result<bool, StoreError> {
        if let Some(known) = &self.known {
            return Ok(known == sha256);
        }
        let first = self.ledger.first_read(&self.id, sha256).await;
        Ok(first.map_err(|error| StoreError::Unavailable(error.to_string()))? == sha256)
    }
}

/// Whether variants of an upload can be there though this job wrote none: of an earlier outcome, or of whatever else
/// develops keys that are not uploads' own.
async fn may_have_variants(app: &App, upload: &Upload) -> bool {
    let is_own = app.config.rule(&upload.key) == Rule::Newest;
    upload.manifest.is_some()
        || upload.processed_key.is_some()
        || is_own && app.has_manifest(upload).await.unwrap_or(true)
}

/// What is left of a job whose original cannot be had as it was told.
enum Stands {
    /// It was done before: that is told again.
    Done(Box<Manifest>),
    /// The key was written again, and there is a job for that.
    Renewed,
    /// It is to be tried again.
    Again,
    /// It failed.
    Failed,
}

/// Judges a failure for which the original's going, or its being replaced, may be the reason.
async fn stands(app: &App, upload: &Upload, job: &Job, failure: &Failure) -> Result<Stands, QueueError> {
    if !matches!(failure.code.as_ref(), "not_found" | "original_changed") {
        return Ok(Stands::Failed);
    }
    // What is sealed needs no original, which goes after its time. Only the same state leaves an upload completed.
    if let (Status::Completed, false, Some(manifest)) = (upload.status, job.force, &upload.manifest) {
        return Ok(Stands::Done(Box::new(manifest.clone())));
    }
    let broken = |error: &dyn std::fmt::Display| QueueError(error.to_string());
    if failure.code != "original_changed" {
        return Ok(Stands::Failed);
    }
    if app.config.rule(&upload.key) == Rule::FirstBytes {
        // What was made of the first bytes stays, whatever is at the key now.
        let Some(manifest) = &upload.manifest else { return Ok(Stands::Failed) };
        let is_there = recheck::shows(app, upload, manifest).await.map_err(|e| broken(&e))?;
        return Ok(if is_there { Stands::Done(Box::new(manifest.clone())) } else { Stands::Failed });
    }
    let now = match app.store.head(&upload.key).await {
        Ok(now) => now,
        Err(StoreError::NotFound(_)) => return Ok(Stands::Failed),
        Err(_) => return Ok(Stands::Again),
    };
    if now.etag == job.event.etag {
        return Ok(Stands::Again);
    }
    let event =
        StorageEvent { size: Some(now.size), etag: now.etag, version: None, sequencer: None, ..job.event.clone() };
    take_in(app, event).await.map_err(|e| broken(&e))?;
    Ok(Stands::Renewed)
}

/// Records a failure once nothing of an earlier set is left: what a status says and what the public can read are one thing.
async fn fail(app: &App, upload: &Upload, lease: &Lease, failure: Failure) -> Result<(), QueueError> {
    let leased = &lease.leased;
    if !leave_nothing(app, upload, lease).await && leased.attempt < app.config.attempts {
        let why = format!("it failed with {}, and its variants could not be removed", failure.code);
        return lease.again(pause(leased.attempt), &why).await;
    }
    record(app, upload, &Outcome::Failed(failure), lease, JobEnd::Done(leased)).await
}

/// Removes every variant and the manifest of an upload that fails, before its end is recorded: cut off in between, the job
/// is done again. False when the store would not.
async fn leave_nothing(app: &App, upload: &Upload, lease: &Lease) -> bool {
    // Whose lease has run out would remove what another writes; it records nothing either.
    if !lease.extend().await.unwrap_or(false) {
        return true;
    }
    match app.erase_in_hand(upload, None).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "variants of an upload that failed could not be removed");
            // Who may not remove them will not either when asked again.
            matches!(error, StoreError::Denied(_))
        }
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
async fn record(
    app: &App,
    upload: &Upload,
    outcome: &Outcome,
    lease: &Lease,
    end: JobEnd<'_>,
) -> Result<(), QueueError> {
    let leased = &lease.leased;
    let finished = app.settle(upload, outcome, Some(end)).await.map_err(|e| QueueError(e.to_string()))?;
    if finished == Finished::Recorded {
        metrics::job_done(OffsetDateTime::now_utc() - leased.queued_at);
    }
    match (finished, outcome) {
        (Finished::LeaseLost, _) => {
            tracing::warn!("done too late: another has the job");
            lease.lose();
        }
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
