//! EventBridge's "Object Created" events of S3. Keys come as they are, not encoded.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Object {
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// Whether this is an event of EventBridge at all.
pub fn is_event(value: &Value) -> bool {
    value.get("detail-type").is_some() && value.get("detail").is_some()
}

/// The object that was created; none for events of another kind.
pub fn read(value: &Value) -> Result<Vec<Read>, EventError> {
    if value["detail-type"] != "Object Created" {
        return Ok(Vec::new());
    }
    let bad = |reason: String| EventError::Record { index: 0, reason };
    let Detail { bucket, object } = Detail::deserialize(&value["detail"]).map_err(|e| bad(e.to_string()))?;
    Ok(named(object.key, |key| StorageEvent {
        bucket: Some(bucket.name),
        key,
        size: object.size,
        etag: object.etag.filter(|tag| !tag.is_empty()),
        version: object.version_id.filter(|version| !matches!(version.as_str(), "" | "null")),
        sequencer: object.sequencer.filter(|order| !order.is_empty()),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::read;

    #[test]
    fn null_is_no_version() {
        let version = |id: &str| {
            let object = json!({"key": "temp/a", "version-id": id});
            let event = json!({"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": object}});
            read(&event).unwrap().remove(0).unwrap().version
        };
        assert_eq!(version("v1").as_deref(), Some("v1"));
        assert_eq!((version("null"), version("")), (None, None));
    }
}
