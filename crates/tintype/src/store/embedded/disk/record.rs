//! The record of one object: one JSON file, which names the blob that holds its bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::OffsetDateTime;

use super::DiskError;
use super::incoming::Incoming;
use crate::key::Key;
use crate::preset::hex;
use crate::store::embedded::kept::Headers;
use crate::store::{ObjectMeta, PutOptions};

/// What is known of one object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The name of its blob, below `blobs/`.
    pub blob: String,
    size: u64,
    /// MD5 in hex, as S3 has it of an object that came in one piece.
    etag: String,
    /// SHA-256 in hex; records of versions before it have none.
    #[serde(default)]
    pub sha256: Option<String>,
    content_type: String,
    #[serde(default)]
    pub cache_control: String,
    /// Other headers that are kept.
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(with = "time::serde::rfc3339")]
    modified: OffsetDateTime,
}

impl Record {
    /// The record of bytes that are all there.
    pub fn new(incoming: &Incoming, options: &PutOptions) -> Self {
        Self {
            blob: incoming.blob.clone(),
            size: incoming.size(),
            etag: hex(&incoming.md5()),
            sha256: Some(hex(&incoming.sha256())),
            content_type: options.content_type.clone(),
            cache_control: options.cache_control.clone(),
            headers: incoming.headers.clone(),
            metadata: options.metadata.clone(),
            modified: OffsetDateTime::now_utc(),
        }
    }

    /// What a caller is told of it.
    pub fn meta(&self, key: Key) -> ObjectMeta {
        ObjectMeta {
            key,
            size: self.size,
            etag: Some(self.etag.clone()),
            version: None,
            content_type: Some(self.content_type.clone()),
            metadata: self.metadata.clone(),
            modified: self.modified,
        }
    }

    /// Holds bytes against what was written: SHA-256, or the entity tag where the record has none.
    ///
    /// # Errors
    /// [`DiskError::Damaged`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), DiskError> {
        let damaged = |what: String| Err(DiskError::Damaged(what));
        if bytes.len() as u64 != self.size {
            return damaged(format!("{} bytes are there of {}", bytes.len(), self.size));
        }
        let (name, expected, found) = match &self.sha256 {
            Some(sha256) => ("SHA-256", sha256, hex(&Sha256::digest(bytes))),
            None => ("MD5", &self.etag, hex(&Md5::digest(bytes))),
        };
        if *expected == found { Ok(()) } else { damaged(format!("{name} is {found}, was {expected}")) }
    }

    /// Writes it beside its place, durably; renamed there it is the object.
    pub fn write_beside(&self, place: &Path) -> io::Result<tempfile::NamedTempFile> {
        // `~` first: neither an encoded name nor a folder's.
        let folder = place.parent().unwrap_or(Path::new("."));
        let mut part = tempfile::Builder::new().prefix("~").tempfile_in(folder)?;
        part.write_all(&serde_json::to_vec(self)?)?;
        part.as_file().sync_all()?;
        Ok(part)
    }

    /// Reads one back.
    pub fn read(place: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(place)?)?)
    }
}
