//! `/v1/events`: storage events that a provider pushes, and what it asks before it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::admission::Address;
use super::auth::{Caller, May};
use super::extract::{Params, Unread};
use super::problem::Problem;
use crate::app::{App, ReadBody};
use crate::auth::Scope;
use crate::event::accept::{Accepted, accept};
use crate::event::auth::sns::Message;
use crate::event::auth::{Refusal, Shown, b2};
use crate::event::{Unusable, eventgrid, parse, parse_value, split};
use crate::metrics;
use crate::upload::UploadId;

/// What CloudEvents' webhooks ask with, and are answered.
const ASKS: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// The query of a push address.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Code {
    /// Event Grid's key.
    code: Option<String>,
}

/// What became of each record, or of what a provider asked before it sends any.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Answer {
    /// Of records.
    Taken(Taken),
    /// Of a handshake: its provider's own shape.
    #[schema(value_type = Object)]
    Handshake(Value),
}

/// What became of each record.
#[derive(Serialize, ToSchema)]
pub struct Taken {
    /// Uploads that there is a job for now.
    accepted: Vec<UploadId>,
    ignored: Vec<Ignored>,
}

/// An object that is no work.
#[derive(Serialize, ToSchema)]
struct Ignored {
    /// As the record names it; empty where nothing can be read of it.
    #[schema(example = "image/a.jpg")]
    key: String,
    #[schema(example = "it is in the folder of variants")]
    reason: String,
}

impl From<Unusable> for Ignored {
    fn from(Unusable { key, reason }: Unusable) -> Self {
        tracing::warn!(key, reason, "passed over a record of an event");
        Self { key, reason }
    }
}

/// Take storage events
///
/// Of S3, SNS, SQS, EventBridge, Pub/Sub, Event Grid, R2 and B2; handshakes are answered. Each record is judged alone: what
/// can be no upload is ignored and named with the reason, the others go on. On an error the provider sends all of them again,
/// which is harmless.
#[utoipa::path(
    post, path = "/v1/events", operation_id = "push_events", tag = "processing",
    security(("api_key" = ["events"]), ("provider" = [])), params(Code),
    request_body(
        content = Object, description = "What a provider pushes of a store: docs/s3.md, docs/auth.md",
        example = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
            "s3": {"bucket": {"name": "my-bucket"}, "object": {"key": "temp/abc.jpg", "size": 3}}}]})
    ),
    responses((status = 200, description = "What became of each record, or the answer to a handshake, in its provider's shape", body = Object,
         example = json!({"accepted": ["0123456789abcdef0123456789abcdef"], "ignored": [{"key": "image/a.jpg", "reason": "it is in the folder of variants"}]})))
)]
pub async fn push(
    State(app): State<Arc<App>>,
    caller: Caller,
    address: Address,
    Params(query): Params<Code>,
    headers: HeaderMap,
    body: Unread,
) -> Result<Json<Answer>, Problem> {
    // The body holds its share of the memory for as long as what is made of it.
    let (_body, message) = match may_push(&app, &caller, &query).await {
        Ok(may) => {
            let body = body.read(&app, &may).await?;
            let read = serde_json::from_slice(&body);
            (body, read.map_err(|e| Problem::invalid(format!("the body is no JSON: {e}")))?)
        }
        Err(refusal) if caller.is_server() => return Err(refusal),
        Err(refusal) => signed(&app, &query, &headers, &address, body, refusal).await?,
    };
    let sns = Message::of(&message);
    if let Some(answer) = handshake(&app, sns.as_ref(), &message).await? {
        return Ok(Json(Answer::Handshake(answer)));
    }
    let events = match &sns {
        // What stands beside the signed text, nobody has signed.
        Some(sns) => parse(sns.text().as_bytes()),
        None => parse_value(&message),
    };
    let (events, unusable) = split(events.map_err(|error| Problem::invalid(error.to_string()))?);
    metrics::records("unusable", unusable.len());
    let mut ignored: Vec<Ignored> = unusable.into_iter().map(Ignored::from).collect();
    let mut accepted = Vec::new();
    for event in events {
        let key = event.key.to_string();
        match accept(&app, event).await? {
            Accepted::Queued(id) => {
                metrics::records("accepted", 1);
                accepted.push(id);
            }
            Accepted::Ignored(reason) => {
                metrics::records("ignored", 1);
                ignored.push(Ignored { key, reason: reason.to_owned() });
            }
        }
    }
    Ok(Json(Answer::Taken(Taken { accepted, ignored })))
}

