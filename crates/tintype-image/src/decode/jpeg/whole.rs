//! Coefficients as libjpeg reads them: put together from many scans, or what can be had of one that is damaged.

use super::canvas::{Block, Canvas};
use super::pattern::{BLOCK, Patterns, ZIGZAG, patterns};
use crate::error::Error;
use crate::jpeg_codec::{self, BlockRow, Losses, Scans};
use crate::limits::Limits;

/// What the blocks of one component become.
struct Coder<'a, const SAMPLES: usize> {
    patterns: Option<Patterned<SAMPLES>>,
    canvas: &'a mut Canvas,
}

/// Reads the picture into the canvases, `SAMPLES` for each block.
pub(super) fn read<const SAMPLES: usize>(
    bytes: &[u8],
    scans: Scans,
    canvases: &mut [Canvas],
    limits: &Limits,
) -> Result<Losses, Error> {
    let mut coders: Vec<Coder<'_, SAMPLES>> =
        canvases.iter_mut().map(|canvas| Coder { patterns: None, canvas }).collect();
    jpeg_codec::read_blocks(bytes, scans, limits, |row: BlockRow<'_>| {
        let Some(coder) = coders.get_mut(row.component) else {
            return;
        };
        let coder = (&mut *coder.canvas, coder.patterns.get_or_insert_with(|| Patterned::new(row.steps)));
        let (canvas, patterned) = coder;
        for (x, block) in row.blocks.iter().enumerate() {
            if canvas.is_edge(x, row.y) {
                canvas.put_edge(x, row.y, &develop(block, &patterned.whole, &patterned.steps));
            } else {
                canvas.put(x, row.y, &develop(block, &patterned.reduced, &patterned.steps));
            }
        }
    })
}

/// What a quantiser makes of coefficients.
struct Patterned<const SAMPLES: usize> {
    reduced: Box<Patterns<SAMPLES>>,
    whole: Box<Patterns<BLOCK>>,
    /// In zigzag order.
    steps: [f32; BLOCK],
}

impl<const SAMPLES: usize> Patterned<SAMPLES> {
    fn new(steps: &[u16; BLOCK]) -> Self {
        let steps = ZIGZAG.map(|at| steps[usize::from(at)]);
        Self { reduced: patterns(&steps), whole: patterns(&steps), steps: steps.map(f32::from) }
    }
}

/// One block whose coefficients lie in rows.
fn develop<const SAMPLES: usize>(
    block: &[i16; BLOCK],
    patterns: &Patterns<SAMPLES>,
    steps: &[f32; BLOCK],
) -> Block<SAMPLES> {
    let mean = f32::from(block[0]) * patterns[0][0] + 128.0;
    let mut samples = [mean; SAMPLES];
    let mut energy = 0.0;
    for (k, &at) in ZIGZAG.iter().enumerate().skip(1) {
        let value = f32::from(block[usize::from(at)]);
        if value != 0.0 {
            energy += (value * steps[k]) * (value * steps[k]);
            if SAMPLES > 1 {
                for (sample, unit) in samples.iter_mut().zip(&patterns[k]) {
                    *sample += value * unit;
                }
            }
        }
    }
    Block { samples, mean, variance: energy / BLOCK as f32 }
}
