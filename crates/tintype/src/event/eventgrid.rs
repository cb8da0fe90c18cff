//! Event Grid: Azure Blob Storage's events, in its own schema (a list) and in CloudEvents' (one, or a list).
//!
//! <https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage>

use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

/// What Event Grid asks before it pushes.
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

#[derive(Deserialize)]
struct Event {
    subject: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    content_length: Option<u64>,
    e_tag: Option<String>,
}

/// The events of a body; none when it is none of Event Grid's.
pub fn events(value: &Value) -> Option<Vec<&Value>> {
    let list: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    (!list.is_empty() && list.iter().all(|event| kind(event).starts_with("Microsoft."))).then_some(list)
}

/// `eventType` in Event Grid's schema, `type` in CloudEvents'.
fn kind(event: &Value) -> &str {
    event.get("eventType").or_else(|| event.get("type")).and_then(Value::as_str).unwrap_or_default()
}

/// The code that is to be answered where a subscription is validated.
pub fn validation_code(value: &Value) -> Option<&str> {
    let event = events(value)?.into_iter().find(|event| kind(event) == VALIDATION)?;
    event.get("data")?.get("validationCode")?.as_str()
}

/// The blob that one event says was created; none for events of another kind.
pub fn read(value: &Value, index: usize) -> Result<Vec<Read>, EventError> {
    let bad = |reason: String| EventError::Record { index, reason };
    if kind(value) != "Microsoft.Storage.BlobCreated" {
        return Ok(Vec::new());
    }
    let Event { subject, data } = Event::deserialize(value).map_err(|e| bad(e.to_string()))?;
    let (container, name) = place(&subject).ok_or_else(|| bad("its subject names no blob".to_owned()))?;
    Ok(named(name.to_owned(), |key| StorageEvent {
        bucket: Some(container.to_owned()),
        key,
        size: data.content_length,
        etag: data.e_tag.map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| !tag.is_empty()),
        version: None,
        sequencer: None,
    }))
}

/// `/blobServices/default/containers/CONTAINER/blobs/NAME`; the name is as it is, not encoded.
fn place(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("/blobServices/default/containers/")?.split_once("/blobs/")
}
