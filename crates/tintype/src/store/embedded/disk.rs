//! Objects on disk.
//!
//! `blobs/xx/<uuid>` holds bytes, `index/<key>` one JSON record that names its blob. Renaming the record
//! into place is the commit: a reader sees the old object or the new one, whole, and a crash leaves at
//! most a blob that nobody names, which the next start removes. Bytes, record and folder are fsynced
//! before a write is reported done.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::key::Key;
use crate::preset::hex;
use crate::room::{self, Room};
use crate::store::{Object, ObjectMeta, PutOptions, Store, StoreError};

/// Longest file name that common file systems allow.
const MAX_NAME: usize = 255;

/// Why the disk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No such object.
    #[error("there is no such object")]
    NotFound,
    /// A segment of the key, percent-encoded, passes what file systems allow.
    #[error("a part of the key is too long for this store: at most 255 bytes once percent-encoded")]
    NameTooLong,
    /// The system's own error: no space, no permission …
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The record of one object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    blob: String,
    size: u64,
    etag: String,
    content_type: String,
    #[serde(default)]
    cache_control: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(with = "time::serde::rfc3339")]
    modified: OffsetDateTime,
}

/// An object that is open for reading.
pub struct Opened {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// Its Cache-Control.
    pub cache_control: String,
    /// Its bytes.
    pub file: fs::File,
}

/// One bucket in a folder.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: Arc<PathBuf>,
    /// Held while a record is replaced, so that each old blob is removed by who replaced it.
    replacing: Arc<Mutex<()>>,
}

