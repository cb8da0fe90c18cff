//! Step 3 and after: how an upload stands, at once, by long poll, or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use http::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use super::admission::Address;
use super::auth::Caller;
use super::extract::{Id, Params};
use super::openapi::ProblemDocument;
use super::problem::Problem;
use super::uploads::{View, find};
use crate::app::{App, Following, NoStream, Stream as Slot};
use crate::auth::Scope;
use crate::upload::{Status, Upload, UploadId};

/// Longest long poll, in seconds.
const LONGEST_WAIT: u64 = 60;
/// When to come back while there are too many streams, in seconds.
const STREAM_ENDS: u64 = 5;
/// How often it is looked whether who follows still may.
const LOOK: Duration = Duration::from_secs(1);

/// The query of a status.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Answer at the upload's end, or after so many seconds; 60 at most.
    wait: Option<u64>,
}

/// How an upload stands
///
/// At once, or with `wait` at its end. `manifest` is there once it is completed, `error` once it has failed; both are null
/// until then.
#[utoipa::path(
    get, path = "/v1/uploads/{id}", operation_id = "get_upload", tag = "uploads",
    security(("api_key" = ["uploads:read"]), ("upload_token" = []), ("upload_token_query" = [])),
    params(("id" = UploadId, Path, description = "The upload"), Wait),
    responses(
        (status = 200, description = "How it stands", body = View),
        (status = 429, description = "`too_many_streams`, `too_many_requests`: again after `Retry-After`",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    Id(id): Id,
    Params(query): Params<Wait>,
) -> Result<Json<View>, Problem> {
    let upload = see(&app, &caller, &id, Scope::UploadsRead).await?;
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(LONGEST_WAIT));
    if wait.is_zero() || upload.status.is_final() {
        return Ok(Json(upload.into()));
    }
    let (_slot, end) = (slot(&app, &caller, &address, &upload.id)?, Instant::now() + wait);
    let mut following = app.signals.followed.follow(&upload.id);
    loop {
        // Looked at once it is followed: so no change is missed.
        let upload = find(&app, &id).await?;
        if upload.status.is_final() || Instant::now() >= end {
            return Ok(Json(upload.into()));
        }
        match change(&app, &caller, &mut following, Some(end)).await {
            Change::Heard => {}
            Change::Stopping => return Ok(Json(upload.into())),
            Change::NoMore => return Err(Problem::unauthorized("that API key is good no more: make another")),
        }
    }
}

/// Watch an upload
///
/// Server-sent events, one for every change and the last at its end. The stream ends early when the upload is deleted or the
/// key that opened it is good no more. Each is named `status`, and its data is the upload as
/// `GET /v1/uploads/{id}` gives it.
#[utoipa::path(
    get, path = "/v1/uploads/{id}/events", operation_id = "watch_upload", tag = "uploads",
    security(("api_key" = ["uploads:read"]), ("upload_token" = []), ("upload_token_query" = [])),
    params(("id" = UploadId, Path, description = "The upload")),
    responses(
        (status = 200, description = "Server-sent events named `status`, each with an Upload",
         body = String, content_type = "text/event-stream"),
        (status = 429, description = "`too_many_streams`, `too_many_requests`: again after `Retry-After`",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    Id(id): Id,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = see(&app, &caller, &id, Scope::UploadsRead).await?.id;
    let slot = slot(&app, &caller, &address, &id)?;
    let following = app.signals.followed.follow(&id);
    // Looked at once it is followed: so no change is missed.
    let first = find(&app, id.as_str()).await?;
    let start = Watch { app, caller, following, id, told: None, next: Some(first), _slot: slot };
    let stream = futures::stream::unfold(start, |mut watch| async move {
        let upload = watch.changed().await?;
        let event = Event::default().event("status").json_data(View::from(upload)).unwrap_or_default();
        Some((Ok(event), watch))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// A place for one who waits: they are counted, since each lasts.
fn slot(app: &App, caller: &Caller, address: &Address, id: &UploadId) -> Result<Slot, Problem> {
    Ok(app.streams.open(caller.follower(id), address.counted())?)
}

impl From<NoStream> for Problem {
    fn from(why: NoStream) -> Self {
        let (status, code) = match why {
            NoStream::TooManyOfOne(..) => (StatusCode::TOO_MANY_REQUESTS, "too_many_streams"),
            NoStream::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        };
        Self::new(status, code, format!("{why}; try again once one has ended")).retry_after(STREAM_ENDS)
    }
}

/// Servers see every upload, browsers theirs; whoever may not see it cannot tell whether it is there.
pub async fn see(app: &App, caller: &Caller, id: &str, scope: Scope) -> Result<Upload, Problem> {
    match UploadId::parse(id) {
        Some(known) => caller.must_hold(app, &known, scope)?,
        None => caller.must(scope)?,
    };
    find(app, id).await
}

/// Why a wait is over.
enum Change {
    /// The upload may have changed, or the end has come.
    Heard,
    /// The server stops.
    Stopping,
    /// Who follows may do so no more.
    NoMore,
}

/// Waits for a change, while the caller may, until the end if there is one.
async fn change(app: &App, caller: &Caller, following: &mut Following, end: Option<Instant>) -> Change {
    loop {
        let look = Instant::now() + LOOK;
        let look = end.map_or(look, |end| end.min(look));
        let heard = tokio::select! {
            heard = tokio::time::timeout_at(look, following.changed()) => heard.is_ok(),
            () = app.signals.stopping.cancelled() => return Change::Stopping,
        };
        if !caller.is_still_good(app).await {
            return Change::NoMore;
        }
        if heard || end.is_some_and(|end| Instant::now() >= end) {
            return Change::Heard;
        }
    }
}

struct Watch {
    app: Arc<App>,
    caller: Caller,
    following: Following,
    id: UploadId,
    /// What was told last.
    told: Option<Status>,
    next: Option<Upload>,
    _slot: Slot,
}

impl Watch {
    /// The upload as soon as it differs from what was told; none after its end, when the caller may see it no more, or
    /// when the server stops: a browser's EventSource then comes again.
    async fn changed(&mut self) -> Option<Upload> {
        if self.told.is_some_and(Status::is_final) {
            return None;
        }
        loop {
            let now = match self.next.take() {
                Some(first) => first,
                None => {
                    let change = change(&self.app, &self.caller, &mut self.following, None).await;
                    let Change::Heard = change else { return None };
                    find(&self.app, self.id.as_str()).await.ok()?
                }
            };
            if self.told != Some(now.status) {
                self.told = Some(now.status);
                return Some(now);
            }
        }
    }
}
