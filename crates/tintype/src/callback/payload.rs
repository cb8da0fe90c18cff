//! What a callback says, and how one from a remote processor is read.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Failure;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::upload::{Outcome, Upload};

/// The most letters of a remote processor's code, and of what it says.
const LONGEST_CODE: usize = 64;
const LONGEST_MESSAGE: usize = 1000;

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
        return Ok(Outcome::Failed(tidy(failure)));
    }
    if body.status.as_deref() == Some("completed") {
        let manifest = Manifest::deserialize(value).map_err(|e| format!("the manifest is not whole: {e}"))?;
        return Ok(Outcome::Completed(Box::new(manifest)));
    }
    let key = body.processed_key.ok_or("a result is a manifest with `status`, or `processed_key`, or `error`")?;
    Key::new(key).map(Outcome::Processed).map_err(|e| e.to_string())
}

/// A failure in somebody else's words: one line, no longer than anyone reads, as logs and terminals show it.
fn tidy(failure: Failure) -> Failure {
    let line = |text: &str, most: usize| -> String {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
    };
    Failure { code: line(&failure.code, LONGEST_CODE).into(), message: line(&failure.message, LONGEST_MESSAGE) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_others_say_is_one_short_line() {
        let said = |error: Value| match parse(&json!({"status": "failed", "error": error})).unwrap() {
            Outcome::Failed(failure) => failure,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(json!({"code": "corrupt", "message": "cut off"})), Failure::new("corrupt", "cut off"));
        let odd = said(json!({"code": "a".repeat(100), "message": format!("\u{1b}[31m\n{}", "é".repeat(5000))}));
        assert_eq!((odd.code.len(), odd.message.chars().count()), (64, 1000));
        assert!(!odd.message.contains(char::is_control));
        assert_eq!(said(json!("one\ntwo")), Failure::new("processing_failed", "one two"));
    }
}
