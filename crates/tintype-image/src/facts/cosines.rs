//! How much of each slow wave is in a picture: the sums that BlurHash and the perceptual hash are made of.

use std::f64::consts::PI;

/// Waves along one axis, at the middles of its pixels: `waves[k][i]` is cos(pi k (i + 1/2) / length). Of those
/// that so few pixels cannot hold, nothing.
pub(super) fn waves(count: usize, length: usize) -> Vec<Vec<f32>> {
    let cosine = |k: usize, i: usize| (PI * k as f64 * (i as f64 + 0.5) / length as f64).cos() as f32;
    let value = |k: usize, i: usize| if k < length { cosine(k, i) } else { 0.0 };
    (0..count).map(|k| (0..length).map(|i| value(k, i)).collect()).collect()
}

/// The mean of `plane` times each wave down times each wave across: `out[v][u]`.
pub(super) fn project(plane: &[f32], across: &[Vec<f32>], down: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let width = across.first().map_or(0, Vec::len);
    let pixels = plane.len().max(1) as f32;
    let along_row = |row: &[f32]| {
        across.iter().map(|wave| wave.iter().zip(row).map(|(w, value)| w * value).sum::<f32>() / pixels).collect()
    };
    down.iter().map(|wave| along_row(&sum_of_rows(plane, width, wave))).collect()
}

/// The rows of a plane, each times its weight, summed. The long way round goes first: it is done in whole rows.
fn sum_of_rows(plane: &[f32], width: usize, weights: &[f32]) -> Vec<f32> {
    let mut sum = vec![0f32; width];
    for (row, weight) in plane.chunks_exact(width.max(1)).zip(weights) {
        for (to, value) in sum.iter_mut().zip(row) {
            *to += value * weight;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_found_where_it_is_and_nowhere_else() {
        let (across, down) = (waves(4, 20), waves(4, 12));
        let plane: Vec<f32> = (0..240).map(|i| 7.0 * across[2][i % 20] * down[1][i / 20]).collect();
        for (v, row) in project(&plane, &across, &down).iter().enumerate() {
            for (u, &found) in row.iter().enumerate() {
                let want = if (u, v) == (2, 1) { 7.0 / 4.0 } else { 0.0 };
                assert!((found - want).abs() < 1e-4, "{u} {v}: {found}");
            }
        }
    }
}
