//! Strips and tiles that are JPEGs: each tells a size of its own, which nobody has held against the limits.

use std::ops::RangeInclusive;

use tiff::tags::Tag;

use super::{Reader, error, unsupported};
use crate::container::be16;
use crate::container::jpeg::{is_frame, segments};
use crate::error::Error;
use crate::probe::Header;

const JPEG: u16 = 7;

/// Frame headers of the JPEGs that are read: baseline, extended and progressive, with Huffman codes (T.81, table B.1).
const READ: RangeInclusive<u8> = 0xC0..=0xC2;

/// How often strips may cover the file, taken together: blank tiles are often one and the same, and each is read.
const SHARED: usize = 16;

/// How often JPEGs may cover the page: each of four planes has its own, and some padding.
const PLANES: u64 = 8;

/// Tiles jut out of their page, and of a thin one by far: so many pixels are allowed to any.
const PADDING: u64 = 1 << 24;

/// Refuses a page whose JPEGs together are far larger than the page. What a strip says of its own size is no
/// measure: it may be any.
pub(super) fn check(decoder: &mut Reader<'_>, bytes: &[u8], header: &Header<'_>) -> Result<(), Error> {
    if decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(|e| error(&e))? != Some(JPEG) {
        return Ok(());
    }
    // As the decoder reads them: a directory may hold a tag twice.
    let mut numbers = |strips, tiles| {
        let numbers = decoder.get_tag_u64_vec(strips).or_else(|_| decoder.get_tag_u64_vec(tiles));
        numbers.map_err(|e| error(&e))
    };
    let places = numbers(Tag::StripOffsets, Tag::TileOffsets)?;
    let lengths = numbers(Tag::StripByteCounts, Tag::TileByteCounts)?;
    let tables = decoder.find_tag(Tag::JPEGTables).map_err(|e| error(&e))?;
    if let Some(tables) = tables.and_then(|tables| tables.into_u8_vec().ok())
        && frame(&tables).is_some()
    {
        return Err(Error::corrupt("the TIFF's JPEG tables hold a frame header"));
    }
    let page = u64::from(header.width) * u64::from(header.height);
    let mut pixels = (page * PLANES).max(PADDING);
    let mut budget = bytes.len().saturating_mul(SHARED);
    for (at, length) in places.into_iter().zip(lengths) {
        let part = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let part = &part[..part.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        let Frame { marker, width, height } =
            frame(part).ok_or_else(|| Error::corrupt("a strip of the TIFF is no JPEG"))?;
        if !READ.contains(&marker) {
            return Err(unsupported("of JPEGs with arithmetic codes, or lossless or hierarchical ones"));
        }
        budget =
            budget.checked_sub(part.len()).ok_or_else(|| Error::corrupt("the TIFF's strips lie over each other"))?;
        let larger = || Error::corrupt("the JPEGs in the TIFF are larger than its page");
        pixels = pixels.checked_sub(width * height).ok_or_else(larger)?;
    }
    Ok(())
}

/// What a JPEG says of itself.
struct Frame {
    marker: u8,
    width: u64,
    height: u64,
}

/// The first frame header.
fn frame(jpeg: &[u8]) -> Option<Frame> {
    let frame = segments(jpeg).map_while(Result::ok).find(|segment| is_frame(segment.marker))?;
    let side = |at| be16(frame.payload, at).map(u64::from);
    Some(Frame { marker: frame.marker, width: side(3)?, height: side(1)? })
}
