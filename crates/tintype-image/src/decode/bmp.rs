//! BMP in: plain rows are read where they lie; packed ones are unpacked whole.

mod plain;

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use super::{Rows, Source, still};
use crate::container::bmp;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};

pub(super) fn open(bytes: &[u8]) -> Result<Source<'_>, Error> {
    let rows = match plain::open(bytes)? {
        Some(rows) => rows,
        None => Rows::of(unpack(bytes)?),
    };
    Ok(still(rows, None))
}

fn unpack(bytes: &[u8]) -> Result<Pixels, Error> {
    let told = bytes.get(10..14).and_then(|told| told.try_into().ok()).map(u32::from_le_bytes);
    let pixels = bmp::pixels(bytes).and_then(|at| u32::try_from(at).ok());
    let mut file = Cow::Borrowed(bytes);
    if let Some(pixels) = pixels.filter(|_| pixels != told) {
        file.to_mut()[10..14].copy_from_slice(&pixels.to_le_bytes());
    }
    let decoder = BmpDecoder::new(Cursor::new(file)).map_err(|e| error(&e))?;
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
