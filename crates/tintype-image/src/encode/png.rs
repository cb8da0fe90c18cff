//! PNG and APNG out.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use png::{BitDepth, BlendOp, ColorType, DeflateCompression, DisposeOp, EncodingError, Filter};

use super::{FrameSink, Output, Rect, RowSink};
use crate::decode::Delay;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};

fn failed(error: EncodingError) -> Error {
    Error::internal(format!("PNG: {error}"))
}

fn encoder<W: Write>(to: W, output: Output, color: ColorType) -> png::Encoder<'static, W> {
    let mut encoder = png::Encoder::new(to, output.width, output.height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    if output.smooth {
        // After Paeth's guess hardly anything is left, which repeats nowhere: to code small numbers well is enough,
        // at a tenth of the work.
        encoder.set_deflate_compression(DeflateCompression::FdeflateUltraFast);
        encoder.set_filter(Filter::Paeth);
    } else {
        // The level that libpng takes by default costs up to three times as much for a few percent.
        encoder.set_deflate_compression(DeflateCompression::Level(4));
        encoder.set_filter(Filter::Adaptive);
    }
    encoder
}

/// The crate's writer keeps what it writes to; this lets the file be taken at the end.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A still PNG.
struct Still {
    file: Shared,
    writer: png::StreamWriter<'static, Shared>,
}

pub(super) fn rows(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    let color = match layout {
        Layout::Gray => ColorType::Grayscale,
        Layout::GrayAlpha => ColorType::GrayscaleAlpha,
        Layout::Rgba => ColorType::Rgba,
        Layout::Rgb | Layout::YCbCr | Layout::Cmyk => ColorType::Rgb,
    };
    let file = Shared::default();
    let encoder = encoder(file.clone(), output, color);
    let writer = encoder.write_header().and_then(png::Writer::into_stream_writer).map_err(failed)?;
    Ok(Box::new(Still { file, writer }))
}

impl RowSink for Still {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        self.writer.write_all(row).map_err(|e| failed(e.into()))
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.writer.finish().map_err(failed)?;
        Ok(self.file.0.take())
    }
}

/// APNG: each frame replaces the rectangle that changed.
pub(super) struct Animation {
    output: Output,
    file: Shared,
    writer: Option<png::Writer<Shared>>,
    before: Vec<u8>,
}

impl Animation {
    pub(super) fn new(output: Output) -> Self {
        Self { output, file: Shared::default(), writer: None, before: Vec::new() }
    }

    fn open(&self) -> Result<png::Writer<Shared>, EncodingError> {
        let mut encoder = encoder(self.file.clone(), self.output, ColorType::Rgba);
        encoder.set_animated(self.output.frames, self.output.plays)?;
        encoder.set_blend_op(BlendOp::Source)?;
        encoder.set_dispose_op(DisposeOp::None)?;
        encoder.write_header()
    }

    fn write(&mut self, rgba: &[u8], delay: Delay) -> Result<(), EncodingError> {
        let Output { width, height, .. } = self.output;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.open()?,
        };
        let first = self.before.is_empty();
        let rect = if first { Rect::whole(width, height) } else { Rect::changed(&self.before, rgba, width, 1) };
        // The corner goes home first: the new size is checked against the corner of the frame before.
        writer.set_frame_position(0, 0)?;
        writer.set_frame_dimension(rect.width, rect.height)?;
        writer.set_frame_position(rect.x, rect.y)?;
        writer.set_frame_delay(narrow(delay.num), narrow(delay.den))?;
        writer.write_image_data(&rect.cut(rgba, width))?;
        self.writer = Some(writer);
        Ok(())
    }
}

fn narrow(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

impl FrameSink for Animation {
    fn push(&mut self, pixels: Pixels, delay: Delay) -> Result<(), Error> {
        let rgba = pixels.to_rgba();
        self.write(&rgba, delay).map_err(failed)?;
        self.before = rgba;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        let writer = self.writer.ok_or_else(|| Error::internal("an APNG without a frame"))?;
        writer.finish().map_err(failed)?;
        Ok(self.file.0.take())
    }
}
