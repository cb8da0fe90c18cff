//! What makes a write outlive a power cut: files and folders that are fsynced, a folder before what is put in it.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most folders that are remembered as durable.
const REMEMBERED: usize = 10_000;

/// Folders below a root that are known to be on disk, by name and all.
#[derive(Debug)]
pub struct Folders {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Those below a root, which is made should it not be there.
    pub fn below(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        sync_folder(root.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Self { root: root.to_owned(), durable: Mutex::default() })
    }

    /// Makes a folder below the root, if it is not there, and its name durable. A folder that is there already may be one
    /// that a crash kept from that, so it is seen to once in each process.
    pub fn make(&self, folder: &Path) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        self.make_one(folder, &mut durable)
    }

    fn make_one(&self, folder: &Path, durable: &mut MutexGuard<'_, HashSet<PathBuf>>) -> io::Result<()> {
        if folder == self.root || durable.contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.make_one(parent, durable)?;
        match fs::create_dir(folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => sync_folder(parent)?,
        }
        durable.insert(folder.to_owned());
        Ok(())
    }
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// One thread of one process at a time: threads wait for the mutex, processes for the file's lock.
#[derive(Debug)]
pub struct Turnstile {
    threads: Mutex<()>,
    file: fs::File,
}

/// Held while one is inside.
pub struct Turn<'a> {
    _thread: MutexGuard<'a, ()>,
    file: &'a fs::File,
}

impl Turnstile {
    /// One that a file stands for.
    pub fn new(path: &Path) -> io::Result<Self> {
        let file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { threads: Mutex::default(), file })
    }

    /// Waits for one's turn.
    pub fn enter(&self) -> io::Result<Turn<'_>> {
        let thread = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.file.lock()?;
        Ok(Turn { _thread: thread, file: &self.file })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Fails only on a file that is not locked; closing it would unlock it too.
        let _ = self.file.unlock();
    }
}
