//! What a provider pushes: envelopes in envelopes, keys as each store encodes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tintype::event::{StorageEvent, parse, sqs};
use tintype::key::Key;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        assert!(parse(bytes).is_err(), "an event that is no JSON");
        return;
    };
    sqs::batch(&value);
    let Ok(events) = parse(bytes) else { return };
    for event in events.iter().flatten() {
        is_whole(event);
        survives_every_encoding(event.key.as_str());
    }
    // One envelope more changes nothing, until there are too many.
    let text = String::from_utf8_lossy(bytes);
    let wrapped = json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": text}]});
    if let Ok(inner) = parse(wrapped.to_string().as_bytes()) {
        assert_eq!(inner, events);
    }
});

fn is_whole(event: &StorageEvent) {
    assert_eq!(Key::new(event.key.as_str()).as_ref(), Ok(&event.key), "a key that is none");
    let kept = serde_json::to_value(event).expect("it is kept as JSON");
    assert_eq!(&serde_json::from_value::<StorageEvent>(kept).expect("and read again"), event);
}

/// AWS encodes as forms do, Ceph not at all: both come to the key that was meant.
fn survives_every_encoding(key: &str) {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'/' | b'-' | b'_' | b'.' | b'*' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    for (source, sent) in [("aws:s3", encoded.as_str()), ("ceph:s3", key)] {
        let event = json!({"Records": [{"eventSource": source, "eventName": "ObjectCreated:Put",
                                        "s3": {"bucket": {"name": "b"}, "object": {"key": sent}}}]});
        let read = parse(event.to_string().as_bytes()).expect("an event that was made from a key");
        let event = read[0].as_ref().expect("a key that was one");
        assert_eq!(event.key.as_str(), key, "{source}");
    }
}
