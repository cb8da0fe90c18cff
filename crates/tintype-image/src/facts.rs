//! What is said of an image besides its pixels.

use crate::error::Error;
use crate::exif;
use crate::format::Format;
use crate::pixels::Pixels;
use crate::probe::Header;
use crate::resize::fit_inside;
use crate::spec::BoxSize;

/// Facts of one original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// By the bytes.
    pub format: Format,
    /// Of the upright image.
    pub width: u32,
    /// Of the upright image.
    pub height: u32,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// 1 for a still image.
    pub frames: u32,
    /// Whether pixels can be transparent.
    pub has_alpha: bool,
    /// [ThumbHash](https://evanw.github.io/thumbhash/) of the first frame, in standard base64.
    pub thumbhash: String,
    /// The colour most of the first frame is near to, as `#rrggbb`.
    pub dominant_color: String,
    /// When EXIF says the photo was taken, ISO 8601, with its offset where that is known.
    pub taken_at: Option<String>,
}

/// A box that ThumbHash needs no more detail than.
const SAMPLE: BoxSize = BoxSize { width: 100, height: 100 };

/// The size of the sample that facts are gathered from, as stored.
pub(crate) fn sample_size(header: &Header<'_>) -> (u32, u32) {
    fit_inside(header.width, header.height, SAMPLE)
}

/// Gathers the facts from the header and a sample of the first frame, which is in sRGB and not yet upright.
pub(crate) fn gather(header: &Header<'_>, sample: &Pixels) -> Result<Facts, Error> {
    let sample = crate::orient::upright(sample.clone(), header.orientation());
    let rgba = sample.to_rgba();
    let hash = thumbhash::rgba_to_thumb_hash(sample.width as usize, sample.height as usize, &rgba);
    let (width, height) = header.upright_size();
    Ok(Facts {
        format: header.format,
        width,
        height,
        orientation: header.orientation(),
        frames: header.frames,
        has_alpha: header.has_alpha,
        thumbhash: base64(&hash),
        dominant_color: dominant_color(&rgba),
        taken_at: header.exif.and_then(|payload| exif::read(payload).taken_at),
    })
}

/// The mean of the fullest of 512 colour cells, each pixel weighed by its alpha.
fn dominant_color(rgba: &[u8]) -> String {
    let mut cells = vec![[0u64; 4]; 512];
    for pixel in rgba.chunks_exact(4) {
        let index = pixel[..3].iter().fold(0, |index, &v| index << 3 | usize::from(v >> 5));
        let weight = u64::from(pixel[3]);
        for (sum, &value) in cells[index].iter_mut().zip(&pixel[..3]) {
            *sum += u64::from(value) * weight;
        }
        cells[index][3] += weight;
    }
    // The first of equals, so that the answer does not depend on the order of a search.
    let fullest = cells.iter().rev().max_by_key(|cell| cell[3]).copied().unwrap_or_default();
    let mean = |sum: u64| (sum + fullest[3] / 2).checked_div(fullest[3]).unwrap_or(0);
    format!("#{:02x}{:02x}{:02x}", mean(fullest[0]), mean(fullest[1]), mean(fullest[2]))
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

    #[test]
    fn base64_of_the_rfcs_vectors() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_fullest_cell_wins_and_what_is_hidden_does_not_count() {
        let mut rgba = [200, 10, 20, 255].repeat(5);
        rgba.extend([0, 0, 255, 0].repeat(50));
        rgba.extend([0, 255, 0, 255].repeat(3));
        assert_eq!(dominant_color(&rgba), "#c80a14");
        assert_eq!(dominant_color(&[1, 2, 3, 0]), "#000000");
    }
}
