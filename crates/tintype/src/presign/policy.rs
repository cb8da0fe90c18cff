//! The other side of a POST policy: what the embedded store holds a form against.
//!
//! Codes and statuses are S3's: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Credential;
use super::sigv4::{ALGORITHM, Scope};

/// What who signs by an older version is told.
pub const VERSION_4_ONLY: &str = "The authorization mechanism you have provided is not supported. Sign by Signature Version 4 \
                                  (AWS4-HMAC-SHA256): in boto3, Config(signature_version=\"s3v4\").";
/// Fields that need no condition.
const EXEMPT: [&str; 3] = ["policy", "x-amz-signature", "file"];

/// The text fields of a form, in the order they came; names compare without case.
#[derive(Debug, Default)]
pub struct Form {
    /// Name and value.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A form that its signer meant, and the sizes it allows.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// Fewest bytes of the file.
    pub min_bytes: u64,
    /// Most bytes of the file.
    pub max_bytes: u64,
}

/// A refusal as S3 words it.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// S3's error code.
    pub code: &'static str,
    /// Its message.
    pub message: String,
}

impl Refusal {
    /// A refusal with a status and S3's code for it.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidPolicyDocument", message)
    }
}

#[derive(Deserialize)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
}

/// Checks signature, time and every condition of a form for a bucket; the file's size is for the caller
/// to hold against the grant while it reads.
///
/// # Errors
/// The refusal to answer with.
pub fn verify(form: &Form, bucket: &str, signer: &Credential, now: OffsetDateTime) -> Result<Grant, Refusal> {
    let encoded = form.get("policy").ok_or_else(|| Refusal::denied("Access Denied: the form has no policy"))?;
    check_signature(form, encoded, signer)?;
    let document = decode(encoded)?;
    let expiration = OffsetDateTime::parse(&document.expiration, &Rfc3339)
        .map_err(|_| Refusal::malformed("Invalid Policy: Invalid 'expiration' value"))?;
    if now >= expiration {
        return Err(Refusal::denied("Invalid according to Policy: Policy expired."));
    }
    let conditions: Vec<Condition> = document.conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?;
    for condition in &conditions {
        condition.check(form, bucket)?;
    }
    for (name, _) in &form.fields {
        let exempt =
            EXEMPT.iter().any(|e| name.eq_ignore_ascii_case(e)) || name.to_ascii_lowercase().starts_with("x-ignore-");
        if !exempt && !conditions.iter().any(|condition| condition.names(name)) {
            return Err(Refusal::denied(format!("Invalid according to Policy: Extra input fields: {name}")));
        }
    }
    // Of several ranges each holds.
    let grant =
        conditions.iter().fold(Grant { min_bytes: 0, max_bytes: u64::MAX }, |grant, condition| match condition {
            Condition::Length(min, max) => {
                Grant { min_bytes: grant.min_bytes.max(*min), max_bytes: grant.max_bytes.min(*max) }
            }
            _ => grant,
        });
    Ok(grant)
}

/// Adds a policy to a form, with the fields that sign it.
#[cfg(feature = "fuzzing")]
pub(crate) fn sign(form: &mut Form, policy: &[u8], signer: &Credential, now: OffsetDateTime) {
    let scope = Scope { time: now, region: "us-east-1" };
    let encoded = STANDARD.encode(policy);
    let signed = [
        ("x-amz-algorithm", ALGORITHM.to_owned()),
        ("x-amz-credential", scope.credential(signer)),
        ("x-amz-date", scope.amz_date()),
        ("x-amz-signature", scope.sign(&signer.secret, &encoded)),
        ("policy", encoded),
    ];
    form.fields.extend(signed.map(|(name, value)| (name.to_owned(), value)));
}

