//! JPEG: segments are dropped, entropy-coded data is copied.

use std::borrow::Cow;

use super::copy::Copy;
use super::exif;
use crate::container::jpeg::{self, EOI, EXIF, ICC, SOS, Segment, is_frame};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..2]);
    let (mut seen_exif, mut seen_scan) = (false, false);
    for segment in jpeg::segments(bytes) {
        let segment = match segment {
            Ok(segment) => segment,
            // The end of a damaged file is missing here, too.
            Err(_) if seen_scan => break,
            Err(error) => return Err(error),
        };
        seen_scan |= segment.marker == SOS;
        match segment.marker {
            0xE0 => out.push(&without_thumbnail(&segment)),
            0xE1 if !seen_exif && segment.payload.starts_with(EXIF) => {
                seen_exif = true;
                out.push(&stripped_exif(segment.payload, policy));
            }
            0xE2 if segment.payload.starts_with(ICC) => out.push(segment.raw),
            0xEE => out.push(&adobes_fields(&segment)),
            marker if is_of_the_pixels(marker) => {
                out.push(segment.raw);
                out.push(segment.entropy);
            }
            _ => {}
        }
    }
    Ok(out.finish())
}

/// Frames, tables, restarts, scans and the end: all that a decoder reads.
fn is_of_the_pixels(marker: u8) -> bool {
    const TABLES: [u8; 5] = [0xC4, 0xCC, 0xDB, 0xDC, 0xDD];
    is_frame(marker) || TABLES.contains(&marker) || marker == SOS || marker == EOI
}

/// Adobe's segment says which colour space the pixels are in, in twelve bytes; nothing for another's.
fn adobes_fields(segment: &Segment<'_>) -> Vec<u8> {
    match segment.payload.get(..12).filter(|fields| fields.starts_with(b"Adobe")) {
        Some(fields) => [&[0xFF, 0xEE, 0, 14], fields].concat(),
        None => Vec::new(),
    }
}

/// JFIF's own segment, less the thumbnail it may carry; nothing for its extension, which is one.
fn without_thumbnail(segment: &Segment<'_>) -> Vec<u8> {
    let Some(fields) = segment.payload.get(..12).filter(|fields| fields.starts_with(b"JFIF\0")) else {
        return Vec::new();
    };
    [&[0xFF, 0xE0, 0, 16], fields, &[0, 0]].concat()
}

/// The segment with what may stay; nothing if that is nothing.
fn stripped_exif(payload: &[u8], policy: MetadataPolicy) -> Vec<u8> {
    // A directory that is mended may be longer than it was: too long, then, for a segment.
    let fits = |kept: &Vec<u8>| kept.len() + EXIF.len() + 2 <= usize::from(u16::MAX);
    let kept = exif::strip(payload, policy).filter(fits).or_else(|| exif::strip(payload, MetadataPolicy::None));
    let Some(kept) = kept else {
        return Vec::new();
    };
    let length = kept.len() + EXIF.len() + 2;
    [&[0xFF, 0xE1, (length >> 8) as u8, length as u8], EXIF, &kept].concat()
}
