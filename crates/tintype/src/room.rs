//! What is left of the disk that holds the data. New uploads stop while there is some left, so that what was taken
//! can be developed and recorded.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use crate::seldom::Seldom;

/// Free space that every write of the ledger needs, whatever the reserve is: below it no work is begun.
const LEAST: u64 = 1 << 20;

/// The disk, or disks, of some folders.
#[derive(Debug, Clone)]
pub struct Room {
    folders: Arc<[PathBuf]>,
    reserve: u64,
    refused: Arc<Seldom>,
}

impl Room {
    /// The disks that folders are on, of which uploads leave so many bytes free.
    pub fn new(folders: impl Into<Arc<[PathBuf]>>, reserve: u64) -> Self {
        Self { folders: folders.into(), reserve, refused: Arc::default() }
    }

    /// Whether uploads are to be refused.
    pub fn is_low(&self) -> bool {
        self.free() < self.reserve
    }

    /// Whether not even work that was accepted can be done.
    pub fn is_full(&self) -> bool {
        self.free() < LEAST
    }

    /// Free bytes for this process where there are fewest; all there can be where a disk does not tell.
    pub fn free(&self) -> u64 {
        self.known().unwrap_or(u64::MAX)
    }

    /// The same, if a disk tells.
    pub fn known(&self) -> Option<u64> {
        let disks = self.folders.iter().filter_map(|folder| rustix::fs::statvfs(folder.as_path()).ok());
        disks.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).min()
    }

    /// Room for an upload, or for more of its bytes; the log hears of it where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::StorageFull`] while there is too little.
    pub fn for_upload(&self) -> io::Result<()> {
        if !self.is_low() && !self.is_full() {
            return Ok(());
        }
        if let Some(times) = self.refused.again() {
            let free = self.free();
            tracing::warn!(
                free,
                times,
                "uploads are refused: there is too little room on the disk (limits.min_free_disk)"
            );
        }
        Err(ErrorKind::StorageFull.into())
    }
}

/// Whether writing failed for want of space.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
