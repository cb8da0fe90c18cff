//! PNG: chunks are dropped unless they are known to be harmless, and pixels' data ends with the pixels.

mod data;
mod frames;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};

use self::data::Data;
use self::frames::Frames;
use super::copy::Copy;
use super::{exif, profile};
use crate::container::png::{Chunk, chunks, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

/// Most bytes of a profile: what packs more is no profile.
const MOST_PROFILE: u64 = 16 << 20;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Cow<'_, [u8]>, Error> {
    let mut out = Copy::of(bytes);
    out.push(&bytes[..8]);
    let chunks = chunks(bytes).chunks;
    let is_cut = chunks.last().is_some_and(|last| last.kind == *b"IDAT" && last.is_cut());
    let header = chunks.first().filter(|chunk| chunk.kind == *b"IHDR").map_or(&[][..], |chunk| chunk.data);
    let mut frames = Frames::of(&chunks, header);
    let mut seen = HashSet::new();
    let mut data = Some(Data::of(&chunks, header));
    for (i, chunk) in chunks.iter().enumerate() {
        match &chunk.kind {
            b"eXIf" => {
                if let Some(kept) = exif::strip(chunk.data, policy).filter(|_| seen.insert(chunk.kind)) {
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
            _ if is_plain(chunk) && seen.insert(chunk.kind) => out.push(chunk.raw),
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

/// Whether a chunk says something of the pixels, in no more bytes than that takes.
fn is_plain(chunk: &Chunk<'_>) -> bool {
    let length = chunk.data.len();
    match &chunk.kind {
        b"IHDR" => length == 13,
        b"PLTE" => length.is_multiple_of(3) && length <= 3 * 256,
        b"tRNS" => length <= 256,
        b"cHRM" => length == 32,
        b"gAMA" => length == 4,
        b"sBIT" => length <= 4,
        b"sRGB" => length == 1,
        b"cICP" => length == 4,
        b"mDCV" => length == 24,
        b"cLLI" => length == 8,
        b"bKGD" => length <= 6,
        b"hIST" => length <= 2 * 256,
        b"pHYs" => length == 9,
        _ => false,
    }
}

/// A colour profile under a name that says nothing, and with nothing behind it.
fn kept_profile(data: &[u8]) -> Option<Vec<u8>> {
    /// What programs call it of their own accord.
    const NAMES: [&[u8]; 6] =
        [b"icc", b"ICC", b"ICC profile", b"ICC Profile", b"Photoshop ICC profile", b"sRGB IEC61966-2.1"];
    let name = data.iter().position(|&byte| byte == 0)?;
    let packed = data.get(name + 2..)?;
    let mut decoder = ZlibDecoder::new(packed);
    let mut whole = Vec::new();
    decoder.by_ref().take(MOST_PROFILE).read_to_end(&mut whole).ok()?;
    let profile = profile::of(&whole)?;
    if NAMES.contains(&&data[..name]) && profile.len() == whole.len() && decoder.total_in() == packed.len() as u64 {
        return Some(data.to_vec());
    }
    let mut out = b"icc\0\0".to_vec();
    ZlibEncoder::new(profile, Compression::best()).read_to_end(&mut out).ok()?;
    Some(out)
}
