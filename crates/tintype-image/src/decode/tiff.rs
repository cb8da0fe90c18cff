//! TIFF in: the first page, to 8 bits.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use super::{Source, still};
use crate::container::tiff::Tiff;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

const PHOTOMETRIC: u16 = 262;
const COLOR_MAP: u16 = 320;
const EXTRA_SAMPLES: u16 = 338;
const ICC_PROFILE: u16 = 34675;
const PALETTE: u32 = 3;
const MIN_IS_BLACK: u16 = 1;

pub(super) fn open<'a>(bytes: &[u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    match read_palette(bytes) {
        None => decode(bytes, header),
        Some(palette) => {
            let mut source = decode(&palette.as_gray, header)?;
            let indices = source.frames.next_frame()?.ok_or_else(|| Error::internal("a TIFF without a page"))?.pixels;
            Ok(still(palette.look_up(&indices)?, source.icc.take()))
        }
    }
}

/// The crate knows no palettes: the file is decoded as if its indices were grey, then looked up.
struct Palette {
    as_gray: Vec<u8>,
    bits: u32,
    /// 16-bit reds, then greens, then blues.
    colors: Vec<u32>,
}

fn read_palette(bytes: &[u8]) -> Option<Palette> {
    let file = Tiff::new(bytes)?;
    let page = file.first()?;
    if file.number(&page, PHOTOMETRIC)? != PALETTE {
        return None;
    }
    let mut as_gray = bytes.to_vec();
    let at = page.find(PHOTOMETRIC)?.at + 8;
    as_gray.get_mut(at..at + 2)?.copy_from_slice(&file.put16(MIN_IS_BLACK));
    let colors = file.numbers(page.find(COLOR_MAP)?)?;
    let bits = (colors.len() / 3).checked_ilog2()?;
    (bits <= 8).then_some(Palette { as_gray, bits, colors })
}

impl Palette {
    fn look_up(&self, indices: &Pixels) -> Result<Pixels, Error> {
        if indices.layout != Layout::Gray {
            return Err(Error::corrupt("the TIFF's palette has more than one index a pixel"));
        }
        let size = self.colors.len() / 3;
        // The grey decoder has spread the indices of fewer bits over 0 to 255.
        let spread = 255 / ((1usize << self.bits) - 1).max(1);
        let channel = |index: usize, c: usize| ((self.colors[c * size + index] * 255 + 32_767) / 65_535) as u8;
        let color = |&gray: &u8| {
            let index = (usize::from(gray) / spread).min(size - 1);
            [channel(index, 0), channel(index, 1), channel(index, 2)]
        };
        let data = indices.data.iter().flat_map(color).collect();
        Ok(Pixels { width: indices.width, height: indices.height, layout: Layout::Rgb, data })
    }
}

fn decode<'a>(bytes: &[u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(|e| error(&e))?;
    let mut decoder = decoder.with_limits(memory(bytes.len(), header));
    let (width, height) = decoder.dimensions().map_err(|e| error(&e))?;
    if (width, height) != (header.width, header.height) {
        return Err(Error::corrupt("the TIFF contradicts itself on its size"));
    }
    let color = decoder.colortype().map_err(|e| error(&e))?;
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.image_buffer_layout().map_err(|e| error(&e))?;
    decoder.read_image_to_buffer(&mut samples).map_err(|e| error(&e))?;
    let icc = icc(bytes);
    let planes = if layout.planes > 1 { layout.planes } else { 1 };
    let mut pixels = Pixels { width, height, layout: Layout::Gray, data: to_8_bits(samples, color, width)? };
    if planes > 1 {
        pixels.data = interleave(&pixels.data, planes);
    }
    (pixels.layout, pixels.data) = to_layout(color, pixels.data)?;
    let expected = Pixels::zeroed(width, height, pixels.layout).data.len();
    if pixels.data.len() < expected {
        return Err(Error::corrupt("the TIFF's page ends early"));
    }
    pixels.data.truncate(expected);
    if is_multiplied(bytes) {
        pixels.divide_by_alpha();
    }
    Ok(still(pixels, icc))
}

/// Tags claim any length; a page's samples are bounded by its size, which was checked with the header.
fn memory(file: usize, header: &Header<'_>) -> Limits {
    // Sixteen bytes a pixel is RGBA in 32 bits: no picture has more.
    let page = header.width as usize * header.height as usize * 16 + 1024;
    let mut limits = Limits::unlimited();
    limits.ifd_value_size = file.clamp(1024, 4 << 20);
    limits.decoding_buffer_size = page;
    limits.intermediate_buffer_size = page.max(1 << 20);
    limits
}

/// Whether colours are stored multiplied by alpha, which is then called associated.
fn is_multiplied(bytes: &[u8]) -> bool {
    const ASSOCIATED: u32 = 1;
    let kind = Tiff::new(bytes).and_then(|file| file.number(&file.first()?, EXTRA_SAMPLES));
    kind == Some(ASSOCIATED)
}

fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = Tiff::new(bytes)?;
    file.value(file.first()?.find(ICC_PROFILE)?).map(<[u8]>::to_vec)
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorCode::UnsupportedFormat, format!("the TIFF is {what}, which is not read"))
}

fn error(error: &tiff::TiffError) -> Error {
    match error {
        tiff::TiffError::UnsupportedError(what) => {
            Error::new(ErrorCode::UnsupportedFormat, format!("the TIFF is not read: {what}"))
        }
        other => Error::corrupt(format!("the TIFF cannot be decoded: {other}")),
    }
}

fn to_8_bits(samples: DecodingResult, color: ColorType, width: u32) -> Result<Vec<u8>, Error> {
    Ok(match samples {
        DecodingResult::U8(data) => match color {
            ColorType::Gray(bits @ (1 | 2 | 4)) => unpack(&data, bits, width as usize),
            _ => data,
        },
        DecodingResult::U16(data) => data.into_iter().map(|v| ((u32::from(v) * 255 + 32_767) / 65_535) as u8).collect(),
        DecodingResult::U32(data) => {
            data.into_iter().map(|v| ((u64::from(v) * 255 + 0x7FFF_FFFF) / 0xFFFF_FFFF) as u8).collect()
        }
        DecodingResult::F32(data) => data.into_iter().map(|v| (v * 255.0 + 0.5) as u8).collect(),
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

fn interleave(data: &[u8], planes: usize) -> Vec<u8> {
    let plane = data.len() / planes;
    (0..plane * planes).map(|i| data[i % planes * plane + i / planes]).collect()
}

fn to_layout(color: ColorType, data: Vec<u8>) -> Result<(Layout, Vec<u8>), Error> {
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