fn check_signature(form: &Form, encoded: &str, signer: &Credential) -> Result<(), Refusal> {
    let field = |name: &str| {
        form.get(name).ok_or_else(|| {
            Refusal::new(400, "InvalidArgument", format!("Bucket POST must contain a field named '{name}'."))
        })
    };
    if form.get("AWSAccessKeyId").is_some() && form.get("signature").is_some() {
        return Err(Refusal::new(400, "InvalidRequest", VERSION_4_ONLY));
    }
    if field("x-amz-algorithm")? != ALGORITHM {
        return Err(Refusal::new(400, "InvalidArgument", "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let parts: Vec<_> = field("x-amz-credential")?.rsplitn(5, '/').collect();
    let ["aws4_request", "s3", region, day, key_id] = parts[..] else {
        return Err(Refusal::new(400, "AuthorizationQueryParametersError", "x-amz-credential is malformed"));
    };
    if key_id != signer.key_id {
        return Err(Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ));
    }
    let time = parse_day(day).filter(|_| field("x-amz-date").is_ok_and(|date| date.starts_with(day)));
    let time =
        time.ok_or_else(|| Refusal::new(403, "SignatureDoesNotMatch", "x-amz-date and x-amz-credential differ"))?;
    let expected = Scope { time, region }.sign(&signer.secret, encoded);
    if bool::from(expected.as_bytes().ct_eq(field("x-amz-signature")?.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ))
    }
}

fn parse_day(day: &str) -> Option<OffsetDateTime> {
    let digits = (day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit())).then_some(day)?;
    let iso = format!("{}-{}-{}T00:00:00Z", &digits[..4], &digits[4..6], &digits[6..]);
    OffsetDateTime::parse(&iso, &Rfc3339).ok()
}

fn decode(encoded: &str) -> Result<Document, Refusal> {
    let bytes = STANDARD.decode(encoded).map_err(|_| Refusal::malformed("Invalid Policy: not base64"))?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::malformed("Invalid Policy: Invalid JSON."))
}

enum Condition {
    Equals(String, String),
    StartsWith(String, String),
    Length(u64, u64),
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, Refusal> {
        let bad = || Refusal::malformed(format!("Invalid Policy: Invalid condition {value}"));
        if let Value::Object(map) = value {
            let (name, value) = map.iter().next().filter(|_| map.len() == 1).ok_or_else(bad)?;
            return Ok(Self::Equals(name.clone(), value.as_str().ok_or_else(bad)?.to_owned()));
        }
        let items = value.as_array().filter(|items| items.len() == 3).ok_or_else(bad)?;
        let text = |i: usize| items[i].as_str().map(str::to_owned).ok_or_else(bad);
        let field = |i: usize| text(i).map(|name| name.trim_start_matches('$').to_owned());
        match text(0)?.to_ascii_lowercase().as_str() {
            "eq" => Ok(Self::Equals(field(1)?, text(2)?)),
            "starts-with" => Ok(Self::StartsWith(field(1)?, text(2)?)),
            "content-length-range" => {
                Ok(Self::Length(items[1].as_u64().ok_or_else(bad)?, items[2].as_u64().ok_or_else(bad)?))
            }
            _ => Err(bad()),
        }
    }

    fn names(&self, field: &str) -> bool {
        match self {
            Self::Equals(name, _) | Self::StartsWith(name, _) => name.eq_ignore_ascii_case(field),
            Self::Length(..) => false,
        }
    }

