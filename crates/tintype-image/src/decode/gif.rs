//! GIF in: frames composed on the canvas as disposal and transparency say.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, DisposalMethod, Repeat};

use super::{Delay, Frame, FrameSource, Source};
use crate::container::{self, gif::Block};
use crate::damage::Damage;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let file = container::gif::parse(bytes)?;
    let heights = file.blocks.iter().filter_map(|block| match block {
        Block::Image(image) => Some(image.height.into()),
        Block::Extension { .. } => None,
    });
    let frames = Frames {
        bytes,
        canvas: Pixels::zeroed(header.width, header.height, Layout::Rgba),
        after: After::Keep,
        decoder: decoder(bytes)?,
        heights: heights.collect(),
        read: 0,
        there: 0,
        delay: Delay { num: 0, den: 100 },
        damage: file.damage,
        stopped: false,
    };
    let icc = container::gif::icc(bytes);
    Ok(Source { icc, plays: plays(bytes)?, lossless: true, frames: super::Frames::Animation(Box::new(frames)) })
}

type Decoder<'a> = gif::Decoder<Cursor<&'a [u8]>>;

fn decoder(bytes: &[u8]) -> Result<Decoder<'_>, Error> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // Frames past the canvas's edge are clipped here; their size was checked with the header.
    options.check_frame_consistency(false);
    options.set_memory_limit(gif::MemoryLimit::Unlimited);
    options.allow_unknown_blocks(true);
    options.read_info(Cursor::new(bytes)).map_err(|e| error(&e))
}

/// Loops are known before the first frame only by looking for the extension.
fn plays(bytes: &[u8]) -> Result<u32, Error> {
    let mut options = DecodeOptions::new();
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(|e| error(&e))?;
    let _ = decoder.next_frame_info().map_err(|e| error(&e))?;
    Ok(match decoder.repeat() {
        Repeat::Infinite => 0,
        // The extension counts repetitions, after the first time.
        Repeat::Finite(repeats) => u32::from(repeats) + 1,
    })
}

fn error(error: &gif::DecodingError) -> Error {
    Error::corrupt(format!("the GIF cannot be decoded: {error}"))
}

/// What to do with the canvas before the next frame is drawn.
enum After {
    Keep,
    Clear(Area),
    Restore(Vec<u8>),
}

/// The part of the canvas that a frame covers.
#[derive(Clone, Copy)]
struct Area {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

struct Frames<'a> {
    bytes: &'a [u8],
    canvas: Pixels,
    after: After,
    decoder: Decoder<'a>,
    /// Rows of each frame.
    heights: Vec<u64>,
    /// How many frames have been read, and how many rows of them were there.
    read: usize,
    there: u64,
    /// Of the frame before.
    delay: Delay,
    damage: Option<&'static str>,
    /// No frame can be read any more.
    stopped: bool,
}

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let Some(&height) = self.heights.get(self.read) else { return Ok(None) };
        self.read += 1;
        if !self.stopped {
            let global = self.decoder.global_palette().map(<[u8]>::to_vec);
            let whole = match self.decoder.read_next_frame() {
                Ok(Some(frame)) => {
                    self.there += height;
                    self.delay = Delay { num: frame.delay.into(), den: 100 };
                    let all = vec![true; usize::from(frame.height)];
                    compose(&mut self.canvas, &mut self.after, frame, global.as_deref(), &all)?;
                    true
                }
                Ok(None) | Err(_) => false,
            };
            if !whole {
                self.read_part()?;
            }
        }
        // What came before stays, in place of a frame that is missing.
        Ok(Some(Frame { pixels: self.canvas.clone(), delay: self.delay }))
    }

    fn damage(&self) -> Option<Damage> {
        self.damage.map(|why| Damage::new(self.there, self.heights.iter().sum(), why))
    }
}

