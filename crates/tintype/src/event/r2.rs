//! Cloudflare R2: the messages that a bucket's event notifications put in a queue, as a consumer sends them on: one, or a
//! list of them. Keys come as they are, not encoded.
//!
//! <https://developers.cloudflare.com/r2/buckets/event-notifications/#message-format>

use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

/// The actions that leave a new object behind.
const CREATED: [&str; 3] = ["PutObject", "CopyObject", "CompleteMultipartUpload"];

#[derive(Deserialize)]
struct Message {
    bucket: String,
    object: Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    size: Option<u64>,
    e_tag: Option<String>,
}

/// The messages of a body; none when it is not R2's.
pub fn messages(value: &Value) -> Option<Vec<&Value>> {
    let list: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    (!list.is_empty() && list.iter().all(|message| is_message(message))).then_some(list)
}

fn is_message(value: &Value) -> bool {
    ["account", "action", "bucket"].iter().all(|name| value.get(name).is_some_and(Value::is_string))
        && value.get("object").is_some_and(Value::is_object)
}

/// The object that one message says was created; none for messages of another kind.
pub fn read(value: &Value, index: usize) -> Result<Vec<Read>, EventError> {
    if !CREATED.iter().any(|action| value["action"] == *action) {
        return Ok(Vec::new());
    }
    let Message { bucket, object } =
        Message::deserialize(value).map_err(|e| EventError::Record { index, reason: e.to_string() })?;
    let Object { key, size, e_tag } = object;
    Ok(named(key, |key| StorageEvent {
        bucket: Some(bucket),
        key,
        size,
        etag: e_tag.map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| !tag.is_empty()),
        version: None,
        sequencer: None,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::parse_value;
    use super::*;

    /// As Cloudflare's documentation shows one.
    fn message(action: &str, key: &str) -> Value {
        json!({"account": "3f4b7e3dcab231cbfdaa90a6a28bd548", "action": action, "bucket": "my-bucket",
               "object": {"key": key, "size": 65536, "eTag": "c846ff7a18f28c2e262116d6e8719ef0"},
               "eventTime": "2024-05-24T19:36:44.379Z"})
    }

    #[test]
    fn what_was_put_copied_or_completed_is_created() {
        for action in CREATED {
            let event = parse_value(&message(action, "temp/a+b %20.jpg")).unwrap().remove(0).unwrap();
            assert_eq!((event.bucket.as_deref(), event.key.as_str()), (Some("my-bucket"), "temp/a+b %20.jpg"));
            assert_eq!((event.size, event.etag.as_deref()), (Some(65536), Some("c846ff7a18f28c2e262116d6e8719ef0")));
        }
        let mut deleted = message("DeleteObject", "temp/a");
        deleted["object"] = json!({"key": "temp/a"});
        assert_eq!(parse_value(&deleted), Ok(Vec::new()));
        assert_eq!(parse_value(&message("LifecycleDeletion", "temp/a")), Ok(Vec::new()));
    }

    #[test]
    fn a_batch_is_a_list() {
        let list =
            json!([message("PutObject", "temp/a"), message("DeleteObject", "temp/b"), message("PutObject", "temp//c")]);
        let read = parse_value(&list).unwrap();
        assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    }
}
