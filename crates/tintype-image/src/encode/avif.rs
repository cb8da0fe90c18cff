//! AVIF out, on one thread: the same bytes everywhere.

use ravif::{Encoder, Img, RGB8, RGBA8};

use super::Output;
use crate::error::Error;
use crate::pixels::Pixels;

/// Of 1 to 10, the quickest; near the quick end, since a thumbnail is to cost little.
const SPEED: u8 = 9;

pub(super) fn encode(pixels: &Pixels, output: Output) -> Result<Vec<u8>, Error> {
    let quality = f32::from(output.quality.clamp(1, 100));
    let encoder =
        Encoder::new().with_quality(quality).with_alpha_quality(quality).with_speed(SPEED).with_num_threads(Some(1));
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let rgba = pixels.to_rgba();
    let rgba = rgba.as_chunks::<4>().0;
    let encoded = if pixels.layout.has_alpha() {
        let pixels: Vec<RGBA8> = rgba.iter().map(|&[r, g, b, a]| RGBA8::new(r, g, b, a)).collect();
        encoder.encode_rgba(Img::new(&pixels[..], width, height))
    } else {
        let pixels: Vec<RGB8> = rgba.iter().map(|&[r, g, b, _]| RGB8::new(r, g, b)).collect();
        encoder.encode_rgb(Img::new(&pixels[..], width, height))
    };
    Ok(encoded.map_err(|e| Error::internal(format!("AVIF: {e}")))?.avif_file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::pixels::Layout;

    fn output(width: u32, height: u32) -> Output {
        Output {
            format: Format::Avif,
            width,
            height,
            frames: 1,
            plays: 1,
            lossless: false,
            smooth: false,
            quality: 75,
            progressive: false,
        }
    }

    fn after<'a>(file: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
        file.windows(mark.len()).position(|window| window == mark).map(|at| &file[at + mark.len()..])
    }

    #[test]
    fn boxes_tell_size_and_alpha() {
        for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
            let pixels = Pixels::zeroed(37, 21, layout);
            let file = encode(&pixels, output(37, 21)).expect("an AVIF");
            assert_eq!(Format::sniff_iso(&file), Some(Format::Avif));
            let size = after(&file, b"ispe").and_then(|rest| rest.get(4..12)).expect("a size");
            assert_eq!(size, [0, 0, 0, 37, 0, 0, 0, 21]);
            assert_eq!(after(&file, b"auxC").is_some(), layout.has_alpha(), "{layout:?}");
        }
    }

    /// What libheif reads is near what was written, alpha included.
    #[cfg(feature = "heif")]
    #[test]
    fn pixels_and_alpha_come_back() {
        let mut pixels = Pixels::zeroed(64, 48, Layout::Rgba);
        for (i, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
            let (x, y) = (i % 64, i / 64);
            pixel.copy_from_slice(&[x as u8 * 4, y as u8 * 5, 90, if x < 32 { 255 } else { 40 }]);
        }
        let file = encode(&pixels, output(64, 48)).expect("an AVIF");
        let read = crate::heif_codec::Heif::open(&file, &crate::Limits::default()).expect("opens").decode();
        let read = read.expect("decodes");
        assert_eq!((read.width, read.height, read.layout), (64, 48, Layout::Rgba));
        let error: u64 = read.data.iter().zip(&pixels.data).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = error as f64 / pixels.data.len() as f64;
        assert!(mean < 3.0, "mean error {mean}");
    }
}
