//! A wide blur by way of a reduced image: average blocks, blur them, interpolate back.
//!
//! Both halves go by rows: [`Blocks`] takes those of the image as they are decoded, [`Smooth`] gives those
//! of the blur as they are encoded. Between them lies the grid, which is all that is held.

use super::convolve::{convolve, half_kernel};
use super::store;
use crate::pixels::Layout;

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

    /// Rows become columns.
    fn transposed(&self) -> Self {
        let cell = |x: usize, y: usize| &self.row(y)[x * self.channels..][..self.channels];
        let data = (0..self.columns).flat_map(|x| (0..self.rows).flat_map(move |y| cell(x, y))).copied().collect();
        Self { columns: self.rows, rows: self.columns, channels: self.channels, data }
    }
}

/// The first half: rows of an image into means of blocks.
pub(crate) struct Blocks {
    width: usize,
    height: usize,
    layout: Layout,
    sigma: f64,
    block: usize,
    /// Rows taken so far.
    taken: usize,
    /// Of the rows of the unfinished block; colour times alpha, where there is alpha.
    sums: Vec<u32>,
    grid: Grid,
}

impl Blocks {
    /// For a blur by `sigma` on a grid `block` times coarser than the image.
    pub(super) fn new(width: u32, height: u32, layout: Layout, sigma: f64, block: usize) -> Self {
        let (width, height, channels) = (width as usize, height as usize, layout.channels());
        let (columns, rows) = (width.div_ceil(block) + 2, height.div_ceil(block) + 2);
        let grid = Grid { columns, rows, channels, data: Vec::with_capacity(columns * rows * channels) };
        Self { width, height, layout, sigma, block, taken: 0, sums: vec![0; width * channels], grid }
    }

    /// Takes the next row of the image.
    pub(crate) fn push_row(&mut self, row: &[u8]) {
        let block = self.block;
        // The first and the last row stand in for those beyond them.
        if self.taken == 0 {
            self.add(row, block);
            self.end_block();
        }
        self.taken += 1;
        self.add(row, 1);
        if self.taken.is_multiple_of(block) {
            self.end_block();
        }
        if self.taken == self.height {
            let missing = self.taken.next_multiple_of(block) - self.taken;
            if missing > 0 {
                self.add(row, missing);
                self.end_block();
            }
            self.add(row, block);
            self.end_block();
        }
    }

    fn add(&mut self, row: &[u8], times: usize) {
        let times = times as u32;
        let channels = self.layout.channels();
        if !self.layout.has_alpha() {
            self.sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += u32::from(value) * times);
            return;
        }
        for (sums, pixel) in self.sums.chunks_exact_mut(channels).zip(row.chunks_exact(channels)) {
            let opacity = u32::from(pixel[channels - 1]);
            for (sum, &value) in sums.iter_mut().zip(&pixel[..channels - 1]) {
                *sum += u32::from(value) * opacity * times;
            }
            sums[channels - 1] += opacity * 255 * times;
        }
    }

    fn end_block(&mut self) {
        let (block, channels) = (self.block, self.layout.channels());
        let area = (block * block) as f32 * if self.layout.has_alpha() { 255.0 } else { 1.0 };
        let (first, last) = (&self.sums[..channels], &self.sums[self.sums.len() - channels..]);
        let mean = |sums: &[u32], missing: usize| {
            let of_channel = |c: usize| {
                let inside: u64 = sums.iter().skip(c).step_by(channels).map(|&sum| u64::from(sum)).sum();
                (inside + u64::from(last[c]) * missing as u64) as f32 / area
            };
            std::array::from_fn::<f32, 4, _>(|c| if c < channels { of_channel(c) } else { 0.0 })
        };
        let out = &mut self.grid.data;
        out.extend(first.iter().map(|&sum| sum as f32 * block as f32 / area));
        for sums in self.sums.chunks(block * channels) {
            out.extend_from_slice(&mean(sums, block - sums.len() / channels)[..channels]);
        }
        out.extend(last.iter().map(|&sum| sum as f32 * block as f32 / area));
        self.sums.fill(0);
    }

    /// Blurs what was taken, once every row was. The rows to come are those of the upright image.
    pub(crate) fn finish(mut self, orientation: u8) -> Smooth {
        // Averaging has blurred a little already; interpolation by a cubic adds nothing.
        let k = self.block as f64;
        let left = (self.sigma * self.sigma - (k * k - 1.0) / 12.0).sqrt() / k;
        self.grid.data.resize(self.grid.columns * self.grid.rows * self.grid.channels, 0.0);
        let grid = blur_grid(&self.grid, left);
        let taps = |length: usize, blocks: usize| (0..length).map(|at| Taps::at(at, self.block, blocks)).collect();
        let smooth = Smooth::new(taps(self.width, grid.columns), taps(self.height, grid.rows), self.layout, grid);
        smooth.upright(orientation)
    }
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

/// The second half: rows of the blurred image, each as it is asked for.
pub(crate) struct Smooth {
    layout: Layout,
    grid: Grid,
    /// For each column and each row, where on the grid it lies.
    columns: Vec<Taps>,
    rows: Vec<Taps>,
    /// Rows of the grid interpolated to the full width, and which: neighbours in the image share them.
    widened: [(usize, Vec<f32>); 4],
    sum: Vec<f32>,
}

impl Smooth {
    fn new(columns: Vec<Taps>, rows: Vec<Taps>, layout: Layout, grid: Grid) -> Self {
        let stride = columns.len() * layout.channels();
        let widened = std::array::from_fn(|_| (usize::MAX, vec![0f32; stride]));
        Self { layout, grid, columns, rows, widened, sum: vec![0f32; stride] }
    }

    /// Turning the grid turns every row that is made of it.
    fn upright(self, orientation: u8) -> Self {
        let Self { layout, mut grid, mut columns, mut rows, .. } = self;
        if orientation >= 5 {
            grid = grid.transposed();
            (columns, rows) = (rows, columns);
        }
        if matches!(orientation, 2 | 3 | 6 | 7) {
            columns.reverse();
        }
        if matches!(orientation, 3 | 4 | 7 | 8) {
            rows.reverse();
        }
        Self::new(columns, rows, layout, grid)
    }

    /// Fills `out` with a row of the blurred image; quickest from the top or from the bottom.
    pub(crate) fn row(&mut self, y: usize, out: &mut [u8]) {
        let channels = self.layout.channels();
        let taps = &self.rows[y];
        for &at in &taps.at {
            // Four neighbours never share a place among four.
            let (held, values) = &mut self.widened[at % 4];
            if *held != at {
                *held = at;
                widen(self.grid.row(at), &self.columns, channels, values);
            }
        }
        let [a, b, c, d] = taps.at.map(|at| &self.widened[at % 4].1);
        let [wa, wb, wc, wd] = taps.weight;
        for ((((sum, a), b), c), d) in self.sum.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum = a * wa + b * wb + c * wc + d * wd;
        }
        store(&self.sum, out, channels, self.layout.has_alpha());
    }
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
