//! `/v1/deliveries`: the callback log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::auth::Caller;
use super::extract::{Id, Params};
use super::paging::{Listing, next};
use super::problem::Problem;
use crate::app::App;
use crate::auth::Scope;
use crate::ledger::{Attempt, Delivery, DeliveryStatus};
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
        deliveries.push(view(row, &app.ledger.attempts(&row.id).await?));
    }
    Ok(Json(json!({"deliveries": deliveries, "cursor": cursor})))
}

/// Due again at once.
pub async fn resend(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<StatusCode, Problem> {
    caller.must(Scope::Deliveries)?;
    if !app.ledger.resend(&id).await? {
        return Err(Problem::not_found("there is no such delivery"));
    }
    app.signals.callbacks.notify_one();
    Ok(StatusCode::ACCEPTED)
}

fn view(row: &Delivery, attempts: &[Attempt]) -> Value {
    let at = |time: time::OffsetDateTime| time.format(&Rfc3339).ok();
    json!({
        "id": row.id,
        "upload_id": row.upload_id,
        "url": row.url,
        "method": row.method,
        "status": row.status,
        "attempts": attempts,
        "next_attempt_at": if row.status == DeliveryStatus::Pending { at(row.due_at) } else { None },
        "created_at": at(row.created_at),
        "body": serde_json::from_str::<Value>(&row.body).ok(),
    })
}
