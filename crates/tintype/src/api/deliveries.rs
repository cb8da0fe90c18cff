//! `/v1/deliveries`: the callback log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::extract::{Id, Params, Unread};
use super::openapi::ProblemDocument;
use super::paging::{Listing, next};
use super::problem::Problem;
use super::uploads::json_body;
use crate::app::App;
use crate::auth::Scope;
use crate::callback::log::{Entry, entry};
use crate::callback::resend::{parse_since, resend_dead};
use crate::ledger::DeliveryStatus;
use crate::upload::UploadId;

/// Deliveries of one upload only.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfUpload {
    /// An upload's id.
    upload: Option<String>,
}

/// Some deliveries.
#[derive(Serialize, ToSchema)]
pub struct DeliveryPage {
    deliveries: Vec<Entry>,
    /// Goes on after the last of them; null at the end.
    cursor: Option<String>,
}

/// List callbacks
///
/// Newest first, 100 at most, each with its attempts; the `cursor` of the answer asks for those after it.
#[utoipa::path(
    get, path = "/v1/deliveries", operation_id = "list_deliveries", tag = "deliveries",
    security(("api_key" = ["deliveries"])), params(Listing, OfUpload),
    responses((status = 200, description = "A page, and the cursor of the next", body = DeliveryPage))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Listing>,
    Params(of): Params<OfUpload>,
) -> Result<Json<DeliveryPage>, Problem> {
    caller.must(Scope::Deliveries)?;
    let page = query.page(|word| DeliveryStatus::parse(word).is_some())?;
    let upload = match of.upload.as_deref() {
        Some(id) => Some(UploadId::parse(id).ok_or_else(|| Problem::invalid("`upload` must be an upload's id"))?),
        None => None,
    };
    let rows = app.ledger.deliveries(&page, upload.as_ref()).await?;
    let cursor = next(page.limit, rows.len(), rows.last().map(|row| (row.created_at, row.id.as_str())));
    let mut deliveries = Vec::with_capacity(rows.len());
    for row in &rows {
        deliveries.push(entry(row, app.ledger.attempts(&row.id).await?));
    }
    Ok(Json(DeliveryPage { deliveries, cursor }))
}

/// One callback
///
/// What it says, where it goes, and every attempt with what came back.
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", operation_id = "get_delivery", tag = "deliveries",
    security(("api_key" = ["deliveries"])), params(("id" = String, Path, description = "The delivery, its `webhook-id`", example = "msg_0123456789abcdef0123456789abcdef_1")),
    responses((status = 200, description = "The delivery, with its attempts", body = Entry))
)]
pub async fn one(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Json<Entry>, Problem> {
    caller.must(Scope::Deliveries)?;
    let row = app.ledger.delivery(&id).await?.ok_or_else(missing)?;
    Ok(Json(entry(&row, app.ledger.attempts(&row.id).await?)))
}

/// Send a callback again
///
/// It is due at once, with the same `webhook-id`, whether it was taken before or not.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/resend", operation_id = "resend_delivery", tag = "deliveries",
    security(("api_key" = ["deliveries"])), params(("id" = String, Path, description = "The delivery, its `webhook-id`", example = "msg_0123456789abcdef0123456789abcdef_1")),
    responses((status = 202, description = "It is due"))
)]
pub async fn resend(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.must(Scope::Deliveries)?;
    if !app.ledger.resend(&id).await? {
        return Err(missing());
    }
    app.signals.callbacks.notify_one();
    Ok(StatusCode::ACCEPTED)
}

/// Which deliveries to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Resend)]
struct Many {
    /// `dead`.
    #[schema(pattern = "^dead$", example = "dead")]
    status: String,
    /// A while such as `2d`, or a time: only those that died since.
    #[schema(example = "2d")]
    since: Option<String>,
}

/// How many there were.
#[derive(Serialize, ToSchema)]
pub struct Resent {
    /// Due again.
    #[schema(example = 3)]
    resent: u64,
    /// Left alone, since a later outcome of their upload has been told.
    #[schema(example = 1)]
    superseded: u64,
}

/// Send dead callbacks again
///
/// Every dead one, or every one that died since. Those whose upload has told a later outcome are left alone.
#[utoipa::path(
    post, path = "/v1/deliveries/resend", operation_id = "resend_deliveries", tag = "deliveries",
    security(("api_key" = ["deliveries"])),
    request_body(content = Many, example = json!({"status": "dead", "since": "2d"})),
    responses(
        (status = 202, description = "They are due", body = Resent),
        (status = 415, description = "`invalid_request`: the body does not say that it is JSON",
         body = ProblemDocument, content_type = "application/problem+json")
    )
)]
pub async fn resend_many(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Unread,
) -> Result<(StatusCode, Json<Resent>), Problem> {
    let may = caller.must(Scope::Deliveries)?;
    let body = body.read(&app, &may).await?;
    let many: Many = serde_json::from_value(json_body(&headers, &body)?).map_err(|_| {
        Problem::invalid("the body is not {\"status\": \"dead\"}, or {\"status\": \"dead\", \"since\": \"2d\"}")
    })?;
    if many.status != DeliveryStatus::Dead.as_str() {
        return Err(Problem::invalid(
            "`status` must be \"dead\": the others are sent, or will be, without being asked",
        ));
    }
    let since = many.since.as_deref().map(|text| {
        parse_since(text, OffsetDateTime::now_utc()).map_err(|why| Problem::invalid(format!("`since`: {why}")))
    });
    let done = resend_dead(app.ledger.as_ref(), since.transpose()?).await?;
    app.signals.callbacks.notify_one();
    Ok((StatusCode::ACCEPTED, Json(Resent { resent: done.resent, superseded: done.superseded })))
}

fn missing() -> Problem {
    Problem::not_found("there is no such delivery")
}
