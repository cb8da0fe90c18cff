//! Samples of every kind a TIFF has, to 8 bits and to a layout.

use tiff::ColorType;
use tiff::decoder::DecodingResult;

use super::unsupported;
use crate::error::Error;
use crate::pixels::Layout;

pub(super) fn to_8_bits(samples: DecodingResult, color: ColorType, width: u32) -> Result<Vec<u8>, Error> {
    Ok(match samples {
        DecodingResult::U8(data) => match color {
            ColorType::Gray(bits @ (1 | 2 | 4)) => unpack(&data, bits, width as usize),
            _ => data,
        },
        DecodingResult::U16(data) => data.into_iter().map(|v| ((u32::from(v) * 255 + 32_767) / 65_535) as u8).collect(),
        DecodingResult::U32(data) => {
            data.into_iter().map(|v| ((u64::from(v) * 255 + 0x7FFF_FFFF) / 0xFFFF_FFFF) as u8).collect()
        }
        _ => return Err(unsupported("of an unusual number type")),
    })
}

/// Samples of fewer than eight bits, each row beginning with a byte, spread over 0 to 255.
fn unpack(data: &[u8], bits: u8, width: usize) -> Vec<u8> {
    let most = (1u16 << bits) - 1;
    let per_byte = usize::from(8 / bits);
    let sample = |row: &[u8], x: usize| {
        let shift = 8 - bits as usize * (x % per_byte + 1);
        let value = u16::from(row[x / per_byte] >> shift) & most;
        (value * 255 / most) as u8
    };
    let stride = width.div_ceil(per_byte).max(1);
    data.chunks_exact(stride).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

pub(super) fn interleave(planes: &[Vec<u8>]) -> Vec<u8> {
    let length = planes.iter().map(Vec::len).min().unwrap_or(0);
    (0..length).flat_map(|i| planes.iter().map(move |plane| plane[i])).collect()
}

pub(super) fn to_layout(color: ColorType, data: Vec<u8>) -> Result<(Layout, Vec<u8>), Error> {
    Ok(match color {
        ColorType::Gray(_) => (Layout::Gray, data),
        ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => (Layout::GrayAlpha, data),
        ColorType::RGB(_) => (Layout::Rgb, data),
        ColorType::RGBA(_) => (Layout::Rgba, data),
        ColorType::CMYK(_) => (Layout::Cmyk, data),
        ColorType::YCbCr(_) => {
            (Layout::Rgb, data.chunks_exact(3).flat_map(|p| ycbcr_to_rgb(p[0], p[1], p[2])).collect())
        }
        other => return Err(unsupported(&format!("of colour type {other:?}"))),
    })
}

/// ITU-R BT.601 at full range, as JFIF has it.
fn ycbcr_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| (v + 0.5) as u8)
}
