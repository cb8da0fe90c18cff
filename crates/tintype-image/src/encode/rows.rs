//! One picture, row by row, into a file.

use super::{FrameSink, Output, sink};
use crate::decode::Delay;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};

/// Takes the rows of one picture from the top, gives a file.
pub(crate) trait RowSink {
    /// Adds a row of width * channels samples; as many as the picture is high.
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error>;

    /// The whole file, after the last row.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error>;
}

/// A format that must see the whole picture before it writes the first byte.
pub(super) fn whole(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    let mut pixels = Pixels { width: output.width, height: output.height, layout, data: Vec::new() };
    pixels.data.reserve_exact(pixels.stride() * output.height as usize);
    Ok(Box::new(Whole { pixels, sink: sink(output) }))
}

struct Whole {
    pixels: Pixels,
    sink: Box<dyn FrameSink>,
}

impl RowSink for Whole {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        self.pixels.data.extend_from_slice(row);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.sink.push(self.pixels, Delay { num: 0, den: 1 })?;
        self.sink.finish()
    }
}

/// Turns rows of one layout into those of another before they are written.
pub(super) struct Converted {
    pub(super) convert: fn(&[u8], &mut Vec<u8>),
    pub(super) row: Vec<u8>,
    pub(super) sink: Box<dyn RowSink>,
}

impl RowSink for Converted {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        self.row.clear();
        (self.convert)(row, &mut self.row);
        self.sink.write_row(&self.row)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.sink.finish()
    }
}
