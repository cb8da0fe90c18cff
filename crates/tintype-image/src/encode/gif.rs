//! GIF out: a palette of its own for each frame, and only what changed.
//!
//! A frame is written when the next one is known, because how it is disposed of depends on it: a pixel
//! can only become transparent again by clearing the canvas.

use std::borrow::Cow;
use std::collections::HashMap;

use gif::{DisposalMethod, EncodingError, Repeat};
use quantette::color_map::NearestNeighborColorMap;
use quantette::deps::palette::Srgb;
use quantette::dither::FloydSteinberg;
use quantette::wu::{BinnerU8x3, WuU8x3};
use quantette::{ImageRef, PaletteSize};

use super::{FrameSink, Output, Rect};
use crate::decode::Delay;
use crate::error::Error;
use crate::pixels::Pixels;

/// One index is kept for what is transparent or unchanged.
const COLORS: u16 = 255;

pub(super) struct Animation {
    output: Output,
    encoder: Option<gif::Encoder<Vec<u8>>>,
    /// What shows when the pending frame is drawn; empty for a clear canvas.
    before: Vec<u8>,
    pending: Option<(Vec<u8>, Delay)>,
}

impl Animation {
    pub(super) fn new(output: Output) -> Self {
        Self { output, encoder: None, before: Vec::new(), pending: None }
    }

    fn open(&self) -> Result<gif::Encoder<Vec<u8>>, Error> {
        let side = |v: u32| u16::try_from(v).map_err(|_| Error::internal("a side is longer than a GIF can be"));
        let (width, height) = (side(self.output.width)?, side(self.output.height)?);
        let mut encoder = gif::Encoder::new(Vec::new(), width, height, &[]).map_err(|e| failed(&e))?;
        // Playing once is what a GIF without the extension does.
        let repeat = match self.output.plays {
            0 => Some(Repeat::Infinite),
            1 => None,
            plays => Some(Repeat::Finite(u16::try_from(plays - 1).unwrap_or(u16::MAX))),
        };
        if let Some(repeat) = repeat.filter(|_| self.output.frames > 1) {
            encoder.set_repeat(repeat).map_err(|e| failed(&e))?;
        }
        Ok(encoder)
    }

    /// Writes the pending frame. `clear_after` is for a next frame that is transparent where this is not.
    fn write_pending(&mut self, clear_after: bool) -> Result<(), Error> {
        let Some((rgba, delay)) = self.pending.take() else {
            return Ok(());
        };
        let Output { width, height, .. } = self.output;
        let whole = clear_after || self.before.is_empty();
        let rect = if whole { Rect::whole(width, height) } else { Rect::changed(&self.before, &rgba, width, 1) };
        let mut colors = rect.cut(&rgba, width);
        if !self.before.is_empty() {
            hide_unchanged(&mut colors, &rect.cut(&self.before, width));
        }
        let (palette, indices) = quantize(&colors, rect.width, rect.height)?;
        let frame = gif::Frame {
            delay: u16::try_from(u64::from(delay.num) * 100 / u64::from(delay.den.max(1))).unwrap_or(u16::MAX),
            dispose: if clear_after { DisposalMethod::Background } else { DisposalMethod::Keep },
            transparent: indices.contains(&(COLORS as u8)).then_some(COLORS as u8),
            left: rect.x as u16,
            top: rect.y as u16,
            width: rect.width as u16,
            height: rect.height as u16,
            palette: Some(palette),
            buffer: Cow::Owned(indices),
            ..gif::Frame::default()
        };
        let mut encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => self.open()?,
        };
        encoder.write_frame(&frame).map_err(|e| failed(&e))?;
        self.encoder = Some(encoder);
        self.before = if clear_after { Vec::new() } else { rgba };
        Ok(())
    }
}

fn failed(error: &EncodingError) -> Error {
    Error::internal(format!("GIF: {error}"))
}

impl FrameSink for Animation {
    fn push(&mut self, pixels: Pixels, delay: Delay) -> Result<(), Error> {
        let mut rgba = pixels.to_rgba();
        make_binary(&mut rgba);
        let clear = self.pending.as_ref().is_some_and(|(shown, _)| must_clear(shown, &rgba));
        self.write_pending(clear)?;
        self.pending = Some((rgba, delay));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        // A last frame that loops back to the first is cleared if the first needs it.
        self.write_pending(false)?;
        let encoder = self.encoder.ok_or_else(|| Error::internal("a GIF without a frame"))?;
        encoder.into_inner().map_err(|e| failed(&e))
    }
}

