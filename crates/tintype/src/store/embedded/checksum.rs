//! Checksums that clients send with an object's bytes, before them or after, and get back with them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::dto::ChecksumMode;
use s3s::{S3Result, s3_error};

use super::disk::Known;

const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const CRC64: &str = "x-amz-checksum-crc64nvme";
const SHA1: &str = "x-amz-checksum-sha1";
const SHA256: &str = "x-amz-checksum-sha256";

/// Those that a client has said it sends, as far as the bytes have come.
pub struct Checksums(ChecksumHasher);

impl Checksums {
    /// What the headers hold, and what they announce for the end.
    pub fn announced_in(headers: &HeaderMap) -> Self {
        let trailers = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let comes =
            |name| headers.contains_key(name) || trailers.split(',').any(|t| t.trim().eq_ignore_ascii_case(name));
        Self(ChecksumHasher {
            crc32: comes(CRC32).then(Default::default),
            crc32c: comes(CRC32C).then(Default::default),
            crc64nvme: comes(CRC64).then(Default::default),
            sha1: comes(SHA1).then(Default::default),
            sha256: comes(SHA256).then(Default::default),
        })
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Whether all bytes are those that were sent.
    pub fn check(self, headers: &HeaderMap, trailers: Option<HeaderMap>) -> S3Result<()> {
        let trailers = trailers.unwrap_or_default();
        let made = self.0.finalize();
        let all = [
            (CRC32, made.checksum_crc32),
            (CRC32C, made.checksum_crc32c),
            (CRC64, made.checksum_crc64nvme),
            (SHA1, made.checksum_sha1),
            (SHA256, made.checksum_sha256),
        ];
        for (name, made) in all.into_iter().filter_map(|(name, made)| Some((name, made?))) {
            let given = headers.get(name).or_else(|| trailers.get(name));
            if given.is_none_or(|given| given.as_bytes() != made.as_bytes()) {
                return Err(s3_error!(BadDigest, "The {name} you specified did not match what we received."));
            }
        }
        Ok(())
    }
}

/// The SHA-256 of an object in base64, for who asks for it. A client that knows it sees damage that came after.
pub fn of_whole(known: &Known, mode: Option<&ChecksumMode>) -> Option<String> {
    let asked = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    let hex = known.sha256.as_ref().filter(|_| asked)?;
    let bytes: Option<Vec<u8>> =
        (0..hex.len() / 2).map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()).collect();
    Some(STANDARD.encode(bytes?))
}
