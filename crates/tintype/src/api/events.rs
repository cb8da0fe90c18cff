//! `POST /v1/events`: storage events that a provider pushes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::Body;
use super::problem::Problem;
use crate::app::App;
use crate::event::accept::{Accepted, accept};
use crate::event::parse;

/// Takes every record or none: on an error the provider sends all of them again, which is harmless.
pub async fn push(State(app): State<Arc<App>>, caller: Caller, Body(body): Body) -> Result<Json<Value>, Problem> {
    caller.must_be_server()?;
    let events = parse(&body).map_err(|error| Problem::invalid(error.to_string()))?;
    let (mut accepted, mut ignored) = (Vec::new(), Vec::new());
    for event in events {
        let key = event.key.clone();
        match accept(&app, event).await? {
            Accepted::Queued(id) => accepted.push(id),
            Accepted::Ignored(reason) => ignored.push(json!({"key": key, "reason": reason})),
        }
    }
    Ok(Json(json!({"accepted": accepted, "ignored": ignored})))
}
