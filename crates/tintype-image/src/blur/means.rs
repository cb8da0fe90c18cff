//! A wide blur of a JPEG, from the means of its blocks to the means of the blurred blocks.
//!
//! A Gaussian commutes with a mean: blurring the means gives the means of the blurred picture. What detail
//! lies within a block is far finer than the blur and leaves nothing. The blocks that are written need not
//! be those that were read: a turned picture has its first block at another edge.

use crate::planes::Means;

/// Where the Gaussian is cut off, in sigmas: less than a two-thousandth lies beyond.
const REACH: f64 = 3.5;

/// Blocks to be written: how many, and their sides in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    pub(crate) across: usize,
    pub(crate) down: usize,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Blurred means, row by row from the top, with `margin` blocks more on every side.
pub(crate) struct Blurred {
    across: usize,
    /// Blurred along the rows alone; as many rows as there are cells.
    rows: Vec<f32>,
    cells_down: usize,
    down: Axis,
}

/// Blurs along the rows; columns follow when a row is asked for.
pub(crate) fn blur(means: &Means, blocks: Blocks, margin: usize, sigma: f64) -> Blurred {
    let count = blocks.across + 2 * margin;
    let across = Axis::new(count, margin, blocks.width, (means.origin.0, means.cell.0), sigma);
    let down = Axis::new(blocks.down + 2 * margin, margin, blocks.height, (means.origin.1, means.cell.1), sigma);
    let mut rows = vec![0.0; means.rows * count];
    let mut padded = Vec::new();
    for (row, out) in means.data.chunks_exact(means.columns).zip(rows.chunks_exact_mut(count)) {
        across.pad(row, &mut padded);
        across.apply(&padded, out);
    }
    Blurred { across: count, rows, cells_down: means.rows, down }
}

impl Blurred {
    /// One row of means; the first is `margin` above the picture.
    #[inline(always)]
    pub(crate) fn row(&self, y: usize, out: &mut [f32]) {
        out.fill(0.0);
        for (i, &weight) in self.down.weights(y).iter().enumerate() {
            let at = (self.down.first[y] + i.cast_signed()).clamp(0, self.cells_down.cast_signed() - 1);
            let row = &self.rows[at.cast_unsigned() * self.across..][..self.across];
            for (to, from) in out.iter_mut().zip(row) {
                *to += from * weight;
            }
        }
    }

    pub(crate) fn across(&self) -> usize {
        self.across
    }
}

/// For each block along one direction, the first cell it draws from and the weights of the cells from there.
struct Axis {
    first: Vec<isize>,
    taps: usize,
    weights: Vec<f32>,
    /// All blocks weigh alike, each one cell further than the one before.
    regular: bool,
}

impl Axis {
    fn new(count: usize, margin: usize, block: f64, (origin, cell): (f64, f64), sigma: f64) -> Self {
        let taps = (2.0 * REACH * sigma / cell).ceil() as usize + 1;
        let mut axis = Self { first: Vec::new(), taps, weights: Vec::new(), regular: false };
        for i in 0..count {
            let centre = (i as f64 - margin as f64 + 0.5) * block;
            // The centre of cell c is origin + (c - 0.5) cells, for the first cell is the edge's.
            let first = ((centre - REACH * sigma - origin) / cell + 0.5).ceil();
            let weight = |tap: usize| {
                let away = origin + (first + tap as f64 - 0.5) * cell - centre;
                (-away * away / (2.0 * sigma * sigma)).exp()
            };
            let sum: f64 = (0..taps).map(weight).sum();
            axis.first.push(first as isize);
            axis.weights.extend((0..taps).map(|tap| (weight(tap) / sum) as f32));
        }
        let steady = axis.first.windows(2).all(|pair| pair[1] == pair[0] + 1);
        axis.regular = steady && (0..count).all(|i| axis.weights(i) == axis.weights(0));
        axis
    }

    fn weights(&self, i: usize) -> &[f32] {
        &self.weights[i * self.taps..][..self.taps]
    }

    /// The cells from the first that is drawn from to the last; the edges' own stand in for those beyond.
    fn pad(&self, row: &[f32], padded: &mut Vec<f32>) {
        padded.clear();
        let (Some(&first), Some(&last)) = (self.first.first(), self.first.last()) else {
            return;
        };
        let end = row.len().cast_signed() - 1;
        padded.extend((first..last + self.taps.cast_signed()).map(|at| row[at.clamp(0, end).cast_unsigned()]));
    }

    fn apply(&self, padded: &[f32], out: &mut [f32]) {
        if self.regular {
            out.fill(0.0);
            for (tap, &weight) in self.weights(0).iter().enumerate() {
                for (to, from) in out.iter_mut().zip(&padded[tap..]) {
                    *to += from * weight;
                }
            }
            return;
        }
        for (i, to) in out.iter_mut().enumerate() {
            let from = &padded[(self.first[i] - self.first[0]).cast_unsigned()..];
            *to = self.weights(i).iter().zip(from).map(|(weight, value)| weight * value).sum();
        }
    }
}
