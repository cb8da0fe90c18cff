//! Turns a file into frames, one at a time.

mod bmp;
mod gif;
#[cfg(feature = "heif")]
mod heif;
pub(crate) mod jpeg;
mod png;
mod rows;
pub(crate) mod tiff;
mod webp;

use crate::damage::Damage;
use crate::error::Error;
use crate::format::Format;
use crate::limits::Limits;
use crate::pixels::Pixels;
use crate::probe::Header;
pub(crate) use rows::{RowSource, Rows};

/// How long a frame shows: `num / den` seconds. Each format has its own unit, which is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delay {
    pub(crate) num: u32,
    pub(crate) den: u32,
}

/// One whole picture of the canvas' size, composed from what came before it.
pub(crate) struct Frame {
    pub(crate) pixels: Pixels,
    pub(crate) delay: Delay,
}

/// A supply of frames.
pub(crate) trait FrameSource {
    /// The next frame; `None` after the last.
    fn next_frame(&mut self) -> Result<Option<Frame>, Error>;

    /// After the last frame: what was missing of them all.
    fn damage(&self) -> Option<Damage> {
        None
    }
}

/// A file opened for decoding.
pub(crate) struct Source<'a> {
    /// The embedded colour profile.
    pub(crate) icc: Option<Vec<u8>>,
    /// How often an animation plays; 0 for ever.
    pub(crate) plays: u32,
    /// Whether a WebP was coded without loss.
    pub(crate) lossless: bool,
    pub(crate) frames: Frames<'a>,
}

/// What a file shows.
pub(crate) enum Frames<'a> {
    /// One picture, row by row; `None` once it was taken. And what was missing of it, once it was gathered.
    Still(Option<Rows<'a>>, Option<Damage>),
    Animation(Box<dyn FrameSource + 'a>),
}

impl Frames<'_> {
    /// The next frame; `None` after the last. A still picture is gathered into one here, for whoever needs it whole.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        match self {
            Self::Animation(frames) => frames.next_frame(),
            Self::Still(rows, damage) => {
                let Some(rows) = rows.take() else { return Ok(None) };
                let pixels;
                (pixels, *damage) = rows.gather()?;
                Ok(Some(Frame { pixels, delay: Delay { num: 0, den: 1 } }))
            }
        }
    }

    /// After the last frame: what was missing.
    pub(crate) fn damage(&self) -> Option<Damage> {
        match self {
            Self::Animation(frames) => frames.damage(),
            Self::Still(_, damage) => damage.clone(),
        }
    }
}

/// Opens a file whose header has been read and checked.
pub(crate) fn open<'a>(bytes: &'a [u8], header: &Header<'_>, limits: &Limits) -> Result<Source<'a>, Error> {
    match header.format {
        Format::Jpeg => Err(Error::internal("a JPEG is decoded to planes")),
        Format::Png => png::open(bytes, header, limits),
        Format::Gif => gif::open(bytes, header),
        Format::WebP => webp::open(bytes, header),
        Format::Tiff => tiff::open(bytes, header),
        Format::Bmp => bmp::open(bytes),
        #[cfg(feature = "heif")]
        Format::Avif | Format::Heic => heif::open(bytes, header, limits),
        #[cfg(not(feature = "heif"))]
        Format::Avif | Format::Heic => Err(Error::internal("a build without libheif decodes no AVIF")),
    }
}

fn still(rows: Rows<'_>, icc: Option<Vec<u8>>) -> Source<'_> {
    Source { icc, plays: 1, lossless: true, frames: Frames::Still(Some(rows), None) }
}

#[cfg(test)]
mod tests;
