//! Calls to the bucket itself, signed in their headers: for what no presigned URL is handed out for.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Method;
use md5::Md5;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::PresignError;
use super::s3::{S3Presigner, authority};
use super::sigv4::{ALGORITHM, Scope, canonical_value, encode_path, encode_query};
use crate::key::Key;
use crate::preset::hex;

/// One call of S3's REST interface, to a bucket or to one of its objects.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// `GET`, unless told otherwise.
    pub method: Method,
    /// The object; none for the bucket itself.
    pub key: Option<Key>,
    /// Query, names and values as they are before encoding.
    pub query: Vec<(String, String)>,
    /// Headers other than those of the signature.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Bytes,
}

impl Call {
    /// A call of a method to the bucket.
    pub fn new(method: Method) -> Self {
        Self { method, ..Self::default() }
    }

    /// The same call to one object.
    pub fn key(self, key: &Key) -> Self {
        Self { key: Some(key.clone()), ..self }
    }

    /// The same call with one more part of the query.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same call with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The same call with a body, and the digest that S3 asks for where it changes a bucket.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let digest = STANDARD.encode(Md5::digest(&body));
        Self { body, ..self }.header("content-md5", &digest)
    }

    fn canonical_query(&self) -> String {
        let mut pairs: Vec<_> = self.query.iter().map(|(n, v)| (encode_query(n), encode_query(v))).collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

impl S3Presigner {
    /// Where a call goes to.
    pub fn address(&self, call: &Call) -> String {
        let query = call.canonical_query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", self.bucket_url.origin().ascii_serialization(), self.path(call))
    }

    /// The headers that make a call one of the store's account: its own and the signature's.
    ///
    /// # Errors
    /// When the store's own credentials cannot be had.
    pub async fn sign(&self, call: &Call, now: OffsetDateTime) -> Result<Vec<(String, String)>, PresignError> {
        let credential = self.credentials.credential().await?;
        let scope = Scope { time: now, region: &self.region };
        let digest = hex(&Sha256::digest(&call.body));
        let mut headers = call.headers.clone();
        headers.push(("x-amz-content-sha256".into(), digest.clone()));
        headers.push(("x-amz-date".into(), scope.amz_date()));
        headers.extend(credential.token.clone().map(|token| ("x-amz-security-token".into(), token)));

        let mut signed = headers.clone();
        signed.push(("host".into(), authority(&self.bucket_url)));
        signed.sort();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", canonical_value(value))).collect();
        let (method, path, query) = (&call.method, self.path(call), call.canonical_query());
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}");
        let text = format!("{ALGORITHM}\n{}\n{}\n{}", scope.amz_date(), scope.name(), hex(&Sha256::digest(request)));
        let signature = scope.sign(&credential.secret, &text);
        let who = scope.credential(&credential);
        let authorization = format!("{ALGORITHM} Credential={who},SignedHeaders={names},Signature={signature}");
        headers.push(("authorization".into(), authorization));
        Ok(headers)
    }

    fn path(&self, call: &Call) -> String {
        match &call.key {
            Some(key) => format!("{}/{}", self.bucket_url.path().trim_end_matches('/'), encode_path(key.as_str())),
            None => self.bucket_url.path().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::presign::Credential;
    use time::macros::datetime;

    fn presigner() -> S3Presigner {
        S3Presigner {
            bucket: "examplebucket".into(),
            bucket_url: "https://examplebucket.s3.amazonaws.com".parse().unwrap(),
            region: "us-east-1".into(),
            acl: String::new(),
            credentials: Arc::new(Credential {
                key_id: "AKIAIOSFODNN7EXAMPLE".into(),
                secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
                token: None,
            }),
            once: true,
        }
    }

    /// The examples that AWS prints: a bucket's lifecycle, and a listing (sig-v4-header-based-auth).
    #[tokio::test]
    async fn signs_as_the_published_examples() {
        let lifecycle = Call::new(Method::GET).query("lifecycle", "");
        let list = Call::new(Method::GET).query("prefix", "J").query("max-keys", "2");
        for (call, signature) in [
            (lifecycle, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (list, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let headers = presigner().sign(&call, datetime!(2013-05-24 00:00 UTC)).await.unwrap();
            let (_, authorization) = headers.iter().find(|(name, _)| name == "authorization").unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
        }
    }

    #[test]
    fn addresses_are_those_that_are_signed() {
        let key = Key::new("temp/a b.png").unwrap();
        let call = Call::new(Method::GET).key(&key).query("versionId", "a/b");
        let address = presigner().address(&call);
        assert_eq!(address, "https://examplebucket.s3.amazonaws.com/temp/a%20b.png?versionId=a%2Fb");
        assert_eq!(presigner().address(&Call::new(Method::GET)), "https://examplebucket.s3.amazonaws.com/");
    }
}
