//! What Lambda sends to an on-failure destination: the event that failed, and why.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>

use serde_json::Value;

/// The event that failed.
pub fn failed_payload(value: &Value) -> Option<&Value> {
    value.get("requestContext")?;
    value.get("requestPayload")
}
