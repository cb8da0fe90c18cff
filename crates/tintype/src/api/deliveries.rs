//! `/v1/deliveries`: the callback log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::auth::Caller;
use super::extract::{Body, Id, Params};
use super::paging::{Listing, next};
use super::problem::Problem;
use super::uploads::json_body;
use crate::app::App;
use crate::auth::Scope;
use crate::callback::log::entry;
use crate::callback::resend::{parse_since, resend_dead};
use crate::ledger::DeliveryStatus;
use crate::upload::UploadId;

/// Deliveries of one upload only.
#[derive(Deserialize)]
pub struct OfUpload {
    upload: Option<String>,
}

/// Newest first, each with its attempts; `?status=&upload=&cursor=&limit=`.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(query): Params<Listing>,
    Params(of): Params<OfUpload>,
) -> Result<Json<Value>, Problem> {
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
        deliveries.push(entry(row, &app.ledger.attempts(&row.id).await?));
    }
    Ok(Json(json!({"deliveries": deliveries, "cursor": cursor})))
}

/// One of them.
pub async fn one(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Json<Value>, Problem> {
    caller.must(Scope::Deliveries)?;
    let row = app.ledger.delivery(&id).await?.ok_or_else(missing)?;
    Ok(Json(entry(&row, &app.ledger.attempts(&row.id).await?)))
}

/// Due again at once.
pub async fn resend(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.must(Scope::Deliveries)?;
    if !app.ledger.resend(&id).await? {
        return Err(missing());
    }
    app.signals.callbacks.notify_one();
    Ok(StatusCode::ACCEPTED)
}

/// Which deliveries to send again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    status: String,
    since: Option<String>,
}

/// Every dead one, or every one that died since: `{"status": "dead", "since": "2d"}`.
pub async fn resend_many(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must(Scope::Deliveries)?;
    let many: Many = serde_json::from_value(json_body(&headers, &body)?)
        .map_err(|e| Problem::invalid(format!("{e}; send {{\"status\": \"dead\", \"since\": \"2d\"}}")))?;
    if many.status != DeliveryStatus::Dead.as_str() {
        return Err(Problem::invalid(
            "`status` must be \"dead\": the others are sent, or will be, without being asked",
        ));
    }
    let since = many.since.as_deref().map(|text| {
        parse_since(text, OffsetDateTime::now_utc())
            .ok_or_else(|| Problem::invalid("`since` must be a while such as \"2d\", or a time of RFC 3339"))
    });
    let done = resend_dead(app.ledger.as_ref(), since.transpose()?).await?;
    app.signals.callbacks.notify_one();
    Ok((StatusCode::ACCEPTED, Json(json!({"resent": done.resent, "superseded": done.superseded}))))
}

fn missing() -> Problem {
    Problem::not_found("there is no such delivery")
}
