//! Where the blocks of one component are put: a reduced plane, and a mean for each block.

use super::pattern::{BLOCK, SIDE, shares};
use crate::planes::{Means, Plane};

/// One component in the making.
pub(super) struct Canvas {
    /// Samples that a block gives along a side.
    per_side: usize,
    /// Of the component, in its own samples before reduction.
    width: usize,
    height: usize,
    /// Blocks that hold some of the picture.
    pub(super) across: usize,
    pub(super) down: usize,
    plane: Vec<u8>,
    means: Vec<f32>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32, per_side: usize) -> Self {
        let (width, height) = (width as usize, height as usize);
        let (across, down) = (width.div_ceil(SIDE), height.div_ceil(SIDE));
        Self {
            per_side,
            width,
            height,
            across,
            down,
            plane: vec![0; across * per_side * down * per_side],
            means: vec![0.0; (across + 2) * (down + 2)],
        }
    }

    /// Whether a block lies along the picture's edge.
    #[inline(always)]
    pub(super) fn is_edge(&self, x: usize, y: usize) -> bool {
        x == 0 || y == 0 || x + 1 >= self.across || y + 1 >= self.down
    }

    /// Puts a block that does not lie along the edge: its samples, row by row, and their mean.
    #[inline(always)]
    pub(super) fn put<const SAMPLES: usize>(&mut self, x: usize, y: usize, samples: &[f32; SAMPLES], mean: f32) {
        let per_side = SAMPLES.isqrt();
        let stride = self.across * per_side;
        let start = y * per_side * stride + x * per_side;
        for (row, samples) in samples.chunks_exact(per_side).enumerate() {
            let out = &mut self.plane[start + row * stride..][..per_side];
            for (to, from) in out.iter_mut().zip(samples) {
                // The cast saturates.
                *to = (from + 0.5) as u8;
            }
        }
        self.means[(y + 1) * (self.across + 2) + x + 1] = mean;
    }

    /// Puts a whole block that lies along the edge; one beyond it is nothing's.
    pub(super) fn put_edge(&mut self, x: usize, y: usize, block: &[f32; BLOCK]) {
        if x >= self.across || y >= self.down {
            return;
        }
        let block = self.extended(x, y, block);
        let stride = self.across * self.per_side;
        for (i, row) in (0..self.per_side).map(|i| (i, shares(i, self.per_side))) {
            for (j, column) in (0..self.per_side).map(|j| (j, shares(j, self.per_side))) {
                let at = (y * self.per_side + i) * stride + x * self.per_side + j;
                self.plane[at] = (mean(&block, &row, &column) + 0.5) as u8;
            }
        }
        self.put_means(x, y, &block);
    }

    /// The block, with the picture's last samples in place of what lies beyond.
    fn extended(&self, x: usize, y: usize, block: &[f32; BLOCK]) -> [f32; BLOCK] {
        let last = |length: usize, at: usize| (length - at * SIDE).min(SIDE) - 1;
        let (right, bottom) = (last(self.width, x), last(self.height, y));
        std::array::from_fn(|i| block[(i / SIDE).min(bottom) * SIDE + (i % SIDE).min(right)])
    }

    fn put_means(&mut self, x: usize, y: usize, block: &[f32; BLOCK]) {
        const ALL: [f64; SIDE] = [1.0 / SIDE as f64; SIDE];
        const FIRST: [f64; SIDE] = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        const LAST: [f64; SIDE] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let around = |at: usize, count: usize| {
            let mut cells = vec![(at + 1, ALL)];
            cells.extend((at == 0).then_some((0, FIRST)));
            cells.extend((at + 1 == count).then_some((count + 1, LAST)));
            cells
        };
        for (row, down) in around(y, self.down) {
            for (column, across) in around(x, self.across) {
                self.means[row * (self.across + 2) + column] = mean(block, &down, &across);
            }
        }
    }

    /// What has been put. A sample covers `scale` pixels of the picture across and down.
    pub(super) fn finish(self, scale: (f64, f64)) -> (Plane, Means) {
        let reduced = |length: usize| (length * self.per_side) as f64 / SIDE as f64;
        let plane = Plane {
            stride: self.across * self.per_side,
            rows: self.down * self.per_side,
            width: reduced(self.width),
            height: reduced(self.height),
            data: self.plane,
        };
        let means = Means {
            columns: self.across + 2,
            rows: self.down + 2,
            origin: (0.0, 0.0),
            cell: (scale.0 * SIDE as f64, scale.1 * SIDE as f64),
            data: self.means,
        };
        (plane, means)
    }
}

fn mean(block: &[f32; BLOCK], down: &[f64; SIDE], across: &[f64; SIDE]) -> f32 {
    let row = |y: usize| (0..SIDE).map(|x| f64::from(block[y * SIDE + x]) * across[x]).sum::<f64>();
    (0..SIDE).map(|y| row(y) * down[y]).sum::<f64>() as f32
}
