//! PNG: chunks are dropped unless they are known to be harmless, and pixels' data ends with the pixels.

mod data;
mod frames;
mod indices;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use flate2::Compression;
use flate2::read::ZlibEncoder;

use self::data::Data;
use self::frames::Frames;
use super::copy::Copy;
use super::palette::Used;
use super::{exif, profile};
use crate::container::png::{Chunk, PALETTE, Shape, chunks, unpack_profile, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..8]);
    let mut chunks = chunks(bytes).chunks;
    // Decoders leave out what is broken beside the pixels, but for an animation's frames.
    chunks.retain(|chunk| !chunk.is_ancillary() || matches!(&chunk.kind, b"fcTL" | b"fdAT") || chunk.is_sound());
    let is_cut = chunks.last().is_some_and(|last| last.kind == *b"IDAT" && last.is_cut());
    let header = chunks.first().filter(|chunk| chunk.kind == *b"IHDR").map_or(&[][..], |chunk| chunk.data);
    let color = header.get(9).copied().unwrap_or_default();
    let mut used = (color == PALETTE).then(Used::default);
    let mut frames = Frames::of(&chunks, header, used.as_mut());
    let mut data = Some(Data::of(&chunks, Shape::of(header, None), used.as_mut()));
    let mut seen = HashSet::new();
    let has_codes = chunks.iter().any(|chunk| chunk.kind == *b"cICP" && is_plain(chunk, color));
    for (i, chunk) in chunks.iter().enumerate() {
        match &chunk.kind {
            b"eXIf" => {
                // The first one, whatever is in it.
                if let Some(kept) = seen.insert(chunk.kind).then(|| exif::strip(chunk.data, policy)).flatten() {
                    push_chunk(&mut out, chunk.kind, &kept);
                }
            }
            b"iCCP" => {
                if let Some(kept) = kept_profile(chunk.data).filter(|_| seen.insert(chunk.kind)) {
                    push_chunk(&mut out, chunk.kind, &kept);
                }
            }
            // All of it where its first part was.
            b"IDAT" => {
                data.take().into_iter().for_each(|data| data.push_to(&mut out));
                // Behind a part of a chunk, any other would be read as the rest of it.
                if is_cut {
                    break;
                }
            }
            b"acTL" | b"fcTL" | b"fdAT" => frames.push_to(&mut out, i),
            b"IEND" => push_chunk(&mut out, chunk.kind, &[]),
            b"PLTE" | b"tRNS" if used.is_some() => {
                if let Some(kept) = kept_table(chunk, used.as_ref()).filter(|_| seen.insert(chunk.kind)) {
                    push_chunk(&mut out, chunk.kind, &kept);
                }
            }
            // They say how a screen shows what cICP says: without that they are nothing.
            b"mDCV" | b"cLLI" if !has_codes => {}
            _ if is_plain(chunk, color) && seen.insert(chunk.kind) => out.push(chunk.raw),
            _ => {}
        }
    }
    Ok(out.finish())
}

fn push_chunk(out: &mut Copy<'_>, kind: [u8; 4], data: &[u8]) {
    let mut chunk = Vec::new();
    write_chunk(&mut chunk, kind, data);
    out.push(&chunk);
}

/// Whether a chunk says something of the pixels, in just as many bytes as that takes, and in numbers that can be meant: any
/// others could be a text.
fn is_plain(chunk: &Chunk<'_>, color: u8) -> bool {
    let length = match (&chunk.kind, color) {
        (b"IHDR", _) => 13,
        (b"tRNS", 0) => 2,
        (b"tRNS", 2) => 6,
        (b"cHRM", _) => 32,
        (b"gAMA", _) => 4,
        (b"sBIT", 0) => 1,
        (b"sBIT", 4) => 2,
        (b"sBIT", 2 | PALETTE) => 3,
        (b"sBIT", 6) => 4,
        (b"sRGB", _) => 1,
        (b"cICP", _) => 4,
        (b"mDCV", _) => 24,
        (b"cLLI", _) => 8,
        (b"pHYs", _) => 9,
        _ => return false,
    };
    chunk.data.len() == length && is_real(chunk)
}

/// Whether the numbers of a chunk of the right length can be.
fn is_real(chunk: &Chunk<'_>) -> bool {
    /// Pixels a metre; gamma, and what it is of colours, in parts of a hundred thousand.
    const MOST_PIXELS: u32 = 1_000_000;
    const MOST_GAMMA: u32 = 1_000_000;
    const MOST_PLACE: u32 = 200_000;
    /// Ten thousand candela, the most that PQ can say, in parts of ten thousand.
    const MOST_LIGHT: u32 = 100_000_000;
    let at_most = |data: &[u8], most| data.as_chunks::<4>().0.iter().all(|number| u32::from_be_bytes(*number) <= most);
    match (&chunk.kind, chunk.data) {
        (b"pHYs", data) => at_most(data, MOST_PIXELS) && data.last().is_some_and(|&unit| unit <= 1),
        (b"gAMA", data) => at_most(data, MOST_GAMMA) && data != [0; 4],
        (b"cHRM", data) => at_most(data, MOST_PLACE),
        (b"sBIT", data) => data.iter().all(|bits| (1..=16).contains(bits)),
        (b"sRGB", &[intent]) => intent <= 3,
        (b"cICP", &[_, _, matrix, full]) => matrix == 0 && full <= 1,
        // Behind four points.
        (b"mDCV", data) => at_most(&data[16..], MOST_LIGHT),
        (b"cLLI", data) => at_most(data, MOST_LIGHT),
        _ => true,
    }
}

/// The table of colours, or that of how opaque they are, with zeros for those that no pixel has.
fn kept_table(chunk: &Chunk<'_>, used: Option<&Used>) -> Option<Vec<u8>> {
    const COLORS: usize = 256;
    let entry = if chunk.kind == *b"PLTE" { 3 } else { 1 };
    let is_table = chunk.data.len().is_multiple_of(entry) && chunk.data.len() <= COLORS * entry;
    let used = used.filter(|_| is_table)?;
    Some(used.emptied(chunk.data, entry))
}

/// A colour profile under a name that says nothing, and with nothing behind it.
fn kept_profile(data: &[u8]) -> Option<Vec<u8>> {
    /// What programs call it of their own accord.
    const NAMES: [&[u8]; 6] =
        [b"icc", b"ICC", b"ICC profile", b"ICC Profile", b"Photoshop ICC profile", b"sRGB IEC61966-2.1"];
    let packed = unpack_profile(data)?;
    let profile = profile::of(&packed.profile)?;
    if NAMES.contains(&packed.name) && profile.len() == packed.profile.len() && !packed.has_more {
        return Some(data.to_vec());
    }
    let mut out = b"icc\0\0".to_vec();
    ZlibEncoder::new(profile, Compression::best()).read_to_end(&mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests;
