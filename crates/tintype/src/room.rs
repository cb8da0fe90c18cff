//! What is left of the disk that holds the data. New uploads stop while there is some left, so that what was taken
//! can be developed and recorded.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::StatVfs;

use crate::seldom::Seldom;

/// Free space that every write of the ledger needs, whatever the reserve is: below it no work is begun.
const LEAST: u64 = 1 << 20;
/// Inodes that uploads leave free, as `limits.min_free_disk` of bytes: an upload takes about two for each of its objects.
const RESERVED_INODES: u64 = 1024;
/// Inodes below which no work is begun.
const LEAST_INODES: u64 = 64;

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
        self.free() < self.reserve || self.inodes_below(RESERVED_INODES)
    }

    /// Whether not even work that was accepted can be done.
    pub fn is_full(&self) -> bool {
        self.free() < LEAST || self.inodes_below(LEAST_INODES)
    }

    /// What uploads are refused for, and what to do, if there is too little of something.
    pub fn shortage(&self) -> Option<String> {
        if !self.is_low() && !self.is_full() {
            return None;
        }
        Some(if self.inodes_below(RESERVED_INODES) {
            let left = self.inodes().unwrap_or_default();
            format!(
                "the disk has {left} inodes left: remove files from it, or make its file system anew with more inodes"
            )
        } else {
            format!("the disk has {} bytes left: free some, or lower limits.min_free_disk", self.free())
        })
    }

    /// Free bytes for this process where there are fewest; all there can be where a disk does not tell.
    pub fn free(&self) -> u64 {
        self.known().unwrap_or(u64::MAX)
    }

    /// The same, if a disk tells.
    pub fn known(&self) -> Option<u64> {
        self.disks().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).min()
    }

    /// Free inodes where there are fewest; none where the file systems make them as they are needed.
    pub fn inodes(&self) -> Option<u64> {
        self.disks().filter(|disk| disk.f_files > 0).map(|disk| disk.f_favail).min()
    }

    /// A file system with few inodes in all keeps a tenth of them.
    fn inodes_below(&self, least: u64) -> bool {
        self.disks().any(|disk| disk.f_files > 0 && disk.f_favail < least.min(disk.f_files / 10))
    }

    fn disks(&self) -> impl Iterator<Item = StatVfs> {
        self.folders.iter().filter_map(|folder| rustix::fs::statvfs(folder.as_path()).ok())
    }

    /// Room for an upload, or for more of its bytes; the log hears of it where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::StorageFull`] while there is too little.
    pub fn for_upload(&self) -> io::Result<()> {
        let Some(why) = self.shortage() else { return Ok(()) };
        if let Some(times) = self.refused.again() {
            tracing::warn!(free = self.free(), times, why, "uploads are refused");
        }
        Err(ErrorKind::StorageFull.into())
    }
}

/// Whether writing failed for want of space.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
