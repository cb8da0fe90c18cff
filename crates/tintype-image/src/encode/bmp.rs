//! BMP out.

use image::ExtendedColorType;
use image::codecs::bmp::BmpEncoder;

use super::as_gray_or_color;
use crate::error::Error;
use crate::pixels::{Layout, Pixels};

pub(super) fn encode(pixels: Pixels) -> Result<Vec<u8>, Error> {
    let pixels = as_gray_or_color(pixels);
    let color = match pixels.layout {
        Layout::Gray => ExtendedColorType::L8,
        Layout::Rgba => ExtendedColorType::Rgba8,
        _ => ExtendedColorType::Rgb8,
    };
    let mut out = Vec::new();
    BmpEncoder::new(&mut out)
        .encode(&pixels.data, pixels.width, pixels.height, color)
        .map_err(|e| Error::internal(format!("BMP: {e}")))?;
    Ok(out)
}
