//! The file of a SQLite ledger, held against what lies at its path. SQLite goes on reading and writing a file that was
//! removed or replaced, and all of that is gone when the process ends.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::damage;

/// Bytes of a database's header (<https://sqlite.org/fileformat.html>, section 1.3).
const HEADER: u64 = 100;

/// A file and its write-ahead log.
#[derive(Debug)]
pub(super) struct LedgerFile {
    parts: [Part; 2],
    is_lost: AtomicBool,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Device and inode, as they were first seen.
    is: OnceLock<(u64, u64)>,
    least: u64,
}

impl LedgerFile {
    pub(super) fn new(path: &Path) -> Self {
        let mut log = OsString::from(path);
        log.push("-wal");
        let part = |path, least| Part { path, is: OnceLock::new(), least };
        Self { parts: [part(path.to_owned(), HEADER), part(log.into(), 0)], is_lost: AtomicBool::new(false) }
    }

    /// Looks whether what is written can be read by whoever opens the ledger next, and reports it if not. Once it cannot, it
    /// never can.
    pub(super) fn check(&self) -> bool {
        if let Some(why) = self.parts.iter().find_map(Part::trouble)
            && !self.is_lost.swap(true, Ordering::Relaxed)
        {
            damage::report(&why);
        }
        !self.is_lost()
    }

    /// As it was last seen.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }
}

impl Part {
    fn trouble(&self) -> Option<String> {
        let what = match std::fs::metadata(&self.path) {
            Ok(found) => {
                let here = (found.dev(), found.ino());
                if here != *self.is.get_or_init(|| here) {
                    "was replaced"
                } else if found.len() < self.least {
                    "was cut off"
                } else {
                    return None;
                }
            }
            // The log is made with the first write.
            Err(error) if error.kind() == ErrorKind::NotFound && self.is.get().is_some() => "was removed",
            Err(_) => return None,
        };
        Some(format!("{} {what} while it is in use: what is written is lost", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_that_is_gone_cut_or_another_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("l.db"), dir.path().join("l.db-wal"));
        let trouble = |harm: &dyn Fn()| {
            std::fs::write(&file, [1; 200]).unwrap();
            let parts = LedgerFile::new(&file).parts;
            assert_eq!(parts.iter().find_map(Part::trouble), None, "there need be no log yet");
            std::fs::write(&log, []).unwrap();
            assert_eq!(parts.iter().find_map(Part::trouble), None);
            harm();
            parts.iter().find_map(Part::trouble)
        };
        assert!(trouble(&|| std::fs::remove_file(&file).unwrap()).unwrap().contains("was removed"));
        assert!(trouble(&|| std::fs::remove_file(&log).unwrap()).unwrap().contains("l.db-wal was removed"));
        assert!(trouble(&|| std::fs::write(&file, []).unwrap()).unwrap().contains("was cut off"));
        let replace = || {
            std::fs::write(dir.path().join("new"), [1; 200]).unwrap();
            std::fs::rename(dir.path().join("new"), &file).unwrap();
        };
        assert!(trouble(&replace).unwrap().contains("was replaced"));
        assert_eq!(trouble(&|| std::fs::write(&file, [2; 300]).unwrap()), None, "it grows");
    }
}
