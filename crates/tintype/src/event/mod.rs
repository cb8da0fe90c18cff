//! Step 5: what a store says of an object, in any provider's envelope, as one [`StorageEvent`].

pub mod accept;
mod s3;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Key;

/// A store's notice that an object was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageEvent {
    /// Where; the embedded store and some providers leave it out.
    pub bucket: Option<String>,
    /// Which object.
    pub key: Key,
    /// Bytes, if told.
    pub size: Option<u64>,
    /// Entity tag, unquoted, if told.
    pub etag: Option<String>,
}

/// Why a message is no envelope that is known here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// Not JSON, or of no known shape.
    #[error("the body is no storage event: {0}. Send an S3 event notification: {{\"Records\": [...]}}")]
    Unknown(String),
    /// A record names no possible key.
    #[error("record {index}: {reason}")]
    Record {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads every record of an envelope. Notices that no object was created (removals, test events) give none.
///
/// # Errors
/// When the message is of no known shape; it would fail the same way again.
pub fn parse(body: &[u8]) -> Result<Vec<StorageEvent>, EventError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| EventError::Unknown(e.to_string()))?;
    if value.get("Records").is_some_and(Value::is_array) {
        return s3::records(&value["Records"]);
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    Err(EventError::Unknown("it has no `Records`".into()))
}
