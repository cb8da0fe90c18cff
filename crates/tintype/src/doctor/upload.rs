//! Whether the store holds clients to what was signed: key, size, type, and the signature itself.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::Exam;
use super::bucket::Answer;
use super::finding::{Finding, Trouble};
use super::form::multipart;
use super::objects::{PNG, PNG_TYPE};
use crate::presign::s3::S3Presigner;
use crate::presign::{Presign, Presigner};
use crate::upload::{Method, Policy};

/// How long a presign of the doctor's is good for.
const LIFETIME: time::Duration = time::Duration::minutes(5);
/// A file of one byte more than was signed for.
const TOO_LARGE: &[u8] = &[b'x'; 1025];

/// The name of the check that an upload is taken.
pub const fn name(method: Method) -> &'static str {
    match method {
        Method::Post => "form upload",
        Method::Put => "presigned PUT",
    }
}

/// What a client is given, and what it makes of it.
struct Try {
    /// End of the name it is signed for.
    signed_for: &'static str,
    /// End of the name it is sent to.
    sent_to: &'static str,
    forged: bool,
    content_type: &'static str,
    file: &'static [u8],
    /// Bytes that the signature allows.
    allowed: u64,
}

impl Default for Try {
    /// One that keeps to what was signed.
    fn default() -> Self {
        let allowed = PNG.len() as u64;
        Self { signed_for: "", sent_to: "", forged: false, content_type: PNG_TYPE, file: PNG, allowed }
    }
}

/// How clients can upload here.
struct Way {
    method: Method,
    signer: S3Presigner,
}

/// Tries them all. Gives the answer to the upload that was to be taken, if it was.
pub async fn check(exam: &Exam) -> Result<(Vec<Finding>, Option<Answer>), Trouble> {
    let (finding, found) = way_in(exam).await?;
    let mut findings = vec![finding];
    let Some((way, answer)) = found else {
        let others = ["signature", "signed key", "size limit", "content type"];
        findings.extend(others.map(|check| Finding::skipped(check, "no upload was taken at all")));
        return Ok((findings, None));
    };
    let forged = Try { signed_for: "-forged", sent_to: "-forged", forged: true, ..Try::default() };
    let seen = "one with another signature";
    findings.push(must_refuse(exam, &way, "signature", seen, &forged, UNCHECKED).await);
    let moved = Try { signed_for: "-signed", sent_to: "-moved", ..Try::default() };
    findings.push(must_refuse(exam, &way, "signed key", "one to another key", &moved, UNCHECKED).await);
    let large = Try { signed_for: "-large", sent_to: "-large", file: TOO_LARGE, allowed: 1024, ..Try::default() };
    // A form bounds sizes; a PUT is held to the one that was told when it was asked for.
    let seen = if way.method == Method::Post { "one byte more than allowed" } else { "one byte more than was told" };
    findings.push(must_refuse(exam, &way, "size limit", seen, &large, UNBOUNDED).await);
    let text = Try { signed_for: "-text", sent_to: "-text", content_type: "text/html", ..Try::default() };
    let seen = "image/png was taken, and text/html";
    findings.push(must_refuse(exam, &way, "content type", seen, &text, UNTYPED).await);
    Ok((findings, Some(answer)))
}

const UNCHECKED: &str = "this store does not hold clients to what was signed: have it check signatures, or do not let \
                         clients reach it";
const UNBOUNDED: &str = "this store bounds no sizes: originals past upload.max_bytes are refused only once they are \
                         stored; bound uploads in front of it";
const UNTYPED: &str = "this store takes any type: what is no image is refused only once it is stored; serve nothing \
                       from upload.prefix to browsers";

/// The configured way, or one that works instead.
async fn way_in(exam: &Exam) -> Result<(Finding, Option<(Way, Answer)>), Trouble> {
    let check = name(exam.method);
    let usual = Way { method: exam.method, signer: exam.bucket.signer.clone() };
    let refused = match send(exam, &usual, &Try::default()).await? {
        answer if answer.taken() => {
            let seen = format!("taken ({})", answer.status.as_u16());
            return Ok((Finding::ok(check, seen), Some((usual, answer))));
        }
        answer => answer,
    };
    for (way, how) in other_ways(&usual) {
        let answer = send(exam, &way, &Try::default()).await?;
        if answer.taken() {
            let seen = format!("refused: {}", refused.said_why());
            return Ok((Finding::problem(check, seen).fix(how), Some((way, answer))));
        }
    }
    let rights = if usual.signer.acl.is_empty() { "s3:PutObject" } else { "s3:PutObject and s3:PutObjectAcl" };
    let how = format!("allow these credentials {rights} on {}*", exam.layout.prefix());
    Ok((Finding::problem(check, format!("refused: {}", refused.said_why())).fix(how), None))
}

