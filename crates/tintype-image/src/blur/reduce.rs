//! A wide blur by way of a reduced image: average blocks, blur them, interpolate back.

use super::convolve::{convolve, half_kernel};
use super::{load, store};
use crate::pixels::Pixels;

/// A raster of numbers. One block of extended edge lies around the image, so that what is beyond the
/// edge is exactly the edge's own value and not the mean of the blocks along it.
struct Grid {
    columns: usize,
    rows: usize,
    channels: usize,
    data: Vec<f32>,
}

impl Grid {
    fn stride(&self) -> usize {
        self.columns * self.channels
    }

    fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.stride()..][..self.stride()]
    }
}

/// Blurs `pixels` by `sigma` on a grid `block` times coarser.
pub(super) fn blur(pixels: &Pixels, sigma: f64, block: usize) -> Pixels {
    let grid = average_blocks(pixels, block);
    // Averaging has blurred a little already; interpolation by a cubic adds nothing.
    let k = block as f64;
    let left = (sigma * sigma - (k * k - 1.0) / 12.0).sqrt() / k;
    let blurred = blur_grid(&grid, left);
    interpolate(&blurred, pixels, block)
}

fn average_blocks(pixels: &Pixels, block: usize) -> Grid {
    let (width, height, channels) = (pixels.width as usize, pixels.height as usize, pixels.layout.channels());
    let (columns, rows) = (width.div_ceil(block) + 2, height.div_ceil(block) + 2);
    let mut grid = Grid { columns, rows, channels, data: vec![0.0; columns * rows * channels] };
    let stride = pixels.stride();
    let mut row = vec![0f32; stride];
    let mut sums = vec![0f32; stride];
    for (block_y, out) in grid.data.chunks_exact_mut(columns * channels).enumerate() {
        sums.fill(0.0);
        for (y, times) in covered(block_y, block, height) {
            load(&pixels.data[y * stride..][..stride], &mut row, channels, pixels.layout.has_alpha());
            for (sum, value) in sums.iter_mut().zip(&row) {
                *sum += value * times;
            }
        }
        average_along_row(&sums, out, block, width, channels);
    }
    grid
}

fn average_along_row(sums: &[f32], out: &mut [f32], block: usize, width: usize, channels: usize) {
    let area = (block * block) as f32;
    for (block_x, to) in out.chunks_exact_mut(channels).enumerate() {
        for (x, times) in covered(block_x, block, width) {
            for (to, sum) in to.iter_mut().zip(&sums[x * channels..][..channels]) {
                *to += sum * times;
            }
        }
        for value in to {
            *value /= area;
        }
    }
}

/// The pixels under a block and how often each counts: edge pixels stand in for those beyond.
fn covered(index: usize, block: usize, length: usize) -> impl Iterator<Item = (usize, f32)> {
    // In pixels, shifted by the block of edge that comes first.
    let (start, end) = (index * block, (index + 1) * block);
    let (first, past) = (start.clamp(block, block + length - 1) - block, end.clamp(block + 1, block + length) - block);
    (first..past).map(move |at| {
        let before = if at == 0 { block.saturating_sub(start) } else { 0 };
        let beyond = if at == length - 1 { end.saturating_sub(start.max(block + length)) } else { 0 };
        let own = usize::from(start <= at + block && at + block < end);
        (at, (before + beyond + own) as f32)
    })
}

fn blur_grid(grid: &Grid, sigma: f64) -> Grid {
    let mut out = Grid { data: vec![0.0; grid.data.len()], ..*grid };
    let stride = grid.stride();
    convolve(
        (grid.columns, grid.rows, grid.channels),
        &half_kernel(sigma),
        |y, row| row.copy_from_slice(grid.row(y)),
        |y, row| out.data[y * stride..][..stride].copy_from_slice(row),
    );
    out
}

fn interpolate(grid: &Grid, like: &Pixels, block: usize) -> Pixels {
    let mut out = Pixels::zeroed(like.width, like.height, like.layout);
    let (stride, channels) = (out.stride(), like.layout.channels());
    let columns: Vec<Taps> = (0..like.width as usize).map(|x| Taps::at(x, block, grid.columns)).collect();
    let mut widened: Vec<(usize, Vec<f32>)> = (0..4).map(|_| (usize::MAX, vec![0f32; stride])).collect();
    let mut sum = vec![0f32; stride];
    for (y, row) in out.data.chunks_exact_mut(stride).enumerate() {
        let taps = Taps::at(y, block, grid.rows);
        sum.fill(0.0);
        for (&at, weight) in taps.at.iter().zip(taps.weight) {
            // Four neighbours never share a place among four, and the next row uses the same ones.
            let (held, values) = &mut widened[at % 4];
            if *held != at {
                *held = at;
                widen(grid.row(at), &columns, channels, values);
            }
            for (sum, value) in sum.iter_mut().zip(values.iter()) {
                *sum += value * weight;
            }
        }
        store(&sum, row, channels, like.layout.has_alpha());
    }
    out
}

fn widen(row: &[f32], columns: &[Taps], channels: usize, out: &mut [f32]) {
    for (to, taps) in out.chunks_exact_mut(channels).zip(columns) {
        for (channel, to) in to.iter_mut().enumerate() {
            *to = (0..4).map(|i| row[taps.at[i] * channels + channel] * taps.weight[i]).sum();
        }
    }
}

/// Four grid positions and their Catmull-Rom weights.
struct Taps {
    at: [usize; 4],
    weight: [f32; 4],
}

impl Taps {
    /// For a pixel's centre, among `length` blocks of which the first is edge.
    fn at(pixel: usize, block: usize, length: usize) -> Self {
        let place = (pixel as f64 + 0.5) / block as f64 + 0.5;
        let base = place.floor();
        let t = (place - base) as f32;
        let at = [-1.0, 0.0, 1.0, 2.0].map(|offset| (base + offset).clamp(0.0, (length - 1) as f64) as usize);
        let (t2, t3) = (t * t, t * t * t);
        let weight =
            [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2];
        Self { at, weight }
    }
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn every_block_covers_its_whole_area() {
        for (block, length) in [(4, 10), (4, 12), (5, 3), (7, 1), (2, 9), (50, 50)] {
            for index in 0..usize::div_ceil(length, block) + 2 {
                let cover: Vec<_> = covered(index, block, length).collect();
                let sum: f32 = cover.iter().map(|(_, times)| times).sum();
                assert_eq!(sum, block as f32, "block {index} of {block} over {length}: {cover:?}");
            }
        }
        let last: Vec<_> = covered(3, 4, 10).collect();
        assert_eq!(last, [(8, 1.0), (9, 3.0)]);
        assert_eq!(covered(0, 4, 10).collect::<Vec<_>>(), [(0, 4.0)]);
    }
}
