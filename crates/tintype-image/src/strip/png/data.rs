//! The packed pixels of a picture, over any number of chunks.

use super::super::coded::deflate::{Extent, extent, shortened};
use super::super::copy::Copy;
use crate::container::be32;
use crate::container::png::{Chunk, write_chunk};

/// The passes of an interlaced picture: where each begins, and how far its pixels are apart.
const ADAM7: [(usize, usize, usize, usize); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// Most bytes of a chunk that is written anew.
const CHUNK: usize = 1 << 20;

/// What stays of a picture's chunks.
pub(super) enum Data<'a> {
    /// The chunks, up to so many bytes of what they hold together.
    Head(Vec<Chunk<'a>>, usize),
    /// Data packed anew.
    Packed(Vec<u8>),
}

impl<'a> Data<'a> {
    /// The data of the file's own picture.
    pub(super) fn of(chunks: &[Chunk<'a>], header: &[u8]) -> Self {
        Self::of_chunks(chunks.iter().filter(|chunk| chunk.kind == *b"IDAT").copied().collect(), 0, header, None)
    }

    /// The data of chunks, each less its first bytes.
    pub(super) fn of_chunks(chunks: Vec<Chunk<'a>>, skip: usize, header: &[u8], size: Option<(usize, usize)>) -> Self {
        let pieces: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk.data[skip.min(chunk.data.len())..]).collect();
        let Some(needed) = needed(header, size) else { return Self::Head(chunks, usize::MAX) };
        match extent(&pieces, needed) {
            Extent::Ends(end) => Self::Head(chunks, end),
            Extent::Longer => Self::Packed(shortened(&pieces, needed)),
            // As far as it goes, decoders show it.
            Extent::Broken => Self::Head(chunks, usize::MAX),
        }
    }

    /// What is to be in each chunk, less the first bytes that were skipped.
    pub(super) fn pieces(&self, skip: usize) -> Vec<&[u8]> {
        match self {
            Self::Packed(data) => data.chunks(CHUNK).collect(),
            Self::Head(chunks, left) => {
                let mut left = *left;
                let piece = |chunk: &Chunk<'a>| {
                    let data = &chunk.data[skip.min(chunk.data.len())..];
                    let piece = &data[..data.len().min(left)];
                    left -= piece.len();
                    piece
                };
                chunks.iter().map(piece).filter(|piece| !piece.is_empty()).collect()
            }
        }
    }

    /// Writes the file's own picture. What is as it was is not put together anew.
    pub(super) fn push_to(&self, out: &mut Copy<'_>) {
        match self {
            Self::Head(chunks, left) if chunks.iter().map(|chunk| chunk.data.len()).sum::<usize>() <= *left => {
                chunks.iter().for_each(|chunk| out.push(chunk.raw));
            }
            _ => {
                for piece in self.pieces(0) {
                    let mut chunk = Vec::new();
                    write_chunk(&mut chunk, *b"IDAT", piece);
                    out.push(&chunk);
                }
            }
        }
    }
}

/// Bytes that the pixels take unpacked, by the file's header, and by a size where it is not the file's.
fn needed(header: &[u8], size: Option<(usize, usize)>) -> Option<usize> {
    let [depth, color, _, _, interlaced] = *header.get(8..13)?.first_chunk::<5>()?;
    let (width, height) = match size {
        Some(size) => size,
        None => (be32(header, 0)? as usize, be32(header, 4)? as usize),
    };
    let samples = match color {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let bits = usize::from(depth) * samples;
    let rows = |width: usize, height: usize| {
        // Each row has a byte that says how it is filtered.
        if width == 0 { Some(0) } else { width.checked_mul(bits)?.div_ceil(8).checked_add(1)?.checked_mul(height) }
    };
    if interlaced == 0 {
        return rows(width, height);
    }
    let pass = |&(left, top, across, down): &(usize, usize, usize, usize)| {
        rows(width.saturating_sub(left).div_ceil(across), height.saturating_sub(top).div_ceil(down))
    };
    ADAM7.iter().map(pass).sum()
}
