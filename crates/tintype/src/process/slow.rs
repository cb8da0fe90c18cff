//! Between `analyze` and `render`, where others wait: slow originals never take every worker.

use std::sync::Arc;

use tintype_image::{Format, Probe};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::ProcessError;

/// An original is slow from so many milliseconds on one core.
const SLOW: u64 = 2500;

/// How many slow originals may be in work at once; clones share it.
#[derive(Debug, Clone)]
pub struct SlowPlaces {
    free: Arc<Semaphore>,
    freed: Arc<Notify>,
}

impl SlowPlaces {
    /// All workers but one, at least one. `freed` is told when a place becomes free.
    pub fn new(workers: usize, freed: Arc<Notify>) -> Self {
        Self { free: Arc::new(Semaphore::new(workers.saturating_sub(1).max(1))), freed }
    }

    /// Whether there is one just now.
    pub fn is_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// A place for an original, until it is dropped; none for one that needs none.
    ///
    /// # Errors
    /// [`ProcessError::Slow`] where it needs one and there is none.
    pub fn take(&self, header: &Probe, file: &[u8]) -> Result<Option<Place>, ProcessError> {
        if millis(header, file) < SLOW {
            return Ok(None);
        }
        let held = self.free.clone().try_acquire_owned().map_err(|_| ProcessError::Slow)?;
        Ok(Some(Place { held: Some(held), freed: self.freed.clone() }))
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Place {
    held: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Free first: who is woken looks.
        self.held = None;
        self.freed.notify_one();
    }
}

/// About how long the default preset takes on one core, for each megapixel of all frames. Measured by `tintype process` (a release
/// build): of photos, the slower kinds of each format; of moving ones, frames that change whole.
fn millis(header: &Probe, file: &[u8]) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height) * u64::from(header.frames);
    let per_megapixel = match header.format {
        // Each frame is made, resized and written again, for every variant.
        _ if header.frames > 1 => 450,
        // A scan passes over all of the picture, and can be a few bytes.
        Format::Jpeg => 10 + 2 * scans(file),
        Format::Bmp => 15,
        Format::Png => 30,
        // Packed by LZW; by deflate 75.
        Format::Tiff => 100,
        // Lossless; a lossy one takes a tenth, but the header does not tell.
        Format::WebP => 320,
        Format::Gif | Format::Avif | Format::Heic => 150,
    };
    pixels * per_megapixel / 1_000_000
}

/// How many scans a JPEG has: within their pixels 0xFF comes before no such byte. A preview's are counted too.
fn scans(jpeg: &[u8]) -> u64 {
    memchr::memchr_iter(0xFF, jpeg).filter(|at| jpeg.get(at + 1) == Some(&0xDA)).count() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::FutureExt;

    use super::*;

    fn header(format: Format, width: u32, height: u32, frames: u32) -> Probe {
        Probe { format, width, height, orientation: 1, frames, has_alpha: false }
    }

    #[test]
    fn what_people_send_is_quick() {
        for quick in [
            header(Format::Jpeg, 10_000, 10_000, 1),
            header(Format::Png, 8000, 6000, 1),
            header(Format::Heic, 4032, 3024, 1),
            header(Format::Gif, 320, 240, 60),
        ] {
            assert!(millis(&quick, b"\xff\xda a scan") < SLOW, "{quick:?}");
        }
        for slow in [header(Format::Gif, 600, 650, 999), header(Format::WebP, 4000, 3000, 1)] {
            assert!(millis(&slow, b"") >= SLOW, "{slow:?}");
        }
        let many = b"\xff\xda\xff\x00".repeat(150);
        assert!(millis(&header(Format::Jpeg, 4000, 3000, 1), &many) >= SLOW, "a JPEG of many scans");
    }

    #[tokio::test]
    async fn slow_ones_leave_one_worker_to_others_and_tell_when_they_are_done() {
        let freed = Arc::new(Notify::new());
        let (slow, quick) = (header(Format::Gif, 600, 650, 999), header(Format::Jpeg, 4000, 3000, 1));
        for (workers, most) in [(1, 1), (2, 1), (4, 3)] {
            let places = SlowPlaces::new(workers, freed.clone());
            let mut held: Vec<_> = (0..most).map(|_| places.take(&slow, b"").unwrap()).collect();
            assert!(!places.is_free() && matches!(places.take(&slow, b""), Err(ProcessError::Slow)));
            assert!(places.take(&quick, b"").unwrap().is_none());
            assert!(freed.notified().now_or_never().is_none());
            held.pop();
            assert!(places.is_free() && freed.notified().now_or_never().is_some());
            drop(held);
            let _ = freed.notified().now_or_never();
        }
    }
}
