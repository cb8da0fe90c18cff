//! JPEG out: pixels by libjpeg, smooth pictures block by block.

mod codes;
mod file;
mod slopes;
pub(crate) mod smooth;

use crate::error::Error;
use crate::jpeg_codec;
use crate::pixels::{Layout, Pixels};

pub(super) fn encode(pixels: Pixels, quality: u8, progressive: bool) -> Result<Vec<u8>, Error> {
    match pixels.layout {
        Layout::Gray | Layout::Rgb | Layout::YCbCr => jpeg_codec::encode(&pixels, quality, progressive),
        _ => jpeg_codec::encode(&Pixels { layout: Layout::Rgb, data: pixels.to_rgb(), ..pixels }, quality, progressive),
    }
}
