//! SQS: a batch of messages, each an envelope of its own, which is done or fails alone.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use serde_json::Value;

use super::{EventError, Read, read_text};

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What SQS calls it; what a failure is reported by.
    pub id: String,
    /// What it says.
    pub events: Result<Vec<Read>, EventError>,
}

/// The messages of a batch; none when this is no batch of SQS.
pub fn batch(value: &Value) -> Option<Vec<Message>> {
    let records = value.get("Records")?.as_array()?;
    let message = |record: &Value| {
        let id = record.get("messageId")?.as_str()?.to_owned();
        Some(Message { id, events: read_text(body(record)?, 0) })
    };
    records.iter().map(message).collect::<Option<Vec<_>>>().filter(|messages| !messages.is_empty())
}

/// The text in a record that SQS invokes a function with.
pub(super) fn body(record: &Value) -> Option<&str> {
    (record.get("eventSource")?.as_str()? == "aws:sqs").then(|| record.get("body")?.as_str())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_poisoned_message_leaves_its_neighbours_alone() {
        let good = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                                       "s3": {"bucket": {"name": "b"}, "object": {"key": "temp/a"}}}]});
        let record = |id: &str, body: String| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
        let value = json!({"Records": [record("1", good.to_string()), record("2", "hello".into())]});
        let messages = batch(&value).unwrap();
        assert_eq!(messages[0].events.as_ref().unwrap().len(), 1);
        assert_eq!((messages[1].id.as_str(), messages[1].events.is_err()), ("2", true));
    }

    #[test]
    fn other_records_are_no_batch() {
        assert_eq!(batch(&json!({"Records": [{"eventSource": "aws:s3"}]})), None);
        assert_eq!(batch(&json!({"Records": []})), None);
        assert_eq!(batch(&json!({})), None);
    }
}
