//! AWS Signature Version 4: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use time::OffsetDateTime;

use super::Credential;
use crate::preset::hex;

/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Day, region and service that a signature is good for.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// When it was signed.
    pub time: OffsetDateTime,
    /// The bucket's region.
    pub region: &'a str,
}

impl Scope<'_> {
    /// `20261123`.
    pub fn day(&self) -> String {
        let t = self.time;
        format!("{:04}{:02}{:02}", t.year(), u8::from(t.month()), t.day())
    }

    /// `20261123T184218Z`.
    pub fn amz_date(&self) -> String {
        let t = self.time;
        format!("{}T{:02}{:02}{:02}Z", self.day(), t.hour(), t.minute(), t.second())
    }

    /// `20261123/eu-central-1/s3/aws4_request`.
    pub fn name(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day(), self.region)
    }

    /// `<key id>/20261123/eu-central-1/s3/aws4_request`.
    pub fn credential(&self, credential: &Credential) -> String {
        format!("{}/{}", credential.key_id, self.name())
    }

    /// The signature of a text, in hex.
    pub fn sign(&self, secret: &str, text: &str) -> String {
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), self.day().as_bytes());
        for part in [self.region, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, text.as_bytes()))
    }
}

/// Percent-encoding of one query value.
pub fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// Percent-encoding of a path, slashes kept.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A header's value as it is signed: no spaces at its ends, and one where there are several in a row.
pub fn canonical_value(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
