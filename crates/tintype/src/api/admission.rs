//! Whether a request for uploads is admitted, and how a refusal is worded.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::auth::Caller;
use super::problem::Problem;
use crate::app::{App, NotAdmitted};
use crate::listen::Client;

/// When to come back while the queue is full, in seconds.
const QUEUE_DRAINS: u64 = 10;
/// When to come back while the disk is full, in seconds: someone has to make room.
const ROOM_IS_MADE: u64 = 30;

/// Where a request came from, if that is known.
pub struct Address(Option<Client>);

impl Address {
    /// What a caller is counted by; none for a proxy, which calls for many.
    pub fn counted(&self) -> Option<IpAddr> {
        self.0.as_ref().and_then(Client::counted)
    }
}

impl FromRequestParts<Arc<App>> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Client>().copied()))
    }
}

/// One name for one caller that was found to be a server: its key's, or its address while no keys are asked for.
pub fn caller_id(caller: &Caller, address: &Address) -> String {
    match caller {
        Caller::Key(key) => key.id.clone(),
        _ => address.0.map(|client| client.address.to_string()).unwrap_or_default(),
    }
}

/// Lets a server ask for so many uploads.
pub async fn admit(app: &App, caller: &Caller, address: &Address, uploads: usize) -> Result<(), Problem> {
    app.admission.admit(&caller_id(caller, address), uploads).await.map_err(|why| {
        let detail = why.to_string();
        let too_many = |code, wait| Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(wait);
        match why {
            NotAdmitted::NoRoom => no_room(),
            NotAdmitted::QueueFull(_) => too_many("queue_full", QUEUE_DRAINS),
            NotAdmitted::Quota(_, wait) => too_many("quota_exceeded", wait.as_secs_f64().ceil() as u64),
            NotAdmitted::Queue(error) => error.into(),
        }
    })
}

fn no_room() -> Problem {
    let detail = "there is too little room on the server's disk; try again once there is more";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "storage_full", detail).retry_after(ROOM_IS_MADE)
}

/// What cannot be done while the disk is full is not done for that reason, whatever part of the program it was.
pub async fn explain(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path_is_health = request.uri().path() == "/readyz";
    let response = next.run(request).await;
    let unavailable = response.status() == StatusCode::SERVICE_UNAVAILABLE && !path_is_health;
    if unavailable && app.room.is_full() { no_room().into_response() } else { response }
}