impl DiskStore {
    /// Opens or makes the store in a folder, and removes what a crash left behind. One process at a time.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(root.join("blobs"))?;
        fs::create_dir_all(root.join("index"))?;
        let store = Self { root: Arc::new(root), replacing: Arc::default() };
        store.sweep()?;
        Ok(store)
    }

    /// Starts a new object's bytes; those of a client, while there is room for them.
    pub fn begin(&self, room: Option<Room>) -> io::Result<Incoming> {
        room.as_ref().map_or(Ok(()), Room::for_upload)?;
        let name = uuid::Uuid::new_v4().simple().to_string();
        let blob = format!("{}/{name}", &name[..2]);
        let path = self.root.join("blobs").join(&blob);
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        let file = fs::File::create_new(&path)?;
        Ok(Incoming { file, path: Some(path), blob, size: 0, md5: Md5::new(), room })
    }

    /// Puts finished bytes under a key.
    pub fn commit(&self, mut incoming: Incoming, key: &Key, options: &PutOptions) -> Result<ObjectMeta, DiskError> {
        let index = self.index_path(key)?;
        incoming.file.sync_all()?;
        let record = Record {
            blob: incoming.blob.clone(),
            size: incoming.size,
            etag: hex(&incoming.md5.clone().finalize()),
            content_type: options.content_type.clone(),
            cache_control: options.cache_control.clone(),
            metadata: options.metadata.clone(),
            modified: OffsetDateTime::now_utc(),
        };
        let part = prepare_record(&index, &record)?;
        let replaced = {
            let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
            let replaced = self.record(key).ok();
            part.persist(&index).map_err(|e| e.error)?;
            replaced
        };
        incoming.path = None;
        sync_folder(&index)?;
        if let Some(old) = replaced {
            self.remove_blob(&old.blob)?;
        }
        Ok(meta(key.clone(), &record))
    }

    /// What is known of an object.
    pub fn head(&self, key: &Key) -> Result<(ObjectMeta, String), DiskError> {
        let record = self.record(key)?;
        Ok((meta(key.clone(), &record), record.cache_control))
    }

    /// Opens an object for reading.
    pub fn read(&self, key: &Key) -> Result<Opened, DiskError> {
        // The object may be replaced between its record and its blob: then there is a newer record.
        for _ in 0..8 {
            let record = self.record(key)?;
            match fs::File::open(self.root.join("blobs").join(&record.blob)) {
                Ok(file) => {
                    let meta = meta(key.clone(), &record);
                    return Ok(Opened { meta, cache_control: record.cache_control, file });
                }
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e.into()),
            }
        }
        Err(DiskError::NotFound)
    }

    /// Removes an object, if it is there.
    pub fn remove(&self, key: &Key) -> Result<(), DiskError> {
        let record = match self.record(key) {
            Err(DiskError::NotFound) => return Ok(()),
            record => record?,
        };
        fs::remove_file(self.index_path(key)?)?;
        self.remove_blob(&record.blob)?;
        Ok(())
    }

    /// Every object whose key starts with a prefix, in the order of keys.
    pub fn scan(&self, prefix: &str) -> Result<Vec<ObjectMeta>, DiskError> {
        let mut keys = Vec::new();
        walk(&self.root.join("index"), "", prefix, &mut |key, _| keys.push(key))?;
        keys.sort();
        // An object removed since the walk is left out.
        Ok(keys.iter().filter_map(|key| self.head(key).ok().map(|(meta, _)| meta)).collect())
    }

    fn record(&self, key: &Key) -> Result<Record, DiskError> {
        match fs::read(self.index_path(key)?) {
            Ok(json) => Ok(serde_json::from_slice(&json).map_err(io::Error::from)?),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(DiskError::NotFound),
            Err(e) => Err(e.into()),
        }
    }

    /// Folders end in `~`, which no encoded name holds, so `a` and `a/b` can both be objects.
    fn index_path(&self, key: &Key) -> Result<PathBuf, DiskError> {
        const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
        let mut path = self.root.join("index");
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

    fn remove_blob(&self, blob: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join("blobs").join(blob)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Removes blobs that no record names and records that were never renamed. A record that cannot be read
    /// names its blob still: then nothing is removed.
    fn sweep(&self) -> io::Result<()> {
        remove_parts(&self.root.join("index"))?;
        let mut named = HashSet::new();
        let mut unreadable = None;
        walk(&self.root.join("index"), "", "", &mut |key, path| match fs::read(path)
            .and_then(|json| Ok(serde_json::from_slice::<Record>(&json)?))
        {
            Ok(record) => drop(named.insert(record.blob)),
            Err(error) => unreadable = Some((key, error)),
        })?;
        if let Some((key, error)) = unreadable {
            tracing::warn!(%key, %error, "a record of the store cannot be read, so left-over blobs stay");
            return Ok(());
        }
        for folder in fs::read_dir(self.root.join("blobs"))? {
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

    async fn blocking<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl FnOnce(&Self, &Key) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (store, key) = (self.clone(), key.clone());
        let done = tokio::task::spawn_blocking(move || work(&store, &key).map_err(|e| failure(&key, e))).await;
        done.map_err(|e| StoreError::Unavailable(e.to_string()))?
    }
}

/// Bytes on their way into the store; dropped before [`DiskStore::commit`], they are gone.
pub struct Incoming {
    file: fs::File,
    path: Option<PathBuf>,
    blob: String,
    size: u64,
    md5: Md5,
    room: Option<Room>,
}

impl Incoming {
    /// Adds bytes. Blocks for as long as the disk takes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.room.as_ref().map_or(Ok(()), Room::for_upload)?;
        self.file.write_all(bytes)?;
        self.md5.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// MD5 of the bytes so far, as the header `Content-MD5` has it.
    pub fn content_md5(&self) -> String {
        STANDARD.encode(self.md5.clone().finalize())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        self.blocking(key, |store, key| store.head(key).map(|(meta, _)| meta)).await
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        let (meta, bytes) = self
            .blocking(key, move |store, key| {
                let mut opened = store.read(key)?;
                let mut bytes = Vec::new();
                if opened.meta.size <= limit {
                    io::Read::read_to_end(&mut opened.file, &mut bytes)?;
                }
                Ok((opened.meta, bytes))
            })
            .await?;
        if meta.size > limit {
            return Err(StoreError::TooLarge { key: meta.key, size: meta.size, limit });
        }
        Ok(Object { meta, bytes: bytes.into() })
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<(), StoreError> {
        let options = options.clone();
        self.blocking(key, move |store, key| {
            let mut incoming = store.begin(None)?;
            incoming.write(&bytes)?;
            store.commit(incoming, key, &options).map(drop)
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.blocking(key, |store, key| store.remove(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let found = tokio::task::spawn_blocking(move || store.scan(&prefix)).await;
        found.map_err(|e| StoreError::Unavailable(e.to_string()))?.map_err(|e| StoreError::Unavailable(e.to_string()))
    }

    async fn check(&self) -> Result<(), StoreError> {
        fs::metadata(self.root.join("index")).map(drop).map_err(|e| StoreError::Unavailable(e.to_string()))
    }
}

fn failure(key: &Key, error: DiskError) -> StoreError {
    match error {
        DiskError::NotFound => StoreError::NotFound(key.clone()),
        DiskError::NameTooLong => StoreError::Invalid(format!("{key}: {error}")),
        DiskError::Io(error) if room::is_full(&error) => StoreError::Full(format!("{key}: {error}")),
        error => StoreError::Unavailable(format!("{key}: {error}")),
    }
}

fn meta(key: Key, record: &Record) -> ObjectMeta {
    ObjectMeta {
        key,
        size: record.size,
        etag: Some(record.etag.clone()),
        content_type: Some(record.content_type.clone()),
        metadata: record.metadata.clone(),
        modified: record.modified,
    }
}

/// A record on disk, not yet in its place.
fn prepare_record(path: &Path, record: &Record) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // `~` first: neither an encoded name nor a folder's.
    let mut part = tempfile::Builder::new().prefix("~").tempfile_in(folder)?;
    part.write_all(&serde_json::to_vec(record)?)?;
    part.as_file().sync_all()?;
    Ok(part)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
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

/// Calls `visit` with each key below a folder of the index that starts with a prefix.
fn walk(folder: &Path, at: &str, prefix: &str, visit: &mut dyn FnMut(Key, &Path)) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(store: &DiskStore, key: &str, bytes: &[u8]) {
        let mut incoming = store.begin(None).unwrap();
        incoming.write(bytes).unwrap();
        store.commit(incoming, &Key::new(key).unwrap(), &PutOptions::default()).unwrap();
    }

    fn files(root: &Path) -> usize {
        let inside = |entry: fs::DirEntry| if entry.path().is_dir() { files(&entry.path()) } else { 1 };
        fs::read_dir(root).unwrap().map(|entry| inside(entry.unwrap())).sum()
    }

    #[test]
    fn a_start_removes_what_a_crash_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        put(&store, "temp/a", b"kept");
        put(&store, "temp/a", b"replaced");
        let mut cut_off = store.begin(None).unwrap();
        cut_off.write(b"half").unwrap();
        std::mem::forget(cut_off);
        fs::write(dir.path().join("index/temp~/~part"), b"{").unwrap();
        assert_eq!(files(dir.path()), 4);
        let again = DiskStore::open(dir.path()).unwrap();
        assert_eq!(files(dir.path()), 2);
        assert_eq!(again.head(&Key::new("temp/a").unwrap()).unwrap().0.size, 8);
    }

    #[test]
    fn a_record_that_cannot_be_read_costs_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        put(&store, "temp/a", b"kept");
        fs::write(dir.path().join("index/temp~/a"), b"{\"of\": \"another version\"}").unwrap();
        DiskStore::open(dir.path()).unwrap();
        assert_eq!(files(&dir.path().join("blobs")), 1);
    }

    #[test]
    fn bytes_that_are_dropped_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        store.begin(None).unwrap().write(b"gone").unwrap();
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn a_name_no_file_system_takes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        let long = Key::new(format!("temp/{}", "x".repeat(300))).unwrap();
        assert!(matches!(store.head(&long), Err(DiskError::NameTooLong)));
    }
}
