//! The packed pixels of a picture, over any number of chunks.

use super::super::coded::deflate::{Extent, extent, shortened};
use super::super::copy::Copy;
use super::indices::Indices;
use crate::container::png::{Chunk, Shape, write_chunk};
use crate::strip::palette::Used;

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
    /// The data of the file's own picture. Notes which colours it has, where it has a table of them.
    pub(super) fn of(chunks: &[Chunk<'a>], shape: Option<Shape>, used: Option<&mut Used>) -> Self {
        Self::of_chunks(chunks.iter().filter(|chunk| chunk.kind == *b"IDAT").copied().collect(), 0, shape, used)
    }

    /// The data of chunks, each less its first bytes.
    pub(super) fn of_chunks(
        chunks: Vec<Chunk<'a>>,
        skip: usize,
        shape: Option<Shape>,
        mut used: Option<&mut Used>,
    ) -> Self {
        let pieces: Vec<&[u8]> = chunks.iter().map(|chunk| &chunk.data[skip.min(chunk.data.len())..]).collect();
        let needed = shape.as_ref().and_then(Shape::length);
        let found = match (shape.zip(needed), used.as_deref_mut()) {
            (None, _) => Extent::Broken,
            (Some((_, needed)), None) => extent(&pieces, needed, |_| {}),
            (Some((shape, needed)), Some(used)) => {
                let mut indices = Indices::new(&shape, used);
                extent(&pieces, needed, |data| indices.note(data))
            }
        };
        match found {
            Extent::Ends(end) => Self::Head(chunks, end),
            Extent::Longer => Self::Packed(shortened(&pieces, needed.unwrap_or_default())),
            // As far as it goes, decoders show it.
            Extent::Broken => {
                if let Some(used) = used {
                    *used = Used::all();
                }
                Self::Head(chunks, usize::MAX)
            }
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
