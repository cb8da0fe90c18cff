//! BlurHash (blurha.sh): a blurred picture in 28 characters, for the many clients that read it.

use quantette::deps::palette::{LinSrgb, Srgb};

use super::cosines::{project, waves};
use super::sample::Sample;

const DIGITS: &[u8; 83] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

/// The longer side gets four components, the shorter three.
pub(super) fn of(sample: &Sample) -> String {
    let (columns, rows) = if sample.height > sample.width { (3, 4) } else { (4, 3) };
    let factors = factors(sample, columns, rows);
    let (mean, details) = factors.split_at(1);
    let most = details.iter().flatten().fold(0f32, |most, value| most.max(value.abs()));
    let scale = (most * 166.0 - 0.5).floor().clamp(0.0, 82.0);

    let mut out = String::new();
    push(&mut out, (columns - 1) + (rows - 1) * 9, 1);
    push(&mut out, scale as usize, 1);
    push(&mut out, coded_mean(mean[0]), 4);
    for detail in details {
        push(&mut out, coded_detail(*detail, (scale + 1.0) / 166.0), 2);
    }
    out
}

/// Red, green and blue of each component, in linear light, row by row.
fn factors(sample: &Sample, columns: usize, rows: usize) -> Vec<[f32; 3]> {
    let mut planes = [const { Vec::new() }; 3];
    for [red, green, blue] in sample.on_white() {
        let light: LinSrgb<f32> = Srgb::new(red, green, blue).into_linear();
        for (plane, value) in planes.iter_mut().zip([light.red, light.green, light.blue]) {
            plane.push(value);
        }
    }
    // At the middles of pixels, where the reference code takes their corners: so one colour has no details.
    let (across, down) = (waves(columns, sample.width), waves(rows, sample.height));
    let [red, green, blue] = planes.map(|plane| project(&plane, &across, &down).concat());
    let doubled = |at: usize| if at == 0 { 1.0 } else { 2.0 };
    (0..columns * rows).map(|at| [red[at], green[at], blue[at]].map(|value| value * doubled(at))).collect()
}

/// In sRGB, 24 bits.
fn coded_mean(light: [f32; 3]) -> usize {
    let color: Srgb<u8> = Srgb::from_linear(LinSrgb::from(light));
    [color.red, color.green, color.blue].iter().fold(0, |code, &value| code << 8 | usize::from(value))
}

/// Nineteen steps for each channel, finer near zero.
fn coded_detail(detail: [f32; 3], most: f32) -> usize {
    detail.iter().fold(0, |code, value| {
        let root = (value.abs() / most).sqrt().copysign(*value);
        code * 19 + (root * 9.0 + 9.5).floor().clamp(0.0, 18.0) as usize
    })
}

fn push(out: &mut String, value: usize, length: u32) {
    out.extend((0..length).rev().map(|place| char::from(DIGITS[value / 83usize.pow(place) % 83])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(width: usize, height: usize, color: impl Fn(usize, usize) -> [u8; 4]) -> Sample {
        let rgba = (0..width * height).flat_map(|i| color(i % width, i / width)).collect();
        Sample { width, height, rgba }
    }

    #[test]
    fn one_colour_is_its_mean_and_nothing_else() {
        // Nine for each channel of each detail, which stands for zero: 9 * 361 + 9 * 19 + 9.
        let none = "fQ".repeat(11);
        let hash = of(&sample(8, 6, |_, _| [255, 255, 255, 255]));
        assert_eq!(hash, format!("L0TSUA{none}"));
        let upright = of(&sample(6, 8, |_, _| [0, 0, 0, 255]));
        assert_eq!(upright, format!("T00000{none}"));
    }

    #[test]
    fn light_from_the_left_is_the_first_detail() {
        let hash = of(&sample(8, 6, |x, _| if x < 4 { [255; 4] } else { [0, 0, 0, 255] }));
        // The brightest step, for all three channels: 18 * 361 + 18 * 19 + 18.
        assert_eq!(&hash[6..8], "~q");
        assert_eq!(&hash[12..], "fQ".repeat(8));
    }

    #[test]
    fn what_is_clear_is_white() {
        let clear = of(&sample(8, 6, |_, _| [9, 200, 9, 0]));
        assert_eq!(clear, of(&sample(8, 6, |_, _| [255, 255, 255, 255])));
    }
}