/// Whether events may be pushed
///
/// Event Grid asks this in CloudEvents' schema, by the headers of
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>.
#[utoipa::path(
    options, path = "/v1/events", operation_id = "ask_to_push", tag = "processing",
    security(("api_key" = ["events"]), ("provider" = [])),
    params(Code, ("WebHook-Request-Origin" = String, Header, description = "Who asks", example = "eventgrid.azure.net")),
    responses((status = 200, description = "It may, as `WebHook-Allowed-Origin` says"))
)]
pub async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Code>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    may_push(&app, &caller, &query).await?;
    let Some(origin) = headers.get(ASKS) else {
        return Err(Problem::invalid("who asks says so in WebHook-Request-Origin"));
    };
    let allowed = [(ALLOWED_ORIGIN, origin.clone()), (ALLOWED_RATE, HeaderValue::from_static("*"))];
    Ok((StatusCode::OK, allowed).into_response())
}

/// An API key, or what a provider shows beside the message.
async fn may_push(app: &App, caller: &Caller, query: &Code) -> Result<May, Problem> {
    if !caller.is_server()
        && let Some(judged) = app.gate.judge(&shown(caller, query)).await
    {
        return judged.map(|()| May::default()).map_err(refused);
    }
    caller.must(Scope::Events)
}

/// A message whose proof needs the body (SNS's is in it, B2's is made of it): nothing else of strangers is read, and nothing
/// at all while none of them may push. They hear no more than the refusal that they would have had without it.
async fn signed(
    app: &App,
    query: &Code,
    headers: &HeaderMap,
    address: &Address,
    body: Unread,
    refusal: Problem,
) -> Result<(ReadBody, Value), Problem> {
    let by_b2 = headers.get(b2::HEADER).map(|value| value.to_str().unwrap_or_default());
    if query.code.is_some() || !(app.gate.takes_sns() || by_b2.is_some()) {
        return Err(refusal);
    }
    if by_b2.is_some() {
        app.gate.takes_b2().map_err(refused)?;
    }
    let body = body.read_unproven(app).await?;
    if let Some(signature) = by_b2 {
        app.gate.verify_b2(signature, &body).map_err(refused)?;
        let message = serde_json::from_slice(&body);
        return Ok((body, message.map_err(|e| Problem::invalid(format!("the body is no JSON: {e}")))?));
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return Err(refusal) };
    let Some(signed) = Message::of(&message) else { return Err(refusal) };
    app.gate.verify_sns(&signed, address.counted()).await.map_err(refused)?;
    Ok((body, message))
}

/// Noted, and worded.
fn refused(refusal: Refusal) -> Problem {
    tracing::warn!(why = refusal.to_string(), "refused a pushed event");
    refusal.into()
}

fn shown<'a>(caller: &'a Caller, query: &'a Code) -> Shown<'a> {
    Shown { header: caller.shown(), code: query.code.as_deref() }
}

/// What a provider that may push asks first, and what it is answered.
async fn handshake(app: &App, sns: Option<&Message>, message: &Value) -> Result<Option<Value>, Problem> {
    match sns {
        Some(sns) if sns.is_confirmation() => {
            app.gate.confirm(sns).await?;
            Ok(Some(json!({"confirmed": true})))
        }
        Some(sns) if sns.is_farewell() => Ok(Some(json!({"confirmed": false}))),
        Some(_) => Ok(None),
        None => Ok(eventgrid::validation_code(message).map(|code| json!({"validationResponse": code}))),
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
