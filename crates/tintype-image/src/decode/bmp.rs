//! BMP in: plain rows are read where they lie; what is seldom seen is unpacked whole.

mod plain;

use std::borrow::Cow;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::rows::fill;
use super::{Rows, Source, still};
use crate::container::bmp::{self, Shape};
use crate::damage::Damage;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};

/// Bytes of the header of OS/2 1 (`BITMAPCOREHEADER`).
const OLD_HEADER: usize = 12;

const ENDS_EARLY: &str = "the BMP ends early";

pub(super) fn open(bytes: &[u8]) -> Result<Source<'_>, Error> {
    let rows = match plain::open(bytes)? {
        Some(rows) => rows,
        None => unpack(bytes)?,
    };
    Ok(still(rows, None))
}

fn unpack(bytes: &[u8]) -> Result<Rows<'_>, Error> {
    let cut = || Error::corrupt(ENDS_EARLY);
    let (start, shape) = bmp::pixels(bytes).zip(Shape::of(bytes)).ok_or_else(cut)?;
    if let Some(what) = unread(bytes, &shape) {
        return Err(Error::new(ErrorCode::UnsupportedFormat, format!("the BMP is {what}, which is not read")));
    }
    let data = bytes.get(start..).ok_or_else(cut)?;
    let mut file = Cow::Borrowed(bytes);
    if let Ok(start) = u32::try_from(start)
        && bytes.get(10..14) != Some(&start.to_le_bytes())
    {
        file.to_mut()[10..14].copy_from_slice(&start.to_le_bytes());
    }
    let there = there(data, &shape);
    let mut pixels = if there.is_all { decode(Cursor::new(file)) } else { decode(Padded { bytes: &file, at: 0 }) }?;
    let damage = (there.rows < shape.height)
        .then(|| Damage::new(there.rows as u64, shape.height as u64, there.why))
        .or_else(|| there.lacks_mark.then(|| Damage::beside_the_rows("the end mark of the BMP's pixels is missing")));
    let (rows, row) = (shape.height - there.rows, pixels.stride());
    let missing = if shape.is_top_down { there.rows * row..pixels.data.len() } else { 0..rows * row };
    if let Some(missing) = pixels.data.get_mut(missing) {
        fill(missing, pixels.layout);
    }
    Ok(Rows::damaged(pixels, damage))
}

/// What a file is, if it is none of those that the decoder reads.
fn unread(bytes: &[u8], shape: &Shape) -> Option<&'static str> {
    let is_split = |mask: u32| mask != 0 && (mask >> mask.trailing_zeros()).trailing_ones() != mask.count_ones();
    if shape.is_top_down && shape.is_runs() {
        Some("of runs from the top down")
    } else if shape.header == OLD_HEADER && matches!(shape.bits, 2 | 16 | 32) {
        Some("of 2, 16 or 32 bits a pixel with the header of OS/2 1")
    } else if shape.masks(bytes).any(is_split) {
        Some("of colours whose bits do not lie side by side")
    } else {
        None
    }
}

/// What is there of the pixels.
struct There {
    /// Whole rows, and why others are missing.
    rows: usize,
    why: &'static str,
    /// Whether the decoder will find all that it reads.
    is_all: bool,
    /// Whether packed pixels do not say that they end.
    lacks_mark: bool,
}

/// Looks how much is there. What is packed in a way that is not known is left to the decoder.
fn there(data: &[u8], shape: &Shape) -> There {
    if shape.is_runs() {
        let extent = bmp::extent(data, shape);
        let rows = extent.rows.min(shape.height);
        let why = if extent.is_marked { "the BMP's pixels end before its last row" } else { ENDS_EARLY };
        return There { rows, why, is_all: extent.is_marked, lacks_mark: !extent.is_marked };
    }
    let whole = There { rows: shape.height, why: ENDS_EARLY, is_all: true, lacks_mark: false };
    let Some((bits, stride)) = shape.row().filter(|(bits, _)| shape.is_plain() && *bits > 0) else { return whole };
    // The last one may lack its padding.
    let rows = (data.len() + stride - bits.div_ceil(8)) / stride;
    There { rows: rows.min(shape.height), is_all: data.len() / stride >= shape.height, ..whole }
}

fn decode(file: impl BufRead + Seek) -> Result<Pixels, Error> {
    let decoder = BmpDecoder::new(file).map_err(|e| error(&e))?;
    let layout = match decoder.color_type() {
        ColorType::L8 => Layout::Gray,
        ColorType::Rgb8 => Layout::Rgb,
        ColorType::Rgba8 => Layout::Rgba,
        other => return Err(Error::internal(format!("a BMP decoded to {other:?}"))),
    };
    let (width, height) = decoder.dimensions();
    let mut pixels = Pixels::zeroed(width, height, layout);
    decoder.read_image(&mut pixels.data).map_err(|e| error(&e))?;
    Ok(pixels)
}

fn error(error: &ImageError) -> Error {
    match error {
        ImageError::Unsupported(e) => Error::new(ErrorCode::UnsupportedFormat, format!("the BMP is not read: {e}")),
        other => Error::corrupt(format!("the BMP cannot be decoded: {other}")),
    }
}

/// A file with zeros behind its end, for a decoder that gives nothing of one that is cut. As runs they end one row after
/// the other.
struct Padded<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Read for Padded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Padded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const ZEROS: [u8; 4096] = [0; 4096];
        Ok(self.bytes.get(self.at..).filter(|rest| !rest.is_empty()).unwrap_or(&ZEROS))
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl Seek for Padded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => usize::try_from(at).ok(),
            SeekFrom::Current(by) => isize::try_from(by).ok().and_then(|by| self.at.checked_add_signed(by)),
            SeekFrom::End(_) => None,
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at as u64)
    }
}
