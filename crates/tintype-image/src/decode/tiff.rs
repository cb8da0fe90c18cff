//! TIFF in: the first page, to 8 bits, a strip or a row of tiles at a time.

mod embedded;
mod page;
mod samples;
mod view;

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, Limits};

use self::page::{Color, Extra, Page};
use self::samples::{interleave, to_8_bits, to_layout};
use super::rows::{fill, past_the_end};
use super::{RowSource, Rows, Source, still};
use crate::container::tiff::{Directory, Tiff};
use crate::damage::Damage;
use crate::error::{Error, ErrorCode};
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

const COLOR_MAP: u16 = 320;
const ICC_PROFILE: u16 = 34675;

type Reader<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

pub(super) fn open<'a>(bytes: &'a [u8], header: &Header<'_>) -> Result<Source<'a>, Error> {
    let no_page = || Error::corrupt("the TIFF has no page");
    let file = Tiff::new(bytes).ok_or_else(no_page)?;
    let directory = file.first().ok_or_else(no_page)?;
    let page = page::read(&file, &directory)?;
    let palette = if page.color == Color::Palette { Some(Palette::read(&file, &directory, page.bits)?) } else { None };
    let viewed =
        if view::is_needed(&page) { Cow::Owned(view::of(bytes, &file, &directory, &page)?) } else { bytes.into() };
    // What a strip says of itself is held against the page before any is decoded.
    embedded::check(&mut reader(bytes.into(), header.width, header)?, bytes, header)?;
    let width = page.whole_width.unwrap_or(header.width);
    let rows = if page.planar {
        let plane = |number| {
            let plane = view::plane(&viewed, &file, &directory, &page, number);
            Bands::open(reader(plane.into(), width, header)?, None, Extra::None, header)?.gather()
        };
        read_planes(plane, &page, header)?
    } else {
        Bands::open(reader(viewed, width, header)?, palette, page.extra, header)?
    };
    Ok(still(rows, icc(bytes)))
}

/// Hands over the index of every pixel, where they are indices. Says whether all were.
pub(crate) fn each_index(bytes: &[u8], header: &Header<'_>, mut take: impl FnMut(u8)) -> Result<bool, Error> {
    let no_page = || Error::corrupt("the TIFF has no page");
    let file = Tiff::new(bytes).ok_or_else(no_page)?;
    let directory = file.first().ok_or_else(no_page)?;
    let page = page::read(&file, &directory)?;
    if page.color != Color::Palette || page.bits > 8 {
        return Ok(false);
    }
    let viewed = view::of(bytes, &file, &directory, &page)?;
    let mut rows = Bands::open(
        reader(viewed.into(), page.whole_width.unwrap_or(header.width), header)?,
        None,
        page.extra,
        header,
    )?;
    if rows.layout != Layout::Gray {
        return Ok(false);
    }
    let spread = spread(page.bits);
    let mut row = vec![0; rows.width as usize];
    for _ in 0..rows.height {
        rows.source.read_row(&mut row)?;
        row.iter().for_each(|&gray| take(gray / spread));
    }
    Ok(rows.source.finish()?.is_none())
}

/// The grey decoder spreads indices of fewer bits over 0 to 255: how far apart they are then.
fn spread(bits: u32) -> u8 {
    (255 / ((1u32 << bits.clamp(1, 8)) - 1)) as u8
}

/// A decoder of a page that has this width, which is the header's, or that with the last column of tiles whole.
fn reader<'a>(file: Cow<'a, [u8]>, width: u32, header: &Header<'_>) -> Result<Reader<'a>, Error> {
    let limits = memory(file.len(), width, header);
    let mut decoder = Decoder::new(Cursor::new(file)).map_err(|e| error(&e))?.with_limits(limits);
    if decoder.dimensions().map_err(|e| error(&e))? != (width, header.height) {
        return Err(Error::corrupt("the TIFF contradicts itself on its size"));
    }
    Ok(decoder)
}

