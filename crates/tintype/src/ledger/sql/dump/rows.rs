//! What a row of an export must be to be read in: such as this program writes.

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::auth::Scopes;
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::key::{Key, is_extension};
use crate::ledger::sql::history::{AGAIN, IGNORED, UNCLAIMED};
use crate::ledger::{DeliveryStatus, TOKEN_SECRET};
use crate::manifest::Manifest;
use crate::metrics;
use crate::store::Pin;
use crate::upload::create::check_filename;
use crate::upload::{Policy, Status, UploadId};

/// The end of the year 9999, in milliseconds: no time that is written lies behind it.
const LATEST: i64 = 253_402_300_799_999;
/// Most characters of a value that a message shows.
const SHOWN: usize = 60;

/// What a column holds, where it holds anything.
#[derive(Clone, Copy)]
enum Kind {
    /// An upload's id, as it is kept: 32 hex digits.
    Upload,
    /// An object's key.
    Object,
    /// Milliseconds since 1970.
    Time,
    /// A number, none below zero.
    Count,
    /// 0 or 1.
    Flag,
    /// An HTTP status.
    Http,
    /// Text, not empty.
    Name,
    /// Any text.
    Text,
    /// Text that no message may repeat.
    Secret,
    /// Text, or JSON in text, of which a function says whether it is good.
    Like(fn(&str) -> Result<(), String>),
}

use Kind::{Count, Flag, Http, Like, Name, Object, Secret, Text, Time, Upload};

/// Every column of every table.
const COLUMNS: &[(&str, &[(&str, Kind)])] = &[
    ("secrets", &[("name", Like(secret)), ("value", Secret)]),
    (
        "api_keys",
        &[
            ("id", Name),
            ("name", Text),
            ("hash", Like(hash)),
            ("scopes", Like(scopes)),
            ("created_at", Time),
            ("expires_at", Time),
            ("last_used_at", Time),
            ("revoked_at", Time),
        ],
    ),
    (
        "uploads",
        &[
            ("id", Upload),
            ("key", Object),
            ("status", Like(status)),
            ("policy", Like(json::<Policy>)),
            ("extension", Like(extension)),
            ("preset", Name),
            ("processed_key", Object),
            ("manifest", Like(json::<Manifest>)),
            ("error", Like(json::<Failure>)),
            ("outcomes", Count),
            ("created_at", Time),
            ("expires_at", Time),
            ("deleted_at", Time),
            ("traceparent", Text),
            ("pin", Like(json::<Pin>)),
            ("owner", Text),
            ("filename", Like(filename)),
            ("claimed_at", Time),
        ],
    ),
    ("idempotency", &[("key", Name), ("request", Name), ("upload_ids", Like(ids)), ("created_at", Time)]),
    ("revoked", &[("key", Object), ("until", Time)]),
    ("rechecks", &[("key", Object), ("since", Time), ("due_at", Time)]),
    (
        "jobs",
        &[
            ("id", Count),
            ("upload_id", Upload),
            ("event", Like(json::<StorageEvent>)),
            ("force", Flag),
            ("attempts", Count),
            ("due_at", Time),
            ("lease", Text),
            ("created_at", Time),
            ("excused", Count),
            ("last_error", Text),
            ("dead_at", Time),
            ("owner", Text),
            ("names", Text),
            ("slow", Flag),
        ],
    ),
    (
        "job_attempts",
        &[
            ("id", Count),
            ("upload_id", Upload),
            ("job_id", Count),
            ("attempt", Count),
            ("queued_at", Time),
            ("started_at", Time),
            ("ended_at", Time),
            ("outcome", Text),
            ("error", Text),
        ],
    ),
    (
        "deliveries",
        &[
            ("id", Name),
            ("upload_id", Upload),
            ("url", Like(url)),
            ("method", Like(method)),
            ("body", Like(json::<Value>)),
            ("status", Like(delivery_status)),
            ("attempts", Count),
            ("due_at", Time),
            ("leased", Flag),
            ("last_status", Http),
            ("last_error", Text),
            ("created_at", Time),
            ("outcome", Count),
            ("endpoint", Like(url)),
            ("lease", Text),
        ],
    ),
    (
        "delivery_attempts",
        &[
            ("delivery_id", Name),
            ("at", Time),
            ("status", Http),
            ("error", Text),
            ("millis", Count),
            ("response", Text),
        ],
    ),
];

/// Whether a row is one that this program writes.
///
/// # Errors
/// Which column is not, and why.
pub(super) fn check(table: &str, row: &Map<String, Value>) -> Result<(), String> {
    let columns = COLUMNS.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns).unwrap_or_default();
    for (name, kind) in columns {
        if let Some(value) = row.get(*name).filter(|value| !value.is_null()) {
            is(*kind, value).map_err(|why| format!("{table}.{name}: {why}"))?;
        }
    }
    let fits = match table {
        "uploads" => upload_fits(row),
        "job_attempts" => attempt_fits(row),
        "deliveries" => delivery_fits(row),
        _ => Ok(()),
    };
    fits.map_err(|why| format!("{table}: {why}"))
}

