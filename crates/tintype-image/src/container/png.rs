//! PNG: chunks (third edition, section 5).

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::be32;
use crate::color::MOST_PROFILE;

/// One chunk.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
    /// Length, type and checksum included.
    pub(crate) raw: &'a [u8],
}

impl Chunk<'_> {
    /// Whether the file ends in it.
    pub(crate) fn is_cut(&self) -> bool {
        be32(self.raw, 0).is_none_or(|length| self.raw.len() < 12 + length as usize)
    }
}

impl Chunk<'_> {
    /// Whether a decoder can do without it, and leaves it out when its checksum is wrong. Of an animation's frames not even
    /// that is asked: their pixels count as ancillary.
    pub(crate) fn is_ancillary(&self) -> bool {
        self.kind[0].is_ascii_lowercase()
    }

    /// Whether all of it is there, and its checksum right.
    pub(crate) fn is_sound(&self) -> bool {
        let Some((checked, told)) = self.raw.split_last_chunk::<4>().filter(|_| !self.is_cut()) else { return false };
        let mut crc = flate2::Crc::new();
        crc.update(&checked[4..]);
        crc.sum() == u32::from_be_bytes(*told)
    }
}

/// The chunks of a file.
pub(crate) struct Png<'a> {
    /// Up to IEND. Of a file that is cut, the last one may be a part of the image's data.
    pub(crate) chunks: Vec<Chunk<'a>>,
    /// Whether the last one is IEND.
    pub(crate) ends: bool,
}

/// How the rows of a picture's data lie (7.2 and 8).
pub(crate) struct Shape {
    /// Of a pixel.
    pub(crate) bits: usize,
    /// Pixels across and rows, of each pass that has any; one pass, where the picture is not interlaced.
    pub(crate) passes: Vec<(usize, usize)>,
}

impl Shape {
    /// By the file's header, and by a size where it is not the file's. `None` for what is no header.
    pub(crate) fn of(header: &[u8], size: Option<(usize, usize)>) -> Option<Self> {
        /// Where each pass begins, and how far its pixels are apart.
        const ADAM7: [(usize, usize, usize, usize); 7] =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        let [depth, color, _, _, interlaced] = *header.get(8..13)?.first_chunk::<5>()?;
        let (width, height) = match size {
            Some(size) => size,
            None => (be32(header, 0)? as usize, be32(header, 4)? as usize),
        };
        let samples = match color {
            0 | PALETTE => 1,
            2 => 3,
            4 => 2,
            6 => 4,
            _ => return None,
        };
        let pass = |&(left, top, across, down): &(usize, usize, usize, usize)| {
            (width.saturating_sub(left).div_ceil(across), height.saturating_sub(top).div_ceil(down))
        };
        let passes = if interlaced == 0 { vec![(width, height)] } else { ADAM7.iter().map(pass).collect() };
        let passes = passes.into_iter().filter(|&(width, rows)| width > 0 && rows > 0).collect();
        Some(Self { bits: usize::from(depth) * samples, passes })
    }

    /// Bytes of a row of so many pixels, with that which says how it is filtered.
    pub(crate) fn row(&self, width: usize) -> Option<usize> {
        width.checked_mul(self.bits)?.div_ceil(8).checked_add(1)
    }

    /// Bytes of all rows.
    pub(crate) fn length(&self) -> Option<usize> {
        self.passes.iter().try_fold(0usize, |sum, &(width, rows)| sum.checked_add(self.row(width)?.checked_mul(rows)?))
    }
}

/// The colour type of pictures whose pixels are indices.
pub(crate) const PALETTE: u8 = 3;

/// Every chunk up to IEND, or to where the file is cut.
pub(crate) fn chunks(bytes: &[u8]) -> Png<'_> {
    let mut chunks = Vec::new();
    let mut at = 8;
    while let Some(length) = be32(bytes, at) {
        let raw = match bytes.get(at..at + 12 + length as usize) {
            Some(raw) => raw,
            // What is there of it.
            None => match bytes.get(at..) {
                Some(raw @ [_, _, _, _, b'I' | b'f', b'D' | b'd', b'A', b'T', ..]) => {
                    let data = &raw[8..raw.len().min(8 + length as usize)];
                    chunks.push(Chunk { kind: [raw[4], raw[5], raw[6], raw[7]], data, raw });
                    break;
                }
                _ => break,
            },
        };
        let kind = [raw[4], raw[5], raw[6], raw[7]];
        chunks.push(Chunk { kind, data: &raw[8..8 + length as usize], raw });
        if kind == *b"IEND" {
            return Png { chunks, ends: true };
        }
        at += raw.len();
    }
    Png { chunks, ends: false }
}

/// What an iCCP chunk packs.
pub(crate) struct Packed<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) profile: Vec<u8>,
    /// Whether bytes follow it that are no part of it.
    pub(crate) has_more: bool,
}

/// Unpacks an iCCP chunk; `None` where it is broken, or holds more than a profile can have: a few bytes unpack to a thousand
/// times as many.
pub(crate) fn unpack_profile(data: &[u8]) -> Option<Packed<'_>> {
    const LONGEST_NAME: usize = 79;
    let length = data.iter().position(|&byte| byte == 0).filter(|length| (1..=LONGEST_NAME).contains(length))?;
    let (name, [_, 0, packed @ ..]) = data.split_at(length) else { return None };
    let mut decoder = ZlibDecoder::new(packed);
    let mut profile = Vec::new();
    decoder.by_ref().take(MOST_PROFILE as u64 + 1).read_to_end(&mut profile).ok()?;
    let has_more = decoder.total_in() < packed.len() as u64;
    (profile.len() <= MOST_PROFILE).then_some(Packed { name, profile, has_more })
}

/// The profile of a file: decoders look at the first before the pixels that is not broken.
pub(crate) fn profile(chunks: &[Chunk<'_>]) -> Option<Vec<u8>> {
    let before_pixels = &mut chunks.iter().take_while(|chunk| chunk.kind != *b"IDAT");
    unpack_profile(before_pixels.find(|chunk| chunk.kind == *b"iCCP" && chunk.is_sound())?.data)
        .map(|packed| packed.profile)
}

/// Writes a chunk with its checksum.
pub(crate) fn write_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(data);
    let mut crc = flate2::Crc::new();
    crc.update(&out[start..]);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}
