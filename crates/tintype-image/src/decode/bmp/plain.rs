//! Rows of 8-bit indices, or of 24 or 32 bits, as nearly every BMP has them: from the bottom or from the top.

use crate::container::{bmp, le16, le32};
use crate::damage::Damage;
use crate::decode::rows::{RowSource, Rows, fill, past_the_end};
use crate::error::Error;
use crate::pixels::Layout;

const FILE_HEADER: usize = 14;
/// `BITMAPINFOHEADER`, the oldest with 32-bit sides.
const INFO_HEADER: u32 = 40;
const UNPACKED: u32 = 0;
const BIT_FIELDS: u32 = 3;
const BLUE_GREEN_RED: [u32; 3] = [0x00FF_0000, 0x0000_FF00, 0x0000_00FF];
const OPACITY: u32 = 0xFF00_0000;

struct Plain<'a> {
    /// Rows as they lie in the file, those that are there.
    rows: Vec<Option<&'a [u8]>>,
    next: usize,
    pixel: Pixel,
}

/// How a pixel is stored.
enum Pixel {
    /// Index into red, green and blue.
    Index(Box<[[u8; 3]; 256]>),
    /// Index into greys.
    GrayIndex(Box<[u8; 256]>),
    Bgr,
    /// The fourth byte says nothing.
    Bgrx,
    Bgra,
}

impl Pixel {
    fn bytes(&self) -> usize {
        match self {
            Self::Index(_) | Self::GrayIndex(_) => 1,
            Self::Bgr => 3,
            Self::Bgrx | Self::Bgra => 4,
        }
    }

    fn layout(&self) -> Layout {
        match self {
            Self::GrayIndex(_) => Layout::Gray,
            Self::Index(_) | Self::Bgr | Self::Bgrx => Layout::Rgb,
            Self::Bgra => Layout::Rgba,
        }
    }
}

/// `None` when the rows are packed, or stored in a way that is seldom seen.
pub(super) fn open(bytes: &[u8]) -> Result<Option<Rows<'_>>, Error> {
    let cut = || Error::corrupt("the BMP ends early");
    let number = |at| le32(bytes, at).ok_or_else(cut);
    let start = bmp::pixels(bytes).ok_or_else(cut)?;
    let header = number(14)?;
    if header < INFO_HEADER {
        return Ok(None);
    }
    let (width, signed_height) = (number(18)?, number(22)?.cast_signed());
    let height = signed_height.unsigned_abs();
    let Some(pixel) = pixel(bytes, header, start) else {
        return Ok(None);
    };
    let used = (width as usize).checked_mul(pixel.bytes()).ok_or_else(cut)?;
    let stride = used.next_multiple_of(4);
    let length = stride.checked_mul(height as usize).ok_or_else(cut)?;
    let data = bytes.get(start..).filter(|_| used > 0 && length > 0).ok_or_else(cut)?;
    // The last one may lack its padding.
    let rows = data[..length.min(data.len())].chunks(stride).map(|row| row.get(..used));
    let mut rows: Vec<_> = rows.chain(std::iter::repeat(None)).take(height as usize).collect();
    if signed_height > 0 {
        rows.reverse();
    }
    let layout = pixel.layout();
    Ok(Some(Rows { width, height, layout, source: Box::new(Plain { rows, next: 0, pixel }) }))
}

fn pixel(bytes: &[u8], header: u32, start: usize) -> Option<Pixel> {
    match (le16(bytes, 28)?, le32(bytes, 30)?) {
        (8, UNPACKED) => palette(bytes, header, start),
        (24, UNPACKED) => Some(Pixel::Bgr),
        (32, UNPACKED) => Some(Pixel::Bgrx),
        (32, BIT_FIELDS) => {
            let mask = |i: usize| le32(bytes, bmp::MASKS + 4 * i);
            if [mask(0)?, mask(1)?, mask(2)?] != BLUE_GREEN_RED {
                return None;
            }
            // Only headers from the third version on have a mask for opacity.
            match if header >= 56 { mask(3)? } else { 0 } {
                0 => Some(Pixel::Bgrx),
                OPACITY => Some(Pixel::Bgra),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Indices past the table show black.
fn palette(bytes: &[u8], header: u32, start: usize) -> Option<Pixel> {
    let table = bytes.get(FILE_HEADER + header as usize..start)?;
    let count = match le32(bytes, 46)? {
        0 => 256,
        count => count.min(256) as usize,
    };
    let mut colors = Box::new([[0; 3]; 256]);
    for (color, entry) in colors.iter_mut().zip(table.chunks_exact(4).take(count)) {
        *color = [entry[2], entry[1], entry[0]];
    }
    if colors.iter().all(|[r, g, b]| r == g && g == b) {
        return Some(Pixel::GrayIndex(Box::new(colors.map(|[gray, ..]| gray))));
    }
    Some(Pixel::Index(colors))
}

impl RowSource for Plain<'_> {
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error> {
        let stored = *self.rows.get(self.next).ok_or_else(past_the_end)?;
        self.next += 1;
        let Some(stored) = stored else {
            fill(row, self.pixel.layout());
            return Ok(());
        };
        match &self.pixel {
            Pixel::GrayIndex(grays) => row.iter_mut().zip(stored).for_each(|(to, &i)| *to = grays[usize::from(i)]),
            Pixel::Index(colors) => {
                row.chunks_exact_mut(3).zip(stored).for_each(|(to, &i)| to.copy_from_slice(&colors[usize::from(i)]));
            }
            Pixel::Bgr => turn::<3, 3>(row, stored),
            Pixel::Bgrx => turn::<4, 3>(row, stored),
            Pixel::Bgra => turn::<4, 4>(row, stored),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Damage>, Error> {
        let there = self.rows.iter().flatten().count();
        let damage = || Damage::new(there as u64, self.rows.len() as u64, "the BMP ends early");
        Ok((there < self.rows.len()).then(damage))
    }
}

/// Blue, green, red to red, green, blue, of as many bytes as stay.
fn turn<const FROM: usize, const TO: usize>(row: &mut [u8], stored: &[u8]) {
    for (to, from) in row.chunks_exact_mut(TO).zip(stored.chunks_exact(FROM)) {
        to.copy_from_slice(&from[..TO]);
        to.swap(0, 2);
    }
}
