//! A still picture row by row, so that no step needs more of it than it looks at.

use crate::damage::Damage;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};

/// A still picture, row by row from the top.
pub(crate) trait RowSource {
    /// Fills `row` (width * channels samples) with the next row, as [`fill`] does where it is missing.
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error>;

    /// After the last row: reads what must follow it, and says what was missing.
    fn finish(&mut self) -> Result<Option<Damage>, Error>;
}

/// An opened still picture: what its rows look like, and where they come from.
pub(crate) struct Rows<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    pub(crate) source: Box<dyn RowSource + 'a>,
}

impl Rows<'_> {
    /// The whole picture, and what is missing of it.
    pub(crate) fn gather(mut self) -> Result<(Pixels, Option<Damage>), Error> {
        let mut pixels = Pixels::zeroed(self.width, self.height, self.layout);
        let stride = pixels.stride();
        for row in pixels.data.chunks_exact_mut(stride) {
            self.source.read_row(row)?;
        }
        let damage = self.source.finish()?;
        Ok((pixels, damage))
    }

    /// A picture that could only be decoded whole, and what is missing of it.
    pub(super) fn damaged(pixels: Pixels, damage: Option<Damage>) -> Self {
        let (width, height, layout) = (pixels.width, pixels.height, pixels.layout);
        Self { width, height, layout, source: Box::new(Whole { pixels, next: 0, damage }) }
    }
}

/// Fills pixels that are missing as a page shows them: nothing where there is transparency, else white paper.
pub(super) fn fill(samples: &mut [u8], layout: Layout) {
    samples.fill(if layout.has_alpha() || layout == Layout::Cmyk { 0 } else { 255 });
}

struct Whole {
    pixels: Pixels,
    /// Where the next row begins.
    next: usize,
    damage: Option<Damage>,
}

impl RowSource for Whole {
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error> {
        let held = self.pixels.data.get(self.next..self.next + row.len());
        row.copy_from_slice(held.ok_or_else(past_the_end)?);
        self.next += row.len();
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Damage>, Error> {
        Ok(self.damage.take())
    }
}

/// A fault of whoever asked for more rows than the picture has.
pub(super) fn past_the_end() -> Error {
    Error::internal("a row below the last one was asked for")
}
