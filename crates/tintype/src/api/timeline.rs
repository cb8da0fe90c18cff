//! `GET /v1/uploads/{id}/timeline`: all that is known of one upload, in the order in which it happened.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::auth::Caller;
use super::extract::Id;
use super::problem::Problem;
use super::uploads::{View, find};
use crate::app::App;
use crate::auth::Scope;
use crate::callback::log::{Entry, entry};
use crate::ledger::{Attempt, Delivery, JobAttempt, Page};
use crate::queue::{JobRow, JobState};
use crate::store::{ObjectMeta, StoreError};
use crate::upload::{Policy, Status, Upload};

/// Most tries, jobs and deliveries that are shown, the last ones each.
const MOST: u32 = 100;

/// One upload as its operator sees it.
#[derive(Serialize, ToSchema)]
pub struct Timeline {
    upload: View,
    /// Where the original was to be put, or was found.
    #[schema(example = "image/0123456789abcdef0123456789abcdef.jpg")]
    key: String,
    /// Name of the preset.
    #[schema(example = "default")]
    preset: String,
    /// What the client was allowed to send: `method`, `content_type`, `max_bytes`, `size`, `metadata`.
    #[schema(value_type = Object, example = json!({"method": "POST", "content_type": "image/*", "max_bytes": 10485760, "size": null, "metadata": {"id": "12345"}}))]
    policy: Policy,
    /// Whether the original is still in the store.
    #[schema(example = true)]
    original_there: bool,
    /// Oldest first.
    moments: Vec<Moment>,
    /// Jobs that wait, are in hand or were given up: each `id`, `state`, `attempts`, `last_error`, `due_at`, `created_at`.
    #[schema(value_type = Vec<Object>, example = json!([]))]
    jobs: Vec<JobRow>,
    /// Callbacks, newest first: what was sent, and what came back.
    deliveries: Vec<Entry>,
}

/// One thing that happened.
#[derive(Serialize, ToSchema)]
pub struct Moment {
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    what: What,
    /// One sentence.
    #[schema(example = "Attempt 1 of job 7 completed after 184 ms.")]
    says: String,
    /// Whether it went wrong.
    failed: bool,
    /// The callback's `webhook-id`.
    delivery: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// A credential was given out, or the original was found.
    Presigned,
    /// The original was written to the store.
    Uploaded,
    /// The storage event came in, or a retry was asked for: there is a job.
    Event,
    /// A try of that job ended, or a remote processor told the outcome.
    Attempt,
    /// Bytes came that change nothing.
    Ignored,
    /// The backend said that it keeps it.
    Claimed,
    /// The credential ran out, or nobody claimed it in time.
    Expired,
    /// One attempt to send a callback ended.
    Callback,
}

impl Moment {
    fn new(at: OffsetDateTime, what: What, says: String) -> Self {
        Self { at, what, says, failed: false, delivery: None }
    }
}