fn is(kind: Kind, value: &Value) -> Result<(), String> {
    match (kind, value) {
        (Time, Value::Number(_)) => within(value, 0, LATEST),
        (Count, Value::Number(_)) => within(value, 0, i64::MAX),
        (Flag, Value::Number(_)) => within(value, 0, 1),
        (Http, Value::Number(_)) => within(value, 100, 999),
        (Upload, Value::String(text)) => upload(text),
        // Postgres keeps none, so none is written.
        (_, Value::String(text)) if text.contains('\0') => Err("it holds a NUL".to_owned()),
        (Object, Value::String(text)) => good(Key::new(text.as_str())),
        (Name | Secret, Value::String(text)) if text.is_empty() => Err("it is empty".to_owned()),
        (Name | Text | Secret, Value::String(_)) => Ok(()),
        (Like(is_good), Value::String(text)) => is_good(text),
        (Time | Count | Flag | Http, _) => Err("it is no number".to_owned()),
        _ => Err("it is no text".to_owned()),
    }
}

fn within(value: &Value, least: i64, most: i64) -> Result<(), String> {
    match value.as_i64() {
        Some(number) if (least..=most).contains(&number) => Ok(()),
        _ => Err(format!("{value} is not from {least} to {most}")),
    }
}

fn good<T, E: Display>(read: Result<T, E>) -> Result<(), String> {
    read.map(drop).map_err(|error| error.to_string())
}

fn one_of<T>(read: Option<T>, text: &str, what: &str) -> Result<(), String> {
    read.map(drop).ok_or_else(|| format!("{:?} is no {what}", shown(text)))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn upload(text: &str) -> Result<(), String> {
    one_of(UploadId::parse(text).filter(|id| id.as_str() == text), text, "upload id: 32 hex digits")
}

fn ids(text: &str) -> Result<(), String> {
    let ids: Vec<String> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    ids.iter().try_for_each(|id| upload(id))
}

fn secret(text: &str) -> Result<(), String> {
    one_of((text == TOKEN_SECRET).then_some(()), text, "name of a secret")
}

fn extension(text: &str) -> Result<(), String> {
    one_of(is_extension(text).then_some(()), text, "extension")
}

fn filename(text: &str) -> Result<(), String> {
    let name = check_filename(text).map_err(|error| error.to_string())?;
    one_of(name.filter(|name| name == text), text, "name of a file: it has folders, or is blank")
}

fn hash(text: &str) -> Result<(), String> {
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    one_of(hex.then_some(()), text, "SHA-256 in hex")
}

fn scopes(text: &str) -> Result<(), String> {
    Scopes::parse(text).map(drop).map_err(|word| format!("{:?} is no scope", shown(&word)))
}

fn status(text: &str) -> Result<(), String> {
    one_of(Status::parse(text), text, "status of an upload")
}

fn delivery_status(text: &str) -> Result<(), String> {
    one_of(DeliveryStatus::parse(text), text, "status of a delivery")
}

fn url(text: &str) -> Result<(), String> {
    // An address may hold a password: it is not repeated.
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    one_of(matches!(url.scheme(), "http" | "https").then_some(()), url.scheme(), "scheme of a callback")
}

fn method(text: &str) -> Result<(), String> {
    one_of(matches!(text, "PUT" | "POST").then_some(()), text, "method of a callback")
}

fn json<T: DeserializeOwned>(text: &str) -> Result<(), String> {
    good(serde_json::from_str::<T>(text))
}

fn text<'a>(row: &'a Map<String, Value>, column: &str) -> Option<&'a str> {
    row.get(column).and_then(Value::as_str)
}

/// What an upload's status says is there.
fn upload_fits(row: &Map<String, Value>) -> Result<(), String> {
    let has = |column: &str| text(row, column).is_some();
    match text(row, "status") {
        Some("completed") if !has("manifest") && !has("processed_key") => {
            Err("it is completed, and has neither manifest nor processed_key".to_owned())
        }
        Some("failed") if !has("error") => Err("it is failed, and has no error".to_owned()),
        _ => Ok(()),
    }
}

/// How a try of a job ends. What a remote processor tells is of no job, and has whatever code it likes.
fn attempt_fits(row: &Map<String, Value>) -> Result<(), String> {
    let Some(outcome) = text(row, "outcome").filter(|_| row.get("job_id").is_some_and(Value::is_number)) else {
        return Ok(());
    };
    let words = [AGAIN, IGNORED, UNCLAIMED, Status::Completed.as_str()];
    let is_known = words.contains(&outcome) || metrics::CODES.contains(&outcome);
    one_of(is_known.then_some(()), outcome, "word for it, nor code of an error")
        .map_err(|why| format!("outcome: {why}"))
}

