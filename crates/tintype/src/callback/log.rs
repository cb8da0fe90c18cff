//! The log of deliveries, as the API and the command line show it.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::without_secrets;
use crate::ledger::{Attempt, Delivery, DeliveryStatus};

/// A delivery with its attempts. Of its address what may be a secret is left out.
pub fn entry(row: &Delivery, attempts: &[Attempt]) -> Value {
    let at = |time: OffsetDateTime| time.format(&Rfc3339).ok();
    json!({
        "id": row.id,
        "upload_id": row.upload_id,
        "url": without_secrets(&row.url),
        "method": row.method,
        "status": row.status,
        "attempts": attempts,
        "next_attempt_at": if row.status == DeliveryStatus::Pending { at(row.due_at) } else { None },
        "created_at": at(row.created_at),
        "body": serde_json::from_str::<Value>(&row.body).ok(),
    })
}
