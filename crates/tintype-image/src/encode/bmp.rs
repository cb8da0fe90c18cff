//! BMP out: greys with a palette, colours in 24 bits, with alpha in 32.

use super::rows::Converted;
use super::{Output, RowSink};
use crate::error::Error;
use crate::pixels::Layout;

const FILE_HEADER: u32 = 14;
const INFO_HEADER: u32 = 40;
/// `BITMAPV4HEADER`, which has a mask for opacity.
const V4_HEADER: u32 = 108;
const UNPACKED: u32 = 0;
const BIT_FIELDS: u32 = 3;

/// Rows lie from the bottom up, since some programs read no other: each is put in its place.
struct Bmp {
    file: Vec<u8>,
    channels: usize,
    stride: usize,
    /// Where the row above the last one written begins, and where the rows begin at all.
    next_end: usize,
    start: usize,
}

pub(super) fn rows(output: Output, layout: Layout) -> Result<Box<dyn RowSink>, Error> {
    if layout == Layout::GrayAlpha {
        let sink = rows(output, Layout::Rgba)?;
        let convert = |row: &[u8], out: &mut Vec<u8>| {
            out.extend(row.chunks_exact(2).flat_map(|p| [p[0], p[0], p[0], p[1]]));
        };
        return Ok(Box::new(Converted { convert, row: Vec::new(), sink }));
    }
    let channels = layout.channels();
    let stride = (output.width as usize * channels).next_multiple_of(4);
    let mut file = header(output, channels as u32, stride * output.height as usize)?;
    let start = file.len();
    file.resize(start + stride * output.height as usize, 0);
    Ok(Box::new(Bmp { next_end: file.len(), file, channels, stride, start }))
}

fn header(output: Output, channels: u32, data: usize) -> Result<Vec<u8>, Error> {
    let colors: u32 = if channels == 1 { 256 } else { 0 };
    let (header, coding) = if channels == 4 { (V4_HEADER, BIT_FIELDS) } else { (INFO_HEADER, UNPACKED) };
    let start = FILE_HEADER + header + colors * 4;
    let size = u32::try_from(data).ok().and_then(|data| data.checked_add(start));
    let size = size.ok_or_else(|| Error::internal("a BMP of more than 4 GiB"))?;
    let mut out = b"BM".to_vec();
    let mut put = |numbers: &[u32]| out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    put(&[size, 0, start, header, output.width, output.height]);
    // One plane, and the bits of a pixel; no resolution is claimed.
    put(&[1 | (channels * 8) << 16, coding, size - start, 0, 0, colors, 0]);
    if channels == 4 {
        let srgb = u32::from_be_bytes(*b"sRGB");
        put(&[0x00FF_0000, 0x0000_FF00, 0x0000_00FF, 0xFF00_0000, srgb]);
        put(&[0; 12]);
    }
    for gray in 0..colors {
        put(&[gray * 0x0001_0101]);
    }
    Ok(out)
}

impl RowSink for Bmp {
    fn write_row(&mut self, row: &[u8]) -> Result<(), Error> {
        if self.next_end == self.start {
            return Err(Error::internal("a row below the last one of a BMP"));
        }
        self.next_end -= self.stride;
        let place = &mut self.file[self.next_end..][..row.len()];
        place.copy_from_slice(row);
        if self.channels > 1 {
            // Blue comes first.
            place.chunks_exact_mut(self.channels).for_each(|pixel| pixel.swap(0, 2));
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Ok(self.file)
    }
}
