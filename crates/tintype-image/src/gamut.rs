//! Colours that a JPEG can say and a screen cannot show, as means see them.
//!
//! Decoders clip each pixel to what can be shown: grass whose blue is below none becomes grass of no blue. A
//! mean of many pixels knows nothing of that, and would keep the blue that none of them shows. Here each mean
//! is moved to what the mean of the clipped pixels would be. How far pixels lie from their mean is known from
//! the coefficients (Parseval); they are taken to be spread as a normal distribution is. Where every pixel is there,
//! each is clipped (`pixels.rs`).

mod pixels;

use std::ops::Range;

use crate::decode::jpeg::pattern::SIDE;
use crate::pixels::to_byte;
use crate::planes::{Color, Means, Plane, Planes};
use crate::simd::{Work, vectorized};

/// Beyond so many deviations nothing is clipped.
const REACH: f32 = 2.5;

/// What of the three colours is added to brightness: `r = y + cr * RED`, and so on (BT.601, as JFIF has it).
const RED: f32 = 1.402;
const GREEN: (f32, f32) = (-0.344_136, -0.714_136);
const BLUE: f32 = 1.772;

/// Moves the means of a YCbCr picture; others are left as they are.
pub(crate) fn clip(planes: &mut Planes) {
    if planes.color == Color::YCbCr {
        vectorized(Clip(planes));
    }
}

struct Clip<'a>(&'a mut Planes);

impl Work for Clip<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Planes { planes, means, roughness, .. } = self.0;
        let ([y, cb, cr], [mean_y, mean_cb, mean_cr]) = (&mut planes[..], &mut means[..]) else {
            return;
        };
        let sampling = |fine: f64, coarse: f64| {
            let ratio = fine / coarse;
            // A part of a sample may be left over at the edge.
            let whole = (ratio.round() - ratio).abs() * coarse < 1.0;
            whole.then_some(ratio.round() as usize)
        };
        let whole = y.stride == SIDE * (mean_y.columns - 2);
        let planes = [y, cb, cr];
        let means = [mean_y, mean_cb, mean_cr];
        // Planes that are no multiple of each other are next to never met, and are left as they are.
        let Some(down) = sampling(planes[0].height, planes[1].height) else {
            return;
        };
        match sampling(planes[0].width, planes[1].width) {
            Some(1) if whole => pixels::clip::<1>(planes, means, down),
            Some(2) if whole => pixels::clip::<2>(planes, means, down),
            Some(1) => clip_all::<1>(planes, means, roughness, down),
            Some(2) => clip_all::<2>(planes, means, roughness, down),
            Some(4) => clip_all::<4>(planes, means, roughness, down),
            _ => {}
        }
    }
}

/// Goes by cells: what of the brightness lies under one sample of colour, `ACROSS` by `down` samples.
#[inline(always)]
fn clip_all<const ACROSS: usize>(
    [y, cb, cr]: [&mut Plane; 3],
    [mean_y, mean_cb, mean_cr]: [&mut Means; 3],
    roughness: &[u8],
    down: usize,
) {
    let mut line = Line::new::<ACROSS>(y, cb, mean_y);
    let mut moved = [Moved::new(y, mean_y), Moved::new(cb, mean_cb), Moved::new(cr, mean_cr)];
    if y.stride < ACROSS {
        return;
    }
    for row in 0..cb.rows {
        // A block of colour may reach beyond all brightness, whose last row stands in there.
        let rows = (row * down).min(y.rows - 1)..((row + 1) * down).min(y.rows);
        line.look::<ACROSS>(y, rows.clone(), roughness);
        if !line.find_moves(cb.row(row), cr.row(row)) {
            continue;
        }
        let [by_y, by_cb, by_cr] = &mut line.by;
        spread::<ACROSS>(by_y, &mut line.by_sample);
        for row in rows.filter(|&at| at >= row * down) {
            moved[0].apply(&line.by_sample, y, row);
        }
        moved[1].apply(by_cb, cb, row);
        moved[2].apply(by_cr, cr, row);
    }
    moved.iter_mut().for_each(|moved| moved.end_blocks());
}

