//! JPEG out: pixels by libjpeg; planes and smooth pictures by our own code, block by block.

mod codes;
mod dct;
mod file;
pub(crate) mod planes;
mod slopes;
pub(crate) mod smooth;

use super::rows::Converted;
use super::{Output, RowSink};
use crate::error::Error;
use crate::jpeg_codec::Encoder;
use crate::pixels::Layout;

/// A JPEG has no alpha: it is dropped.
pub(super) fn rows(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    let Output { width, height, quality, progressive, .. } = output;
    let encoder = |layout| Encoder::start((width, height), layout, quality, progressive).map(Box::new);
    let converted = |sink, convert| Box::new(Converted { convert, row: Vec::new(), sink });
    Ok(match layout {
        Layout::Gray | Layout::Rgb | Layout::YCbCr => encoder(layout)?,
        Layout::GrayAlpha => converted(encoder(Layout::Gray)?, |row, out| out.extend(row.iter().step_by(2))),
        Layout::Rgba | Layout::Cmyk => converted(encoder(Layout::Rgb)?, |row, out| {
            out.extend(row.chunks_exact(4).flat_map(|pixel| &pixel[..3]));
        }),
    })
}

impl RowSink for Encoder {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        Self::write_row(self, row)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Self::finish(*self)
    }
}
