//! WebP in: lossy, lossless, with alpha, animated.

use std::borrow::Cow;
use std::io::Cursor;

use image_webp::{LoopCount, WebPDecoder};

use super::rows::fill;
use super::{Delay, Frame, FrameSource, Rows, Source, still};
use crate::container::webp::{self, Chunk, WebP};
use crate::damage::Damage;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;
use crate::webp_codec;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let file = webp::chunks(bytes)?;
    if let Some(picture) = &file.cut
        && matches!(&picture.kind, b"VP8 " | b"VP8L")
    {
        return open_part(bytes, header, &file);
    }
    let damage = damage(&file);
    // The decoder wants a file that is as long as it says.
    let whole = if file.ends { Cow::Borrowed(bytes) } else { Cow::Owned(webp::wrap_all(&file.chunks)) };
    let bytes = with_true_flags(whole)?;
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
        return Ok(Source { lossless, ..still(Rows::damaged(pixels, damage), icc) });
    }
    // Disposal clears to nothing, whatever background a file hints at: so browsers have it.
    decoder.set_background_color([0; 4]).map_err(|e| error(&e))?;
    let plays = match decoder.loop_count() {
        LoopCount::Forever => 0,
        LoopCount::Times(times) => times.get().into(),
    };
    let left = decoder.num_frames();
    Ok(Source {
        icc,
        plays,
        lossless,
        frames: super::Frames::Animation(Box::new(Frames { pixels, left, damage, decoder })),
    })
}

/// What is missing of a file whose picture is whole, or of whose frames only the last is not.
fn damage(file: &WebP<'_>) -> Option<Damage> {
    let is_frame = |chunk: &Chunk<'_>| chunk.kind == *b"ANMF";
    let there = file.chunks.iter().filter(|chunk| is_frame(chunk)).count() as u64;
    match file.cut {
        _ if file.ends => None,
        Some(cut) if is_frame(&cut) => Some(Damage::new(there, there + 1, EARLY)),
        _ => Some(Damage::beside_the_rows(EARLY)),
    }
}

const EARLY: &str = "the WebP ends early";

/// A still picture that is cut: libwebp tells which rows of it are there.
fn open_part<'a>(bytes: &[u8], header: &Header<'_>, file: &WebP<'_>) -> Result<Source<'a>, Error> {
    let (width, height) = (header.width, header.height);
    let (rgba, rows) = webp_codec::decode_part(bytes, width, height)?;
    let mut pixels = Pixels { width, height, layout: Layout::Rgba, data: rgba };
    if !header.has_alpha {
        pixels = Pixels { layout: Layout::Rgb, data: without_alpha(&pixels.data), ..pixels };
    }
    let there = rows as usize * pixels.stride();
    fill(&mut pixels.data[there..], pixels.layout);
    let damage = Damage::new(rows.into(), height.into(), EARLY);
    let icc = file.chunks.iter().find(|chunk| chunk.kind == *b"ICCP").map(|chunk| chunk.data.to_vec());
    let lossless = file.cut.is_some_and(|cut| cut.kind == *b"VP8L");
    Ok(Source { lossless, ..still(Rows::damaged(pixels, Some(damage)), icc) })
}

fn without_alpha(rgba: &[u8]) -> Vec<u8> {
    rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect()
}

/// The decoder takes the flags at their word; they are corrected before it sees them.
fn with_true_flags(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Error> {
    const FLAGS_AT: usize = 20;
    let chunks = webp::chunks(&bytes)?.chunks;
    let flags = webp::true_flags(&chunks);
    let extended = chunks.first().is_some_and(|first| first.kind == *b"VP8X");
    if !extended || bytes.get(FLAGS_AT) == Some(&flags) {
        return Ok(bytes);
    }
    let mut corrected = bytes.into_owned();
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
    damage: Option<Damage>,
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

    fn damage(&self) -> Option<Damage> {
        self.damage.clone()
    }
}
