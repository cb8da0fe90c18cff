//! Forward DCT and quantiser (T.81, annexes A.3.3 and A.3.4).

use super::smooth::round;
use crate::decode::jpeg::pattern::{SIDE, ZIGZAG, cosine};

/// Samples of a block, and its coefficients.
pub(super) const BLOCK: usize = SIDE * SIDE;

/// A row of numbers for each cosine or sample.
type Rows = [[f32; SIDE]; SIDE];

/// The transform of blocks under one quantiser.
pub(super) struct Dct {
    /// Cosine by sample, and sample by cosine.
    cosines: Rows,
    samples: Rows,
    /// One over each step, row by row.
    scales: [f32; BLOCK],
}

impl Dct {
    pub(super) fn new(steps: &[u8; BLOCK]) -> Self {
        let cosines: Rows = std::array::from_fn(|u| std::array::from_fn(|x| cosine(u, x) as f32));
        let samples = std::array::from_fn(|x| std::array::from_fn(|u| cosines[u][x]));
        Self { cosines, samples, scales: steps.map(|step| 1.0 / f32::from(step)) }
    }

    /// Quantised coefficients of a block, in zigzag order.
    #[inline(always)]
    pub(super) fn coefficients(&self, block: &[u8; BLOCK]) -> [i16; BLOCK] {
        let mut rows = [[0.0; SIDE]; SIDE];
        for (to, from) in rows.as_flattened_mut().iter_mut().zip(block) {
            *to = f32::from(*from);
        }
        let mut down = [[0.0; SIDE]; SIDE];
        for (sums, cosine) in down.iter_mut().zip(&self.cosines) {
            add_up(sums, &rows, cosine);
        }
        // The level shift of A.3.1 moves the means alone, of which the first row has eight cosines' worth.
        let shift: f32 = 128.0 * self.cosines[0].iter().sum::<f32>();
        down[0].iter_mut().for_each(|sum| *sum -= shift);
        let mut quantised = [0; BLOCK];
        for ((out, row), scales) in
            quantised.as_chunks_mut::<SIDE>().0.iter_mut().zip(&down).zip(self.scales.as_chunks::<SIDE>().0)
        {
            let mut sums = [0.0; SIDE];
            add_up(&mut sums, &self.samples, row);
            for ((to, sum), scale) in out.iter_mut().zip(sums).zip(scales) {
                *to = round(sum * scale) as i16;
            }
        }
        let mut in_zigzag = [0; BLOCK];
        for (to, &at) in in_zigzag.iter_mut().zip(&ZIGZAG) {
            *to = quantised[usize::from(at)];
        }
        in_zigzag
    }
}

/// Adds up rows, each in its share.
#[inline(always)]
fn add_up(sums: &mut [f32; SIDE], rows: &[[f32; SIDE]], shares: &[f32; SIDE]) {
    for (row, share) in rows.iter().zip(shares) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_the_definition() {
        let block: [u8; BLOCK] = std::array::from_fn(|i| (i * i * 7 % 256) as u8);
        let steps = std::array::from_fn(|i| (i % 5 + 1) as u8);
        let found = Dct::new(&steps).coefficients(&block);
        for (k, &at) in ZIGZAG.iter().enumerate() {
            let (v, u) = (usize::from(at) / SIDE, usize::from(at) % SIDE);
            let part = |i: usize| (f64::from(block[i]) - 128.0) * cosine(u, i % SIDE) * cosine(v, i / SIDE);
            let exact = (0..BLOCK).map(part).sum::<f64>() / f64::from(steps[usize::from(at)]);
            assert!((f64::from(found[k]) - exact).abs() < 0.501, "{k}: {} instead of {exact}", found[k]);
        }
    }
}
