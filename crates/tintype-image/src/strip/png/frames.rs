//! The frames of an animation: as many as it says it has, each up to its last pixel, numbered anew where one went.

use std::collections::BTreeMap;

use super::super::copy::Copy;
use super::data::Data;
use crate::container::be32;
use crate::container::png::{Chunk, Shape, write_chunk};
use crate::strip::palette::Used;

/// What is written in the place of chunks, by their place in the file.
pub(super) struct Frames {
    written: BTreeMap<usize, Vec<u8>>,
}

impl Frames {
    pub(super) fn of(chunks: &[Chunk<'_>], header: &[u8], mut used: Option<&mut Used>) -> Self {
        let mut frames = Self { written: BTreeMap::new() };
        let pixels = chunks.iter().position(|chunk| chunk.kind == *b"IDAT").unwrap_or(0);
        // Behind the pixels it would be too late: such a file is a still picture.
        let is_control = |chunk: &Chunk<'_>| chunk.kind == *b"acTL" && chunk.data.len() == 8;
        let control = chunks[..pixels].iter().enumerate().rfind(|(_, chunk)| is_control(chunk));
        let Some((at, control)) = control else { return frames };
        frames.written.insert(at, control.raw.to_vec());
        let count = be32(control.data, 0).unwrap_or(0);
        let starts: Vec<usize> = (0..chunks.len()).filter(|&i| chunks[i].kind == *b"fcTL").collect();
        let mut number = 0;
        for (i, &start) in starts.iter().enumerate().take(count as usize) {
            let end = starts.get(i + 1).copied().unwrap_or(chunks.len());
            frames.write(&chunks[start..end], start, header, &mut number, used.as_deref_mut());
        }
        frames
    }

    /// One frame: its control, and its data, which is the file's own picture for some.
    fn write(&mut self, chunks: &[Chunk<'_>], start: usize, header: &[u8], number: &mut u32, used: Option<&mut Used>) {
        let Some(control) = chunks[0].data.first_chunk::<26>() else { return };
        let mut numbered = |kind: [u8; 4], data: &[u8]| {
            let mut chunk = Vec::new();
            write_chunk(&mut chunk, kind, &[&number.to_be_bytes()[..], data].concat());
            *number += 1;
            chunk
        };
        self.written.insert(start, numbered(*b"fcTL", &control[4..]));
        let data = |chunk: &Chunk<'_>| chunk.kind == *b"fdAT" && chunk.data.len() > 4;
        let Some(first) = chunks.iter().position(data) else { return };
        let side = |at| be32(control, at).map(|side| side as usize);
        let parts = chunks.iter().filter(|chunk| data(chunk)).copied().collect();
        let shape = Shape::of(header, side(4).zip(side(8)));
        let parts = Data::of_chunks(parts, 4, shape, used);
        let written: Vec<u8> = parts.pieces(4).iter().flat_map(|piece| numbered(*b"fdAT", piece)).collect();
        self.written.insert(start + first, written);
    }

    pub(super) fn push_to(&mut self, out: &mut Copy<'_>, at: usize) {
        if let Some(written) = self.written.remove(&at) {
            out.push(&written);
        }
    }
}
