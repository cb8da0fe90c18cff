//! BMP: a header, perhaps masks and a table of colours, and the pixels.

use std::ops::Range;

use super::{le16, le32};

/// The file's header, before the bitmap's own.
const FILE_HEADER: usize = 14;

/// Where the masks lie, be they part of the header or behind it.
pub(crate) const MASKS: usize = FILE_HEADER + 40;

/// The shortest header that has a mask of opacity (`BITMAPV3INFOHEADER`).
const V3_HEADER: usize = 56;

/// Runs of 8-bit indices, and of those of 4 bits.
const RUNS_8: usize = 1;
const RUNS_4: usize = 2;

/// What the headers say of the pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of the bitmap's header.
    pub(crate) header: usize,
    /// Bytes of the masks behind it.
    pub(crate) masks: usize,
    /// Bits of a pixel.
    pub(crate) bits: usize,
    packing: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) is_top_down: bool,
    /// Colours that the table says it has, no more than the bits can tell apart; and bytes of each.
    pub(crate) colors: usize,
    pub(crate) color: usize,
}

impl Shape {
    /// `None` where the header is cut off.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let number = |at| le32(bytes, at).map(|n| n as usize);
        let header = number(14)?;
        let old = header == 12;
        let is_short = old || header < 40;
        let bits = usize::from(le16(bytes, if old { 24 } else { 28 })?);
        let packing = if is_short { 0 } else { number(30)? };
        let (width, height) = if old {
            (le16(bytes, 18)?.into(), le16(bytes, 20)?.into())
        } else {
            (number(18)?, le32(bytes, 22)?.cast_signed())
        };
        let masks = match (header, packing) {
            (40, 3) => 12,
            (40, 6) => 16,
            _ => 0,
        };
        let colors = match if is_short { 0 } else { number(46)? } {
            _ if bits > 8 => 0,
            0 => 1 << bits,
            colors => colors.min(1 << bits),
        };
        let (height, is_top_down) = (height.unsigned_abs() as usize, height < 0);
        Some(Self { header, masks, bits, packing, width, height, is_top_down, colors, color: if old { 3 } else { 4 } })
    }

    /// Where the table of colours begins.
    pub(crate) fn table(&self) -> Option<usize> {
        FILE_HEADER.checked_add(self.header)?.checked_add(self.masks)
    }

    /// Whether each row takes as many bytes as any other.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.packing, 0 | 3 | 6)
    }

    /// Whether masks say which bits of a pixel are whose.
    pub(crate) fn has_masks(&self) -> bool {
        matches!(self.packing, 3 | 6)
    }

    /// The masks of red, green and blue, and that of opacity where the header is of the third version or a later one.
    pub(crate) fn masks<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let count = match (self.has_masks(), self.header >= V3_HEADER) {
            (false, _) => 0,
            (true, false) => 3,
            (true, true) => 4,
        };
        (0..count).map_while(|i| le32(bytes, MASKS + 4 * i))
    }

    /// Whether the pixels are packed as runs.
    pub(crate) fn is_runs(&self) -> bool {
        (self.packing, self.bits) == (RUNS_8, 8) || (self.packing, self.bits) == (RUNS_4, 4)
    }

    /// Of a row that is not packed: bits that are its pixels', and bytes with the padding behind them.
    pub(crate) fn row(&self) -> Option<(usize, usize)> {
        let bits = self.width.checked_mul(self.bits)?;
        Some((bits, bits.div_ceil(32).checked_mul(4)?))
    }

    /// Bytes of pixels that are not packed.
    pub(crate) fn length(&self) -> Option<usize> {
        self.row()?.1.checked_mul(self.height)
    }
}

/// Where the pixels begin: where the file says, unless that is within what comes before them. Then they come right
/// behind it, if there is as much in the file.
pub(crate) fn pixels(bytes: &[u8]) -> Option<usize> {
    let (told, shape) = (le32(bytes, 10)? as usize, Shape::of(bytes)?);
    let table = shape.table()?;
    let behind = table.checked_add(shape.colors * shape.color)?;
    if told >= behind || told >= bytes.len() {
        return Some(told);
    }
    // A table may have fewer colours than it says: then the pixels of the file would not be enough.
    let enough = shape.is_plain() && bytes.len() >= behind.checked_add(shape.length()?)?;
    Some(if enough || told < table { behind } else { told })
}