/// A delivery's id is its upload's and its outcome's number.
fn delivery_fits(row: &Map<String, Value>) -> Result<(), String> {
    let (upload, outcome) = (text(row, "upload_id").unwrap_or_default(), row.get("outcome").and_then(Value::as_i64));
    let id = format!("msg_{upload}_{}", outcome.unwrap_or_default());
    match text(row, "id") {
        Some(found) if found == id => Ok(()),
        found => {
            Err(format!("its id is {:?}; of its upload and outcome it is {id:?}", shown(found.unwrap_or_default())))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn every_column_there_is_has_its_rule() {
        let (_dir, ledger) = crate::ledger::testing::sqlite().await;
        let there: BTreeSet<String> = ledger.columns().await.into_iter().map(|(place, _)| place).collect();
        let ruled =
            COLUMNS.iter().flat_map(|(table, columns)| columns.iter().map(move |(name, _)| format!("{table}.{name}")));
        assert_eq!(ruled.collect::<BTreeSet<_>>(), there);
    }

    /// A code that was forgotten would make a ledger that cannot be read in.
    #[test]
    fn every_code_of_the_manual_may_end_a_try() {
        let manual = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md"));
        let table = manual.split("## Why an original came to nothing").nth(1).unwrap().split("\n## ").next().unwrap();
        let codes: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert!(codes.len() > 15, "{codes:?}");
        // Of `backfill`, and of callbacks.
        for code in codes.into_iter().filter(|code| !["callback_failed", "expired"].contains(code)) {
            let row = Map::from_iter([("job_id".to_owned(), json!(1)), ("outcome".to_owned(), json!(code))]);
            check("job_attempts", &row).unwrap();
        }
    }

    #[test]
    fn what_no_program_writes_is_refused_with_its_column() {
        let id = "0123456789abcdef0123456789abcdef";
        for (table, column, value) in [
            ("uploads", "id", json!("../x")),
            ("uploads", "id", json!("0123456789ABCDEF0123456789ABCDEF")),
            ("uploads", "status", json!("done")),
            ("uploads", "key", json!("temp/../a")),
            ("uploads", "policy", json!("{}")),
            ("uploads", "manifest", json!("[1]")),
            ("uploads", "created_at", json!("today")),
            ("uploads", "created_at", json!(9_007_199_254_740_993_i64)),
            ("uploads", "outcomes", json!(-1)),
            ("idempotency", "upload_ids", json!("[\"x\"]")),
            ("jobs", "event", json!("{\"key\": \"/\"}")),
            ("jobs", "force", json!(2)),
            ("api_keys", "hash", json!("00")),
            ("api_keys", "scopes", json!("everything")),
            ("deliveries", "url", json!("file:///etc/passwd")),
            ("deliveries", "status", json!("sent")),
            ("delivery_attempts", "status", json!(7)),
            ("uploads", "extension", json!("../../etc/passwd")),
            ("uploads", "extension", json!("")),
            ("uploads", "extension", json!("abcdefghijk")),
            ("uploads", "filename", json!("../../etc/passwd")),
            ("uploads", "filename", json!("..\\a.jpg")),
            ("uploads", "filename", json!(" ")),
            ("uploads", "filename", json!("a\nb.jpg")),
            ("uploads", "filename", json!("é".repeat(128))),
            ("uploads", "owner", json!("\0")),
            ("secrets", "value", json!("\0")),
            ("secrets", "value", json!("")),
            ("secrets", "name", json!("completed")),
            ("deliveries", "endpoint", json!("")),
            ("deliveries", "endpoint", json!("file:///etc")),
            ("deliveries", "url", json!("http://h/\0")),
        ] {
            let row = Map::from_iter([(column.to_owned(), value.clone())]);
            let why = check(table, &row).unwrap_err();
            assert!(why.starts_with(&format!("{table}.{column}: ")), "{table}.{column} {value}: {why}");
        }
        let failed = Map::from_iter([("id".to_owned(), json!(id)), ("status".to_owned(), json!("failed"))]);
        assert!(check("uploads", &failed).unwrap_err().contains("no error"));
        let told = Map::from_iter([
            ("id".to_owned(), json!("msg_x_1")),
            ("upload_id".to_owned(), json!(id)),
            ("outcome".to_owned(), json!(1)),
        ]);
        assert!(check("deliveries", &told).unwrap_err().contains(&format!("msg_{id}_1")));
        let tried = |job: Value, outcome: &str| {
            Map::from_iter([("job_id".to_owned(), job), ("outcome".to_owned(), json!(outcome))])
        };
        assert!(check("job_attempts", &tried(json!(1), "x")).unwrap_err().contains("outcome: \"x\" is no word"));
        for known in ["again", "ignored", "unclaimed", "completed", "corrupt", "key_conflict"] {
            check("job_attempts", &tried(json!(1), known)).unwrap();
        }
        check("job_attempts", &tried(Value::Null, "x")).unwrap();
        let secret = Map::from_iter([("value".to_owned(), json!(5))]);
        assert!(!check("secrets", &secret).unwrap_err().contains('5'));
    }
}
