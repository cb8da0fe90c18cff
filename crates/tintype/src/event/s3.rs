//! S3 event notifications, as AWS, Ceph RGW and MinIO send them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::{EventError, Read, StorageEvent, named};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(default)]
    event_source: String,
    event_name: String,
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    size: Option<u64>,
    #[serde(alias = "etag")]
    e_tag: Option<String>,
    version_id: Option<String>,
    sequencer: Option<String>,
}

/// The created object of one record; none for removals.
pub fn record(value: &Value, index: usize) -> Result<Vec<Read>, EventError> {
    let bad = |reason: String| EventError::Record { index, reason };
    let record = Record::deserialize(value).map_err(|e| bad(e.to_string()))?;
    if !record.event_name.contains("ObjectCreated:") {
        return Ok(Vec::new());
    }
    let object = record.s3.object;
    let name = decode(&record.event_source, &object.key);
    Ok(named(name, |key| StorageEvent {
        bucket: Some(record.s3.bucket.name),
        key,
        size: object.size,
        etag: object.e_tag.map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| !tag.is_empty()),
        // A bucket that once kept versions and no longer does says "null" of new objects.
        version: object.version_id.filter(|version| !matches!(version.as_str(), "" | "null")),
        sequencer: object.sequencer.filter(|order| !order.is_empty()).map(|order| ordered(&record.event_source, order)),
    }))
}

/// A sequencer whose digits are in the order of their weight. Ceph writes seconds and nanoseconds as its processor keeps
/// them, the lowest byte first (`rgw_notify`'s hex of a `utime_t`).
fn ordered(source: &str, sequencer: String) -> String {
    let is_time = sequencer.len() == 16 && sequencer.bytes().all(|b| b.is_ascii_hexdigit());
    if !source.starts_with("ceph:") || !is_time {
        return sequencer;
    }
    let (seconds, nanoseconds) = sequencer.split_at(8);
    [seconds, nanoseconds].iter().flat_map(|word| (0..4).rev().map(|byte| &word[2 * byte..2 * byte + 2])).collect()
}

/// AWS encodes keys as forms do (a space is `+`); Ceph sends them as they are, and others give
/// themselves away by a byte that no encoding leaves.
fn decode(source: &str, key: &str) -> String {
    let encoded = |b: u8| b.is_ascii_alphanumeric() || b"-_.*+%/~!'()".contains(&b);
    if source.starts_with("ceph:") || !key.bytes().all(encoded) {
        return key.to_owned();
    }
    let spaced: Cow<'_, str> = if key.contains('+') { key.replace('+', " ").into() } else { key.into() };
    percent_decode_str(&spaced).decode_utf8().map_or_else(|_| key.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::order::sequencers;
    use super::super::parse;
    use super::*;

    fn keys(body: &Value) -> Vec<String> {
        parse(body.to_string().as_bytes()).unwrap().into_iter().map(|e| e.unwrap().key.into()).collect()
    }

    fn record(source: &str, name: &str, key: &str) -> Value {
        json!({"eventSource": source, "eventName": name,
               "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 3, "eTag": "\"abc\""}}})
    }

    #[test]
    fn every_record_counts_and_only_creations() {
        let body = json!({"Records": [
            record("aws:s3", "ObjectCreated:Post", "temp/a"),
            record("aws:s3", "ObjectRemoved:Delete", "temp/b"),
            record("minio:s3", "s3:ObjectCreated:Put", "temp%2Fc"),
        ]});
        assert_eq!(keys(&body), ["temp/a", "temp/c"]);
    }

    #[test]
    fn keys_are_decoded_as_their_store_encodes_them() {
        for (source, key, expected) in [
            ("aws:s3", "temp/my+photo%281%29.jpg", "temp/my photo(1).jpg"),
            ("aws:s3", "temp/a%2Bb+%C3%BC.jpg", "temp/a+b ü.jpg"),
            ("ceph:s3", "temp/a+b%20.jpg", "temp/a+b%20.jpg"),
            ("other:s3", "temp/a b+ü.jpg", "temp/a b+ü.jpg"),
        ] {
            assert_eq!(keys(&json!({"Records": [record(source, "ObjectCreated:Put", key)]})), [expected]);
        }
    }

    #[test]
    fn an_event_tells_size_and_bare_etag() {
        let body = json!({"Records": [record("aws:s3", "ObjectCreated:Put", "temp/a")]}).to_string();
        let event = parse(body.as_bytes()).unwrap().remove(0).unwrap();
        assert_eq!((event.size, event.etag.as_deref(), event.bucket.as_deref()), (Some(3), Some("abc"), Some("b")));
    }

    #[test]
    fn cephs_sequencers_are_put_in_order() {
        // As a gateway of Ceph 18 sent them, 256 seconds apart: byte by byte the later one is the smaller.
        let (before, after) = ("FF460D6B1CCAA81C", "00470D6B6EE3DF0C");
        let of = |source: &str, sequencer: &str| {
            let mut record = record(source, "ObjectCreated:Put", "temp/a");
            record["s3"]["object"]["sequencer"] = sequencer.into();
            let body = json!({"Records": [record]}).to_string();
            parse(body.as_bytes()).unwrap().remove(0).unwrap().sequencer.unwrap()
        };
        assert_eq!(of("ceph:s3", before), "6B0D46FF1CA8CA1C");
        assert!(sequencers(&of("ceph:s3", after), &of("ceph:s3", before)).is_gt());
        assert_eq!(of("aws:s3", before), before);
    }

    #[test]
    fn impossible_keys_are_passed_over() {
        for key in ["../etc", "a//b", "", "temp/folder/"] {
            let body = json!({"Records": [record("aws:s3", "ObjectCreated:Put", key)]}).to_string();
            let read = parse(body.as_bytes()).unwrap();
            assert!(matches!(&read[..], [Err(record)] if record.key == key), "{key} {read:?}");
        }
    }

    /// The webhook of MinIO: S3's records, and beside them what they say in short.
    #[test]
    fn minio_pushes_records_of_its_own() {
        let mut body = json!({"EventName": "s3:ObjectCreated:Put", "Key": "b/temp/a b.jpg",
                              "Records": [record("minio:s3", "s3:ObjectCreated:Put", "temp%2Fa+b.jpg")]});
        body["Records"][0]["s3"]["object"]["sequencer"] = "15CFEDF8D5304D1A".into();
        let event = parse(body.to_string().as_bytes()).unwrap().remove(0).unwrap();
        assert_eq!((event.key.as_str(), event.sequencer.as_deref()), ("temp/a b.jpg", Some("15CFEDF8D5304D1A")));
    }
}
