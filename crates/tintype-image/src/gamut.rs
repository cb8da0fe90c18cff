//! Colours that a JPEG can say and a screen cannot show, as means see them.
//!
//! Decoders clip each pixel to what can be shown: grass whose blue is below none becomes grass of no blue. A
//! mean of many pixels knows nothing of that, and would keep the blue that none of them shows. Here each mean
//! is moved to what the mean of the clipped pixels would be. How far pixels lie from their mean is known from
//! the coefficients (Parseval); they are taken to be spread as a normal distribution is.

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
        clip_all(self.0);
    }
}

#[inline(always)]
fn clip_all(planes: &mut Planes) {
    let Planes { planes, means, roughness, .. } = planes;
    let ([y, cb, cr], [mean_y, mean_cb, mean_cr]) = (&mut planes[..], &mut means[..]) else {
        return;
    };
    let per_side = y.stride / (mean_y.columns - 2);
    let across = y.stride / per_side;
    let under: Vec<usize> = (0..y.stride).map(|x| beneath(x, y.width, cb.width, cb.stride)).collect();
    // Of one brightness in the colour that lies under it.
    let share = (cb.stride * cb.rows) as f32 / (y.stride * y.rows) as f32;
    let mut moved = [Moved::new(y, mean_y), Moved::new(cb, mean_cb), Moved::new(cr, mean_cr)];
    let mut line = Line::new(y.stride, cb.stride, &under);
    let mut below = usize::MAX;
    for row in 0..y.rows {
        let now = beneath(row, y.height, cb.height, cb.rows);
        if now != below {
            line.move_colors([&mut *cb, &mut *cr], below, &mut moved, &under, share);
            below = now;
            line.set_colors(&under, cb.row(below), cr.row(below));
        }
        if row % per_side == 0 {
            line.set_spreads(&roughness[row / per_side * across..][..across], per_side);
        }
        let mut is_moved = false;
        for start in (0..y.stride).step_by(LANES) {
            let brightness = &y.row(row)[start..y.stride.min(start + LANES)];
            if line.is_clipped(start, brightness) {
                line.add_moves(start, brightness);
                is_moved = true;
            }
        }
        if is_moved {
            moved[0].apply(&mut line.by[0], y, row);
            line.colors_moved = true;
        }
    }
    line.move_colors([&mut *cb, &mut *cr], below, &mut moved, &under, share);
    moved.iter().zip([mean_y, mean_cb, mean_cr]).for_each(|(moved, means)| moved.apply_to_means(means));
}

/// Samples looked at together.
const LANES: usize = 16;

/// What is known of each sample of a row besides its brightness.
struct Line {
    /// What its colour adds to brightness for red, green and blue.
    offsets: [Vec<f32>; 3],
    /// The least and the most of these.
    least: Vec<f32>,
    most: Vec<f32>,
    /// How far pixels may lie from it for all that is looked at, and one over that.
    reach: Vec<f32>,
    inverse: Vec<f32>,
    /// By how much brightness and the colours beneath are to be moved.
    by: [Vec<f32>; 3],
    colors_moved: bool,
    /// Of the colours of the row, before they are spread over the samples.
    colors: Vec<[f32; 3]>,
    /// Whether each of them is that of two samples, as most cameras write them.
    in_pairs: bool,
}

impl Line {
    fn new(length: usize, colors: usize, under: &[usize]) -> Self {
        // Whole lanes, so that every step is of the same length.
        let zeros = || vec![0.0; length.next_multiple_of(LANES)];
        let three = || [zeros(), zeros(), zeros()];
        Self {
            offsets: three(),
            least: zeros(),
            most: zeros(),
            reach: zeros(),
            inverse: zeros(),
            by: three(),
            colors_moved: false,
            colors: vec![[0.0; 3]; colors],
            in_pairs: under.iter().enumerate().all(|(x, &at)| at == x / 2),
        }
    }

    #[inline(always)]
    fn set_colors(&mut self, under: &[usize], cb: &[u8], cr: &[u8]) {
        for (colors, (&cb, &cr)) in self.colors.iter_mut().zip(cb.iter().zip(cr)) {
            *colors = offsets([f32::from(cb) - 128.0, f32::from(cr) - 128.0]);
        }
        let [reds, greens, blues] = self.offsets.each_mut();
        // In pairs they need not be looked up one by one.
        if self.in_pairs {
            for (i, &[r, g, b]) in self.colors.iter().enumerate().take(under.len() / 2) {
                let pair = 2 * i..2 * i + 2;
                reds[pair.clone()].fill(r);
                greens[pair.clone()].fill(g);
                blues[pair].fill(b);
            }
        }
        for (x, &at) in under.iter().enumerate().skip(if self.in_pairs { under.len() & !1 } else { 0 }) {
            [reds[x], greens[x], blues[x]] = self.colors[at];
        }
        let all = reds.iter().zip(greens.iter()).zip(blues.iter());
        for ((least, most), ((&r, &g), &b)) in self.least.iter_mut().zip(&mut self.most).zip(all) {
            (*least, *most) = (r.min(g).min(b), r.max(g).max(b));
        }
    }

