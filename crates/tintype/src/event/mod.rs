//! Step 5: what a store says of an object, in any provider's envelope, as one [`StorageEvent`].

#[cfg(feature = "server")]
pub mod accept;
#[cfg(feature = "server")]
pub mod auth;
mod b2;
mod eventbridge;
pub mod eventgrid;
mod lambda;
pub mod order;
mod pubsub;
mod r2;
mod s3;
mod sns;
pub mod sqs;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::Key;
use crate::store::Pin;

/// Most envelopes around one event: S3 in SNS in SQS, dead-lettered and moved to a queue, is four.
const DEEPEST: usize = 6;
/// Longest name, in characters, that an answer or the log repeats of an object that cannot be an original.
const LONGEST_NAME: usize = 1024;

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
        Pin { etag: self.etag.clone(), version: self.version.clone(), sequencer: self.sequencer.clone(), sha256: None }
    }
}

/// One record of an envelope: an object that was created, or why the record is passed over.
pub type Read = Result<StorageEvent, Unusable>;

/// A record that names no possible original. It would be no work however often it came, and its neighbours are not held
/// back by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key:?}: {reason}")]
pub struct Unusable {
    /// What it names, cut to the length of a key; empty where it names nothing that can be read.
    pub key: String,
    /// Why that is no original.
    pub reason: String,
}

/// The events of records, and the records that are passed over.
pub fn split(records: Vec<Read>) -> (Vec<StorageEvent>, Vec<Unusable>) {
    let (mut events, mut unusable) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Ok(event) => events.push(event),
            Err(why) => unusable.push(why),
        }
    }
    (events, unusable)
}

/// Why a message is no envelope that is known here.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// Not JSON, or of no known shape.
    #[error(
        "the body is no storage event: {0}. Send an S3 event notification ({{\"Records\": [...]}}), as it is or as SNS, SQS or EventBridge wrap it, or what Pub/Sub, Event Grid, R2 or B2 send of a store"
    )]
    Unknown(String),
    /// A record is of no known shape.
    #[error("record {index}: {reason}")]
    Record {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads every record of an envelope, and of the envelopes inside it, each by itself. Notices that no object was created
/// (removals, test events) give none.
///
/// # Errors
/// When the message is of no known shape; it would fail the same way again.
pub fn parse(body: &[u8]) -> Result<Vec<Read>, EventError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| EventError::Unknown(e.to_string()))?;
    parse_value(&value)
}

/// The same of JSON that is read already.
///
/// # Errors
/// When the message is of no known shape; it would fail the same way again.
pub fn parse_value(value: &Value) -> Result<Vec<Read>, EventError> {
    read(value, 0)
}

/// Reads an envelope that is `depth` envelopes deep.
fn read(value: &Value, depth: usize) -> Result<Vec<Read>, EventError> {
    if depth > DEEPEST {
        return Err(EventError::Unknown(format!("it is wrapped more than {DEEPEST} times")));
    }
    if let Some(Value::Array(records)) = value.get("Records") {
        return each(records.iter().enumerate().map(|(index, record)| read_record(record, index, depth)));
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
        return each(events.into_iter().enumerate().map(|(index, event)| eventgrid::read(event, index)));
    }
    if let Some(messages) = r2::messages(value) {
        return each(messages.into_iter().enumerate().map(|(index, message)| r2::read(message, index)));
    }
    if let Some(events) = b2::events(value) {
        return each(events.iter().enumerate().map(|(index, event)| b2::read(event, index)));
    }
    Err(EventError::Unknown("it has no `Records`".into()))
}

/// Judges each record alone. Of one that is of no known shape nothing can be done, and the others go on; where all are, so
/// is the envelope.
fn each(records: impl Iterator<Item = Result<Vec<Read>, EventError>>) -> Result<Vec<Read>, EventError> {
    let (mut read, mut known, mut unknown) = (Vec::new(), false, None);
    for record in records {
        match record {
            Ok(records) => {
                read.extend(records);
                known = true;
            }
            Err(error) => {
                read.push(Err(Unusable { key: String::new(), reason: error.to_string() }));
                unknown.get_or_insert(error);
            }
        }
    }
    match unknown {
        Some(error) if !known => Err(error),
        _ => Ok(read),
    }
}

