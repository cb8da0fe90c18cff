//! TIFF in: the first page, to 8 bits, a strip or a row of tiles at a time.

mod embedded;
mod samples;

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};

use self::samples::{interleave, to_8_bits, to_layout};
use super::rows::past_the_end;
use super::{RowSource, Rows, Source, still};
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

type Reader<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let (file, palette) = match read_palette(bytes) {
        Some((as_gray, palette)) => (Cow::Owned(as_gray), Some(palette)),
        None => (Cow::Borrowed(bytes), None),
    };
    let decoder = Decoder::new(Cursor::new(file)).map_err(|e| error(&e))?;
    let mut decoder = decoder.with_limits(memory(bytes.len(), header));
    if decoder.dimensions().map_err(|e| error(&e))? != (header.width, header.height) {
        return Err(Error::corrupt("the TIFF contradicts itself on its size"));
    }
    embedded::check(&mut decoder, bytes, header)?;
    let planes = decoder.image_buffer_layout().map_err(|e| error(&e))?.planes;
    let multiplied = is_multiplied(bytes);
    let rows = if planes > 1 {
        Rows::of(read_planes(&mut decoder, planes, header, multiplied)?)
    } else {
        Bands::open(decoder, palette, header, multiplied)?
    };
    Ok(still(rows, icc(bytes)))
}

/// Planes lie one after the other: the first pixel needs the last plane.
fn read_planes(
    decoder: &mut Reader<'_>,
    planes: usize,
    header: &Header<'_>,
    multiplied: bool,
) -> Result<Pixels, Error> {
    let Header { width, height, .. } = *header;
    let color = decoder.colortype().map_err(|e| error(&e))?;
    let mut samples = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut samples).map_err(|e| error(&e))?;
    let data = interleave(&to_8_bits(samples, color, width)?, planes);
    to_pixels(color, data, (width, height), multiplied)
}

/// Samples as pixels; fails where they are too few for the size.
fn to_pixels(color: ColorType, data: Vec<u8>, (width, height): (u32, u32), multiplied: bool) -> Result<Pixels, Error> {
    let (layout, mut data) = to_layout(color, data)?;
    let expected = width as usize * height as usize * layout.channels();
    if data.len() < expected {
        return Err(Error::corrupt("the TIFF's page ends early"));
    }
    data.truncate(expected);
    let mut pixels = Pixels { width, height, layout, data };
    if multiplied {
        pixels.divide_by_alpha();
    }
    Ok(pixels)
}

/// A page in bands: a strip each, or a row of tiles.
struct Bands<'a> {
    decoder: Reader<'a>,
    color: ColorType,
    palette: Option<Palette>,
    /// Colours are stored multiplied by alpha.
    multiplied: bool,
    width: u32,
    layout: Layout,
    /// Strips or tiles side by side.
    across: u32,
    /// How many bands have been read.
    read: u32,
    /// The rows of the band that was read last, and where the next row begins.
    band: Vec<u8>,
    next: usize,
}

impl<'a> Bands<'a> {
    fn open(
        mut decoder: Reader<'a>,
        palette: Option<Palette>,
        header: &Header<'_>,
        multiplied: bool,
    ) -> Result<Rows<'a>, Error> {
        let Header { width, height, .. } = *header;
        let color = decoder.colortype().map_err(|e| error(&e))?;
        let stored = to_layout(color, Vec::new())?.0;
        if palette.is_some() && stored != Layout::Gray {
            return Err(Error::corrupt("the TIFF's palette has more than one index a pixel"));
        }
        let layout = if palette.is_some() { Layout::Rgb } else { stored };
        let across = width.div_ceil(decoder.chunk_dimensions().0.max(1));
        let bands =
            Self { decoder, color, palette, multiplied, width, layout, across, read: 0, band: Vec::new(), next: 0 };
        Ok(Rows { width, height, layout, source: Box::new(bands) })
    }

    fn read_band(&mut self) -> Result<(), Error> {
        let stride = self.width as usize * self.layout.channels();
        let mut left = 0;
        for x in 0..self.across {
            let (width, height, data) = self.read_chunk(self.read * self.across + x)?;
            if x == 0 {
                self.band.resize(height as usize * stride, 0);
            }
            let length = width as usize * self.layout.channels();
            for (to, from) in self.band.chunks_exact_mut(stride).zip(data.chunks_exact(length)) {
                to[left..left + length].copy_from_slice(from);
            }
            left += length;
        }
        self.read += 1;
        self.next = 0;
        Ok(())
    }

    /// A strip or a tile, less what of it lies outside the page.
    fn read_chunk(&mut self, index: u32) -> Result<(u32, u32, Vec<u8>), Error> {
        let samples = self.decoder.read_chunk(index).map_err(|e| error(&e))?;
        let (width, height) = self.decoder.chunk_data_dimensions(index);
        let data = to_8_bits(samples, self.color, width)?;
        let Pixels { data, .. } = to_pixels(self.color, data, (width, height), self.multiplied)?;
        Ok((
            width,
            height,
            match &self.palette {
                Some(palette) => palette.look_up(&data),
                None => data,
            },
        ))
    }
}

impl RowSource for Bands<'_> {
    fn read_row(&mut self, row: &mut [u8]) -> Result<(), Error> {
        if self.next >= self.band.len() {
            self.read_band()?;
        }
        row.copy_from_slice(self.band.get(self.next..self.next + row.len()).ok_or_else(past_the_end)?);
        self.next += row.len();
        Ok(())
    }

    /// Every strip lies where the directory says: what else is in the file is no part of the page.
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The crate knows no palettes: the file is decoded as if its indices were grey, then looked up.
struct Palette {
    bits: u32,
    /// 16-bit reds, then greens, then blues.
    colors: Vec<u32>,
}

/// The palette, and the file with its indices called grey.
fn read_palette(bytes: &[u8]) -> Option<(Vec<u8>, Palette)> {
    let file = Tiff::new(bytes)?;
    let page = file.first()?;
    if file.number(&page, PHOTOMETRIC)? != PALETTE {
        return None;
    }
    let mut as_gray = bytes.to_vec();
    let at = page.find(PHOTOMETRIC)?.at + 8;
    as_gray.get_mut(at..at + 2)?.copy_from_slice(&file.put16(MIN_IS_BLACK));
    // A table of longer numbers than the format has must not overflow what is reckoned with them.
    let colors: Vec<u32> = file.numbers(page.find(COLOR_MAP)?)?.map(|color| color.min(65_535)).collect();
    let bits = (colors.len() / 3).checked_ilog2()?;
    (bits <= 8).then_some((as_gray, Palette { bits, colors }))
}

impl Palette {
    fn look_up(&self, indices: &[u8]) -> Vec<u8> {
        let size = self.colors.len() / 3;
        // The grey decoder has spread the indices of fewer bits over 0 to 255.
        let spread = 255 / ((1usize << self.bits) - 1).max(1);
        let channel = |index: usize, c: usize| ((self.colors[c * size + index] * 255 + 32_767) / 65_535) as u8;
        let color = |&gray: &u8| {
            let index = (usize::from(gray) / spread).min(size - 1);
            [channel(index, 0), channel(index, 1), channel(index, 2)]
        };
        indices.iter().flat_map(color).collect()
    }
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
