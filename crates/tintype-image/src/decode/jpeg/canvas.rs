//! Where the blocks of one component are put: a reduced plane, and a mean for each block.

use super::pattern::{BLOCK, SIDE, shares};
use crate::gamut::ROUGHNESS_SCALE;
use crate::pixels::to_byte;
use crate::planes::{Means, Plane};

/// One component in the making.
pub(super) struct Canvas {
    /// Samples that a block gives along a side.
    per_side: usize,
    /// What of a side lies under each of them.
    shares: Vec<[f32; SIDE]>,
    /// Of the component, in its own samples before reduction.
    width: usize,
    height: usize,
    /// Blocks that hold some of the picture.
    pub(super) across: usize,
    pub(super) down: usize,
    plane: Vec<u8>,
    means: Vec<f32>,
    roughness: Vec<u8>,
}

/// What becomes of one block.
pub(super) struct Block<const SAMPLES: usize> {
    /// Row by row.
    pub(super) samples: [f32; SAMPLES],
    pub(super) mean: f32,
    /// Mean of the squares of the pixels' distances from the mean.
    pub(super) variance: f32,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32, per_side: usize, with_roughness: bool) -> Self {
        let (width, height) = (width as usize, height as usize);
        let (across, down) = (width.div_ceil(SIDE), height.div_ceil(SIDE));
        Self {
            per_side,
            shares: (0..per_side).map(|i| shares(i, per_side).map(|share| share as f32)).collect(),
            width,
            height,
            across,
            down,
            plane: vec![0; across * per_side * down * per_side],
            means: vec![0.0; (across + 2) * (down + 2)],
            roughness: if with_roughness { vec![0; across * down] } else { Vec::new() },
        }
    }

    /// Whether a block lies along the picture's edge.
    #[inline(always)]
    pub(super) fn is_edge(&self, x: usize, y: usize) -> bool {
        x == 0 || y == 0 || x + 1 >= self.across || y + 1 >= self.down
    }

    /// Puts a block that does not lie along the edge.
    #[inline(always)]
    pub(super) fn put<const SAMPLES: usize>(&mut self, x: usize, y: usize, block: &Block<SAMPLES>) {
        let per_side = SAMPLES.isqrt();
        let stride = self.across * per_side;
        let start = y * per_side * stride + x * per_side;
        let mut bytes = [0; SAMPLES];
        for (byte, sample) in bytes.iter_mut().zip(block.samples) {
            *byte = to_byte(sample);
        }
        for (row, bytes) in bytes.chunks_exact(per_side).enumerate() {
            self.plane[start + row * stride..][..per_side].copy_from_slice(bytes);
        }
        self.means[(y + 1) * (self.across + 2) + x + 1] = block.mean;
        if self.roughness.is_empty() {
            return;
        }
        let seen: f32 = block.samples.iter().map(|sample| (sample - block.mean) * (sample - block.mean)).sum();
        let unseen = (block.variance - seen / SAMPLES as f32).max(0.0);
        self.roughness[y * self.across + x] = to_byte(unseen.sqrt() * ROUGHNESS_SCALE);
    }

    /// Puts a whole block that lies along the edge; one beyond it is nothing's.
    pub(super) fn put_edge(&mut self, x: usize, y: usize, block: &Block<BLOCK>) {
        if x >= self.across || y >= self.down {
            return;
        }
        let block = self.extended(x, y, &block.samples);
        let stride = self.across * self.per_side;
        for (i, row) in self.shares.iter().enumerate() {
            let mixed = mix(&block, row);
            for (j, column) in self.shares.iter().enumerate() {
                let at = (y * self.per_side + i) * stride + x * self.per_side + j;
                self.plane[at] = to_byte(dot(&mixed, column));
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
        const ALL: [f32; SIDE] = [1.0 / SIDE as f32; SIDE];
        const FIRST: [f32; SIDE] = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        const LAST: [f32; SIDE] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let around = |at: usize, count: usize| {
            let mut cells = vec![(at + 1, ALL)];
            cells.extend((at == 0).then_some((0, FIRST)));
            cells.extend((at + 1 == count).then_some((count + 1, LAST)));
            cells
        };
        for (row, down) in around(y, self.down) {
            let mixed = mix(block, &down);
            for (column, across) in around(x, self.across) {
                self.means[row * (self.across + 2) + column] = dot(&mixed, &across);
            }
        }
    }

    /// What has been put, of a picture of `size`. A sample of the component covers `scale` of its pixels.
    pub(super) fn finish(self, size: (u32, u32), scale: (f64, f64)) -> (Plane, Means, Vec<u8>) {
        // The component's own size is rounded up: its last sample may be of half a pixel.
        let reduced = |length: u32, scale: f64| f64::from(length) / scale * self.per_side as f64 / SIDE as f64;
        let plane = Plane::new(
            (self.across * self.per_side, self.down * self.per_side),
            (reduced(size.0, scale.0), reduced(size.1, scale.1)),
            self.plane,
        );
        let means = Means {
            columns: self.across + 2,
            rows: self.down + 2,
            origin: (0.0, 0.0),
            cell: (scale.0 * SIDE as f64, scale.1 * SIDE as f64),
            data: self.means,
        };
        (plane, means, self.roughness)
    }
}

/// The rows of a block, each in its share.
fn mix(block: &[f32; BLOCK], down: &[f32; SIDE]) -> [f32; SIDE] {
    let mut mixed = [0.0; SIDE];
    for (row, share) in block.as_chunks::<SIDE>().0.iter().zip(down) {
        mixed.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * share);
    }
    mixed
}

fn dot(row: &[f32; SIDE], across: &[f32; SIDE]) -> f32 {
    row.iter().zip(across).map(|(value, share)| value * share).sum()
}
