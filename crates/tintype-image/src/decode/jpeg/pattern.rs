//! From coefficients straight to samples, at any of eight sizes.
//!
//! A block gives `n` by `n` samples, each the exact mean of what it covers: the inverse DCT and a box filter
//! in one. Since both are linear, a coefficient adds its number times a fixed pattern. Coefficients that are
//! zero, nearly all, cost nothing.

/// Side of a block.
pub(crate) const SIDE: usize = 8;
/// Coefficients of a block.
pub(super) const BLOCK: usize = 64;

/// Where the coefficients of T.81's zigzag lie in rows (figure 5).
pub(crate) const ZIGZAG: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// What one unit of each coefficient, in zigzag order, adds to the samples of a block, row by row.
pub(super) type Patterns<const SAMPLES: usize> = [[f32; SAMPLES]; BLOCK];

/// The patterns of `SAMPLES` = n x n samples under a quantiser in zigzag order.
pub(super) fn patterns<const SAMPLES: usize>(steps: &[u16]) -> Box<Patterns<SAMPLES>> {
    let per_side = SAMPLES.isqrt();
    let weights = weights(per_side);
    let mut patterns = Box::new([[0.0; SAMPLES]; BLOCK]);
    for ((pattern, &at), &step) in patterns.iter_mut().zip(&ZIGZAG).zip(steps) {
        let (v, u) = (usize::from(at) / SIDE, usize::from(at) % SIDE);
        for (i, sample) in pattern.iter_mut().enumerate() {
            *sample = (f64::from(step) * weights[i % per_side][u] * weights[i / per_side][v]) as f32;
        }
    }
    patterns
}

/// Of each sample along a side: the mean of each of the eight cosines under it.
fn weights(per_side: usize) -> Vec<[f64; SIDE]> {
    let mean = |shares: [f64; SIDE], u: usize| (0..SIDE).map(|x| shares[x] * cosine(u, x)).sum();
    (0..per_side).map(|i| std::array::from_fn(|u| mean(shares(i, per_side), u))).collect()
}

/// How much of each of eight samples lies under part `i` of `parts`; the shares sum to 1.
pub(super) fn shares(i: usize, parts: usize) -> [f64; SIDE] {
    let length = SIDE as f64 / parts as f64;
    let (start, end) = (i as f64 * length, (i + 1) as f64 * length);
    std::array::from_fn(|x| (end.min(x as f64 + 1.0) - start.max(x as f64)).max(0.0) / length)
}

/// The orthonormal DCT's cosine `u` at sample `x`.
pub(crate) fn cosine(u: usize, x: usize) -> f64 {
    /// cos(k pi / 16). Written out, so that they are the same wherever this is built.
    const COSINES: [f64; 9] = [
        1.0,
        0.980_785_280_403_230_4,
        0.923_879_532_511_286_7,
        0.831_469_612_302_545_2,
        std::f64::consts::FRAC_1_SQRT_2,
        0.555_570_233_019_602_2,
        0.382_683_432_365_089_8,
        0.195_090_322_016_128_27,
        0.0,
    ];
    let turn = (2 * x + 1) * u % 32;
    let turn = turn.min(32 - turn);
    let cosine = if turn <= 8 { COSINES[turn] } else { -COSINES[16 - turn] };
    if u == 0 { 0.5 * COSINES[4] } else { 0.5 * cosine }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_orthonormal() {
        for (a, b) in (0..8).flat_map(|a| (0..8).map(move |b| (a, b))) {
            let product: f64 = (0..8).map(|x| cosine(a, x) * cosine(b, x)).sum();
            assert!((product - f64::from(u8::from(a == b))).abs() < 1e-12, "{a} {b}: {product}");
        }
    }

    #[test]
    fn fewer_samples_are_means_of_more() {
        let steps = [1; 64];
        let whole = patterns::<64>(&steps);
        let quarter = patterns::<16>(&steps);
        let third = patterns::<9>(&steps);
        for k in 0..64 {
            let mean =
                |x: usize, y: usize| [0, 1, 8, 9].map(|i| whole[k][(2 * y) * 8 + 2 * x + i]).iter().sum::<f32>() / 4.0;
            for i in 0..16 {
                assert!((quarter[k][i] - mean(i % 4, i / 4)).abs() < 1e-6);
            }
            let (sum, expected) = (third[k].iter().sum::<f32>(), if k == 0 { 9.0 / 8.0 } else { 0.0 });
            assert!((sum - expected).abs() < 1e-5);
        }
    }
}