/// Ways that may work where the usual one does not, and the setting that chooses them.
fn other_ways(usual: &Way) -> Vec<(Way, &'static str)> {
    let mut ways = Vec::new();
    let without_acl = S3Presigner { acl: String::new(), ..usual.signer.clone() };
    if usual.method == Method::Post && !usual.signer.acl.is_empty() {
        let how = "it was taken without the field acl: set upload.acl = \"\", or allow s3:PutObjectAcl";
        ways.push((Way { method: Method::Post, signer: without_acl.clone() }, how));
    }
    if usual.method == Method::Post {
        let how = "a presigned PUT was taken: set upload.method = \"PUT\"";
        ways.push((Way { method: Method::Put, signer: without_acl }, how));
    }
    ways
}

/// The row of an upload that is to be refused.
async fn must_refuse(exam: &Exam, way: &Way, check: &'static str, what: &str, upload: &Try, how: &str) -> Finding {
    match send(exam, way, upload).await {
        Ok(answer) if answer.taken() => Finding::problem(check, format!("{what} was taken as well")).fix(how),
        Ok(answer) if answer.refused() => Finding::ok(check, format!("{what} was refused ({})", answer.said())),
        Ok(answer) => Finding::problem(check, format!("the store failed at {what}: {}", answer.said_why())),
        Err(trouble) => Finding::problem(check, format!("{what}: {trouble}")),
    }
}

/// Has the product's own presigner sign, and does what a client would do with it.
async fn send(exam: &Exam, way: &Way, upload: &Try) -> Result<Answer, Trouble> {
    let key = exam.objects.original(upload.signed_for)?;
    let sent_to = exam.objects.original(upload.sent_to)?;
    let now = OffsetDateTime::now_utc();
    let presign = way.signer.presign(&key, &policy(way.method, upload), now, now + LIFETIME).await?;
    let answer = match way.method {
        Method::Post => post(exam, &presign, sent_to.as_str(), upload).await?,
        Method::Put => put(exam, &presign, upload).await?,
    };
    if answer.taken() {
        exam.objects.wrote(&sent_to);
    }
    Ok(answer)
}

fn policy(method: Method, upload: &Try) -> Policy {
    let put = method == Method::Put;
    Policy {
        method,
        content_type: if put { PNG_TYPE } else { "image/*" }.to_owned(),
        max_bytes: upload.allowed,
        // A presigned PUT bounds its size by fixing it.
        size: put.then_some(upload.allowed),
        metadata: BTreeMap::new(),
        claim_within: None,
    }
}

async fn post(exam: &Exam, presign: &Presign, key: &str, upload: &Try) -> Result<Answer, Trouble> {
    let fields = presign.fields.iter().map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        let sent = match name.as_str() {
            "key" => key.to_owned(),
            "Content-Type" => upload.content_type.to_owned(),
            "x-amz-signature" if upload.forged => forged(value),
            _ => value.to_owned(),
        };
        (name.clone(), sent)
    });
    let fields: Vec<_> = fields.collect();
    let (content_type, body) = multipart(&fields, upload.content_type, upload.file);
    let headers = with_origin(exam, vec![("content-type".into(), content_type)]);
    exam.bucket.at(http::Method::POST, &presign.url, headers, body).await
}

async fn put(exam: &Exam, presign: &Presign, upload: &Try) -> Result<Answer, Trouble> {
    let mut url = presign.url.clone();
    if upload.forged
        && let Some((before, signature)) = url.rsplit_once('=')
    {
        url = format!("{before}={}", forged(signature));
    }
    if upload.signed_for != upload.sent_to {
        url = url.replacen(&format!("{}.png", upload.signed_for), &format!("{}.png", upload.sent_to), 1);
    }
    // The length is what is sent, whatever was signed.
    let headers = presign.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    let headers = headers.map(|(name, value)| match name.to_ascii_lowercase().as_str() {
        "content-type" => (name.clone(), upload.content_type.to_owned()),
        _ => (name.clone(), value.as_str().unwrap_or_default().to_owned()),
    });
    let headers = with_origin(exam, headers.collect());
    exam.bucket.at(http::Method::PUT, &url, headers, upload.file.to_vec()).await
}

/// As a browser sends it, so that the answer shows whether a page may read it.
fn with_origin(exam: &Exam, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.extend(exam.origin.clone().map(|origin| ("origin".to_owned(), origin)));
    headers
}

/// The same number of hex digits, one of them another.
fn forged(signature: &str) -> String {
    let (head, last) = signature.split_at(signature.len().saturating_sub(1));
    format!("{head}{}", if last == "0" { "1" } else { "0" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_signature_is_another() {
        assert_eq!(forged("abc0"), "abc1");
        assert_eq!(forged("abcf"), "abc0");
        assert_eq!(forged(""), "0");
    }

    #[test]
    fn a_form_bounds_sizes_and_a_put_fixes_them() {
        assert_eq!(policy(Method::Post, &Try::default()).size, None);
        assert_eq!(policy(Method::Put, &Try::default()).size, Some(PNG.len() as u64));
    }
}
