//! S3: a form with a POST policy, or a presigned PUT.
//!
//! POST policy: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>.
//! Presigned URL: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use url::Url;

use super::sigv4::{ALGORITHM, Scope, canonical_value, encode_path, encode_query};
use super::{Constraints, Credential, EnforcedBy, Presign, PresignError, Presigner};
use crate::key::Key;
use crate::preset::hex;
use crate::upload::{Method, Policy};

/// Where the store's credentials come from: fixed, or renewed by the platform.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The credentials in force now.
    async fn credential(&self) -> Result<Credential, PresignError>;
}

#[async_trait]
impl CredentialSource for Credential {
    async fn credential(&self) -> Result<Credential, PresignError> {
        Ok(self.clone())
    }
}

/// Signs for one S3 bucket.
#[derive(Clone)]
pub struct S3Presigner {
    /// Name of the bucket, as the policy says it.
    pub bucket: String,
    /// Address of the bucket as clients reach it, without a last slash.
    pub bucket_url: Url,
    /// Region in the signature's scope.
    pub region: String,
    /// Value of the field `acl`; empty for none.
    pub acl: String,
    /// Whose signature.
    pub credentials: Arc<dyn CredentialSource>,
    /// A PUT may not replace an object (`If-None-Match: *`). A form cannot say so.
    pub once: bool,
}

#[async_trait]
impl Presigner for S3Presigner {
    async fn presign(
        &self,
        key: &Key,
        policy: &Policy,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<Presign, PresignError> {
        let credential = self.credentials.credential().await?;
        let scope = Scope { time: now, region: &self.region };
        let asked = Asked { credential: &credential, scope, key, policy, expires_at };
        Ok(match policy.method {
            Method::Post => self.post(&asked),
            Method::Put => self.put(&asked),
        })
    }
}

/// What is to be signed.
struct Asked<'a> {
    credential: &'a Credential,
    scope: Scope<'a>,
    key: &'a Key,
    policy: &'a Policy,
    expires_at: OffsetDateTime,
}

impl S3Presigner {
    fn post(&self, asked: &Asked<'_>) -> Presign {
        let &Asked { credential, ref scope, key, policy, expires_at } = asked;
        let client = self.client_fields(key, policy);
        let signer = signer_fields(credential, scope);
        let document = self.document(policy, &client, &signer, expires_at);
        let encoded = STANDARD.encode(document.to_string());
        let signature = scope.sign(&credential.secret, &encoded);

        let mut fields = client;
        fields.insert("policy".into(), encoded.into());
        fields.extend(signer);
        fields.insert("x-amz-signature".into(), signature.into());
        Presign {
            method: "POST".into(),
            url: self.bucket_url.to_string(),
            headers: Map::new(),
            fields,
            expires_at,
            constraints: constraints(policy, EnforcedBy::Store),
        }
    }