/// Planes lie one after the other: the first pixel needs the last plane.
fn read_planes<'a>(
    plane: impl Fn(u32) -> Result<(Pixels, Option<Damage>), Error>,
    page: &Page,
    header: &Header<'_>,
) -> Result<Rows<'a>, Error> {
    let mut planes = Vec::new();
    let mut damage: Option<Damage> = None;
    for number in 0..page.samples {
        let (pixels, missing) = plane(number)?;
        planes.push(pixels.data);
        // Of the one of which least is there.
        damage = [damage, missing].into_iter().flatten().min_by(|a, b| a.rows.total_cmp(&b.rows));
    }
    const EIGHT: u8 = 8;
    let color = match (page.color, page.extra) {
        (Color::Cmyk, _) => ColorType::CMYK(EIGHT),
        (Color::YCbCr, _) => ColorType::YCbCr(EIGHT),
        (Color::Rgb, Extra::None) => ColorType::RGB(EIGHT),
        (Color::Rgb, _) => ColorType::RGBA(EIGHT),
        _ => ColorType::GrayA(EIGHT),
    };
    let pixels = to_pixels(color, interleave(&planes), (header.width, header.height), page.extra)?;
    Ok(Rows::damaged(pixels, damage))
}

/// Samples as pixels; fails where they are too few for the size.
fn to_pixels(color: ColorType, data: Vec<u8>, (width, height): (u32, u32), extra: Extra) -> Result<Pixels, Error> {
    let (layout, mut data) = to_layout(color, data)?;
    let expected = width as usize * height as usize * layout.channels();
    if data.len() < expected {
        return Err(Error::corrupt("the TIFF's page ends early"));
    }
    data.truncate(expected);
    let mut pixels = Pixels { width, height, layout, data };
    match extra {
        Extra::Associated => pixels.divide_by_alpha(),
        Extra::Unknown => pixels.drop_alpha(),
        Extra::None | Extra::Alpha => {}
    }
    Ok(pixels)
}

/// A page in bands: a strip each, or a row of tiles.
struct Bands<'a> {
    decoder: Reader<'a>,
    color: ColorType,
    palette: Option<Palette>,
    extra: Extra,
    width: u32,
    rows: u32,
    layout: Layout,
    /// Strips or tiles side by side.
    across: u32,
    /// How many bands have been read.
    read: u32,
    /// The rows of the band that was read last, and where the next row begins.
    band: Vec<u8>,
    next: usize,
    /// Rows of bands of which something was missing, and why.
    lost: u32,
    why: Option<String>,
}

