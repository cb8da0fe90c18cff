//! Every coefficient of the picture at once, as libjpeg puts them together from many scans.

use super::canvas::Canvas;
use super::pattern::{BLOCK, Patterns, ZIGZAG, patterns};
use crate::error::Error;
use crate::jpeg_codec::{self, BlockRow};
use crate::limits::Limits;

/// What the blocks of one component become.
struct Coder<'a, const SAMPLES: usize> {
    patterns: Option<(Box<Patterns<SAMPLES>>, Box<Patterns<BLOCK>>)>,
    canvas: &'a mut Canvas,
}

/// Reads the picture into the canvases, `SAMPLES` for each block.
pub(super) fn read<const SAMPLES: usize>(bytes: &[u8], canvases: &mut [Canvas], limits: &Limits) -> Result<(), Error> {
    let mut coders: Vec<Coder<'_, SAMPLES>> =
        canvases.iter_mut().map(|canvas| Coder { patterns: None, canvas }).collect();
    jpeg_codec::read_blocks(bytes, limits, |row: BlockRow<'_>| {
        let Some(coder) = coders.get_mut(row.component) else {
            return;
        };
        let (reduced, whole) = coder.patterns.get_or_insert_with(|| {
            let steps = ZIGZAG.map(|at| row.steps[usize::from(at)]);
            (patterns(&steps), patterns(&steps))
        });
        for (x, block) in row.blocks.iter().enumerate() {
            if coder.canvas.is_edge(x, row.y) {
                coder.canvas.put_edge(x, row.y, &develop(block, whole));
            } else {
                let mean = f32::from(block[0]) * reduced[0][0] + 128.0;
                coder.canvas.put(x, row.y, &develop(block, reduced), mean);
            }
        }
    })
}

/// The samples of a block whose coefficients lie in rows.
fn develop<const SAMPLES: usize>(block: &[i16; BLOCK], patterns: &Patterns<SAMPLES>) -> [f32; SAMPLES] {
    let mut samples = [f32::from(block[0]) * patterns[0][0] + 128.0; SAMPLES];
    if SAMPLES == 1 {
        return samples;
    }
    for (&at, pattern) in ZIGZAG.iter().zip(patterns).skip(1) {
        let value = block[usize::from(at)];
        if value != 0 {
            for (sample, unit) in samples.iter_mut().zip(pattern) {
                *sample += f32::from(value) * unit;
            }
        }
    }
    samples
}
