//! SNS: as Lambda gets it, and as it lies in a queue or comes by HTTP.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>

use serde_json::Value;

/// The message in a record that SNS invokes a function with.
pub fn message(record: &Value) -> Option<&str> {
    record.get("Sns")?.get("Message")?.as_str()
}

/// The message in a notification without raw delivery.
pub fn notification(value: &Value) -> Option<&str> {
    (value.get("Type")?.as_str()? == "Notification").then(|| value.get("Message")?.as_str())?
}
