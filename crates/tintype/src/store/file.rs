//! Plain files in a folder, as `tintype process` writes them. Content types and metadata are not kept.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;

use super::{Object, ObjectMeta, Precondition, PutOptions, Store, StoreError, Written};
use crate::aside::aside;
use crate::key::Key;
use crate::room::is_full;

/// A folder whose files are the objects.
#[derive(Debug, Clone)]
pub struct FileStore {
    root: PathBuf,
}

impl FileStore {
    /// A store in a folder, which is made when first written to.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        aside(move || work(store)).await.map_err(|e| StoreError::Unavailable(e.to_string()))?
    }
}

#[async_trait]
impl Store for FileStore {
    async fn head(&self, key: &Key) -> Result<ObjectMeta, StoreError> {
        let key = key.clone();
        self.blocking(move |store| {
            let data = std::fs::metadata(store.path(&key)).map_err(|e| failure(&key, &e))?;
            if data.is_file() { Ok(meta(key, &data)) } else { Err(StoreError::NotFound(key)) }
        })
        .await
    }

    async fn get(&self, key: &Key, limit: u64) -> Result<Object, StoreError> {
        let key = key.clone();
        self.blocking(move |store| read(&store.path(&key), key, limit)).await
    }

    async fn put(&self, key: &Key, bytes: Bytes, options: &PutOptions) -> Result<Written, StoreError> {
        let key = key.clone();
        let is_new = match &options.condition {
            Precondition::None => false,
            Precondition::Absent => true,
            Precondition::Etag(_) => return Err(StoreError::Unsupported("files have no entity tags".to_owned())),
        };
        self.blocking(move |store| match write(&store.path(&key), &bytes, is_new) {
            Err(e) if is_new && e.kind() == ErrorKind::AlreadyExists => Err(StoreError::Precondition(key)),
            Err(e) if is_full(&e) => Err(StoreError::Full(format!("no room for {key} in {}", store.root.display()))),
            Err(e) => Err(not_written(&key, &e)),
            Ok(()) => Ok(Written::default()),
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |store| match std::fs::remove_file(store.path(&key)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(failure(&key, &e)),
            _ => Ok(()),
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        let prefix = prefix.to_owned();
        self.blocking(move |store| {
            let mut found = Vec::new();
            walk(&store.root, "", &prefix, &mut found).map_err(|e| StoreError::Unavailable(e.to_string()))?;
            found.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn read(path: &Path, key: Key, limit: u64) -> Result<Object, StoreError> {
    let data = std::fs::metadata(path).map_err(|e| failure(&key, &e))?;
    if !data.is_file() {
        return Err(StoreError::NotFound(key));
    }
    if data.len() > limit {
        return Err(StoreError::TooLarge { key, size: data.len(), limit });
    }
    let bytes = std::fs::read(path).map_err(|e| failure(&key, &e))?;
    let mut meta = meta(key, &data);
    meta.size = bytes.len() as u64;
    Ok(Object { meta, bytes: bytes.into() })
}

fn meta(key: Key, data: &std::fs::Metadata) -> ObjectMeta {
    let modified = data.modified().map_or(OffsetDateTime::UNIX_EPOCH, OffsetDateTime::from);
    // A file has no entity tag, and a hash of its own would cost as much as its entropy decoding: manifests have SHA-256.
    ObjectMeta {
        key,
        size: data.len(),
        etag: None,
        version: None,
        content_type: None,
        metadata: Default::default(),
        modified,
    }
}

/// Writes beside the file and renames, so that a reader never sees a part; `is_new` is for a name that must be free.
fn write(path: &Path, bytes: &[u8], is_new: bool) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let part_of_it = || {
        tempfile::Builder::new()
            .prefix(".tintype-")
            .make_in(folder, |path| std::fs::OpenOptions::new().write(true).create_new(true).open(path))
    };
    let mut part = match part_of_it() {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(folder)?;
            part_of_it()?
        }
        part => part?,
    };
    part.write_all(bytes)?;
    if is_new {
        part.persist_noclobber(path)?;
    } else {
        part.persist(path)?;
    }
    Ok(())
}

fn walk(folder: &Path, at: &str, prefix: &str, found: &mut Vec<ObjectMeta>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{at}{name}")) else {
            continue;
        };
        let data = entry.metadata()?;
        if data.is_dir() {
            let inside = format!("{name}/");
            if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                walk(&entry.path(), &inside, prefix, found)?;
            }
        } else if name.starts_with(prefix) {
            found.extend(Key::new(name).ok().map(|key| meta(key, &data)));
        }
    }
    Ok(())
}

/// A folder that is not there is no missing object here.
fn not_written(key: &Key, error: &std::io::Error) -> StoreError {
    match failure(key, error) {
        StoreError::NotFound(_) => StoreError::Unavailable(format!("{key} cannot be written: {error}")),
        other => other,
    }
}

fn failure(key: &Key, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => StoreError::NotFound(key.clone()),
        ErrorKind::InvalidFilename => StoreError::Invalid(format!("{key}: {error}")),
        ErrorKind::PermissionDenied => StoreError::Unavailable(format!("no permission for {key}: {error}")),
        _ => StoreError::Unavailable(format!("{key}: {error}")),
    }
}
