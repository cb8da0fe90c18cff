//! Step 5: what a store says of an object, in any provider's envelope, as one [`StorageEvent`].

#[cfg(feature = "server")]
pub mod accept;
#[cfg(feature = "server")]
pub mod auth;
mod eventbridge;
pub mod eventgrid;
mod lambda;
pub mod order;
mod pubsub;
mod s3;
mod sns;
pub mod sqs;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Key;
use crate::store::Pin;

/// Most envelopes around one event: S3 in SNS in SQS, dead-lettered and moved to a queue, is four.
const DEEPEST: usize = 6;

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
    /// Which version of the object, in a bucket that keeps them.
    #[serde(default)]
    pub version: Option<String>,
    /// The store's own order of what happened to one key, where it tells it: a later event's is greater.
    #[serde(default)]
    pub sequencer: Option<String>,
}

impl StorageEvent {
    /// The state of the object that this event tells of.
    pub fn pin(&self) -> Pin {
        Pin { etag: self.etag.clone(), version: self.version.clone(), sequencer: self.sequencer.clone() }
    }
}

/// Why a message is no envelope that is known here.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// Not JSON, or of no known shape.
    #[error(
        "the body is no storage event: {0}. Send an S3 event notification ({{\"Records\": [...]}}), as it is or as SNS, SQS or EventBridge wrap it, or what Pub/Sub or Event Grid push of a store"
    )]
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

/// Reads every record of an envelope, and of the envelopes inside it. Notices that no object was created (removals,
/// test events) give none.
///
/// # Errors
/// When the message is of no known shape; it would fail the same way again.
pub fn parse(body: &[u8]) -> Result<Vec<StorageEvent>, EventError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| EventError::Unknown(e.to_string()))?;
    parse_value(&value)
}

/// The same of JSON that is read already.
///
/// # Errors
/// When the message is of no known shape; it would fail the same way again.
pub fn parse_value(value: &Value) -> Result<Vec<StorageEvent>, EventError> {
    read(value, 0)
}

/// Reads an envelope that is `depth` envelopes deep.
fn read(value: &Value, depth: usize) -> Result<Vec<StorageEvent>, EventError> {
    if depth > DEEPEST {
        return Err(EventError::Unknown(format!("it is wrapped more than {DEEPEST} times")));
    }
    if let Some(Value::Array(records)) = value.get("Records") {
        let lists = records.iter().enumerate().map(|(index, record)| read_record(record, index, depth));
        return Ok(lists.collect::<Result<Vec<_>, _>>()?.concat());
    }
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if let Some(payload) = lambda::failed_payload(value) {
        return read(payload, depth + 1);
    }
    if let Some(message) = sns::notification(value) {
        return read_text(message, depth);
    }
    if eventbridge::is_event(value) {
        return eventbridge::read(value);
    }
    if pubsub::is_push(value) {
        return pubsub::read(value);
    }
    if let Some(events) = eventgrid::events(value) {
        let lists = events.into_iter().enumerate().map(|(index, event)| eventgrid::read(event, index));
        return Ok(lists.collect::<Result<Vec<_>, _>>()?.concat());
    }
    Err(EventError::Unknown("it has no `Records`".into()))
}

/// A record says whose it is: S3's own, or a message that SQS or SNS carried.
fn read_record(record: &Value, index: usize, depth: usize) -> Result<Vec<StorageEvent>, EventError> {
    match sqs::body(record).or_else(|| sns::message(record)) {
        Some(inner) => read_text(inner, depth),
        None => s3::record(record, index),
    }
}