impl<'a> Bands<'a> {
    fn open(
        mut decoder: Reader<'a>,
        palette: Option<Palette>,
        extra: Extra,
        header: &Header<'_>,
    ) -> Result<Rows<'a>, Error> {
        let Header { width, height, .. } = *header;
        let color = decoder.colortype().map_err(|e| error(&e))?;
        let stored = to_layout(color, Vec::new())?.0;
        if palette.is_some() && stored != Layout::Gray {
            return Err(Error::corrupt("the TIFF's palette has more than one index a pixel"));
        }
        let layout = match (stored, extra) {
            _ if palette.is_some() => Layout::Rgb,
            (Layout::Rgba, Extra::Unknown) => Layout::Rgb,
            (Layout::GrayAlpha, Extra::Unknown) => Layout::Gray,
            _ => stored,
        };
        let across = width.div_ceil(decoder.chunk_dimensions().0.max(1));
        let bands = Self {
            decoder,
            color,
            palette,
            extra,
            width,
            rows: height,
            layout,
            across,
            read: 0,
            band: Vec::new(),
            next: 0,
            lost: 0,
            why: None,
        };
        Ok(Rows { width, height, layout, source: Box::new(bands) })
    }

    fn read_band(&mut self) -> Result<(), Error> {
        let stride = self.width as usize * self.layout.channels();
        let (mut left, mut lost) = (0, 0);
        for x in 0..self.across {
            let index = self.read * self.across + x;
            let (width, height) = self.decoder.chunk_data_dimensions(index);
            if x == 0 {
                self.band.resize(height as usize * stride, 0);
            }
            let length = width as usize * self.layout.channels();
            let seen = length.min(stride - left);
            let data = match self.read_chunk(index, (width, height)) {
                Ok(data) => data,
                Err(error) if error.code == ErrorCode::Corrupt => {
                    lost = height;
                    self.why.get_or_insert(error.message);
                    let mut nothing = vec![0; length * height as usize];
                    fill(&mut nothing, self.layout);
                    nothing
                }
                Err(error) => return Err(error),
            };
            for (to, from) in self.band.chunks_exact_mut(stride).zip(data.chunks_exact(length)) {
                to[left..left + seen].copy_from_slice(&from[..seen]);
            }
            left += seen;
        }
        self.lost += lost;
        self.read += 1;
        self.next = 0;
        Ok(())
    }

    /// A strip or a tile, less what of it lies outside the page.
    fn read_chunk(&mut self, index: u32, size: (u32, u32)) -> Result<Vec<u8>, Error> {
        let samples = self.decoder.read_chunk(index).map_err(|e| error(&e))?;
        let data = to_8_bits(samples, self.color, size.0)?;
        let Pixels { data, .. } = to_pixels(self.color, data, size, self.extra)?;
        Ok(match &self.palette {
            Some(palette) => palette.look_up(&data),
            None => data,
        })
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
    fn finish(&mut self) -> Result<Option<Damage>, Error> {
        let there = self.rows.saturating_sub(self.lost);
        Ok(self.why.take().map(|why| Damage::new(there.into(), self.rows.into(), why)))
    }
}

/// The crate knows no palettes: the file is decoded as if its indices were grey, then looked up.
struct Palette {
    bits: u32,
    /// 16-bit reds, then greens, then blues.
    colors: Vec<u32>,
}

impl Palette {
    fn read(file: &Tiff<'_>, page: &Directory, bits: u32) -> Result<Self, Error> {
        let broken = || Error::corrupt("the TIFF's palette is broken");
        let numbers = page.find(COLOR_MAP).and_then(|entry| file.numbers(entry)).ok_or_else(broken)?;
        // A table of longer numbers than the format has must not overflow what is reckoned with them.
        let mut colors: Vec<u32> = numbers.map(|color| color.min(65_535)).collect();
        if bits > 8 || colors.len() != 3 << bits {
            return Err(broken());
        }
        // Some programs write 8 bits where 16 are meant.
        if colors.iter().all(|color| *color < 256) {
            colors.iter_mut().for_each(|color| *color *= 257);
        }
        Ok(Self { bits, colors })
    }

    fn look_up(&self, indices: &[u8]) -> Vec<u8> {
        let size = self.colors.len() / 3;
        let spread = usize::from(spread(self.bits));
        let channel = |index: usize, c: usize| ((self.colors[c * size + index] * 255 + 32_767) / 65_535) as u8;
        let color = |&gray: &u8| {
            let index = (usize::from(gray) / spread).min(size - 1);
            [channel(index, 0), channel(index, 1), channel(index, 2)]
        };
        indices.iter().flat_map(color).collect()
    }
}

/// Tags claim any length; a page's samples are bounded by its size, which was checked with the header.
fn memory(file: usize, width: u32, header: &Header<'_>) -> Limits {
    // Sixteen bytes a pixel is RGBA in 32 bits: no picture has more.
    let page = width as usize * header.height as usize * 16 + 1024;
    let mut limits = Limits::unlimited();
    limits.ifd_value_size = file.clamp(1024, 4 << 20);
    limits.decoding_buffer_size = page;
    limits.intermediate_buffer_size = page.max(1 << 20);
    limits
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