/// Cells looked at together: few, so that what is not clipped is left early.
const CHUNK: usize = 64;

/// What is known of the cells of a row.
struct Line {
    /// Samples that a block gives along a side, and blocks across.
    per_side: usize,
    blocks: usize,
    /// Sums of brightness, and of its squares.
    sums: Vec<u32>,
    squares: Vec<u32>,
    /// One over how many samples of brightness there are in a cell of this row.
    share: f32,
    /// Of a row of samples, the mean of the squares of the pixels' distances from each.
    rough: Vec<f32>,
    /// The same, summed up over cells.
    variances: Vec<f32>,
    /// Of the cells looked at: the mean brightness, and how far from it pixels may lie for all that is looked at.
    mean: [f32; CHUNK],
    reach: [f32; CHUNK],
    /// By how much each of the three is to be moved.
    by: [Vec<f32>; 3],
    by_sample: Vec<f32>,
}

impl Line {
    fn new<const ACROSS: usize>(y: &Plane, cb: &Plane, means: &Means) -> Self {
        let blocks = means.columns - 2;
        let cells = cb.stride.max(y.stride.div_ceil(ACROSS));
        let zeros = || vec![0.0; cells];
        Self {
            per_side: y.stride / blocks,
            blocks,
            sums: vec![0; cells],
            squares: vec![0; cells],
            share: 0.0,
            rough: vec![0.0; y.stride],
            variances: zeros(),
            mean: [0.0; CHUNK],
            reach: [0.0; CHUNK],
            by: [zeros(), zeros(), zeros()],
            by_sample: vec![0.0; cells * ACROSS],
        }
    }

    /// Looks at the brightness of a row of cells.
    #[inline(always)]
    fn look<const ACROSS: usize>(&mut self, y: &Plane, rows: Range<usize>, roughness: &[u8]) {
        self.share = 1.0 / (rows.len() * ACROSS) as f32;
        self.sums.fill(0);
        self.squares.fill(0);
        self.variances.fill(0.0);
        for row in rows {
            self.set_rough(&roughness[row / self.per_side * self.blocks..][..self.blocks]);
            let cells = y.row(row).as_chunks::<ACROSS>().0.iter().zip(self.rough.as_chunks::<ACROSS>().0);
            let sums = self.sums.iter_mut().zip(&mut self.squares).zip(&mut self.variances);
            for (((sum, square), variance), (samples, rough)) in sums.zip(cells) {
                for (&sample, rough) in samples.iter().zip(rough) {
                    let sample = u32::from(sample);
                    *sum += sample;
                    *square += sample * sample;
                    *variance += rough;
                }
            }
        }
        // The last whole cell stands in for what is beyond.
        let last = y.stride / ACROSS - 1;
        let (sum, square, variance) = (self.sums[last], self.squares[last], self.variances[last]);
        self.sums[last..].fill(sum);
        self.squares[last..].fill(square);
        self.variances[last..].fill(variance);
    }

    #[inline(always)]
    fn set_rough(&mut self, roughness: &[u8]) {
        for (samples, &rough) in self.rough.chunks_exact_mut(self.per_side).zip(roughness) {
            let deviation = f32::from(rough) * (1.0 / ROUGHNESS_SCALE);
            samples.fill(deviation * deviation);
        }
    }

