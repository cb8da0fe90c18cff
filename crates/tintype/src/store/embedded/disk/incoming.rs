//! Bytes on their way into the store.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::super::kept::Headers;
use crate::room::Room;

/// A new object's bytes; dropped before [`super::DiskStore::commit`], they are gone.
pub struct Incoming {
    pub(super) file: fs::File,
    /// Where they are, as long as no record names them.
    pub(super) path: Option<PathBuf>,
    pub(super) blob: String,
    pub(super) headers: Headers,
    size: u64,
    md5: Md5,
    sha256: Sha256,
    room: Option<Room>,
}

impl Incoming {
    pub(super) fn new(file: fs::File, path: PathBuf, blob: String) -> Self {
        Self {
            file,
            path: Some(path),
            blob,
            headers: Headers::new(),
            size: 0,
            md5: Md5::new(),
            sha256: Sha256::new(),
            room: None,
        }
    }

    /// The same, of a client: as long as there is room for it.
    pub fn within(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }

    /// The same, with headers that are kept.
    pub fn with(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Adds bytes. Blocks for as long as the disk takes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.room.as_ref().map_or(Ok(()), Room::for_upload)?;
        self.file.write_all(bytes)?;
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// MD5 of the bytes so far, as the header `Content-MD5` has it.
    pub fn content_md5(&self) -> String {
        STANDARD.encode(self.md5())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn md5(&self) -> [u8; 16] {
        self.md5.clone().finalize().into()
    }

    pub(super) fn sha256(&self) -> [u8; 32] {
        self.sha256.clone().finalize().into()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}
