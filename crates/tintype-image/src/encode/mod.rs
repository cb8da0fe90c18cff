//! Turns frames into a file, one at a time.

mod avif;
mod bmp;
mod gif;
pub(crate) mod jpeg;
mod png;
mod rows;
mod tiff;
mod webp;

use crate::decode::Delay;
use crate::error::Error;
use crate::format::Format;
use crate::pixels::{Layout, Pixels};
pub(crate) use rows::RowSink;

/// Takes frames, gives a file.
pub(crate) trait FrameSink {
    /// Adds a frame; each is of the same size.
    fn push(&mut self, pixels: Pixels, delay: Delay) -> Result<(), Error>;

    /// The whole file.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error>;
}

/// What a sink must know before the first frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames: u32,
    /// 0 for ever.
    pub(crate) plays: u32,
    /// WebP only.
    pub(crate) lossless: bool,
    /// Of a picture so blurred that neighbours hardly differ: what finds detail would search in vain.
    pub(crate) smooth: bool,
    pub(crate) quality: u8,
    /// JPEG only.
    pub(crate) progressive: bool,
}

/// Whether a format has frames.
pub(crate) fn animates(format: Format) -> bool {
    matches!(format, Format::Png | Format::Gif | Format::WebP)
}

/// Whether a format has transparency.
pub(crate) fn holds_alpha(format: Format) -> bool {
    !matches!(format, Format::Jpeg | Format::Heic)
}

/// The longest side a format can hold, in pixels.
pub(crate) fn longest_side(format: Format) -> u32 {
    match format {
        Format::Jpeg => 65_500,
        Format::WebP => 16_383,
        Format::Gif => 65_535,
        Format::Png | Format::Tiff | Format::Bmp => u32::MAX,
        Format::Avif | Format::Heic => 65_535,
    }
}

/// A sink for a format.
pub(crate) fn sink(output: Output) -> Box<dyn FrameSink> {
    match output.format {
        Format::Png if output.frames > 1 => Box::new(png::Animation::new(output)),
        Format::Gif => Box::new(gif::Animation::new(output)),
        Format::WebP if output.frames > 1 => Box::new(webp::Animation::new(output)),
        _ => Box::new(Still { output, file: None }),
    }
}

/// A sink for the rows of one picture of this layout; no format keeps more of it than it must.
pub(crate) fn rows(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    match output.format {
        Format::Jpeg => jpeg::rows(output, layout),
        Format::Png => png::rows(output, layout),
        Format::Tiff => tiff::rows(output, layout),
        Format::Bmp => bmp::rows(output, layout),
        Format::WebP | Format::Gif | Format::Avif => rows::whole(output, layout),
        Format::Heic => Err(Error::internal("a HEIC is never written")),
    }
}

/// A sink of one frame, which encodes it when it comes.
struct Still {
    output: Output,
    file: Option<Vec<u8>>,
}

impl FrameSink for Still {
    fn push(&mut self, pixels: Pixels, _delay: Delay) -> Result<(), Error> {
        let pixels = if self.output.format == Format::Jpeg { pixels } else { pixels.into_rgb() };
        self.file = Some(match self.output.format {
            Format::WebP => webp::encode(&pixels, self.output)?,
            Format::Avif => avif::encode(&pixels, self.output)?,
            _ => write_rows(&pixels, self.output)?,
        });
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.file.ok_or_else(|| Error::internal("a variant without a frame"))
    }
}

fn write_rows(pixels: &Pixels, output: Output) -> Result<Vec<u8>, Error> {
    let mut rows = rows(output, pixels.layout)?;
    for row in pixels.data.chunks_exact(pixels.stride()) {
        rows.write_row(row)?;
    }
    rows.finish()
}

/// The part of a frame that differs from the frame before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rect {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Rect {
    fn whole(width: u32, height: u32) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// The smallest rectangle that holds every change; one pixel where nothing changed, since a frame
    /// must have one. `align` is what its corner must be a multiple of.
    fn changed(before: &[u8], now: &[u8], width: u32, align: u32) -> Self {
        let stride = width as usize * 4;
        let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
        for (y, (a, b)) in before.chunks_exact(stride).zip(now.chunks_exact(stride)).enumerate() {
            if a == b {
                continue;
            }
            let differs = |x: &usize| a[x * 4..x * 4 + 4] != b[x * 4..x * 4 + 4];
            let first = (0..width as usize).find(differs).unwrap_or(0) as u32;
            let last = (0..width as usize).rfind(differs).unwrap_or(0) as u32;
            (left, right) = (left.min(first), right.max(last));
            (top, bottom) = (top.min(y as u32), y as u32);
        }
        if left == u32::MAX {
            return Self::whole(1, 1);
        }
        let (x, y) = (left / align * align, top / align * align);
        Self { x, y, width: right + 1 - x, height: bottom + 1 - y }
    }

    /// The pixels inside, of RGBA of the given width.
    fn cut(&self, rgba: &[u8], width: u32) -> Vec<u8> {
        let stride = width as usize * 4;
        let (start, end) = (self.x as usize * 4, (self.x + self.width) as usize * 4);
        let rows = rgba.chunks_exact(stride).skip(self.y as usize).take(self.height as usize);
        rows.flat_map(|row| &row[start..end]).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changed_rectangle_is_the_smallest() {
        let before = vec![0u8; 10 * 8 * 4];
        let mut now = before.clone();
        assert_eq!(Rect::changed(&before, &now, 10, 1), Rect::whole(1, 1));
        for (x, y) in [(3, 2), (7, 5)] {
            now[(y * 10 + x) * 4] = 1;
        }
        assert_eq!(Rect::changed(&before, &now, 10, 1), Rect { x: 3, y: 2, width: 5, height: 4 });
        let even = Rect::changed(&before, &now, 10, 2);
        assert_eq!(even, Rect { x: 2, y: 2, width: 6, height: 4 });
        assert_eq!(even.cut(&now, 10)[4], 1);
        assert_eq!(even.cut(&now, 10).len(), 6 * 4 * 4);
    }
}
