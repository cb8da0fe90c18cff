//! Pub/Sub's push: Cloud Storage's notices as messages of a topic.
//!
//! <https://cloud.google.com/storage/docs/pubsub-notifications>

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    event_type: String,
    bucket_id: String,
    object_id: String,
    object_generation: Option<String>,
}

/// Whether this is a message that Pub/Sub pushed, of whatever it may be.
pub fn is_push(value: &Value) -> bool {
    value.get("subscription").is_some() && value.get("message").is_some_and(Value::is_object)
}

/// The object that was created; none for notices of another kind.
pub fn read(value: &Value) -> Result<Vec<Read>, EventError> {
    let message = &value["message"];
    let attributes = Attributes::deserialize(&message["attributes"])
        .map_err(|e| EventError::Unknown(format!("it is no notice of Cloud Storage: {e}")))?;
    if attributes.event_type != "OBJECT_FINALIZE" {
        return Ok(Vec::new());
    }
    Ok(named(attributes.object_id, |key| StorageEvent {
        bucket: Some(attributes.bucket_id),
        key,
        size: size(message),
        // The one in the data is of the JSON API, and no other API's; the generation says more.
        etag: None,
        version: attributes.object_generation.clone(),
        sequencer: attributes.object_generation,
    }))
}

/// The data is the object's resource, or nothing, as the notification was made.
fn size(message: &Value) -> Option<u64> {
    let data = STANDARD.decode(message.get("data")?.as_str()?).ok()?;
    let resource: Value = serde_json::from_slice(&data).ok()?;
    resource.get("size")?.as_str()?.parse().ok()
}
