//! Where the eye goes: which part of an image to keep when it is cut to another aspect ratio.
//!
//! Each pixel of a small image is given points for detail, strong colour and the hues of skin; the part kept is
//! the one with the most. Whole numbers throughout, so that every machine finds the same part.

use crate::orient::upright;
use crate::pixels::Pixels;

/// Luma where colours can be told: not in the dark, not in what is burnt out.
const VISIBLE: std::ops::Range<i32> = 25..240;
/// Red's and green's share in the light of skin, of any tone, in thousandths.
const SKIN: (i32, i32) = (450, 318);
/// How far off a share may be.
const SKIN_REACH: i32 = 100;

/// Points of an upright image, pixel by pixel.
pub(crate) struct Saliency {
    width: usize,
    points: Vec<u32>,
}

impl Saliency {
    /// Looks at a small stored image: a hundred pixels tell a face from its background.
    pub(crate) fn of(sample: &Pixels, orientation: u8) -> Self {
        let sample = upright(sample.clone(), orientation);
        let width = sample.width as usize;
        Self { width, points: points(&sample.to_rgba(), width) }
    }

    /// Where a cut-out of these shares of the width and height lies best, as `geometry` takes it.
    pub(crate) fn anchor(&self, width: f64, height: f64) -> (f64, f64) {
        let rows = self.points.chunks_exact(self.width);
        let mut columns = vec![0u64; self.width];
        for row in rows.clone() {
            for (sum, &points) in columns.iter_mut().zip(row) {
                *sum += u64::from(points);
            }
        }
        let rows: Vec<u64> = rows.map(|row| row.iter().copied().map(u64::from).sum()).collect();
        (best(&columns, width), best(&rows, height))
    }
}

/// Where along a line of points a window holds the most; what lies in its middle counts twice.
fn best(line: &[u64], share: f64) -> f64 {
    let window = ((line.len() as f64 * share).round() as usize).clamp(1, line.len());
    let room = line.len() - window;
    if room == 0 {
        return 0.5;
    }
    let quarter = (window * window) as u64;
    let weight = |i: usize| quarter + 4 * ((i + 1) * (window - i)) as u64;
    let points = |at: usize| line[at..at + window].iter().enumerate().map(|(i, &p)| p * weight(i)).sum::<u64>();
    // Of equals, the one nearest to the middle.
    let found = (0..=room).max_by_key(|&at| (points(at), std::cmp::Reverse((2 * at).abs_diff(room))));
    found.unwrap_or(0) as f64 / room as f64
}

fn points(rgba: &[u8], width: usize) -> Vec<u32> {
    let luma: Vec<i32> = rgba.chunks_exact(4).map(luma).collect();
    let height = luma.len() / width;
    let point = |(i, pixel): (usize, &[u8])| {
        let (x, y) = (i % width, i / width);
        let at = |x: usize, y: usize| luma[y.min(height - 1) * width + x.min(width - 1)];
        let around = at(x.saturating_sub(1), y) + at(x + 1, y) + at(x, y.saturating_sub(1)) + at(x, y + 1);
        let detail = (4 * luma[i] - around).abs().min(255);
        let color = if VISIBLE.contains(&luma[i]) { 2 * skin(pixel) + saturation(pixel) / 4 } else { 0 };
        (2 * detail + color).unsigned_abs() * u32::from(pixel[3]) / 255
    };
    rgba.chunks_exact(4).enumerate().map(point).collect()
}

/// Rec. 709, 0 to 255.
fn luma(pixel: &[u8]) -> i32 {
    let [r, g, b] = [0, 1, 2].map(|i| i32::from(pixel[i]));
    (54 * r + 183 * g + 19 * b) >> 8
}

fn saturation(pixel: &[u8]) -> i32 {
    let colors = &pixel[..3];
    i32::from(colors.iter().max().unwrap_or(&0) - colors.iter().min().unwrap_or(&0))
}

/// 100 for skin, 0 from a certain distance on, grey included.
fn skin(pixel: &[u8]) -> i32 {
    let [r, g, b] = [0, 1, 2].map(|i| i32::from(pixel[i]));
    let light = (r + g + b).max(1);
    let distance = (r * 1000 / light - SKIN.0).abs() + (g * 1000 / light - SKIN.1).abs();
    (SKIN_REACH - distance).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Layout;

    /// A plain wall with something of a colour on it.
    fn wall(patch: std::ops::Range<u32>, color: [u8; 3]) -> Pixels {
        let mut pixels = Pixels::zeroed(90, 30, Layout::Rgb);
        for (i, pixel) in pixels.data.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i as u32 % 90, i as u32 / 90);
            let hit = patch.contains(&x) && (9..21).contains(&y);
            pixel.copy_from_slice(if hit { &color } else { &[150, 152, 150] });
        }
        pixels
    }

    #[test]
    fn the_window_is_over_what_stands_out() {
        let share = 1.0 / 3.0;
        for (patch, anchor) in [(0..12, 0.0), (39..51, 0.5), (78..90, 1.0)] {
            for color in [[220, 160, 130], [200, 0, 0], [20, 20, 20]] {
                let (x, y) = Saliency::of(&wall(patch.clone(), color), 1).anchor(share, 1.0);
                assert!((x - anchor).abs() < 0.1, "{patch:?} {color:?}: {x}");
                assert_eq!(y, 0.5);
            }
        }
    }

    #[test]
    fn where_nothing_stands_out_it_is_the_middle() {
        let plain = Saliency::of(&wall(0..0, [0; 3]), 1);
        assert_eq!(plain.anchor(0.3, 1.0), (0.5, 0.5));
    }

    #[test]
    fn it_looks_at_the_upright_image() {
        // Upside down, the left is the right; on its side, a row is a column.
        let stored = wall(0..12, [220, 160, 130]);
        let at = |orientation| Saliency::of(&stored, orientation);
        assert!(at(3).anchor(0.3, 1.0).0 > 0.9);
        assert!(at(6).anchor(1.0, 0.3).1 < 0.1);
        assert!(at(8).anchor(1.0, 0.3).1 > 0.9);
    }

    #[test]
    fn skin_of_every_tone_counts_and_grey_does_not() {
        for tone in [[255u8, 224, 189], [224, 172, 105], [141, 85, 36], [90, 56, 37], [61, 38, 27]] {
            assert!(skin(&tone) > 0, "{tone:?}: {}", skin(&tone));
        }
        for other in [[128u8; 3], [30, 30, 200], [30, 160, 30], [90, 140, 200]] {
            assert_eq!(skin(&other), 0, "{other:?}");
        }
    }
}
