//! A still picture row by row, so that no step needs more of it than it looks at.

use crate::error::Error;
use crate::pixels::{Layout, Pixels};

/// A still picture, row by row from the top.
pub(crate) trait RowSource {
    /// Fills `row` (width * channels samples) with the next row.
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error>;

    /// After the last row: reads what must follow it, and fails if the file is not whole.
    fn finish(&mut self) -> Result<(), Error>;
}

/// An opened still picture: what its rows look like, and where they come from.
pub(crate) struct Rows<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    pub(crate) source: Box<dyn RowSource + 'a>,
}

impl Rows<'_> {
    /// The whole picture.
    pub(crate) fn gather(mut self) -> Result<Pixels, Error> {
        let mut pixels = Pixels::zeroed(self.width, self.height, self.layout);
        let stride = pixels.stride();
        for row in pixels.data.chunks_exact_mut(stride) {
            self.source.read_row(row)?;
        }
        self.source.finish()?;
        Ok(pixels)
    }

    /// A picture that could only be decoded whole.
    pub(super) fn of(pixels: Pixels) -> Self {
        let (width, height, layout) = (pixels.width, pixels.height, pixels.layout);
        Self { width, height, layout, source: Box::new(Whole { pixels, next: 0 }) }
    }
}

struct Whole {
    pixels: Pixels,
    /// Where the next row begins.
    next: usize,
}

impl RowSource for Whole {
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error> {
        let held = self.pixels.data.get(self.next..self.next + row.len());
        row.copy_from_slice(held.ok_or_else(past_the_end)?);
        self.next += row.len();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A fault of whoever asked for more rows than the picture has.
pub(super) fn past_the_end() -> Error {
    Error::internal("a row below the last one was asked for")
}
