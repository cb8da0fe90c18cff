//! Objects on disk.
//!
//! `blobs/xx/<uuid>` holds bytes, `index/<key>` one JSON record that names its blob. Renaming the record
//! into place is the commit: a reader sees the old object or the new one, whole, and a crash leaves at
//! most a blob that nobody names, which the next start removes.
//!
//! A write is reported done once this was done in this order: the blob's bytes fsynced, its folder fsynced, the record's
//! bytes fsynced, the record renamed, its folder fsynced. A removal: the record unlinked, its folder fsynced, then the
//! blob unlinked. Folders that are new are fsynced in their parents first. docs/storage.md says what that is good for.

mod durable;
mod incoming;
mod provider;
mod record;
mod tree;
mod turns;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use durable::{Folders, Turnstile, sync_folder};
pub use incoming::Incoming;
use record::Record;
use turns::Turns;

use super::kept::Headers;
use crate::key::Key;
use crate::store::{Listed, ObjectMeta, PutOptions};

/// Why the disk did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No such object.
    #[error("there is no such object")]
    NotFound,
    /// A segment of the key, percent-encoded, passes what file systems allow.
    #[error("a part of the key is too long for this store: at most 255 bytes once percent-encoded")]
    NameTooLong,
    /// What is there is not what was written; nothing but a copy from elsewhere helps.
    #[error("what is on disk is not what was written: {0}")]
    Damaged(String),
    /// The object there is not the one the writer wants to replace.
    #[error("at least one of the preconditions you specified did not hold")]
    ConditionFailed,
    /// The system's own error: no space, no permission …
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What must be there for a write to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Whatever is.
    None,
    /// No object.
    Absent,
    /// An object with this entity tag, or any at all.
    Present(Option<String>),
}

impl Condition {
    fn check(&self, found: Option<&ObjectMeta>) -> Result<(), DiskError> {
        match (self, found) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present(None), Some(_)) => Ok(()),
            (Self::Present(_), None) => Err(DiskError::NotFound),
            (Self::Present(Some(wanted)), Some(found)) if found.etag.as_ref() == Some(wanted) => Ok(()),
            _ => Err(DiskError::ConditionFailed),
        }
    }
}

/// What is known of an object.
pub struct Known {
    /// What callers of the port are told.
    pub meta: ObjectMeta,
    /// Its Cache-Control.
    pub cache_control: String,
    /// Other headers that were kept.
    pub headers: Headers,
    /// SHA-256 in hex, if it was kept.
    pub sha256: Option<String>,
}

impl Known {
    fn of(record: Record, key: &Key) -> Self {
        let meta = record.meta(key.clone());
        Self { meta, cache_control: record.cache_control, headers: record.headers, sha256: record.sha256 }
    }
}

/// An object that is open for reading.
pub struct Opened {
    record: Record,
    key: Key,
    /// Its bytes.
    pub file: fs::File,
}

impl Opened {
    /// What is known of it, and its bytes.
    pub fn into_parts(self) -> (Known, fs::File) {
        (Known::of(self.record, &self.key), self.file)
    }
}

/// One bucket in a folder.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: Arc<PathBuf>,
    folders: Arc<Folders>,
    /// Passed while a record is replaced, so that each old blob is removed by who replaced it.
    replacing: Arc<Turnstile>,
    /// One client's write of a key at a time.
    pub turns: Arc<Turns>,
}

