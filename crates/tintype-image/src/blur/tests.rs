use super::*;
use crate::pixels::Layout;

/// The definition, in double precision, with no trick at all.
fn reference(pixels: &Pixels, sigma: f64) -> Vec<f64> {
    let (w, h, c) = (pixels.width as usize, pixels.height as usize, pixels.layout.channels());
    let radius = (6.0 * sigma).ceil() as isize;
    let weights: Vec<f64> = (-radius..=radius).map(|i| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let clamp = |v: isize, n: usize| v.clamp(0, n as isize - 1) as usize;
    let pass = |data: &[f64], horizontal: bool| {
        let mut out = vec![0.0; data.len()];
        for y in 0..h {
            for x in 0..w {
                for (i, weight) in weights.iter().enumerate() {
                    let d = i as isize - radius;
                    let (sx, sy) =
                        if horizontal { (clamp(x as isize + d, w), y) } else { (x, clamp(y as isize + d, h)) };
                    for k in 0..c {
                        out[(y * w + x) * c + k] += data[(sy * w + sx) * c + k] * weight / sum;
                    }
                }
            }
        }
        out
    };
    let data: Vec<f64> = pixels.data.iter().map(|&v| f64::from(v)).collect();
    pass(&pass(&data, true), false)
}

fn psnr(got: &[u8], want: &[f64]) -> f64 {
    let squares: f64 = got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
    10.0 * (255.0f64.powi(2) * got.len() as f64 / squares).log10()
}

/// Edges, a ramp, and noise: what a photo has, at its worst.
fn picture(width: u32, height: u32, layout: Layout) -> Pixels {
    let mut pixels = Pixels::zeroed(width, height, layout);
    let mut seed = 12345u32;
    let stride = pixels.stride();
    for (i, value) in pixels.data.iter_mut().enumerate() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (i % stride, i / stride);
        let noise = (seed >> 24) / 2;
        *value = if (x / 37 + y / 23) % 2 == 0 { noise as u8 } else { (x * 255 / stride) as u8 };
    }
    pixels
}

#[test]
fn narrow_blurs_are_exact_to_rounding() {
    let pixels = picture(61, 47, Layout::Rgb);
    for sigma in [0.3, 0.5, 1.0, 4.0, 25.0] {
        let db = psnr(&blur(&pixels, sigma).data, &reference(&pixels, f64::from(sigma)));
        assert!(db > 58.0, "sigma {sigma}: {db:.1} dB");
    }
}

#[test]
fn wide_blurs_by_reduction_are_as_good_as_rounding_allows() {
    // A size that is no multiple of any block, so that edges are part of the proof.
    let pixels = picture(203, 151, Layout::Rgb);
    // Rounding to 8 bits alone gives 58.9 dB.
    for (sigma, block) in [(8.0, 2), (20.0, 5), (33.0, 8)] {
        let blocks = Blocks::new(pixels.width, pixels.height, pixels.layout, sigma, block);
        let db = psnr(&reduced(&pixels, blocks).data, &reference(&pixels, sigma));
        assert!(db > 58.0, "sigma {sigma}: {db:.1} dB");
    }
}

/// Edges of a size that is no multiple of the block lie right also when the image is turned.
#[test]
fn turned_rows_are_those_of_the_turned_image() {
    for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
        let pixels = picture(53, 38, layout);
        let blocks = || {
            let mut blocks = Blocks::new(pixels.width, pixels.height, layout, 20.0, 5);
            pixels.data.chunks_exact(pixels.stride()).for_each(|row| blocks.push_row(row));
            blocks
        };
        let plain = reduced(&pixels, Blocks::new(pixels.width, pixels.height, layout, 20.0, 5));
        for orientation in 1..=8 {
            let want = crate::orient::upright(plain.clone(), orientation);
            let mut smooth = blocks().finish(orientation);
            let mut row = vec![0; want.stride()];
            for (y, want) in want.data.chunks_exact(row.len()).enumerate() {
                smooth.row(y, &mut row);
                let worst = row.iter().zip(want).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(1), "{layout:?}, orientation {orientation}, row {y}");
            }
        }
    }
}

#[test]
fn hidden_colour_does_not_bleed() {
    let mut pixels = Pixels::zeroed(40, 1, Layout::Rgba);
    for (x, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
        pixel.copy_from_slice(if x < 20 { &[255, 0, 0, 255] } else { &[0, 255, 0, 0] });
    }
    let out = blur(&pixels, 3.0);
    for pixel in out.data.chunks_exact(4).filter(|pixel| pixel[3] > 8) {
        assert!(pixel[0] > 250 && pixel[1] < 5, "{pixel:?}");
    }
}

#[test]
fn any_sigma_and_size_is_survived() {
    for sigma in [f32::NAN, -1.0, 0.0, 1e-6, 1e9, f32::INFINITY] {
        for (width, height) in [(1, 1), (1, 9), (9, 1)] {
            let pixels = picture(width, height, Layout::Rgb);
            let out = blur(&pixels, sigma);
            assert_eq!((out.width, out.height, out.data.len()), (width, height, pixels.data.len()));
        }
    }
}