    /// Finds by how much clipping moves each cell of a row of these colours, and whether it moves any.
    #[inline(always)]
    fn find_moves(&mut self, cb: &[u8], cr: &[u8]) -> bool {
        let mut any = false;
        for (chunk, (cb, cr)) in cb.chunks(CHUNK).zip(cr.chunks(CHUNK)).enumerate() {
            let cells = chunk * CHUNK..chunk * CHUNK + cb.len();
            let sums = self.sums[cells.clone()].iter().zip(&self.squares[cells.clone()]);
            let around = self.mean[..cb.len()].iter_mut().zip(&mut self.reach);
            for (((mean, reach), (sum, square)), variance) in around.zip(sums).zip(&self.variances[cells.clone()]) {
                *mean = sum.cast_signed() as f32 * self.share;
                let within = square.cast_signed() as f32 * self.share - *mean * *mean;
                let variance = within + variance * self.share;
                // Never none, since it is divided by; what so little would do is nothing.
                *reach = REACH * (variance.max(0.0).sqrt() + 0.01);
            }
            let (mean, reach) = (&self.mean[..cb.len()], &self.reach[..cb.len()]);
            let [by_y, by_cb, by_cr] = self.by.each_mut().map(|by| &mut by[cells.clone()]);
            if is_clipped(mean, reach, [cb, cr]) {
                add_moves(mean, reach, [cb, cr], [by_y, by_cb, by_cr]);
                any = true;
            } else {
                [by_y, by_cb, by_cr].into_iter().for_each(|by| by.fill(0.0));
            }
        }
        any
    }
}

/// Whether any pixel of some cells is clipped.
#[inline(always)]
fn is_clipped(mean: &[f32], reach: &[f32], [cb, cr]: [&[u8]; 2]) -> bool {
    let cells = mean.iter().zip(reach).zip(cb.iter().zip(cr));
    cells.fold(false, |any, ((mean, reach), (&cb, &cr))| {
        let [r, g, b] = offsets(cb, cr);
        any | (mean + least(r, g, b) < *reach) | (mean + most(r, g, b) > 255.0 - reach)
    })
}

/// The least of three numbers. `f32::min` minds what is no number, and is several times slower.
#[inline(always)]
fn least(a: f32, b: f32, c: f32) -> f32 {
    let least = if a < b { a } else { b };
    if least < c { least } else { c }
}

/// The greatest of three numbers.
#[inline(always)]
fn most(a: f32, b: f32, c: f32) -> f32 {
    let most = if a > b { a } else { b };
    if most > c { most } else { c }
}

/// Finds by how much clipping moves brightness and colours.
#[inline(always)]
fn add_moves(mean: &[f32], reach: &[f32], [cb, cr]: [&[u8]; 2], [by_y, by_cb, by_cr]: [&mut [f32]; 3]) {
    let by = by_y.iter_mut().zip(by_cb).zip(by_cr);
    let cells = mean.iter().zip(reach).zip(cb.iter().zip(cr));
    for (((mean, reach), (&cb, &cr)), ((by_y, by_cb), by_cr)) in cells.zip(by) {
        let around = (*reach, 1.0 / reach);
        let [r, g, b] = offsets(cb, cr);
        let [r, g, b] = [moved(mean + r, around), moved(mean + g, around), moved(mean + b, around)];
        *by_y = 0.299 * r + 0.587 * g + 0.114 * b;
        *by_cb = (b - *by_y) * (1.0 / BLUE);
        *by_cr = (r - *by_y) * (1.0 / RED);
    }
}

/// What cells are moved by, for each of their samples.
#[inline(always)]
fn spread<const ACROSS: usize>(cells: &[f32], samples: &mut [f32]) {
    for (samples, &cell) in samples.as_chunks_mut::<ACROSS>().0.iter_mut().zip(cells) {
        *samples = [cell; ACROSS];
    }
}

/// By how much clipping moves the mean of a colour.
#[inline(always)]
fn moved(mean: f32, around: (f32, f32)) -> f32 {
    mean.clamp(0.0, 255.0) - mean + excess(mean, around) - excess(255.0 - mean, around)
}