/// One step of pixels that are packed as runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many pixels of the indices that lie there, over and over.
    Run(usize, Range<usize>),
    /// So many pixels, each with an index of its own, and a padding byte where the indices' are an odd number.
    Pixels(usize, Range<usize>),
    EndOfRow,
    /// Pixels to the right, and rows.
    Skip(usize, usize),
    End,
}

/// The steps that are whole, each with where it ends.
pub(crate) fn steps(data: &[u8], bits: usize) -> impl Iterator<Item = (Step, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let &[count, value] = data.get(at..)?.first_chunk()?;
        let behind = at + 2;
        let (step, end) = match (count, value) {
            (0, 0) => (Step::EndOfRow, behind),
            (0, 1) => (Step::End, behind),
            (0, 2) => {
                let &[right, rows] = data.get(behind..)?.first_chunk()?;
                (Step::Skip(right.into(), rows.into()), behind + 2)
            }
            (0, count) => {
                let count = usize::from(count);
                let length = (count * bits).div_ceil(8);
                (Step::Pixels(count, behind..behind + length), behind + length.next_multiple_of(2))
            }
            (count, _) => (Step::Run(count.into(), at + 1..behind), behind),
        };
        at = end;
        (end <= data.len()).then_some((step, end))
    })
}

/// How far packed pixels go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes up to the mark that ends them, or to the last pixel where there is none.
    pub(crate) length: usize,
    /// Whether the mark is there.
    pub(crate) is_marked: bool,
    /// Rows that are there; one that is cut off is not, and the mark ends one as it ends all.
    pub(crate) rows: usize,
}

/// How far the pixels go that are packed in some data.
pub(crate) fn extent(data: &[u8], shape: &Shape) -> Extent {
    let (mut row, mut x) = (0, 0);
    let mut steps = steps(data, shape.bits);
    while let Some((step, end)) = steps.next() {
        match step {
            Step::Run(count, _) | Step::Pixels(count, _) => x += count,
            Step::EndOfRow => (row, x) = (row + 1, 0),
            Step::Skip(right, rows) => (row, x) = (row + rows, x + right),
            Step::End => return Extent { length: end, is_marked: true, rows: row + usize::from(x > 0) },
        }
        if row >= shape.height {
            let mark = steps.next().filter(|(step, _)| *step == Step::End);
            return Extent { length: mark.as_ref().map_or(end, |(_, end)| *end), is_marked: mark.is_some(), rows: row };
        }
    }
    Extent { length: data.len(), is_marked: false, rows: row + usize::from(x >= shape.width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(width: usize, height: usize, bits: usize) -> Shape {
        let packing = if bits == 8 { RUNS_8 } else { RUNS_4 };
        Shape { header: 40, masks: 0, bits, packing, width, height, is_top_down: false, colors: 16, color: 4 }
    }

    #[test]
    fn runs_end_where_the_pixels_do() {
        let found = |data: &[u8], bits| {
            let Extent { length, is_marked, rows } = extent(data, &shape(5, 2, bits));
            (length, is_marked, rows)
        };
        assert_eq!(found(b"\x03a\0\x03abc\0\0\0\0\x02\x01\0\0\x01SECRET", 8), (16, true, 2));
        assert_eq!(found(b"\0\x05\x12\x34\x50\0\0\x01SECRET", 4), (8, true, 1));
        assert_eq!(found(b"\x05a\0\0\0\x01SECRET", 8), (6, true, 1));
        // Without a mark they end with the last row.
        assert_eq!(found(b"\x05a\0\0\x05a\0\0SECRET", 8), (8, false, 2));
        assert_eq!(found(b"\x05a\0\0\x05a\0\0\0\x01SECRET", 8), (10, true, 2));
        // Of what is cut, the rows that are whole.
        assert_eq!(found(b"\x05a\0\0\x05a", 8), (6, false, 2));
        assert_eq!(found(b"\x05a\0\0\x04a", 8), (6, false, 1));
        assert_eq!(found(b"\x05a\0\0\0\x05abc", 8), (9, false, 1));
        assert_eq!(found(b"\x03a", 8), (2, false, 0));
        assert_eq!(found(b"", 4), (0, false, 0));
    }
}
