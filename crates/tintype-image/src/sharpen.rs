//! Unsharp mask: what a blur takes away is added once more.

use crate::blur::blur;
use crate::pixels::Pixels;

/// Sharpens by the standard deviation of the blur, in pixels. Alpha stays as it is.
pub(crate) fn sharpen(pixels: &Pixels, sigma: f32) -> Pixels {
    let mut out = blur(pixels, sigma);
    let channels = pixels.layout.channels();
    let colors = channels - usize::from(pixels.layout.has_alpha());
    for (out, from) in out.data.chunks_exact_mut(channels).zip(pixels.data.chunks_exact(channels)) {
        for (out, &from) in out[..colors].iter_mut().zip(from) {
            *out = (2 * i16::from(from) - i16::from(*out)).clamp(0, 255) as u8;
        }
        out[colors..].copy_from_slice(&from[colors..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Layout;

    #[test]
    fn an_edge_is_steeper_and_a_plain_stays() {
        let data = [[60u8; 8], [180; 8]].concat();
        let out = sharpen(&Pixels { width: 16, height: 1, layout: Layout::Gray, data }, 1.0);
        assert!(out.data[7] < 50 && out.data[8] > 190, "{:?}", out.data);
        assert_eq!((out.data[0], out.data[15]), (60, 180));
    }

    #[test]
    fn alpha_stays_and_hidden_colour_does_not_glow() {
        let mut pixels = Pixels::zeroed(16, 1, Layout::Rgba);
        for (x, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
            pixel.copy_from_slice(if x < 8 { &[100, 100, 100, 255] } else { &[255, 255, 255, 0] });
        }
        let out = sharpen(&pixels, 1.0);
        for (pixel, from) in out.data.chunks_exact(4).zip(pixels.data.chunks_exact(4)) {
            assert_eq!(pixel[3], from[3]);
        }
        assert!(out.data[..32].chunks_exact(4).all(|pixel| pixel[0].abs_diff(100) <= 1), "{:?}", &out.data[..32]);
    }
}
