//! What is said of an image besides its pixels: one fact a file, all read from one small sample.

mod blurhash;
mod cosines;
mod palette;
mod perceptual_hash;
mod sample;
mod thumb_hash;

pub use palette::Swatch;
pub use perceptual_hash::{NEAR_DUPLICATE, hamming_distance};

use std::panic::catch_unwind;

use crate::exif::{self, Camera};
use crate::format::Format;
use crate::limits::Limits;
use crate::pixels::Pixels;
use crate::probe::{self, Header};
use crate::resize::fit_inside;
use crate::spec::BoxSize;
use sample::Sample;

/// Facts of one original.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// [BlurHash](https://blurha.sh) of the first frame on white: 4x3 components, 3x4 for an upright format.
    pub blurhash: String,
    /// The first of `palette`, as `#rrggbb`; black for an image of which nothing is seen.
    pub dominant_color: String,
    /// Up to six colours of the first frame, the most frequent first.
    pub palette: Vec<Swatch>,
    /// Of the first frame on white, to be compared by [`hamming_distance`].
    pub perceptual_hash: u64,
    /// When EXIF says the photo was taken, ISO 8601, with its offset where that is known.
    pub taken_at: Option<String>,
    /// What EXIF says the photo was taken with.
    pub camera: Option<Camera>,
}

/// What EXIF says of when a photo was taken and with what, as [`Facts`] have it, without a look at any pixel. Of what cannot be
/// read, nothing.
pub fn taken(bytes: &[u8]) -> (Option<String>, Option<Camera>) {
    let no_limits = Limits { max_pixels: u64::MAX, max_frames: u32::MAX, ..Limits::default() };
    // A parser that meets hostile bytes may fail; nothing is said then.
    let read = catch_unwind(|| {
        let header = probe::read(bytes, &no_limits).ok()?;
        header.exif.map(exif::read)
    });
    let exif = read.ok().flatten().unwrap_or_default();
    (exif.taken_at, exif.camera)
}

/// A box that none of the facts needs more detail than.
const SAMPLE: BoxSize = BoxSize { width: 100, height: 100 };

/// The size of the sample that facts are gathered from, as stored.
pub(crate) fn sample_size(header: &Header<'_>) -> (u32, u32) {
    fit_inside(header.width, header.height, SAMPLE)
}

/// Gathers the facts from the header and a sample of the first frame, which is in sRGB and not yet upright.
pub(crate) fn gather(header: &Header<'_>, sample: &Pixels) -> Facts {
    let sample = Sample::new(sample, header.orientation());
    let palette = palette::of(&sample);
    let (width, height) = header.upright_size();
    let exif = header.exif.map(exif::read).unwrap_or_default();
    Facts {
        format: header.format,
        width,
        height,
        orientation: header.orientation(),
        frames: header.frames,
        has_alpha: header.has_alpha,
        thumbhash: thumb_hash::of(&sample),
        blurhash: blurhash::of(&sample),
        dominant_color: palette.first().map_or_else(|| "#000000".to_owned(), |swatch| swatch.color.clone()),
        palette,
        perceptual_hash: perceptual_hash::of(&sample),
        taken_at: exif.taken_at,
        camera: exif.camera,
    }
}
