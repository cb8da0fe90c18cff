//! WebP in: lossy, lossless, with alpha, animated.

use std::borrow::Cow;
use std::io::Cursor;

use image_webp::{LoopCount, WebPDecoder};

use super::{Delay, Frame, FrameSource, Rows, Source, still};
use crate::container::webp;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let bytes = with_true_flags(bytes)?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|e| error(&e))?;
    let icc = decoder.icc_profile().ok().flatten();
    let lossless = !decoder.is_lossy();
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let (width, height) = decoder.dimensions();
    if (width, height) != (header.width, header.height) {
        return Err(Error::corrupt("the WebP contradicts itself on its size"));
    }
    let mut pixels = Pixels::zeroed(width, height, layout);
    if !decoder.is_animated() {
        decoder.read_image(&mut pixels.data).map_err(|e| error(&e))?;
        return Ok(Source { lossless, ..still(Rows::of(pixels), icc) });
    }
    // Disposal clears to nothing, whatever background a file hints at: so browsers have it.
    decoder.set_background_color([0; 4]).map_err(|e| error(&e))?;
    let plays = match decoder.loop_count() {
        LoopCount::Forever => 0,
        LoopCount::Times(times) => times.get().into(),
    };
    let left = decoder.num_frames();
    Ok(Source { icc, plays, lossless, frames: super::Frames::Animation(Box::new(Frames { pixels, left, decoder })) })
}

/// The decoder takes the flags at their word; they are corrected before it sees them.
fn with_true_flags(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    const FLAGS_AT: usize = 20;
    let chunks = webp::chunks(bytes)?;
    let flags = webp::true_flags(&chunks);
    let extended = chunks.first().is_some_and(|first| first.kind == *b"VP8X");
    if !extended || bytes.get(FLAGS_AT) == Some(&flags) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut corrected = bytes.to_vec();
    corrected[FLAGS_AT] = flags;
    Ok(Cow::Owned(corrected))
}

fn error(error: &image_webp::DecodingError) -> Error {
    match error {
        image_webp::DecodingError::UnsupportedFeature(what) => {
            Error::new(ErrorCode::UnsupportedFormat, format!("the WebP is not read: {what}"))
        }
        other => Error::corrupt(format!("the WebP cannot be decoded: {other}")),
    }
}

struct Frames<'a> {
    pixels: Pixels,
    left: u32,
    decoder: WebPDecoder<Cursor<Cow<'a, [u8]>>>,
}

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let milliseconds = self.decoder.read_frame(&mut self.pixels.data).map_err(|e| error(&e))?;
        Ok(Some(Frame { pixels: self.pixels.clone(), delay: Delay { num: milliseconds, den: 1000 } }))
    }
}