    /// The fields a client fills in or passes on, in the order the seed's client sends them.
    fn client_fields(&self, key: &Key, policy: &Policy) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("key".into(), key.as_str().into());
        if !self.acl.is_empty() {
            fields.insert("acl".into(), self.acl.as_str().into());
        }
        fields.insert("Content-Type".into(), policy.content_type.as_str().into());
        for (name, value) in &policy.metadata {
            fields.insert(format!("x-amz-meta-{name}"), value.as_str().into());
        }
        fields
    }

    /// The policy: each field as it is, but for the content type, which the client may make precise.
    fn document(
        &self,
        policy: &Policy,
        client: &Map<String, Value>,
        signer: &Map<String, Value>,
        expires_at: OffsetDateTime,
    ) -> Value {
        let mut conditions = vec![json!({"bucket": self.bucket})];
        for (name, value) in client {
            conditions.push(match name.as_str() {
                "Content-Type" if is_image(&policy.content_type) => {
                    json!(["starts-with", "$Content-Type", "image/"])
                }
                _ => json!({name: value}),
            });
        }
        let (least, most) = policy.size.map_or((1, policy.max_bytes), |size| (size, size));
        conditions.push(json!(["content-length-range", least, most]));
        conditions.extend(signer.iter().map(|(name, value)| json!({name: value})));
        json!({"expiration": iso8601(expires_at), "conditions": conditions})
    }

    fn put(&self, asked: &Asked<'_>) -> Presign {
        let &Asked { credential, ref scope, key, policy, expires_at } = asked;
        let headers = put_headers(policy, self.once);
        let mut signed: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_lowercase(), v.clone())).collect();
        signed.push(("host".into(), authority(&self.bucket_url)));
        signed.sort();
        let names: Vec<_> = signed.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");

        let lifetime = (expires_at - scope.time).whole_seconds().max(1).to_string();
        let mut query = vec![
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", scope.credential(credential)),
            ("X-Amz-Date", scope.amz_date()),
            ("X-Amz-Expires", lifetime),
        ];
        query.extend(credential.token.clone().map(|token| ("X-Amz-Security-Token", token)));
        query.push(("X-Amz-SignedHeaders", names.clone()));
        let query: Vec<_> = query.iter().map(|(n, v)| format!("{n}={}", encode_query(v))).collect();
        let query = query.join("&");

        let path = format!("{}/{}", self.bucket_url.path().trim_end_matches('/'), encode_path(key.as_str()));
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", canonical_value(value))).collect();
        let request = format!("PUT\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD");
        let text = format!("{ALGORITHM}\n{}\n{}\n{}", scope.amz_date(), scope.name(), hex(&Sha256::digest(request)));
        let signature = scope.sign(&credential.secret, &text);
        let origin = self.bucket_url.origin().ascii_serialization();
        // Without a size that the signature covers, no S3 bounds a PUT.
        let enforced_by = if policy.size.is_some() { EnforcedBy::Store } else { EnforcedBy::Processor };
        Presign {
            method: "PUT".into(),
            url: format!("{origin}{path}?{query}&X-Amz-Signature={signature}"),
            headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            fields: Map::new(),
            expires_at,
            constraints: constraints(policy, enforced_by),
        }
    }
}

/// The fields that say who signed, when and how.
fn signer_fields(credential: &Credential, scope: &Scope<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("x-amz-algorithm".into(), ALGORITHM.into());
    fields.insert("x-amz-credential".into(), scope.credential(credential).into());
    fields.insert("x-amz-date".into(), scope.amz_date().into());
    if let Some(token) = &credential.token {
        fields.insert("x-amz-security-token".into(), token.as_str().into());
    }
    fields
}

fn put_headers(policy: &Policy, once: bool) -> Vec<(String, String)> {
    let mut headers = vec![("Content-Type".to_owned(), policy.content_type.clone())];
    headers.extend(once.then(|| ("If-None-Match".to_owned(), "*".to_owned())));
    headers.extend(policy.size.map(|size| ("Content-Length".to_owned(), size.to_string())));
    headers.extend(policy.metadata.iter().map(|(name, value)| (format!("x-amz-meta-{name}"), value.clone())));
    headers
}

fn constraints(policy: &Policy, enforced_by: EnforcedBy) -> Constraints {
    Constraints { max_bytes: policy.max_bytes, content_type: policy.content_type.clone(), enforced_by }
}

fn is_image(content_type: &str) -> bool {
    content_type.starts_with("image/")
}

