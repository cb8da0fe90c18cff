//! Turns a file into frames, one at a time.

mod bmp;
mod gif;
pub(crate) mod jpeg;
mod png;
mod tiff;
mod webp;

use crate::error::Error;
use crate::format::Format;
use crate::limits::Limits;
use crate::pixels::Pixels;
use crate::probe::Header;

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
}

/// A file opened for decoding.
pub(crate) struct Source<'a> {
    /// The embedded colour profile.
    pub(crate) icc: Option<Vec<u8>>,
    /// How often an animation plays; 0 for ever.
    pub(crate) plays: u32,
    /// Whether a WebP was coded without loss.
    pub(crate) lossless: bool,
    pub(crate) frames: Box<dyn FrameSource + 'a>,
}

/// Opens a file whose header has been read and checked.
pub(crate) fn open<'a>(bytes: &'a [u8], header: &Header<'_>, limits: &Limits) -> Result<Source<'a>, Error> {
    match header.format {
        Format::Jpeg => Err(Error::internal("a JPEG is decoded to planes")),
        Format::Png => png::open(bytes, limits),
        Format::Gif => gif::open(bytes, header),
        Format::WebP => webp::open(bytes, header),
        Format::Tiff => tiff::open(bytes, header),
        Format::Bmp => bmp::open(bytes),
    }
}

/// A source of one frame.
struct Still(Option<Pixels>);

impl FrameSource for Still {
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        Ok(self.0.take().map(|pixels| Frame { pixels, delay: Delay { num: 0, den: 1 } }))
    }
}

fn still<'a>(pixels: Pixels, icc: Option<Vec<u8>>) -> Source<'a> {
    Source { icc, plays: 1, lossless: true, frames: Box::new(Still(Some(pixels))) }
}
