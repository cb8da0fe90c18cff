//! `/v1/events`: storage events that a provider pushes, and what it asks before it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Caller;
use super::extract::{Body, Params};
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::event::accept::{Accepted, accept};
use crate::event::auth::sns::Message;
use crate::event::auth::{Refusal, Shown};
use crate::event::{eventgrid, parse_value};

/// What CloudEvents' webhooks ask with, and are answered.
const ASKS: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The query of a push address.
#[derive(Deserialize)]
pub struct Code {
    code: Option<String>,
}

/// Takes every record or none: on an error the provider sends all of them again, which is harmless.
pub async fn push(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Code>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let read = serde_json::from_slice(&body);
    // Of strangers nothing more is told than that they are.
    let message: &Value = read.as_ref().unwrap_or(&Value::Null);
    must_push(&app, &caller, &query, message).await?;
    let message = read.map_err(|e| Problem::invalid(format!("the body is no JSON: {e}")))?;
    if let Some(answer) = handshake(&app, &message).await? {
        return Ok(Json(answer));
    }
    let events = parse_value(&message).map_err(|error| Problem::invalid(error.to_string()))?;
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

/// Whether Event Grid may push in CloudEvents' schema: it asks by the headers of
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>.
pub async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Code>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(refused) = app.gate.knows(&shown(&caller, &query)).and_then(Result::err) {
        return Err(refused.into());
    }
    if app.gate.knows(&shown(&caller, &query)).is_none() {
        caller.must(Scope::Events)?;
    }
    let Some(origin) = headers.get(ASKS) else {
        return Err(Problem::invalid("who asks says so in WebHook-Request-Origin"));
    };
    let allowed = [(ALLOWED_ORIGIN, origin.clone()), (ALLOWED_RATE, HeaderValue::from_static("*"))];
    Ok((StatusCode::OK, allowed).into_response())
}

/// An API key, or whatever its provider proves itself by.
async fn must_push(app: &App, caller: &Caller, query: &Code, message: &Value) -> Result<(), Problem> {
    if caller.is_server() {
        return caller.must(Scope::Events);
    }
    match app.gate.judge(&shown(caller, query), message).await {
        Some(judged) => judged.map_err(|refusal| {
            tracing::warn!(why = refusal.to_string(), "refused a pushed event");
            refusal.into()
        }),
        None => caller.must(Scope::Events),
    }
}

fn shown<'a>(caller: &'a Caller, query: &'a Code) -> Shown<'a> {
    Shown { header: caller.shown(), code: query.code.as_deref() }
}

/// What a provider that may push asks first, and what it is answered.
async fn handshake(app: &App, message: &Value) -> Result<Option<Value>, Problem> {
    if let Some(code) = eventgrid::validation_code(message) {
        return Ok(Some(json!({"validationResponse": code})));
    }
    match Message::of(message) {
        Some(message) if message.is_confirmation() => {
            app.gate.confirm(&message).await?;
            Ok(Some(json!({"confirmed": true})))
        }
        Some(message) if message.is_farewell() => Ok(Some(json!({"confirmed": false}))),
        _ => Ok(None),
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized(why) => Self::unauthorized(why),
            Refusal::Forbidden(why) => Self::forbidden(why),
            Refusal::Unavailable(why) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
        }
    }
}
