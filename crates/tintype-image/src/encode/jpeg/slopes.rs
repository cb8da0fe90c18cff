//! From the means of blocks to their coefficients, for a picture smooth enough that its neighbours' means
//! say what lies within a block.
//!
//! Along one direction, a wave has a mean and a coefficient of each cosine over a block; their ratio is a
//! filter. It is fitted, by least squares over the waves that a blur leaves, to a few neighbours.

use crate::decode::jpeg::pattern::{SIDE, cosine};

/// Neighbours on each side that a filter draws from.
pub(crate) const REACH: usize = 3;
/// Highest cosine that a smooth block has more than a trace of.
const ORDER: usize = 2;
/// The coefficients of a smooth block as (across, down), in zigzag order.
pub(crate) const TERMS: [(usize, usize); 6] = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (2, 0)];

/// The orthonormal first cosine of a mean of one: the root of eight.
const WHOLE: f32 = 2.0 * std::f32::consts::SQRT_2;

/// One filter for each cosine but the first: odd ones are odd, even ones even.
pub(crate) struct Slopes {
    /// Weight of the centre, then of the neighbour after it, and so on.
    filters: [[f32; REACH + 1]; ORDER],
}

/// A row of means with its coefficients across: of each cosine in turn.
pub(crate) type Across = [Vec<f32>; ORDER + 1];

impl Slopes {
    /// For a blur of `sigma` samples of the component.
    pub(crate) fn new(sigma: f64) -> Self {
        Self { filters: std::array::from_fn(|i| fit(i + 1, sigma)) }
    }

    /// Coefficients across of a row that has [`REACH`] more blocks at each end.
    #[inline(always)]
    pub(crate) fn across(&self, means: &[f32], out: &mut Across) {
        let count = means.len() - 2 * REACH;
        out[0].clear();
        out[0].extend(means[REACH..][..count].iter().map(|mean| mean * WHOLE));
        for (order, out) in out.iter_mut().enumerate().skip(1) {
            let row = |offset: isize| &means[REACH.wrapping_add_signed(offset)..][..count];
            self.filter(order, row, out);
        }
    }

    /// Coefficients down: `row` gives the neighbours above and below.
    #[inline(always)]
    pub(crate) fn down<'a>(&self, order: usize, row: impl Fn(isize) -> &'a [f32], out: &mut Vec<f32>) {
        if order == 0 {
            out.clear();
            out.extend(row(0).iter().map(|value| value * WHOLE));
        } else {
            self.filter(order, row, out);
        }
    }

    #[inline(always)]
    fn filter<'a>(&self, order: usize, row: impl Fn(isize) -> &'a [f32], out: &mut Vec<f32>) {
        let filter = &self.filters[order - 1];
        let sign = if order % 2 == 1 { -1.0 } else { 1.0 };
        out.clear();
        out.extend(row(0).iter().map(|value| value * filter[0]));
        for (i, &weight) in filter.iter().enumerate().skip(1) {
            let (before, after) = (row(-i.cast_signed()), row(i.cast_signed()));
            for ((to, before), after) in out.iter_mut().zip(before).zip(after) {
                *to += (after + sign * before) * weight;
            }
        }
    }
}

/// Least squares over waves up to the finest that means can hold, weighed by what the blur leaves of them.
fn fit(order: usize, sigma: f64) -> [f32; REACH + 1] {
    const WAVES: usize = 48;
    let odd = order % 2 == 1;
    let mut normal = [[0.0; REACH + 2]; REACH + 1];
    for i in 1..=WAVES {
        let turn = std::f64::consts::PI / SIDE as f64 * i as f64 / WAVES as f64;
        let (mean, target) = wave(order, turn);
        // Pictures hold less of the fine; 1/f is the usual measure (Field 1987).
        let weight = (mean * (-0.5 * (sigma * turn).powi(2)).exp() / turn).powi(2);
        let value = |tap: usize| {
            let angle = turn * (SIDE * tap) as f64;
            match (tap, odd) {
                (0, true) => 0.0,
                (0, false) => 1.0,
                (_, true) => 2.0 * angle.sin(),
                (_, false) => 2.0 * angle.cos(),
            }
        };
        for (row, line) in normal.iter_mut().enumerate() {
            for (column, cell) in line.iter_mut().enumerate() {
                *cell += weight * value(row) * if column > REACH { target / mean } else { value(column) };
            }
        }
    }
    if odd {
        normal[0][0] = 1.0;
    }
    solve(normal).map(|weight| weight as f32)
}

/// A wave's mean over a block, and its coefficient: of the sine for odd cosines.
fn wave(order: usize, turn: f64) -> (f64, f64) {
    let place = |x: usize| turn * (x as f64 - (SIDE as f64 - 1.0) / 2.0);
    let mean = (0..SIDE).map(|x| place(x).cos()).sum::<f64>() / SIDE as f64;
    let part = |x: usize| if order % 2 == 1 { place(x).sin() } else { place(x).cos() };
    (mean, (0..SIDE).map(|x| cosine(order, x) * part(x)).sum())
}

/// Gauss's elimination; the matrices are positive definite, so no pivot is zero.
fn solve<const N: usize, const M: usize>(mut lines: [[f64; M]; N]) -> [f64; N] {
    for pivot in 0..N {
        for line in pivot + 1..N {
            let factor = lines[line][pivot] / lines[pivot][pivot];
            let above = lines[pivot];
            lines[line].iter_mut().zip(above).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    let mut found = [0.0; N];
    for line in (0..N).rev() {
        let known: f64 = (line + 1..N).map(|column| lines[line][column] * found[column]).sum();
        found[line] = (lines[line][M - 1] - known) / lines[line][line];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_and_a_bow_are_found_exactly() {
        let slopes = Slopes::new(20.0);
        let exact =
            |order: usize, value: fn(f64) -> f64| (0..8).map(|x| cosine(order, x) * value(x as f64 - 3.5)).sum::<f64>();
        for (order, value) in
            [(1, (|x| 2.0 * x) as fn(f64) -> f64), (2, |x| 0.25 * x * x), (2, |x| 7.0 + x), (1, |_| 9.0)]
        {
            let mean =
                |block: isize| (0..8).map(|x| value(block as f64 * 8.0 + x as f64 - 3.5)).sum::<f64>() as f32 / 8.0;
            let means: Vec<f32> = (-3..=3).map(mean).collect();
            let mut out = Across::default();
            slopes.across(&means, &mut out);
            let (found, exact) = (f64::from(out[order][0]), exact(order, value));
            assert!((found - exact).abs() < 0.02 * exact.abs().max(1.0), "{order}: {found} instead of {exact}");
        }
    }
}
