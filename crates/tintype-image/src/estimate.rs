//! What an image will take of memory, told from its header: so that a pool of workers can keep a budget.
//!
//! An upper bound by rule of thumb, not a measurement: bytes of each raster that is held at once, for the path
//! that `render` takes. The files that come out are guessed generously.

use crate::auto::Look;
use crate::container::png;
use crate::decode::jpeg;
use crate::error::Error;
use crate::format::Format;
use crate::job::{self, Job, Original};
use crate::limits::Limits;
use crate::probe::{self, Header};
use crate::render::{is_copied, samples_needed};
use crate::resize::PRECISE;
use crate::spec::{MetadataPolicy, VariantSpec};
use crate::stream;

/// Tables, buffers of codecs, the facts' sample.
const FIXED: u64 = 4 << 20;

/// Bytes that [`crate::render()`] will hold at once, the file itself included.
///
/// # Errors
/// Those of [`crate::probe()`]; and `Corrupt` for a JPEG that is too short for the size it claims.
pub fn estimate(bytes: &[u8], specs: &[VariantSpec], metadata: MetadataPolicy, limits: &Limits) -> Result<u64, Error> {
    let header = probe::read(bytes, limits)?;
    let derived: Vec<&VariantSpec> = specs.iter().filter(|spec| !is_copied(spec, metadata, &header)).collect();
    let original = Original { plays: 1, lossless: false, look: Look::PHOTO };
    let jobs = job::jobs(&derived, &header, original);
    // The upload, and its copy less metadata.
    let files = 2 * bytes.len() as u64;
    let variants: u64 = jobs.iter().map(|job| variant(job, &header)).sum();
    // A small picture's samples in 16 bits, while it is resized; the planes of a JPEG are resized as they are.
    let by_planes = header.format == Format::Jpeg && jobs.iter().all(|job| job.output.format == Format::Jpeg);
    let pixels = u64::from(header.width) * u64::from(header.height);
    let wide = if by_planes { 0 } else { pixels.min(PRECISE as u64) * 4 * 2 };
    Ok(FIXED + files + packed(bytes, &header) + decoded(bytes, &jobs, &header, limits)? + wide + variants)
}

/// What is packed beside a PNG's pixels, or held more than once. All other formats have their profiles as they are.
fn packed(bytes: &[u8], header: &Header<'_>) -> u64 {
    /// The profile, its tables in numbers, and those of the way to sRGB.
    const TABLES: u64 = 8;
    if header.format != Format::Png {
        return 0;
    }
    let chunks = png::chunks(bytes).chunks;
    let profile = png::profile(&chunks).map_or(0, |profile| profile.len() as u64);
    // The decoder reads it to a buffer that grows by doubling, and keeps a copy.
    let exif = chunks.iter().filter(|chunk| chunk.kind == *b"eXIf").map(|chunk| chunk.data.len() as u64);
    TABLES * profile + 3 * exif.max().unwrap_or(0)
}

/// What the decoder holds.
fn decoded(bytes: &[u8], jobs: &[Job<'_>], header: &Header<'_>, limits: &Limits) -> Result<u64, Error> {
    let pixels = u64::from(header.width) * u64::from(header.height);
    Ok(match header.format {
        Format::Jpeg => {
            let per_side = samples_needed(jobs, header);
            let by_pixels = jobs.iter().any(|job| job.output.format != Format::Jpeg);
            jpeg::footprint(bytes, per_side, by_pixels, limits)?
        }
        _ if stream::goes_by_rows(bytes, jobs, header) => {
            // A grid of a fifth of each side in floats, or less, and as much for its blur.
            pixels / 25 * 4 * 4 * 2 + u64::from(header.width) * 64 * 16
        }
        // The canvas, the frame on it, what was there before, and the encoders' copies.
        Format::Gif | Format::WebP => pixels * 4 * 5,
        Format::Png if header.frames > 1 => pixels * 4 * 5,
        // Once decoded, once in sRGB, once whole for a blur.
        _ => pixels * 4 * 3,
    })
}

/// What a variant holds, until it is a file and then.
fn variant(job: &Job<'_>, header: &Header<'_>) -> u64 {
    let pixels = u64::from(job.output.width) * u64::from(job.output.height);
    if job.is_whole(header) && job.output.smooth {
        // Only the file: a blur packs to less than a bit or two a pixel, a BMP does not pack at all.
        return match job.output.format {
            Format::Bmp => pixels * 4,
            Format::Jpeg => pixels / 4,
            _ => pixels,
        };
    }
    pixels * 4 * 3
}