/// The event of an object by its name, if that can be an original's.
fn named(name: String, event: impl FnOnce(Key) -> StorageEvent) -> Vec<Read> {
    let unusable = |name: &str, reason: String| Unusable { key: name.chars().take(LONGEST_NAME).collect(), reason };
    let read = match Key::new(name.as_str()) {
        Ok(key) => Ok(event(key)),
        // As consoles make folders.
        Err(_) if name.ends_with('/') => Err(unusable(&name, "it is a folder, not an image".to_owned())),
        Err(why) => Err(unusable(&name, why.to_string())),
    };
    vec![read]
}

/// A record says whose it is: S3's own, or a message that SQS or SNS carried.
fn read_record(record: &Value, index: usize, depth: usize) -> Result<Vec<Read>, EventError> {
    match sqs::body(record).or_else(|| sns::message(record)) {
        Some(inner) => read_text(inner, depth),
        None => s3::record(record, index),
    }
}

/// An envelope that is a text inside another.
fn read_text(text: &str, depth: usize) -> Result<Vec<Read>, EventError> {
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
        parse(value.to_string().as_bytes()).unwrap().into_iter().map(|event| event.unwrap().key.into()).collect()
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
            let event = parse(event.to_string().as_bytes()).unwrap().pop().unwrap().unwrap();
            let told = (event.version.as_deref(), event.size, event.etag.as_deref(), event.bucket.as_deref());
            assert_eq!(told, (Some("v1"), Some(3), Some("abc"), Some("b")));
        }
    }

    #[test]
    fn google_and_azure_say_what_was_created() {
        let told = |value: &Value| {
            let event = parse(value.to_string().as_bytes()).unwrap().remove(0).unwrap();
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
    fn a_record_is_judged_alone() {
        let record = |key: &str| json!({"eventSource": "ceph:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": key}}});
        let long = "x".repeat(5000);
        let odd = ["temp/folder/", "a//b", "temp/../b", "temp/a\0b", long.as_str()];
        let records: Vec<_> = [&["temp/a"][..], &odd, &["temp/z"]].concat().into_iter().map(record).collect();
        let mixed = json!({"Records": records});
        for envelope in [mixed.clone(), in_sns(&mixed), in_sqs(&[&mixed]), in_sqs(&[&notification(&mixed)])] {
            let (events, unusable) = split(parse_value(&envelope).unwrap());
            assert_eq!(events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), ["temp/a", "temp/z"]);
            let keys: Vec<_> = unusable.iter().map(|record| record.key.as_str()).collect();
            assert_eq!(keys, [odd[0], odd[1], odd[2], odd[3], &long[..LONGEST_NAME]]);
            assert_eq!(unusable[0].reason, "it is a folder, not an image");
            assert!(unusable[4].reason.contains("too long"), "{}", unusable[4].reason);
        }
    }

    #[test]
    fn a_record_of_no_known_shape_is_passed_over_unless_all_are() {
        let record = |record: Value| json!({"Records": [record, s3()["Records"][0]]});
        let bodies = in_sqs(&[&json!("hello"), &s3()]);
        for (odd, good) in [(record(json!({"eventName": 1})), 1), (record(json!({})), 1), (bodies, 2)] {
            let (events, unusable) = split(parse_value(&odd).unwrap());
            assert_eq!((events.len(), unusable.len()), (good, 1), "{odd}");
        }
        for odd in [json!({"Records": [{}]}), json!({"Records": [{}, {"eventName": 1}]}), in_sqs(&[&json!("hello")])] {
            assert!(parse_value(&odd).is_err(), "{odd}");
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
