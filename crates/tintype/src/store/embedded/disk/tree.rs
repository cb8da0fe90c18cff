//! Keys as paths below `index/`, and the way back.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::DiskError;
use super::record::Record;
use crate::key::Key;

/// Longest file name that common file systems allow.
const MAX_NAME: usize = 255;

/// Where the record of a key is. Folders end in `~`, which no encoded name holds, so `a` and `a/b` can both be objects.
pub fn place(index: &Path, key: &Key) -> Result<PathBuf, DiskError> {
    const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    let mut path = index.to_owned();
    let mut segments = key.as_str().split('/').peekable();
    while let Some(segment) = segments.next() {
        let folder = if segments.peek().is_some() { "~" } else { "" };
        let name = format!("{}{folder}", utf8_percent_encode(segment, SAFE));
        if name.len() > MAX_NAME {
            return Err(DiskError::NameTooLong);
        }
        path.push(name);
    }
    Ok(path)
}

/// Calls `visit` with each key below a folder of the index that starts with a prefix.
pub fn walk(folder: &Path, at: &str, prefix: &str, visit: &mut dyn FnMut(Key, &Path)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with('~') {
            continue;
        }
        let inside = name.strip_suffix('~');
        let decoded = percent_decode_str(inside.unwrap_or(name)).decode_utf8_lossy();
        if inside.is_some() {
            let inside = format!("{at}{decoded}/");
            if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                walk(&entry.path(), &inside, prefix, visit)?;
            }
        } else if let Ok(key) = Key::new(format!("{at}{decoded}"))
            && key.as_str().starts_with(prefix)
        {
            visit(key, &entry.path());
        }
    }
    Ok(())
}

/// Removes blobs that no record names and records that were never renamed. A record that cannot be read
/// names its blob still: then nothing is removed.
pub fn sweep(index: &Path, blobs: &Path) -> io::Result<()> {
    remove_parts(index)?;
    let mut named = HashSet::new();
    let mut unreadable = None;
    walk(index, "", "", &mut |key, path| match Record::read(path) {
        Ok(record) => drop(named.insert(record.blob)),
        Err(error) => unreadable = Some((key, error)),
    })?;
    if let Some((key, error)) = unreadable {
        tracing::warn!(%key, %error, "a record of the store cannot be read, so left-over blobs stay");
        return Ok(());
    }
    for folder in fs::read_dir(blobs)? {
        let folder = folder?;
        for blob in fs::read_dir(folder.path())? {
            let blob = blob?;
            let name = format!("{}/{}", folder.file_name().display(), blob.file_name().display());
            if !named.contains(&name) {
                fs::remove_file(blob.path())?;
            }
        }
    }
    Ok(())
}

/// Removes records that a crash left on their way.
fn remove_parts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_parts(&entry.path())?;
        } else if entry.file_name().as_encoded_bytes().starts_with(b"~") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