    fn check(&self, form: &Form, bucket: &str) -> Result<(), Refusal> {
        let value = |name: &str| {
            if name.eq_ignore_ascii_case("bucket") { bucket } else { form.get(name).unwrap_or("") }
        };
        let (holds, shown) = match self {
            Self::Equals(name, wanted) => (value(name) == wanted, format!(r#"["eq", "${name}", "{wanted}"]"#)),
            Self::StartsWith(name, wanted) => {
                (value(name).starts_with(wanted), format!(r#"["starts-with", "${name}", "{wanted}"]"#))
            }
            Self::Length(..) => (true, String::new()),
        };
        if holds {
            Ok(())
        } else {
            Err(Refusal::denied(format!("Invalid according to Policy: Policy Condition failed: {shown}")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::key::Key;
    use crate::presign::Presigner;
    use crate::presign::s3::S3Presigner;
    use crate::upload::{Method, Policy};

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn signer() -> Credential {
        Credential { key_id: "TT".into(), secret: "secret".into(), token: None }
    }

    /// A form as the presigner makes it and an honest client sends it.
    async fn form() -> Form {
        let presigner = S3Presigner {
            bucket: "tintype".into(),
            bucket_url: "http://127.0.0.1:9000/tintype".parse().unwrap(),
            region: "us-east-1".into(),
            acl: "private".into(),
            credentials: Arc::new(signer()),
            once: true,
        };
        let policy = Policy {
            method: Method::Post,
            content_type: "image/*".into(),
            max_bytes: 10,
            size: None,
            metadata: [("id".to_owned(), "1".to_owned())].into(),
            claim_within: None,
        };
        let key = Key::new("temp/abc").unwrap();
        let presign = presigner.presign(&key, &policy, NOW, NOW + Duration::MINUTE).await.unwrap();
        let fields = presign.fields.into_iter().map(|(n, v)| (n, v.as_str().unwrap().to_owned())).collect();
        Form { fields }
    }

    fn code(form: &Form, bucket: &str, now: OffsetDateTime) -> Result<Grant, &'static str> {
        verify(form, bucket, &signer(), now).map_err(|refusal| refusal.code)
    }

    #[tokio::test]
    async fn an_honest_form_is_granted_for_its_lifetime_in_its_bucket() {
        let form = form().await;
        assert_eq!(code(&form, "tintype", NOW), Ok(Grant { min_bytes: 1, max_bytes: 10 }));
        assert_eq!(code(&form, "tintype", NOW + Duration::MINUTE), Err("AccessDenied"));
        assert_eq!(code(&form, "other", NOW), Err("AccessDenied"));
    }

    #[tokio::test]
    async fn a_client_may_name_the_true_image_type_only() {
        for (value, allowed) in [("image/png", true), ("text/html", false), ("", false)] {
            let mut form = form().await;
            form.fields.iter_mut().find(|(n, _)| n == "Content-Type").unwrap().1 = value.into();
            assert_eq!(code(&form, "tintype", NOW).is_ok(), allowed, "{value}");
        }
    }

    #[tokio::test]
    async fn every_field_is_held_to_the_policy() {
        for (name, value, refusal) in [
            ("key", "temp/other", "AccessDenied"),
            ("key", "image/abc", "AccessDenied"),
            ("acl", "public-read", "AccessDenied"),
            ("x-amz-meta-id", "2", "AccessDenied"),
            ("x-amz-date", "20261123T120001Z", "AccessDenied"),
            ("x-amz-date", "20261124T120000Z", "SignatureDoesNotMatch"),
            ("x-amz-algorithm", "AWS4-HMAC-SHA1", "InvalidArgument"),
            ("x-amz-credential", "XX/20261123/us-east-1/s3/aws4_request", "InvalidAccessKeyId"),
            ("x-amz-credential", "TT/20261123/us-west-2/s3/aws4_request", "SignatureDoesNotMatch"),
            ("x-amz-credential", "TT", "AuthorizationQueryParametersError"),
            ("x-amz-signature", "", "SignatureDoesNotMatch"),
            (
                "policy",
                "eyJleHBpcmF0aW9uIjoiMjAzMC0wMS0wMVQwMDowMDowMFoiLCJjb25kaXRpb25zIjpbXX0=",
                "SignatureDoesNotMatch",
            ),
        ] {
            let mut form = form().await;
            form.fields.iter_mut().find(|(n, _)| n == name).unwrap().1 = value.into();
            assert_eq!(code(&form, "tintype", NOW), Err(refusal), "{name}={value}");
        }
    }

    #[tokio::test]
    async fn missing_and_extra_fields_are_refused() {
        for name in ["key", "acl", "policy", "x-amz-meta-id", "x-amz-signature", "x-amz-credential", "x-amz-date"] {
            let mut form = form().await;
            form.fields.retain(|(n, _)| n != name);
            assert!(code(&form, "tintype", NOW).is_err(), "{name}");
        }
        let mut extra = form().await;
        extra.fields.push(("x-amz-meta-admin".into(), "1".into()));
        assert_eq!(code(&extra, "tintype", NOW), Err("AccessDenied"));
        let mut ignored = form().await;
        ignored.fields.push(("x-ignore-note".into(), "1".into()));
        assert!(code(&ignored, "tintype", NOW).is_ok());
    }
}