/// Host and, where it is not the usual one, port: the header `Host`.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `2026-11-23T18:42:18Z`, to the second as boto3 writes it.
fn iso8601(at: OffsetDateTime) -> String {
    let (date, (hour, minute, second)) = (at.date(), at.time().as_hms());
    format!("{date}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    fn presigner() -> S3Presigner {
        S3Presigner {
            bucket: "examplebucket".into(),
            bucket_url: "https://examplebucket.s3.amazonaws.com".parse().unwrap(),
            region: "us-east-1".into(),
            acl: "bucket-owner-full-control".into(),
            credentials: Arc::new(Credential {
                key_id: "AKIAIOSFODNN7EXAMPLE".into(),
                secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
                token: Some("session".into()),
            }),
            once: true,
        }
    }

    fn policy(method: Method) -> Policy {
        Policy {
            method,
            content_type: "image/*".into(),
            max_bytes: 100,
            size: None,
            metadata: [("id".to_owned(), "12345".to_owned())].into(),
            claim_within: None,
        }
    }

    /// The policy and signature that AWS prints as its example of a POST upload
    /// (sigv4-post-example): the signing chain must reproduce it.
    #[test]
    fn signs_as_the_published_example() {
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        let scope = Scope { time: datetime!(2015-12-29 00:00 UTC), region: "us-east-1" };
        let signature = scope.sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", policy);
        assert_eq!(signature, "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
    }

    #[tokio::test]
    async fn a_form_has_its_fields_in_order_and_each_in_the_policy() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let key = Key::new("temp/abc.jpg").unwrap();
        let expires = now + time::Duration::seconds(1000);
        let presign = presigner().presign(&key, &policy(Method::Post), now, expires).await.unwrap();
        let names: Vec<_> = presign.fields.keys().map(String::as_str).collect();
        let expected = [
            "key",
            "acl",
            "Content-Type",
            "x-amz-meta-id",
            "policy",
            "x-amz-algorithm",
            "x-amz-credential",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-signature",
        ];
        assert_eq!(names, expected);
        let document = STANDARD.decode(presign.fields["policy"].as_str().unwrap()).unwrap();
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["expiration"], "2026-11-23T12:16:40Z");
        let conditions = document["conditions"].as_array().unwrap();
        for wanted in [
            json!({"bucket": "examplebucket"}),
            json!({"key": "temp/abc.jpg"}),
            json!(["starts-with", "$Content-Type", "image/"]),
            json!({"x-amz-meta-id": "12345"}),
            json!(["content-length-range", 1, 100]),
            json!({"x-amz-security-token": "session"}),
        ] {
            assert!(conditions.contains(&wanted), "{wanted} not in {document}");
        }
    }

    #[tokio::test]
    async fn a_put_says_who_enforces_the_size() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let key = Key::new("temp/a b.jpg").unwrap();
        let mut policy = policy(Method::Put);
        let loose = presigner().presign(&key, &policy, now, now + time::Duration::HOUR).await.unwrap();
        assert_eq!(loose.constraints.enforced_by, EnforcedBy::Processor);
        assert!(loose.url.starts_with("https://examplebucket.s3.amazonaws.com/temp/a%20b.jpg?X-Amz-Algorithm="));
        policy.size = Some(42);
        let exact = presigner().presign(&key, &policy, now, now + time::Duration::HOUR).await.unwrap();
        assert_eq!(exact.constraints.enforced_by, EnforcedBy::Store);
        assert_eq!(exact.headers["Content-Length"], "42");
    }

    #[tokio::test]
    async fn spaces_in_a_row_are_given_out_as_they_are_and_signed_as_one() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let key = Key::new("temp/a.jpg").unwrap();
        let mut presigns = Vec::new();
        for text in ["a b c", "a  b   c"] {
            let mut policy = policy(Method::Put);
            policy.metadata = [("t".to_owned(), text.to_owned())].into();
            presigns.push(presigner().presign(&key, &policy, now, now + time::Duration::HOUR).await.unwrap());
            assert_eq!(presigns.last().unwrap().headers["x-amz-meta-t"], text);
        }
        assert_eq!(presigns[0].url, presigns[1].url);
    }

    #[tokio::test]
    async fn a_put_replaces_nothing_unless_that_is_wanted() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let key = Key::new("temp/a.jpg").unwrap();
        for once in [true, false] {
            let presigner = S3Presigner { once, ..presigner() };
            let presign = presigner.presign(&key, &policy(Method::Put), now, now + time::Duration::HOUR).await.unwrap();
            assert_eq!(presign.headers.get("If-None-Match").map(|value| value == "*"), once.then_some(true));
            assert_eq!(presign.url.contains("if-none-match"), once, "{}", presign.url);
        }
    }
}