/// The mean of what a normal distribution has beyond a bound so far away, less what its mean has. At the bound itself
/// it is the density's 0.399 of the deviation; a cube that ends at [`REACH`] is as near as what is known of the pixels.
#[inline(always)]
fn excess(away: f32, (reach, inverse): (f32, f32)) -> f32 {
    let left = (1.0 - away.abs() * inverse).max(0.0);
    (0.398_942 / REACH) * reach * left * left * left
}

/// [`Planes::roughness`] is in these parts of a level.
pub(crate) const ROUGHNESS_SCALE: f32 = 2.0;

#[inline(always)]
fn offsets(cb: u8, cr: u8) -> [f32; 3] {
    let (cb, cr) = (f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [RED * cr, GREEN.0 * cb + GREEN.1 * cr, BLUE * cb]
}

/// One plane on the move, and with it the means of its blocks.
struct Moved<'a> {
    means: &'a mut Means,
    per_side: usize,
    /// Of the row of blocks at hand: by how much each sample across was moved, summed up.
    sums: Vec<f32>,
    blocks_row: usize,
    /// By how much each mean across is moved.
    by: Vec<f32>,
}

impl<'a> Moved<'a> {
    fn new(plane: &Plane, means: &'a mut Means) -> Self {
        let per_side = plane.stride / (means.columns - 2);
        let by = vec![0.0; means.columns];
        Self { means, per_side, sums: vec![0.0; plane.stride], blocks_row: 0, by }
    }

    /// Moves the samples of a row; rows come from the top.
    #[inline(always)]
    fn apply(&mut self, by: &[f32], plane: &mut Plane, row: usize) {
        if row / self.per_side != self.blocks_row {
            self.end_blocks();
            self.blocks_row = row / self.per_side;
        }
        let samples = &mut plane.data[row * plane.stride..][..plane.stride];
        for ((sample, sum), by) in samples.iter_mut().zip(&mut self.sums).zip(by) {
            *sum += by;
            *sample = to_byte(f32::from(*sample) + by);
        }
    }

    /// Moves the means of a row of blocks. The edge moves as the cells along it.
    #[inline(always)]
    fn end_blocks(&mut self) {
        let Means { columns, rows, data, .. } = &mut *self.means;
        let share = 1.0 / (self.per_side * self.per_side) as f32;
        let last = *columns - 1;
        for (by, sums) in self.by[1..last].iter_mut().zip(self.sums.chunks_exact(self.per_side)) {
            *by = sums.iter().sum::<f32>() * share;
        }
        (self.by[0], self.by[last]) = (self.by[1], self.by[last - 1]);
        let first = if self.blocks_row == 0 { 0 } else { self.blocks_row + 1 };
        let end = if self.blocks_row + 3 == *rows { *rows } else { self.blocks_row + 2 };
        for row in data[first * *columns..end * *columns].chunks_exact_mut(*columns) {
            row.iter_mut().zip(&self.by).for_each(|(mean, by)| *mean += by);
        }
        self.sums.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_clipped_pixels_is_foretold() {
        // A normal distribution by its quantiles, clipped.
        let normal = |i: usize| {
            let p = (i as f64 + 0.5) / 2000.0;
            let t = (-2.0 * p.min(1.0 - p).ln()).sqrt();
            // Abramowitz and Stegun 26.2.23.
            let z = t
                - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
                    / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t);
            if p < 0.5 { -z } else { z }
        };
        for (mean, spread) in [(0.0, 20.0), (10.0, 20.0), (-15.0, 10.0), (250.0, 12.0), (100.0, 30.0), (-3.0, 0.0)] {
            let clipped: f64 = (0..2000).map(|i| (mean + spread * normal(i)).clamp(0.0, 255.0)).sum::<f64>() / 2000.0;
            let found = mean + {
                let reach = REACH * (spread as f32 + 0.01);
                f64::from(moved(mean as f32, (reach, 1.0 / reach)))
            };
            assert!((found - clipped).abs() < 0.1 + spread / 80.0, "{mean} {spread}: {found} instead of {clipped}");
        }
    }
}
