//! What a callback says, and how one from a remote processor is read.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Failure;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::upload::{Outcome, Upload};

/// The body: the upload's id and status, and the manifest or the reason.
pub fn body(upload: &Upload, outcome: &Outcome) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), upload.id.as_str().into());
    match outcome {
        Outcome::Completed(manifest) => {
            body.insert("status".into(), "completed".into());
            body.insert("processed_key".into(), json!(manifest.processed_key()));
            if let Ok(Value::Object(fields)) = serde_json::to_value(manifest) {
                body.extend(fields);
            }
        }
        Outcome::Processed(key) => {
            body.insert("status".into(), "completed".into());
            body.insert("processed_key".into(), json!(key));
            body.insert("metadata".into(), json!(upload.policy.metadata));
        }
        Outcome::Failed(failure) => {
            body.insert("status".into(), "failed".into());
            body.insert("error".into(), json!(failure));
            body.insert("original".into(), json!({"key": upload.key}));
            body.insert("metadata".into(), json!(upload.policy.metadata));
        }
    }
    Value::Object(body)
}

/// The same of an upload that its backend did not claim in time: it is gone. A backend that knows no such status takes it
/// for a failure.
pub fn expired(upload: &Upload) -> Value {
    let failure = Failure::new("expired", "nobody claimed it in time: its original and every variant were removed");
    let mut body = body(upload, &Outcome::Failed(failure));
    body["status"] = "expired".into();
    body["metadata"] = match &upload.manifest {
        Some(manifest) => json!(manifest.metadata),
        None => json!(upload.policy.metadata),
    };
    body
}

#[derive(Deserialize)]
struct Body {
    status: Option<String>,
    processed_key: Option<String>,
    error: Option<Value>,
}

/// Reads a callback's body: Tintype's own, or the seed's `{"processed_key"}` or `{"error"}`.
///
/// # Errors
/// A sentence that says what is missing.
pub fn parse(value: &Value) -> Result<Outcome, String> {
    let body = Body::deserialize(value).map_err(|e| e.to_string())?;
    if let Some(error) = body.error.filter(|error| !error.is_null()) {
        let failure = Failure::deserialize(&error).unwrap_or_else(|_| {
            Failure::new("processing_failed", error.as_str().map_or_else(|| error.to_string(), str::to_owned))
        });
        return Ok(Outcome::Failed(failure));
    }
    if body.status.as_deref() == Some("completed") {
        let manifest = Manifest::deserialize(value).map_err(|e| format!("the manifest is not whole: {e}"))?;
        return Ok(Outcome::Completed(Box::new(manifest)));
    }
    let key = body.processed_key.ok_or("a result is a manifest with `status`, or `processed_key`, or `error`")?;
    Key::new(key).map(Outcome::Processed).map_err(|e| e.to_string())
}
