//! GIF in: frames composed on the screen as disposal and transparency say.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, DisposalMethod, Repeat};

use super::{Delay, Frame, FrameSource, Source};
use crate::container;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // Frames past the screen's edge are clipped here; their size was checked with the header.
    options.check_frame_consistency(false);
    options.set_memory_limit(gif::MemoryLimit::Unlimited);
    options.allow_unknown_blocks(true);
    let decoder = options.read_info(Cursor::new(bytes)).map_err(|e| error(&e))?;
    let canvas = Pixels::zeroed(header.width, header.height, Layout::Rgba);
    let frames = super::Frames::Animation(Box::new(Frames { canvas, after: After::Keep, decoder }));
    Ok(Source { icc: container::gif::icc(bytes), plays: plays(bytes)?, lossless: true, frames })
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
    canvas: Pixels,
    after: After,
    decoder: gif::Decoder<Cursor<&'a [u8]>>,
}

impl FrameSource for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        let global = self.decoder.global_palette().map(<[u8]>::to_vec);
        let Some(frame) = self.decoder.read_next_frame().map_err(|e| error(&e))? else {
            return Ok(None);
        };
        dispose(&mut self.canvas, std::mem::replace(&mut self.after, After::Keep));
        let area = visible(frame, &self.canvas);
        self.after = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => After::Keep,
            DisposalMethod::Background => After::Clear(area),
            DisposalMethod::Previous => After::Restore(self.canvas.data.clone()),
        };
        let palette = frame.palette.as_deref().or(global.as_deref());
        let palette = palette.ok_or_else(|| Error::corrupt("the GIF has no colour table"))?;
        draw(&mut self.canvas, frame, area, palette);
        let delay = Delay { num: frame.delay.into(), den: 100 };
        Ok(Some(Frame { pixels: self.canvas.clone(), delay }))
    }
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

fn draw(canvas: &mut Pixels, frame: &gif::Frame<'_>, area: Area, palette: &[u8]) {
    let stride = canvas.stride();
    let rows = frame.buffer.chunks_exact(usize::from(frame.width).max(1));
    for (y, row) in (area.top..area.bottom).zip(rows) {
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