impl DiskStore {
    /// Opens or makes the store in a folder, and removes what a crash left behind. For the one process that serves it.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let store = Self::at(root.into())?;
        for folder in [store.blobs(), store.index()] {
            store.folders.make(&folder)?;
        }
        tree::sweep(&store.index(), &store.blobs())?;
        Ok(store)
    }

    /// Opens a store that is there, and perhaps served by another process just now.
    ///
    /// # Errors
    /// When there is none.
    pub fn beside(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::metadata(root.join("index"))?;
        Self::at(root)
    }

    fn at(root: PathBuf) -> io::Result<Self> {
        let folders = Folders::below(&root)?;
        let replacing = Turnstile::new(&root.join("replacing"))?;
        Ok(Self {
            root: Arc::new(root),
            folders: Arc::new(folders),
            replacing: Arc::new(replacing),
            turns: Arc::default(),
        })
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Starts a new object's bytes.
    pub fn begin(&self) -> io::Result<Incoming> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let folder = self.blobs().join(&name[..2]);
        self.folders.make(&folder)?;
        let path = folder.join(&name);
        let file = fs::File::create_new(&path)?;
        Ok(Incoming::new(file, path, format!("{}/{name}", &name[..2])))
    }

    /// Puts finished bytes under a key, if what is there is as it should be. Once this returns they outlive a power cut.
    pub fn commit(
        &self,
        mut incoming: Incoming,
        key: &Key,
        options: &PutOptions,
        condition: &Condition,
    ) -> Result<ObjectMeta, DiskError> {
        let place = tree::place(&self.index(), key)?;
        incoming.file.sync_all()?;
        sync_folder(incoming.path.as_deref().and_then(Path::parent).unwrap_or(&self.root))?;
        let folder = place.parent().unwrap_or(&self.root);
        self.folders.make(folder)?;
        let record = Record::new(&incoming, options);
        let part = record.write_beside(&place)?;
        let replaced = {
            let _turn = self.replacing.enter()?;
            let replaced = self.record(key).ok();
            condition.check(replaced.as_ref().map(|old| old.meta(key.clone())).as_ref())?;
            part.persist(&place).map_err(|e| e.error)?;
            replaced
        };
        incoming.path = None;
        sync_folder(folder)?;
        if let Some(old) = replaced {
            self.remove_blob(&old.blob)?;
        }
        Ok(record.meta(key.clone()))
    }

    /// What is known of an object.
    pub fn head(&self, key: &Key) -> Result<Known, DiskError> {
        Ok(Known::of(self.record(key)?, key))
    }

    /// Opens an object for reading.
    pub fn read(&self, key: &Key) -> Result<Opened, DiskError> {
        // The object may be replaced between its record and its blob: then there is a newer record.
        let mut last = None;
        for _ in 0..8 {
            let record = self.record(key)?;
            match fs::File::open(self.blobs().join(&record.blob)) {
                Ok(file) => return Ok(Opened { record, key: key.clone(), file }),
                Err(e) if e.kind() == ErrorKind::NotFound && last.as_ref() == Some(&record.blob) => {
                    return Err(DiskError::Damaged("its bytes are gone".to_owned()));
                }
                Err(e) if e.kind() == ErrorKind::NotFound => last = Some(record.blob),
                Err(e) => return Err(e.into()),
            }
        }
        Err(DiskError::NotFound)
    }

    /// Removes an object, if it is there. Once this returns it stays removed, whatever happens.
    pub fn remove(&self, key: &Key) -> Result<(), DiskError> {
        self.remove_if(key, |_| true).map(drop)
    }

    /// Removes an object that is still the one that was listed; false when it is another by now, or gone.
    pub fn remove_listed(&self, key: &Key, listed: &Listed) -> Result<bool, DiskError> {
        self.remove_if(key, |found| found.modified == listed.modified && found.etag == listed.etag)
    }

    fn remove_if(&self, key: &Key, condition: impl FnOnce(&ObjectMeta) -> bool) -> Result<bool, DiskError> {
        let place = tree::place(&self.index(), key)?;
        let record = {
            let _turn = self.replacing.enter()?;
            let record = match self.record(key) {
                Err(DiskError::NotFound) => return Ok(false),
                record => record?,
            };
            if !condition(&record.meta(key.clone())) {
                return Ok(false);
            }
            fs::remove_file(&place)?;
            record
        };
        sync_folder(place.parent().unwrap_or(&self.root))?;
        self.remove_blob(&record.blob)?;
        Ok(true)
    }

    /// Every object whose key starts with a prefix, in the order of keys.
    pub fn scan(&self, prefix: &str) -> io::Result<Vec<ObjectMeta>> {
        // An object removed since the walk is left out.
        Ok(self.keys_from(prefix)?.iter().filter_map(|key| self.head(key).ok().map(|known| known.meta)).collect())
    }

    fn keys_from(&self, prefix: &str) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        tree::walk(&self.index(), "", prefix, &mut |key, _| keys.push(key))?;
        keys.sort();
        Ok(keys)
    }

    fn record(&self, key: &Key) -> Result<Record, DiskError> {
        Record::read(&tree::place(&self.index(), key)?).map_err(|e| match e.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => DiskError::NotFound,
            _ => e.into(),
        })
    }

    fn remove_blob(&self, blob: &str) -> io::Result<()> {
        match fs::remove_file(self.blobs().join(blob)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn put(store: &DiskStore, key: &str, bytes: &[u8]) {
        let mut incoming = store.begin().unwrap();
        incoming.write(bytes).unwrap();
        store.commit(incoming, &Key::new(key).unwrap(), &PutOptions::default(), &Condition::None).unwrap();
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
        let mut cut_off = store.begin().unwrap();
        cut_off.write(b"half").unwrap();
        std::mem::forget(cut_off);
        fs::write(dir.path().join("index/temp~/~part"), b"{").unwrap();
        assert_eq!((files(&store.blobs()), files(&store.index())), (2, 2));
        let again = DiskStore::open(dir.path()).unwrap();
        assert_eq!((files(&store.blobs()), files(&store.index())), (1, 1));
        assert_eq!(again.head(&Key::new("temp/a").unwrap()).unwrap().meta.size, 8);
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
        store.begin().unwrap().write(b"gone").unwrap();
        assert_eq!(files(&store.blobs()), 0);
    }

    #[test]
    fn what_was_put_anew_is_not_removed_for_what_was_listed() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        let key = Key::new("temp/a").unwrap();
        let listed = |store: &DiskStore| Listed::from(store.scan("temp/").unwrap().remove(0));
        put(&store, "temp/a", b"old");
        let old = listed(&store);
        // The same bytes, too: they were put there for an upload of their own.
        for bytes in [&b"new"[..], b"old"] {
            put(&store, "temp/a", bytes);
            assert!(!store.remove_listed(&key, &old).unwrap());
        }
        assert!(store.remove_listed(&key, &listed(&store)).unwrap());
        assert!(!store.remove_listed(&key, &old).unwrap());
        assert_eq!(files(&store.blobs()), 0);
    }

    #[test]
    fn a_name_no_file_system_takes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        let long = Key::new(format!("temp/{}", "x".repeat(300))).unwrap();
        assert!(matches!(store.head(&long), Err(DiskError::NameTooLong)));
    }

    #[test]
    fn bytes_that_rot_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        put(&store, "temp/a", b"as it was");
        let opened = store.read(&Key::new("temp/a").unwrap()).unwrap();
        opened.record.check(b"as it was").unwrap();
        for other in [&b"as it is!"[..], b"as it wa"] {
            assert!(matches!(opened.record.check(other), Err(DiskError::Damaged(_))), "{other:?}");
        }
        let mut before_sha256 = opened.record;
        before_sha256.sha256 = None;
        before_sha256.check(b"as it was").unwrap();
        assert!(before_sha256.check(b"as it is!").is_err());
        fs::remove_file(store.blobs().join(&before_sha256.blob)).unwrap();
        assert!(matches!(store.read(&Key::new("temp/a").unwrap()), Err(DiskError::Damaged(_))));
    }

    #[test]
    fn a_write_may_ask_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = DiskStore::open(dir.path()).unwrap();
        let key = Key::new("temp/a").unwrap();
        let write = |condition: &Condition| {
            store.commit(store.begin().unwrap(), &key, &PutOptions::default(), condition).map(|meta| meta.etag.unwrap())
        };
        assert!(matches!(write(&Condition::Present(None)), Err(DiskError::NotFound)));
        let etag = write(&Condition::Absent).unwrap();
        assert!(matches!(write(&Condition::Absent), Err(DiskError::ConditionFailed)));
        assert!(matches!(write(&Condition::Present(Some("x".into()))), Err(DiskError::ConditionFailed)));
        write(&Condition::Present(Some(etag))).unwrap();
        assert_eq!(files(&dir.path().join("blobs")), 1, "what was refused left nothing");
    }
}
