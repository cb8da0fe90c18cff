//! ThumbHash (evanw.github.io/thumbhash): a blurred picture, alpha included, in some 25 bytes.
//!
//! Written here and not taken from its crate, which adds up each wave pixel by pixel: with the sums that the
//! other facts use it takes a tenth of the time.

use super::cosines::{project, waves};
use super::sample::Sample;

/// In standard base64.
pub(super) fn of(sample: &Sample) -> String {
    base64(&bytes(sample))
}

fn bytes(sample: &Sample) -> Vec<u8> {
    let [luma, yellow, red, alpha] = planes(sample);
    let has_alpha = alpha.iter().any(|alpha| *alpha < 1.0);
    let most = if has_alpha { 5.0 } else { 7.0 };
    let longest = sample.width.max(sample.height) as f32;
    let waves = |side: usize| ((most * side as f32 / longest).round() as usize).max(1);
    let (across, down) = (waves(sample.width), waves(sample.height));
    let landscape = sample.width > sample.height;

    let luma = Channel::of(&luma, sample, across.max(3), down.max(3));
    let [yellow, red] = [yellow, red].map(|plane| Channel::of(&plane, sample, 3, 3));
    let head = bits(luma.mean, 63.0)
        | bits((yellow.mean + 1.0) / 2.0, 63.0) << 6
        | bits((red.mean + 1.0) / 2.0, 63.0) << 12
        | bits(luma.most, 31.0) << 18
        | u32::from(has_alpha) << 23;
    let shape = if landscape { down } else { across } as u32
        | bits(yellow.most, 63.0) << 3
        | bits(red.most, 63.0) << 9
        | u32::from(landscape) << 15;
    let mut out = [&head.to_le_bytes()[..3], &shape.to_le_bytes()[..2]].concat();
    let mut channels = vec![luma, yellow, red];
    if has_alpha {
        let alpha = Channel::of(&alpha, sample, 5, 5);
        out.push((bits(alpha.mean, 15.0) | bits(alpha.most, 15.0) << 4) as u8);
        channels.push(alpha);
    }
    // Two details in a byte, the lower half first.
    let details: Vec<u32> = channels.iter().flat_map(Channel::coded_details).collect();
    out.extend(details.chunks(2).map(|pair| (pair[0] | pair.get(1).unwrap_or(&0) << 4) as u8));
    out
}

fn bits(value: f32, most: f32) -> u32 {
    (value * most).round() as u32
}

/// Luma, yellow less blue, red less green, and alpha, 0 to 1, as seen on the mean colour.
fn planes(sample: &Sample) -> [Vec<f32>; 4] {
    let pixels = || sample.rgba.chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]].map(|value| f32::from(value) / 255.0));
    let mut sum = [0f32; 4];
    for [red, green, blue, alpha] in pixels() {
        for (sum, value) in sum.iter_mut().zip([red * alpha, green * alpha, blue * alpha, alpha]) {
            *sum += value;
        }
    }
    let mean = [0, 1, 2].map(|channel| if sum[3] > 0.0 { sum[channel] / sum[3] } else { 0.0 });
    let mut planes = [const { Vec::new() }; 4];
    for [red, green, blue, alpha] in pixels() {
        let [red, green, blue] = [(red, mean[0]), (green, mean[1]), (blue, mean[2])]
            .map(|(value, mean)| mean * (1.0 - alpha) + value * alpha);
        let values = [(red + green + blue) / 3.0, (red + green) / 2.0 - blue, red - green, alpha];
        for (plane, value) in planes.iter_mut().zip(values) {
            plane.push(value);
        }
    }
    planes
}

/// The slow waves of a plane: a triangle of them, the slowest first.
struct Channel {
    mean: f32,
    details: Vec<f32>,
    /// Of the strongest detail.
    most: f32,
}

impl Channel {
    fn of(plane: &[f32], sample: &Sample, across: usize, down: usize) -> Self {
        let strength = project(plane, &waves(across, sample.width), &waves(down, sample.height));
        let rows = strength.iter().enumerate();
        let kept = rows.flat_map(|(v, row)| row.iter().take((across * (down - v)).div_ceil(down)));
        let mut kept = kept.copied();
        let mean = kept.next().unwrap_or(0.0);
        let details: Vec<f32> = kept.collect();
        let most = details.iter().fold(0f32, |most, value| most.max(value.abs()));
        Self { mean, details, most }
    }

    /// Four bits each.
    fn coded_details(&self) -> impl Iterator<Item = u32> {
        let scale = if self.most > 0.0 { 0.5 / self.most } else { 0.0 };
        self.details.iter().map(move |value| bits(0.5 + scale * value, 15.0))
    }
}

/// RFC 4648, section 4: too small to be worth a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain(&[0; 2]).take(3).fold(0u32, |bits, &b| bits << 8 | u32::from(b));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= group.len() { digit.into() } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something of every wave, with and without alpha.
    fn picture(width: usize, height: usize, alpha: bool) -> Sample {
        let pixel = |i: usize| {
            let (x, y) = (i % width * 255 / width, i / width * 255 / height);
            [(x * x / 255) as u8, (x ^ y) as u8, (y * 3 % 256) as u8, if alpha { (255 - y) as u8 } else { 255 }]
        };
        Sample { width, height, rgba: (0..width * height).flat_map(pixel).collect() }
    }

    #[test]
    fn it_is_what_the_crate_makes_to_a_step() {
        for (width, height) in [(100, 75), (75, 100), (100, 100), (100, 20), (12, 90)] {
            for alpha in [false, true] {
                let sample = picture(width, height, alpha);
                let (ours, theirs) = (bytes(&sample), thumbhash::rgba_to_thumb_hash(width, height, &sample.rgba));
                assert_eq!(ours.len(), theirs.len());
                assert_eq!(ours[..5], theirs[..5], "{width}x{height}");
                let steps = |bytes: &[u8]| bytes[5..].iter().flat_map(|b| [b & 15, b >> 4]).collect::<Vec<_>>();
                // What is not there lies between two steps, and noise decides.
                let near = steps(&ours).iter().zip(steps(&theirs)).all(|(a, b)| a.abs_diff(b) <= 1);
                assert!(near, "{width}x{height} {alpha}: {ours:?} {theirs:?}");
            }
        }
    }

    #[test]
    fn base64_of_the_rfcs_vectors() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