    #[inline(always)]
    fn set_spreads(&mut self, rough: &[u8], per_side: usize) {
        for (i, &rough) in rough.iter().enumerate() {
            // Never none, since it is divided by; what so little would do is nothing.
            let reach = REACH * (f32::from(rough) / ROUGHNESS_SCALE + 0.01);
            let samples = i * per_side..(i + 1) * per_side;
            self.reach[samples.clone()].fill(reach);
            self.inverse[samples].fill(1.0 / reach);
        }
    }

    /// Whether any pixel of some samples is clipped.
    #[inline(always)]
    fn is_clipped(&self, start: usize, brightness: &[u8]) -> bool {
        let around = self.least[start..].iter().zip(&self.most[start..]).zip(&self.reach[start..]);
        let clipped = |(&y, ((least, most), reach)): (&u8, ((&f32, &f32), &f32))| {
            let y = f32::from(y);
            (y + least < *reach) | (y + most > 255.0 - reach)
        };
        brightness.iter().zip(around).fold(false, |any, sample| any | clipped(sample))
    }

    /// Adds up by how much clipping moves brightness and colours.
    #[inline(always)]
    fn add_moves(&mut self, start: usize, brightness: &[u8]) {
        let mut y = [0.0; LANES];
        y.iter_mut().zip(brightness).for_each(|(to, &from)| *to = f32::from(from));
        let lanes = start..start + LANES;
        let (reach, inverse) = (&self.reach[lanes.clone()], &self.inverse[lanes.clone()]);
        let [r, g, b] = self.offsets.each_ref().map(|offsets| &offsets[lanes.clone()]);
        let [by_y, by_cb, by_cr] = self.by.each_mut().map(|by| &mut by[lanes.clone()]);
        for i in 0..LANES {
            let around = (reach[i], inverse[i]);
            let [r, g, b] = [moved(y[i] + r[i], around), moved(y[i] + g[i], around), moved(y[i] + b[i], around)];
            let by = 0.299 * r + 0.587 * g + 0.114 * b;
            by_y[i] += by;
            by_cb[i] += (b - by) * (1.0 / BLUE);
            by_cr[i] += (r - by) * (1.0 / RED);
        }
    }

    /// Moves the colours of a row by what was added up above it.
    #[inline(always)]
    fn move_colors(
        &mut self,
        planes: [&mut Plane; 2],
        row: usize,
        moved: &mut [Moved; 3],
        under: &[usize],
        share: f32,
    ) {
        if !std::mem::take(&mut self.colors_moved) {
            return;
        }
        for ((plane, moved), by) in planes.into_iter().zip(&mut moved[1..]).zip(&mut self.by[1..]) {
            let mut sums = vec![0.0; plane.stride];
            for (&at, by) in under.iter().zip(by) {
                sums[at] += std::mem::take(by) * share;
            }
            moved.apply(&mut sums, plane, row);
        }
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

/// The sample of a coarser plane under one of a finer.
fn beneath(at: usize, fine: f64, coarse: f64, count: usize) -> usize {
    (((at as f64 + 0.5) * coarse / fine) as usize).min(count - 1)
}

#[inline(always)]
fn offsets([cb, cr]: [f32; 2]) -> [f32; 3] {
    [RED * cr, GREEN.0 * cb + GREEN.1 * cr, BLUE * cb]
}

/// By how much the means of a plane's blocks are to be moved.
struct Moved {
    per_side: usize,
    /// Of one sample in the mean of its block.
    share: f32,
    across: usize,
    means: Vec<f32>,
}

impl Moved {
    fn new(plane: &Plane, means: &Means) -> Self {
        let across = means.columns - 2;
        let per_side = plane.stride / across;
        let share = 1.0 / (per_side * per_side) as f32;
        Self { per_side, share, across, means: vec![0.0; across * (means.rows - 2)] }
    }

    /// Moves the samples of a row, and notes it for the means.
    #[inline(always)]
    fn apply(&mut self, by: &mut [f32], plane: &mut Plane, row: usize) {
        let means = &mut self.means[row / self.per_side * self.across..][..self.across];
        for (mean, by) in means.iter_mut().zip(by.chunks_exact(self.per_side)) {
            *mean += by.iter().sum::<f32>() * self.share;
        }
        let samples = &mut plane.data[row * plane.stride..][..plane.stride];
        for (sample, by) in samples.iter_mut().zip(by) {
            *sample = ((f32::from(*sample) + std::mem::take(by)).clamp(0.0, 255.0) + 0.5) as u8;
        }
    }

    fn apply_to_means(&self, means: &mut Means) {
        let rows = self.means.len() / self.across;
        for y in 0..means.rows {
            // The edge moves as the cells along it.
            let from = &self.means[y.saturating_sub(1).min(rows - 1) * self.across..][..self.across];
            for x in 0..means.columns {
                means.data[y * means.columns + x] += from[x.saturating_sub(1).min(self.across - 1)];
            }
        }
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
