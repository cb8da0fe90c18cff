//! A hash that looks alike for pictures that look alike.
//!
//! The luma of the sample is held against the 64 slowest waves of a two-dimensional DCT-II, the mean left out.
//! One bit for each says whether it is there upright (1) or upside down (0). Size, compression, brightness and
//! contrast change the strength of waves but hardly ever their sign.

use super::cosines::{project, waves};
use super::sample::Sample;

/// Two hashes at most so far apart are of the same picture, most likely: rescaled, compressed again, made
/// lighter, cropped by one part in a hundred. Unrelated photos are about 32 apart. `docs/images.md` has what was measured.
pub const NEAR_DUPLICATE: u32 = 10;

/// In how many bits two hashes differ: 0 to 64.
pub fn hamming_distance(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

/// Waves along an axis: the 64 slowest have at most ten half-periods on both axes together.
const WAVES: usize = 11;
/// Waves fainter than this part of a level are taken to be absent, so that noise of the arithmetic decides nothing.
const FAINT: f32 = 1.0 / 64.0;

/// The first bit, the highest, is of the slowest wave.
pub(super) fn of(sample: &Sample) -> u64 {
    let luma: Vec<f32> = sample.on_white().map(luma).collect();
    let (across, down) = (waves(WAVES, sample.width), waves(WAVES, sample.height));
    let strength = project(&luma, &across, &down);
    let slowest = (1..WAVES).flat_map(|sum| (0..=sum).map(move |u| (u, sum - u))).take(64);
    slowest.fold(0, |hash, (u, v)| hash << 1 | u64::from(strength[v][u] > FAINT))
}

/// ITU-R BT.601, as JPEG has it.
fn luma([red, green, blue]: [u8; 3]) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_gray(width: usize, height: usize, level: impl Fn(f32, f32) -> f32) -> u64 {
        let gray = |x: usize, y: usize| level(x as f32 / width as f32, y as f32 / height as f32) as u8;
        let rgba =
            (0..width * height).flat_map(|i| [[gray(i % width, i / width); 3].as_slice(), &[255]].concat()).collect();
        of(&Sample { width, height, rgba })
    }

    /// Something of every wave.
    fn picture(x: f32, y: f32) -> f32 {
        let bump = |at: f32, x: f32| 1.0 / (1.0 + ((x - at) * 9.0).powi(2));
        40.0 + 150.0 * bump(0.3, x) * bump(0.6, y) + 60.0 * bump(0.8, x) * bump(0.1, y)
    }

    #[test]
    fn size_and_brightness_change_little_and_the_picture_much() {
        let hash = of_gray(100, 75, picture);
        let small = hamming_distance(hash, of_gray(60, 45, picture));
        let darker = hamming_distance(hash, of_gray(100, 75, |x, y| picture(x, y) * 0.7));
        let mirrored = hamming_distance(hash, of_gray(100, 75, |x, y| picture(1.0 - x, y)));
        assert!(small <= 6 && darker <= 4 && mirrored > 20, "{small} {darker} {mirrored}");
    }

    #[test]
    fn one_colour_has_no_waves() {
        assert_eq!(of_gray(100, 75, |_, _| 77.0), 0);
        assert_eq!(of_gray(1, 1, |_, _| 200.0), 0);
    }
}
