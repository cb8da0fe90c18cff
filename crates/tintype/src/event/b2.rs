//! Backblaze B2: the event notifications that it pushes. Names come as they are, not encoded.
//!
//! <https://www.backblaze.com/docs/cloud-storage-event-notifications-reference-guide>

use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

/// What the types of all events begin with.
const TYPES: &str = "b2:";
/// What the types of those begin with that leave a new object behind: `Upload`, `MultipartUpload`, `Copy`, and replicas.
const CREATED: &str = "b2:ObjectCreated:";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    bucket_name: String,
    object_name: String,
    object_size: Option<u64>,
    object_version_id: Option<String>,
}

/// The events of a body; none when it is not B2's.
pub fn events(value: &Value) -> Option<&Vec<Value>> {
    let list = value.get("events")?.as_array()?;
    list.iter().all(|event| kind(event).starts_with(TYPES)).then_some(list)
}

fn kind(event: &Value) -> &str {
    event.get("eventType").and_then(Value::as_str).unwrap_or_default()
}

/// The object that one event says was created; none for events of another kind, such as `b2:TestEvent`.
pub fn read(value: &Value, index: usize) -> Result<Vec<Read>, EventError> {
    if !kind(value).starts_with(CREATED) {
        return Ok(Vec::new());
    }
    let event = Event::deserialize(value).map_err(|e| EventError::Record { index, reason: e.to_string() })?;
    Ok(named(event.object_name, |key| StorageEvent {
        bucket: Some(event.bucket_name),
        key,
        size: event.object_size,
        etag: None,
        version: event.object_version_id.filter(|version| !version.is_empty()),
        sequencer: None,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::parse_value;
    use super::*;

    fn event(kind: &str, name: &str) -> Value {
        json!({"accountId": "e85c6a5a0b1d", "bucketId": "aea8c5bc362ae55070130333", "bucketName": "my-bucket",
               "eventId": "53f9d8f4c1f5", "eventTimestamp": 1684793309123_u64, "eventType": kind, "eventVersion": 1,
               "matchedRuleName": "uploads", "objectName": name, "objectSize": 10495842,
               "objectVersionId": "4_zaea8c5bc362ae55070130333_f117c7bd5d6c6597c_d20230521_m235957_c001_v0001044_t0052_u01684713597235"})
    }

    #[test]
    fn every_created_object_of_a_push_counts() {
        let push = json!({"events": [
            event("b2:ObjectCreated:Upload", "temp/a+b %20.jpg"), event("b2:ObjectCreated:MultipartUpload", "temp/b"),
            event("b2:ObjectCreated:Copy", "temp/c"), event("b2:ObjectDeleted:Delete", "temp/d"),
            event("b2:HideMarkerCreated:Hide", "temp/e"), event("b2:ObjectCreated:Upload", "temp/folder/"),
        ]});
        let read = parse_value(&push).unwrap();
        let keys: Vec<_> = read.iter().map(|one| one.as_ref().map(|event| event.key.as_str()).ok()).collect();
        assert_eq!(keys, [Some("temp/a+b %20.jpg"), Some("temp/b"), Some("temp/c"), None]);
        let event = read[0].as_ref().unwrap();
        assert_eq!((event.bucket.as_deref(), event.size, &event.etag), (Some("my-bucket"), Some(10_495_842), &None));
        assert!(event.version.as_ref().unwrap().starts_with("4_z"));
    }

    #[test]
    fn a_test_is_no_work_and_others_lists_of_events_are_refused() {
        assert_eq!(parse_value(&json!({"events": [{"eventType": "b2:TestEvent"}]})), Ok(Vec::new()));
        assert!(parse_value(&json!({"events": [{"eventType": "push"}]})).is_err());
        assert!(parse_value(&json!({"events": [event("b2:ObjectCreated:Upload", "a"), {"eventType": "x"}]})).is_err());
    }
}
