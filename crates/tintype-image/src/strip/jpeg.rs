//! JPEG: segments are dropped, entropy-coded data is copied.

use std::borrow::Cow;

use super::copy::Copy;
use super::{exif, profile};
use crate::container::jpeg::{self, EOI, EXIF, ICC, SOS, Segment, is_frame};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..2]);
    let (mut seen_exif, mut seen_scan) = (false, false);
    let mut profile = kept_profile(bytes);
    for segment in jpeg::segments_over_breaks(bytes) {
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
            // All of it where its first part was.
            0xE2 if segment.payload.starts_with(ICC) => profile.drain(..).for_each(|part| out.push(&part)),
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

/// The JPEG of a strip or a tile, or the tables of all of them: nothing of it is metadata, for the file around it has a
/// place for that. Never longer than it was.
pub(super) fn of_a_strip(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes[..2.min(bytes.len())].to_vec();
    // What decoders can read of one that is cut short ends where it breaks off.
    for segment in jpeg::segments(bytes).map_while(Result::ok) {
        match segment.marker {
            0xE0 => out.extend(without_thumbnail(&segment)),
            0xEE => out.extend(adobes_fields(&segment)),
            marker if is_of_the_pixels(marker) => {
                out.extend_from_slice(segment.raw);
                out.extend_from_slice(segment.entropy);
            }
            _ => {}
        }
    }
    out
}

/// Frames, tables, restarts, scans and the end: all that a decoder reads.
fn is_of_the_pixels(marker: u8) -> bool {
    const TABLES: [u8; 5] = [0xC4, 0xCC, 0xDB, 0xDC, 0xDD];
    is_frame(marker) || TABLES.contains(&marker) || marker == SOS || marker == EOI
}

/// The segments of the colour profile. Parts that make none are nothing, whatever they call themselves.
fn kept_profile(bytes: &[u8]) -> Vec<Cow<'_, [u8]>> {
    /// Most bytes of a profile in one segment.
    const PART: usize = 0xFFFF - 2 - ICC.len() - 2;
    const NUMBER: usize = ICC.len();
    let before_pixels = jpeg::segments(bytes).map_while(Result::ok).take_while(|segment| segment.marker != SOS);
    let is_part = |segment: &Segment<'_>| {
        segment.marker == 0xE2 && segment.payload.starts_with(ICC) && segment.payload.len() > NUMBER + 1
    };
    let mut parts: Vec<Segment<'_>> = before_pixels.filter(is_part).collect();
    let count = parts.len();
    let is_plain = |(i, part): (usize, &Segment<'_>)| {
        usize::from(part.payload[NUMBER]) == i + 1 && usize::from(part.payload[NUMBER + 1]) == count
    };
    let are_plain = parts.iter().enumerate().all(is_plain);
    parts.sort_by_key(|part| part.payload[NUMBER]);
    let whole: Vec<u8> = parts.iter().flat_map(|part| &part.payload[NUMBER + 2..]).copied().collect();
    let Some(profile) = profile::of(&whole) else { return Vec::new() };
    if are_plain && profile.len() == whole.len() {
        return parts.into_iter().map(|part| Cow::Borrowed(part.raw)).collect();
    }
    let count = profile.len().div_ceil(PART);
    let write = |(i, part): (usize, &[u8])| {
        let length = (part.len() + ICC.len() + 4) as u16;
        let numbers = [i as u8 + 1, count as u8];
        Cow::Owned([&[0xFF, 0xE2], &length.to_be_bytes()[..], ICC, &numbers, part].concat())
    };
    // No more than 255 parts can be numbered, and no more came.
    profile.chunks(PART).enumerate().map(write).collect()
}

/// Adobe's segment says which colour space the pixels are in, in twelve bytes; nothing for another's.
fn adobes_fields(segment: &Segment<'_>) -> Vec<u8> {
    match segment.payload.get(..12).filter(|fields| fields.starts_with(b"Adobe")) {
        Some(fields) => [&[0xFF, 0xEE, 0, 14], fields].concat(),
        None => Vec::new(),
    }
}

/// JFIF's own segment, less the thumbnail it may carry; nothing for its extension, which is one, nor for one cut short, which
/// decoders take for none.
fn without_thumbnail(segment: &Segment<'_>) -> Vec<u8> {
    const FIELDS: usize = 14;
    let Some(fields) = segment.payload.get(..FIELDS).filter(|fields| fields.starts_with(b"JFIF\0")) else {
        return Vec::new();
    };
    [&[0xFF, 0xE0, 0, 16], &fields[..12], &[0, 0]].concat()
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

#[cfg(test)]
mod tests;
