//! WebP out: lossy or lossless, still or animated.

use super::{FrameSink, Output, Rect};
use crate::container::webp;
use crate::decode::Delay;
use crate::error::Error;
use crate::pixels::Pixels;
use crate::webp_codec::{self, Settings};

pub(super) fn encode(pixels: &Pixels, output: Output) -> Result<Vec<u8>, Error> {
    let transparent = pixels.layout.has_alpha();
    webp_codec::encode(&pixels.to_rgba(), output.width, output.height, settings(output, transparent))
}

/// Pixels from which a blurred picture is worth less work.
const LARGE: u64 = 1 << 19;

fn settings(output: Output, transparent: bool) -> Settings {
    let Output { lossless, quality, smooth, width, height, .. } = output;
    let large = u64::from(width) * u64::from(height) > LARGE;
    // A wide blur has next to nothing to choose from: a third of the work, the same bytes. Else libwebp's default is the
    // best bargain: the next one saves two bytes of a hundred, and loses a fifth of a decibel.
    let method = if smooth && large && !lossless && !transparent { 1 } else { 4 };
    Settings { lossless, quality, method }
}

/// Frames are encoded one by one and put together here, since libwebp's own animation encoder drops
/// frames that repeat the one before.
pub(super) struct Animation {
    output: Output,
    before: Vec<u8>,
    transparent: bool,
    frames: Vec<u8>,
}

/// The most that 24 bits hold.
const LONGEST: u32 = (1 << 24) - 1;
/// Replace, do not blend; leave as it is afterwards.
const NO_BLEND: u8 = 2;

impl Animation {
    pub(super) fn new(output: Output) -> Self {
        Self { output, before: Vec::new(), transparent: false, frames: Vec::new() }
    }
}

impl FrameSink for Animation {
    fn push(&mut self, pixels: Pixels, delay: Delay) -> Result<(), Error> {
        let Output { width, height, .. } = self.output;
        let rgba = pixels.to_rgba();
        self.transparent |= rgba.chunks_exact(4).any(|pixel| pixel[3] != 255);
        let first = self.before.is_empty();
        let rect = if first { Rect::whole(width, height) } else { Rect::changed(&self.before, &rgba, width, 2) };
        let file = webp_codec::encode(
            &rect.cut(&rgba, width),
            rect.width,
            rect.height,
            settings(self.output, self.transparent),
        )?;
        let milliseconds = u64::from(delay.num) * 1000 / u64::from(delay.den.max(1));
        write_frame(&mut self.frames, rect, milliseconds.min(LONGEST.into()) as u32, &file)?;
        self.before = rgba;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let flags = webp::ANIMATION | if self.transparent { webp::ALPHA } else { 0 };
        let mut body = Vec::with_capacity(self.frames.len() + 64);
        let mut head = vec![flags, 0, 0, 0];
        put24(&mut head, self.output.width - 1);
        put24(&mut head, self.output.height - 1);
        webp::write_chunk(&mut body, *b"VP8X", &head);
        let plays = u16::try_from(self.output.plays).unwrap_or(u16::MAX).to_le_bytes();
        webp::write_chunk(&mut body, *b"ANIM", &[0, 0, 0, 0, plays[0], plays[1]]);
        body.extend_from_slice(&self.frames);
        Ok(webp::wrap(&body))
    }
}

fn write_frame(out: &mut Vec<u8>, rect: Rect, milliseconds: u32, file: &[u8]) -> Result<(), Error> {
    let mut frame = Vec::with_capacity(file.len() + 16);
    for value in [rect.x / 2, rect.y / 2, rect.width - 1, rect.height - 1, milliseconds] {
        put24(&mut frame, value);
    }
    frame.push(NO_BLEND);
    for chunk in webp::chunks(file)?.chunks.iter().filter(|chunk| chunk.kind != *b"VP8X") {
        webp::write_chunk(&mut frame, chunk.kind, chunk.data);
    }
    webp::write_chunk(out, *b"ANMF", &frame);
    Ok(())
}

fn put24(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes()[..3]);
}
