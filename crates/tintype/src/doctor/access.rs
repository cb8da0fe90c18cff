//! Whether the store can be reached, and what its credentials may do.

use http::{Method, StatusCode};

use super::Exam;
use super::bucket::Answer;
use super::finding::{Finding, Trouble};
use super::objects::{PNG, PNG_TYPE};
use super::xml::text_of;
use crate::presign::header::Call;

/// The check's name.
pub const NAME: &str = "credentials";
/// Codes that say the credentials themselves are no good.
const BAD_CREDENTIALS: [&str; 6] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "NotSignedUp",
];

/// What was found.
pub struct Access {
    /// The row.
    pub finding: Finding,
    /// Whether it makes sense to go on.
    pub reached: bool,
}

/// Lists, writes, reads and removes, as `tintype serve` and the function do.
pub async fn check(exam: &Exam) -> Result<Access, Trouble> {
    let list =
        Call::new(Method::GET).query("list-type", "2").query("prefix", exam.layout.prefix()).query("max-keys", "1");
    let answer = exam.bucket.signed(&list).await?;
    if let Some(finding) = hopeless(exam, &answer) {
        return Ok(Access { finding, reached: false });
    }
    let mut denied = Vec::new();
    if !answer.taken() {
        denied.push(format!("s3:ListBucket ({})", answer.said()));
    }
    denied.extend(objects(exam).await?);
    let finding = if denied.is_empty() {
        Finding::ok(NAME, "they may list, write, read and remove")
    } else {
        let seen = format!("denied: {}", denied.join(", "));
        Finding::problem(NAME, seen).fix("allow it to these credentials; docs/doctor.md has the whole policy")
    };
    Ok(Access { finding, reached: true })
}

/// The calls to objects that are denied.
async fn objects(exam: &Exam) -> Result<Vec<String>, Trouble> {
    let open = exam.objects.variant("-open")?;
    let put = Call::new(Method::PUT).key(&open).header("content-type", PNG_TYPE).body(PNG);
    let mut calls = vec![("s3:PutObject", open.clone(), put)];
    calls.push(("s3:GetObject", open.clone(), Call::new(Method::GET).key(&open)));
    for gone in [exam.objects.original("-none")?, exam.objects.variant("-none")?] {
        calls.push(("s3:DeleteObject", gone.clone(), Call::new(Method::DELETE).key(&gone)));
    }
    let mut denied = Vec::new();
    for (action, key, call) in calls {
        let answer = exam.bucket.signed(&call).await?;
        if action == "s3:PutObject" && answer.taken() {
            exam.objects.wrote(&key);
        }
        // Nothing to read, or to remove, is not for want of permission.
        if !answer.taken() && answer.status != StatusCode::NOT_FOUND {
            let folder = if exam.layout.is_output(&key) { exam.layout.folder() } else { exam.layout.prefix() };
            denied.push(format!("{action} on {folder}* ({})", answer.said()));
        }
    }
    Ok(denied)
}

/// The row of a bucket that is not there, or lets nobody in: no other check can tell more.
fn hopeless(exam: &Exam, answer: &Answer) -> Option<Finding> {
    let code = answer.code().unwrap_or_default();
    let region = &exam.bucket.signer.region;
    let named = answer.header("x-amz-bucket-region").map(str::to_owned);
    let named = named.or_else(|| text_of(&answer.text, "Region"));
    let elsewhere = named.filter(|there| there != region && !answer.taken());
    if let Some(there) = elsewhere {
        let seen = format!("the bucket is in {there}; calls were signed for {region}");
        return Some(
            Finding::problem(NAME, seen).fix(format!("set store.region = \"{there}\", or give --region {there}")),
        );
    }
    if code == "NoSuchBucket" || answer.status == StatusCode::NOT_FOUND {
        let seen = format!("there is no bucket {} ({})", exam.bucket_name(), answer.said());
        return Some(Finding::problem(NAME, seen).fix_by("check the name, or make it", exam.make_bucket()));
    }
    if BAD_CREDENTIALS.contains(&code.as_str()) || answer.status == StatusCode::UNAUTHORIZED {
        let how = match code.as_str() {
            "RequestTimeTooSkewed" => "set this machine's clock",
            "ExpiredToken" => "get new credentials: the session has ended",
            _ => {
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, the profile (AWS_PROFILE, ~/.aws), or the machine's role"
            }
        };
        return Some(Finding::problem(NAME, answer.said_why()).fix(how));
    }
    let odd = !answer.taken() && answer.status != StatusCode::FORBIDDEN;
    odd.then(|| Finding::problem(NAME, format!("the store answers {}", answer.said_why())))
}