/// What happened to an upload
///
/// Credential, arrival, tries and callbacks, in their order.
#[utoipa::path(
    get, path = "/v1/uploads/{id}/timeline", operation_id = "get_timeline", tag = "operation",
    security(("api_key" = ["admin"])), params(("id" = crate::upload::UploadId, Path, description = "The upload")),
    responses((status = 200, description = "What happened, oldest first", body = Timeline))
)]
pub async fn show(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Json<Timeline>, Problem> {
    caller.must(Scope::Admin)?;
    let upload = find(&app, &id).await?;
    let original = match app.store.head(&upload.key).await {
        Ok(original) => Some(original),
        Err(StoreError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let jobs = app.queue.jobs(Some(&upload.id), None, MOST).await?;
    let tries = app.ledger.history(&upload.id, MOST).await?;
    let page = Page { limit: MOST, ..Page::default() };
    let mut deliveries = Vec::new();
    for row in app.ledger.deliveries(&page, Some(&upload.id)).await? {
        let attempts = app.ledger.attempts(&row.id).await?;
        deliveries.push((row, attempts));
    }
    let moments = moments(&upload, original.as_ref(), &jobs, &tries, &deliveries);
    Ok(Json(Timeline {
        key: upload.key.to_string(),
        preset: upload.preset.clone(),
        policy: upload.policy.clone(),
        upload: upload.into(),
        original_there: original.is_some(),
        moments,
        jobs,
        deliveries: deliveries.into_iter().map(|(row, attempts)| entry(&row, attempts)).collect(),
    }))
}

fn moments(
    upload: &Upload,
    original: Option<&ObjectMeta>,
    jobs: &[JobRow],
    tries: &[JobAttempt],
    deliveries: &[(Delivery, Vec<Attempt>)],
) -> Vec<Moment> {
    let mut moments = vec![begun(upload)];
    moments.extend(original.map(|original| uploaded(upload, original)));
    // A job that is done is known by its tries alone.
    let of_tries = tries.iter().filter_map(|tried| Some((tried.job?, tried.queued_at?)));
    let mut queued: Vec<_> = of_tries.chain(jobs.iter().map(|job| (job.id, job.created_at))).collect();
    queued.sort_unstable();
    queued.dedup();
    moments.extend(
        queued
            .into_iter()
            .map(|(job, at)| Moment::new(at, What::Event, format!("The storage event, or a retry, made job {job}."))),
    );
    moments.extend(tries.iter().map(|tried| match tried.outcome.as_str() {
        "ignored" => ignored(tried),
        "unclaimed" => unclaimed(tried),
        _ => tried_once(tried),
    }));
    let claimed = |at| Moment::new(at, What::Claimed, "The backend said that it keeps the upload.".to_owned());
    moments.extend(upload.claimed_at.map(claimed));
    moments.extend(jobs.iter().filter(|job| job.state == JobState::Waiting).filter_map(waits));
    if upload.status == Status::Expired && !upload.has_lapsed() {
        let says = "The credential ran out before an original came.".to_owned();
        moments.push(Moment { failed: true, ..Moment::new(upload.expires_at, What::Expired, says) });
    }
    for (row, attempts) in deliveries {
        moments.extend(attempts.iter().map(|attempt| called_back(row, attempt)));
    }
    moments.sort_by_key(|moment| (moment.at, moment.what as u8));
    moments
}

fn begun(upload: &Upload) -> Moment {
    let says = if upload.expires_at > upload.created_at {
        let Policy { method, content_type, max_bytes, .. } = &upload.policy;
        let method = if *method == crate::upload::Method::Post { "a form" } else { "a signed PUT" };
        format!("The credential was given out: {method} of {content_type}, at most {max_bytes} bytes.")
    } else {
        "The original was found in the store; no credential of this server's was asked for.".to_owned()
    };
    Moment::new(upload.created_at, What::Presigned, says)
}

fn uploaded(upload: &Upload, original: &ObjectMeta) -> Moment {
    let declared = original.content_type.as_deref().unwrap_or("no type");
    let says = format!("The original was written to the store: {} bytes, declared as {declared}.", original.size);
    // Some stores know whole seconds alone, and some more than the ledger's milliseconds, within one of which it may be
    // that the event follows.
    let is_announced = upload.expires_at > upload.created_at;
    let modified = original.modified.truncate_to_millisecond();
    let at = if is_announced { modified.max(upload.created_at) } else { modified };
    Moment::new(at, What::Uploaded, says)
}

fn ignored(noted: &JobAttempt) -> Moment {
    let times = noted.attempt.unwrap_or(1);
    let times = if times == 1 { "Once".to_owned() } else { format!("By now {times} times") };
    let what = match noted.error.as_deref() {
        Some("older") => "an event told of an earlier version",
        Some("refused") => "the store refused another file",
        _ => "other bytes came",
    };
    Moment::new(noted.ended_at, What::Ignored, format!("{times} {what} under its key: nothing changed."))
}

fn unclaimed(noted: &JobAttempt) -> Moment {
    let says = "Nobody claimed it in time: its original and every variant went.".to_owned();
    Moment { failed: true, ..Moment::new(noted.ended_at, What::Expired, says) }
}

fn tried_once(tried: &JobAttempt) -> Moment {
    let who = match (tried.job, tried.attempt) {
        (Some(job), Some(attempt)) => format!("Attempt {attempt} of job {job}"),
        _ => "A remote processor's result".to_owned(),
    };
    let took =
        tried.started_at.map(|start| format!(" after {} ms", (tried.ended_at - start).whole_milliseconds().max(0)));
    let why = tried.error.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let says = match tried.outcome.as_str() {
        "completed" => format!("{who} completed{}.", took.unwrap_or_default()),
        "again" => format!("{who} came to nothing{}, and another follows{why}", took.unwrap_or_default()),
        code => format!("{who} failed{} with `{code}`{why}", took.unwrap_or_default()),
    };
    Moment { failed: tried.outcome != "completed", ..Moment::new(tried.ended_at, What::Attempt, says) }
}

/// A job that waits to be tried again says why.
fn waits(job: &JobRow) -> Option<Moment> {
    let why = job.last_error.as_deref()?;
    let says = format!("Job {} is due again: {why}", job.id);
    Some(Moment { failed: true, ..Moment::new(job.due_at, What::Attempt, says) })
}

fn called_back(row: &Delivery, attempt: &Attempt) -> Moment {
    let answer = match (attempt.status, &attempt.error) {
        (Some(status), None) => format!("was taken ({status})"),
        (_, Some(error)) => format!("was not taken: {error}"),
        (None, None) => "ended".to_owned(),
    };
    let says = format!("The callback {answer}, after {} ms.", attempt.millis);
    let delivery = Some(row.id.clone());
    Moment { failed: attempt.error.is_some(), delivery, ..Moment::new(attempt.at, What::Callback, says) }
}
