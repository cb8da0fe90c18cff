//! Whether the store keeps conditions of writes: a set is sealed, and a key claimed among instances of the function, by them.

use http::{Method, StatusCode};

use super::Exam;
use super::bucket::Answer;
use super::finding::{Finding, Trouble};
use super::objects::{PNG, PNG_TYPE};
use crate::key::Key;
use crate::presign::header::Call;

/// The check's name.
pub const NAME: &str = "conditional writes";
/// An entity tag that no object has.
const NO_TAG: &str = "00000000000000000000000000000000";

/// Writes one object where there is none, twice, and then in place of states that it is not and is in.
pub async fn check(exam: &Exam) -> Result<Vec<Finding>, Trouble> {
    let key = exam.objects.variant("-once")?;
    let first = put(exam, &key, "if-none-match", "*").await?;
    if first.status == StatusCode::FORBIDDEN {
        return Ok(vec![Finding::skipped(NAME, format!("nothing could be written ({})", first.said()))]);
    }
    if !first.taken() {
        return Ok(vec![without(format!("a write with If-None-Match: * is not taken ({})", first.said()))]);
    }
    exam.objects.wrote(&key);
    let mut ignored = Vec::new();
    if put(exam, &key, "if-none-match", "*").await?.taken() {
        ignored.push("If-None-Match: *");
    }
    if put(exam, &key, "if-match", &format!("\"{NO_TAG}\"")).await?.taken() {
        ignored.push("If-Match");
    }
    if !ignored.is_empty() {
        return Ok(vec![without(format!("{} is ignored: the second write was taken", ignored.join(" and ")))]);
    }
    Ok(vec![match replaced(exam, &key, first.header("etag").unwrap_or_default()).await? {
        Some(refusal) => without(format!("If-Match is refused though it holds ({})", refusal.said())),
        None => Finding::ok(NAME, "If-None-Match: * and If-Match are kept"),
    }])
}

/// The refusal of a write in place of the state that the object is in. Some stores (Ceph 16) want the tag without quotes.
async fn replaced(exam: &Exam, key: &Key, etag: &str) -> Result<Option<Answer>, Trouble> {
    let bare = etag.trim_matches('"');
    let quoted = put(exam, key, "if-match", &format!("\"{bare}\"")).await?;
    if quoted.taken() {
        return Ok(None);
    }
    Ok(Some(put(exam, key, "if-match", bare).await?).filter(|answer| !answer.taken()))
}

async fn put(exam: &Exam, key: &Key, condition: &str, value: &str) -> Result<Answer, Trouble> {
    let call = Call::new(Method::PUT).key(key).header("content-type", PNG_TYPE).header(condition, value).body(PNG);
    exam.bucket.signed(&call).await
}

fn without(seen: String) -> Finding {
    Finding::warning(NAME, seen).fix(
        "one `tintype serve` is safe all the same; let the function have one instance at a time (reserved concurrency 1), and \
         give out no presigned PUT where a second file must be refused by the store; docs/s3.md, \"Conditional writes\"",
    )
}