/// A GIF's pixel is seen or is not: from half opaque on, it is.
fn make_binary(rgba: &mut [u8]) {
    for pixel in rgba.chunks_exact_mut(4) {
        if pixel[3] < 128 {
            pixel.fill(0);
        } else {
            pixel[3] = 255;
        }
    }
}

fn must_clear(shown: &[u8], next: &[u8]) -> bool {
    shown.chunks_exact(4).zip(next.chunks_exact(4)).any(|(shown, next)| shown[3] != 0 && next[3] == 0)
}

fn hide_unchanged(colors: &mut [u8], before: &[u8]) {
    for (now, before) in colors.chunks_exact_mut(4).zip(before.chunks_exact(4)) {
        if now == before {
            now.fill(0);
        }
    }
}

/// A palette, and an index for each pixel: `COLORS` for one that is not seen.
fn quantize(rgba: &[u8], width: u32, height: u32) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut palette, mut indices) = match exact_palette(rgba) {
        Some(exact) => exact,
        None => nearest_palette(rgba, width, height)?,
    };
    for (index, pixel) in indices.iter_mut().zip(rgba.chunks_exact(4)) {
        if pixel[3] == 0 {
            *index = COLORS as u8;
        }
    }
    // A table must reach the transparent index, if that is used.
    if indices.contains(&(COLORS as u8)) {
        palette.resize((usize::from(COLORS) + 1) * 3, 0);
    }
    Ok((palette, indices))
}

/// The colours themselves, when they are few enough.
fn exact_palette(rgba: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut places: HashMap<[u8; 3], u8> = HashMap::new();
    let mut palette = Vec::new();
    let mut indices = Vec::with_capacity(rgba.len() / 4);
    for pixel in rgba.chunks_exact(4) {
        if pixel[3] == 0 {
            indices.push(0);
            continue;
        }
        let color = [pixel[0], pixel[1], pixel[2]];
        let next = places.len();
        let index = *places.entry(color).or_insert_with(|| {
            palette.extend_from_slice(&color);
            next as u8
        });
        if palette.len() > usize::from(COLORS) * 3 {
            return None;
        }
        indices.push(index);
    }
    Some((palette, indices))
}

/// How much of what a pixel lacks of its colour is handed on to its neighbours. All of it would hide every band, and make
/// noise that packs badly and is seen sooner.
const DIFFUSION: f32 = 0.5;

/// Wu's palette (1992), each pixel the nearest of its colours, dithered a little.
fn nearest_palette(rgba: &[u8], width: u32, height: u32) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let colors = seen_colors(rgba);
    let failed = || Error::internal("a GIF frame could not be quantised");
    let size = PaletteSize::try_from(COLORS).map_err(|_| failed())?;
    let palette = WuU8x3::run_slice(&colors, BinnerU8x3::<32, 32, 32>::new()).map_err(|_| failed())?.palette(size);
    let nearest = NearestNeighborColorMap::new(palette.map_ref(|color| color.into_format::<f32>()));
    let exact: Vec<Srgb<f32>> = colors.iter().map(|color| color.into_format()).collect();
    let image = ImageRef::new(width, height, &exact[..]).map_err(|_| failed())?;
    let dither = FloydSteinberg::with_error_diffusion(DIFFUSION).ok_or_else(failed)?;
    let (_, indices) = dither.dither_image_to_indexed(image, &nearest).into_parts();
    Ok((palette.as_slice().iter().flat_map(|c| [c.red, c.green, c.blue]).collect(), indices))
}

/// Unseen pixels take the colour of the last seen one, so that they use up no place in the palette.
fn seen_colors(rgba: &[u8]) -> Vec<Srgb<u8>> {
    let first = rgba.chunks_exact(4).find(|pixel| pixel[3] != 0).unwrap_or(&[0; 4]);
    let mut last = Srgb::new(first[0], first[1], first[2]);
    let color = |pixel: &[u8]| {
        if pixel[3] != 0 {
            last = Srgb::new(pixel[0], pixel[1], pixel[2]);
        }
        last
    };
    rgba.chunks_exact(4).map(color).collect()
}
