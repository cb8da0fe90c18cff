//! TIFF out: deflate, with the horizontal predictor that makes photos pack.

use std::io::Cursor;

use tiff::TiffError;
use tiff::encoder::colortype::{ColorType, Gray8, RGB8, RGBA8};
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, TiffValue};

use super::as_gray_or_color;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};

pub(super) fn encode(pixels: Pixels) -> Result<Vec<u8>, Error> {
    let pixels = as_gray_or_color(pixels);
    match pixels.layout {
        Layout::Gray => write::<Gray8>(&pixels),
        Layout::Rgba => write::<RGBA8>(&pixels),
        _ => write::<RGB8>(&pixels),
    }
    .map_err(|e| Error::internal(format!("TIFF: {e}")))
}

fn write<C>(pixels: &Pixels) -> Result<Vec<u8>, TiffError>
where
    C: ColorType<Inner = u8>,
    [u8]: TiffValue,
{
    let mut out = Cursor::new(Vec::new());
    TiffEncoder::new(&mut out)?
        .with_compression(Compression::Deflate(DeflateLevel::Balanced))
        .with_predictor(Predictor::Horizontal)
        .write_image::<C>(pixels.width, pixels.height, &pixels.data)?;
    Ok(out.into_inner())
}
