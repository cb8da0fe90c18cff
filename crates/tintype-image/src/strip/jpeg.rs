//! JPEG: segments are dropped, entropy-coded data is copied up to its last code.

mod tables;

use std::borrow::Cow;
use std::ops::Range;

use self::tables::{DHT, DQT, Tables};
use super::copy::Copy;
use super::{exif, profile};
use crate::container::be16;
use crate::container::jpeg::{self, EOI, EXIF, ICC, SOS, Segment, is_frame};
use crate::decode;
use crate::error::Error;
use crate::spec::MetadataPolicy;

const RESTARTS: u8 = 0xDD;

/// Strips; `spare` is what no pixel needs, from the first scan on.
pub(super) fn strip<'a>(
    bytes: &'a [u8],
    policy: MetadataPolicy,
    spare: &[Range<usize>],
) -> Result<Cow<'a, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..2]);
    let mut seen_exif = false;
    let mut profile = kept_profile(bytes);
    let (placed, error) = placed(bytes, spare);
    // The end of a damaged file is missing here, too.
    if let Some(error) = error.filter(|_| !placed.iter().any(|placed| placed.segment.marker == SOS)) {
        return Err(error);
    }
    let tables = Tables::of(&placed);
    for (i, Placed { segment, .. }) in placed.iter().enumerate() {
        match segment.marker {
            0xE0 => out.push(&without_thumbnail(segment)),
            0xE1 if !seen_exif && segment.payload.starts_with(EXIF) => {
                seen_exif = true;
                out.push(&stripped_exif(segment.payload, policy));
            }
            // All of it where its first part was.
            0xE2 if segment.payload.starts_with(ICC) => profile.drain(..).for_each(|part| out.push(&part)),
            0xEE => out.push(&adobes_fields(segment)),
            DHT | DQT => out.push(&tables.kept(i, segment)),
            _ => {
                // Behind a scan it is nobody's.
                seen_exif |= segment.marker == SOS;
                out.push(&of_the_pixels(segment));
                placed[i].entropy(spare).for_each(|part| out.push(&bytes[part]));
            }
        }
    }
    Ok(out.finish())
}

/// The tables that the JPEGs of all strips or tiles have in common: nothing else is read of them. Never longer than they were.
pub(super) fn of_all_strips(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes[..2.min(bytes.len())].to_vec();
    for Placed { segment, .. } in placed(bytes, &[]).0 {
        match segment.marker {
            DHT | DQT => out.extend_from_slice(&tables::whole(&segment)),
            RESTARTS | EOI => out.extend_from_slice(&of_the_pixels(&segment)),
            _ => {}
        }
    }
    out
}

/// The JPEG of a strip or a tile: nothing of it is metadata, for the file around it has a place for that. Never longer than
/// it was.
pub(super) fn of_a_strip(bytes: &[u8], tables: &[u8]) -> Vec<u8> {
    let spare = spare_of_a_strip(bytes, tables);
    let mut out = bytes[..2.min(bytes.len())].to_vec();
    // What decoders can read of one that is cut short ends where it breaks off.
    for placed in placed(bytes, &spare).0 {
        match placed.segment.marker {
            0xE0 => out.extend(without_thumbnail(&placed.segment)),
            0xEE => out.extend(adobes_fields(&placed.segment)),
            DHT | DQT => out.extend_from_slice(&tables::whole(&placed.segment)),
            _ => {
                out.extend_from_slice(&of_the_pixels(&placed.segment));
                placed.entropy(&spare).for_each(|part| out.extend_from_slice(&bytes[part]));
            }
        }
    }
    out
}

/// What no pixel of a strip needs, which is found with the tables that it is decoded by.
fn spare_of_a_strip(bytes: &[u8], tables: &[u8]) -> Vec<Range<usize>> {
    const START: usize = 2;
    let tables = tables.get(START..).unwrap_or_default();
    let tables = tables.strip_suffix(&[0xFF, EOI]).unwrap_or(tables);
    let Some((start, rest)) = bytes.split_at_checked(START) else { return Vec::new() };
    let spare = decode::jpeg::spare(&[start, tables, rest].concat());
    let in_strip = |range: Range<usize>| Some(range.start.checked_sub(tables.len())?..range.end - tables.len());
    spare.into_iter().filter_map(in_strip).collect()
}

/// A segment, and where what follows it lies.
struct Placed<'a> {
    segment: Segment<'a>,
    entropy: Range<usize>,
}

impl Placed<'_> {
    /// What of its image data pixels need.
    fn entropy(&self, spare: &[Range<usize>]) -> impl Iterator<Item = Range<usize>> {
        let Range { mut start, end } = self.entropy;
        let mut parts = Vec::new();
        for gap in spare {
            let gap = gap.start.clamp(start, end)..gap.end.clamp(start, end);
            if !gap.is_empty() {
                parts.push(start..gap.start);
                start = gap.end;
            }
        }
        parts.push(start..end);
        parts.into_iter().filter(|part| !part.is_empty())
    }
}

/// The segments that pixels may need, and what came in their way.
fn placed<'a>(bytes: &'a [u8], spare: &[Range<usize>]) -> (Vec<Placed<'a>>, Option<Error>) {
    let mut segments = jpeg::segments_over_breaks(bytes);
    let mut out = Vec::new();
    while let Some(segment) = segments.next() {
        let segment = match segment {
            Ok(segment) => segment,
            Err(error) => return (out, Some(error)),
        };
        let end = segments.position();
        let entropy = end - segment.entropy.len()..end;
        let start = entropy.start - segment.raw.len();
        if !spare.iter().any(|range| range.contains(&start)) {
            out.push(Placed { segment, entropy });
        }
    }
    (out, None)
}

/// Of frames, scans, restarts and the end, which is all that a decoder reads besides tables, as much as it reads; nothing
/// of anything else. A frame's height that comes behind it is not read here.
fn of_the_pixels<'a>(segment: &Segment<'a>) -> Cow<'a, [u8]> {
    let counted = |at: usize| segment.payload.get(at).map_or(0, |&count| usize::from(count));
    let length = match segment.marker {
        EOI => return Cow::Borrowed(segment.raw),
        RESTARTS => 2,
        SOS => 1 + 2 * counted(0) + 3,
        marker if is_frame(marker) => 6 + 3 * counted(5),
        _ => return Cow::Borrowed(&[]),
    };
    match segment.payload.get(..length) {
        Some(payload) if payload.len() < segment.payload.len() => Cow::Owned(written(segment.marker, payload)),
        _ => Cow::Borrowed(segment.raw),
    }
}

/// A segment of a payload that came in one.
fn written(marker: u8, payload: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat()
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
    [&[0xFF, 0xE0, 0, 16], &fields[..7], &real_density(fields), &[0, 0]].concat()
}

/// Unit and pixels of it, across and down; square pixels without a unit where those cannot be.
fn real_density(fields: &[u8]) -> [u8; 5] {
    const MOST: u16 = 10_000;
    let is_real = |at| be16(fields, at).is_some_and(|pixels| pixels <= MOST);
    match *fields {
        [_, _, _, _, _, _, _, unit @ 0..=2, a, b, c, d, ..] if is_real(8) && is_real(10) => [unit, a, b, c, d],
        _ => [0, 0, 1, 0, 1],
    }
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