/// An envelope that is a text inside another.
fn read_text(text: &str, depth: usize) -> Result<Vec<StorageEvent>, EventError> {
    let value = serde_json::from_str(text).map_err(|e| EventError::Unknown(e.to_string()))?;
    read(&value, depth + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn s3() -> Value {
        let record = |key: &str| {
            json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
                   "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 3, "eTag": "abc", "versionId": "v1"}}})
        };
        json!({"Records": [record("temp/a+b"), record("temp/c")]})
    }

    fn in_sqs(bodies: &[&Value]) -> Value {
        let record = |body: &&Value| json!({"messageId": "m", "eventSource": "aws:sqs", "body": body.to_string()});
        json!({"Records": bodies.iter().map(record).collect::<Vec<_>>()})
    }

    fn in_sns(message: &Value) -> Value {
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": message.to_string()}}]})
    }

    fn notification(message: &Value) -> Value {
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": message.to_string()})
    }

    fn eventbridge(kind: &str, key: &str) -> Value {
        json!({"version": "0", "source": "aws.s3", "detail-type": kind,
               "detail": {"bucket": {"name": "b"}, "object": {"key": key, "size": 3, "etag": "abc", "version-id": "v1"}}})
    }

    fn pubsub(kind: &str, key: &str) -> Value {
        // {"size": "3"}
        json!({"message": {"attributes": {"eventType": kind, "bucketId": "b", "objectId": key, "objectGeneration": "17"},
                           "data": "eyJzaXplIjogIjMifQ==", "messageId": "1"}, "subscription": "projects/p/subscriptions/s"})
    }

    fn eventgrid(kind: &str, key: &str) -> Value {
        json!({"id": "1", "topic": "/subscriptions/x", "subject": format!("/blobServices/default/containers/b/blobs/{key}"),
               "eventType": kind, "data": {"api": "PutBlob", "contentLength": 3, "eTag": "0x8D", "url": "https://a/b"}})
    }

    fn cloud_event(kind: &str, key: &str) -> Value {
        let mut event = eventgrid(kind, key);
        event["type"] = event["eventType"].take();
        event["specversion"] = "1.0".into();
        event.as_object_mut().unwrap().remove("eventType");
        event
    }

    fn keys(value: &Value) -> Vec<String> {
        parse(value.to_string().as_bytes()).unwrap().into_iter().map(|event| event.key.into()).collect()
    }

    #[test]
    fn every_record_of_every_envelope_counts() {
        let two = ["temp/a b", "temp/c"];
        assert_eq!(keys(&s3()), two);
        assert_eq!(keys(&in_sns(&s3())), two);
        assert_eq!(keys(&in_sqs(&[&s3()])), two);
        assert_eq!(keys(&in_sqs(&[&s3(), &s3()])), [two, two].concat());
        assert_eq!(keys(&in_sqs(&[&notification(&s3())])), two);
        assert_eq!(keys(&eventbridge("Object Created", "temp/a+b %20")), ["temp/a+b %20"]);
        assert_eq!(keys(&in_sqs(&[&eventbridge("Object Created", "temp/a")])), ["temp/a"]);
    }

    #[test]
    fn what_a_dead_letter_queue_gives_back_is_understood() {
        let failed = json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"},
                            "requestPayload": in_sns(&s3()), "responsePayload": {"errorMessage": "why"}});
        let dead = [s3(), in_sns(&s3()), in_sqs(&[&notification(&s3())]), failed];
        for event in &dead {
            assert_eq!(keys(&in_sqs(&[event])), ["temp/a b", "temp/c"], "{event}");
        }
    }

    #[test]
    fn every_envelope_tells_version_size_and_etag() {
        for event in [s3(), in_sns(&s3()), eventbridge("Object Created", "temp/c")] {
            let event = parse(event.to_string().as_bytes()).unwrap().pop().unwrap();
            let told = (event.version.as_deref(), event.size, event.etag.as_deref(), event.bucket.as_deref());
            assert_eq!(told, (Some("v1"), Some(3), Some("abc"), Some("b")));
        }
    }

    #[test]
    fn google_and_azure_say_what_was_created() {
        let told = |value: &Value| {
            let event = parse(value.to_string().as_bytes()).unwrap().remove(0);
            (event.bucket.unwrap(), String::from(event.key), event.size, event.version, event.etag)
        };
        let key = "temp/a+b %20/blobs/c.jpg";
        let of = |version: Option<&str>, etag: Option<&str>| {
            ("b".to_owned(), key.to_owned(), Some(3), version.map(str::to_owned), etag.map(str::to_owned))
        };
        assert_eq!(told(&pubsub("OBJECT_FINALIZE", key)), of(Some("17"), None));
        let created = "Microsoft.Storage.BlobCreated";
        for event in [json!([eventgrid(created, key)]), cloud_event(created, key), json!([cloud_event(created, key)])] {
            assert_eq!(told(&event), of(None, Some("0x8D")), "{event}");
        }
        assert_eq!(keys(&json!([eventgrid(created, "a"), eventgrid(created, "b")])), ["a", "b"]);
        for other in [pubsub("OBJECT_DELETE", "a"), json!([eventgrid("Microsoft.Storage.BlobDeleted", "a")])] {
            assert_eq!(keys(&other), [""; 0], "{other}");
        }
    }

    #[test]
    fn what_google_and_azure_send_of_others_is_refused() {
        let mut chat = pubsub("OBJECT_FINALIZE", "a");
        chat["message"]["attributes"] = json!({"text": "hello"});
        let mut nowhere = eventgrid("Microsoft.Storage.BlobCreated", "a");
        nowhere["subject"] = "/blobServices/default/containers/b".into();
        for bad in
            [chat, json!([nowhere]), json!([eventgrid("Microsoft.Storage.BlobCreated", "a"), {"eventType": "x"}])]
        {
            assert!(parse(bad.to_string().as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn notices_that_nothing_was_created_are_no_work() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
        for event in [&test, &in_sqs(&[&test]), &in_sqs(&[&notification(&test)]), &eventbridge("Object Deleted", "a")] {
            assert_eq!(keys(event), [""; 0], "{event}");
        }
    }

    #[test]
    fn nonsense_and_endless_wrapping_are_refused() {
        for bad in ["", "[]", "{}", "{\"Records\": 1}", "\"x\"", "{\"Type\": \"Notification\", \"Message\": \"hello\"}"]
        {
            assert!(matches!(parse(bad.as_bytes()), Err(EventError::Unknown(_))), "{bad}");
        }
        let wrapped = (0..20).fold(s3(), |inner, _| notification(&inner));
        assert!(matches!(parse(wrapped.to_string().as_bytes()), Err(EventError::Unknown(_))));
    }
}