impl Frames<'_> {
    /// What is there of a frame that is not whole. The decoder does not tell: one of its own reads it row by row.
    fn read_part(&mut self) -> Result<(), Error> {
        self.stopped = true;
        self.damage = self.damage.or(Some("the image data of the GIF is damaged"));
        let mut decoder = decoder(self.bytes)?;
        for _ in 1..self.read {
            decoder.next_frame_info().map_err(|e| error(&e))?;
        }
        let mut frame = match decoder.next_frame_info() {
            Ok(Some(frame)) => frame.clone(),
            Ok(None) | Err(_) if self.read > 1 => return Ok(()),
            Ok(None) => return Err(Error::corrupt("the GIF ends early")),
            Err(e) => return Err(error(&e)),
        };
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let mut indices = vec![0; width * height];
        let mut there = vec![false; height];
        for y in order(height, frame.interlaced).filter(|_| width > 0) {
            if !matches!(decoder.fill_buffer(&mut indices[y * width..][..width]), Ok(true)) {
                break;
            }
            there[y] = true;
        }
        self.there += there.iter().filter(|there| **there).count() as u64;
        self.delay = Delay { num: frame.delay.into(), den: 100 };
        frame.buffer = indices.into();
        compose(&mut self.canvas, &mut self.after, &frame, decoder.global_palette(), &there)
    }
}

/// The order in which rows are stored.
fn order(height: usize, interlaced: bool) -> impl Iterator<Item = usize> {
    let passes: &[(usize, usize)] = if interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
    passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
}

/// Puts a frame on the canvas, those of its rows that are there.
fn compose(
    canvas: &mut Pixels,
    after: &mut After,
    frame: &gif::Frame<'_>,
    global: Option<&[u8]>,
    there: &[bool],
) -> Result<(), Error> {
    dispose(canvas, std::mem::replace(after, After::Keep));
    let area = visible(frame, canvas);
    *after = match frame.dispose {
        DisposalMethod::Any | DisposalMethod::Keep => After::Keep,
        DisposalMethod::Background => After::Clear(area),
        DisposalMethod::Previous => After::Restore(canvas.data.clone()),
    };
    let palette = frame.palette.as_deref().or(global);
    let palette = palette.ok_or_else(|| Error::corrupt("the GIF has no colour table"))?;
    draw(canvas, frame, area, palette, there);
    Ok(())
}

fn dispose(canvas: &mut Pixels, after: After) {
    match after {
        After::Keep => {}
        After::Restore(data) => canvas.data = data,
        After::Clear(area) => {
            let stride = canvas.stride();
            for y in area.top..area.bottom {
                canvas.data[y * stride + area.left * 4..y * stride + area.right * 4].fill(0);
            }
        }
    }
}

fn visible(frame: &gif::Frame<'_>, canvas: &Pixels) -> Area {
    let clip = |start: u16, length: u16, side: u32| {
        let (start, end) = (usize::from(start), usize::from(start) + usize::from(length));
        (start.min(side as usize), end.min(side as usize))
    };
    let (left, right) = clip(frame.left, frame.width, canvas.width);
    let (top, bottom) = clip(frame.top, frame.height, canvas.height);
    Area { left, top, right, bottom }
}

fn draw(canvas: &mut Pixels, frame: &gif::Frame<'_>, area: Area, palette: &[u8], there: &[bool]) {
    let stride = canvas.stride();
    let rows = frame.buffer.chunks_exact(usize::from(frame.width).max(1));
    for ((y, row), _) in (area.top..area.bottom).zip(rows).zip(there).filter(|(_, there)| **there) {
        let target = canvas.data[y * stride..][area.left * 4..area.right * 4].chunks_exact_mut(4);
        for (pixel, &index) in target.zip(row) {
            if Some(index) == frame.transparent {
                continue;
            }
            // An index past the table shows black, as browsers have it.
            let at = usize::from(index) * 3;
            let color = palette.get(at..at + 3).unwrap_or(&[0; 3]);
            pixel[..3].copy_from_slice(color);
            pixel[3] = 255;
        }
    }
}
