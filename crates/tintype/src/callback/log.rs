//! The log of deliveries, as the API and the command line show it.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::config::without_secrets;
use crate::ledger::{Attempt, Delivery, DeliveryStatus};
use crate::upload::UploadId;

/// One message to one endpoint, with its attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct Entry {
    /// The `webhook-id`.
    #[schema(example = "msg_0123456789abcdef0123456789abcdef_1")]
    id: String,
    upload_id: UploadId,
    /// Less what may be a secret.
    #[schema(example = "https://backend.example.com/images/12345")]
    url: String,
    /// `PUT` or `POST`.
    #[schema(example = "PUT")]
    method: String,
    /// `pending`, `delivered` or `dead`.
    #[schema(value_type = String, example = "delivered")]
    status: DeliveryStatus,
    /// Each `at`, `status` (HTTP), `error`, `millis`, `response`.
    #[schema(value_type = Vec<Object>, example = json!([{"at": "2026-05-01T12:30:02Z", "status": 200, "error": null, "millis": 41, "response": ""}]))]
    attempts: Vec<Attempt>,
    /// Null unless it is pending.
    #[serde(with = "time::serde::rfc3339::option")]
    next_attempt_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// What it says.
    #[schema(value_type = Option<Object>, example = json!({"id": "0123456789abcdef0123456789abcdef", "status": "completed"}))]
    body: Option<Value>,
}

/// A delivery with its attempts. Of its address what may be a secret is left out.
pub fn entry(row: &Delivery, attempts: Vec<Attempt>) -> Entry {
    Entry {
        id: row.id.clone(),
        upload_id: row.upload_id.clone(),
        url: without_secrets(&row.url).to_string(),
        method: row.method.clone(),
        status: row.status,
        attempts,
        next_attempt_at: (row.status == DeliveryStatus::Pending).then_some(row.due_at),
        created_at: row.created_at,
        body: serde_json::from_str(&row.body).ok(),
    }
}
