//! What a page's tags say of its samples. What is not decoded right is refused here: the decoder passes over tags that
//! it does not know, and what comes out then is no picture, or another one.

use super::unsupported;
use crate::container::tiff::{Directory, Tiff};
use crate::error::Error;

pub(super) const WIDTH: u16 = 256;
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const STRIPS: [u16; 2] = [273, 279];
pub(super) const SAMPLES: u16 = 277;
pub(super) const PLANAR: u16 = 284;
pub(super) const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
pub(super) const TILES: [u16; 2] = [324, 325];
pub(super) const INK_SET: u16 = 332;
pub(super) const EXTRA_SAMPLES: u16 = 338;
pub(super) const SAMPLE_FORMAT: u16 = 339;
const CHROMA_SUBSAMPLING: u16 = 530;
const CHROMA_WEIGHTS: u16 = 529;
const CHROMA_RANGE: u16 = 532;

/// Tags of which there must be no second one: it could be that which the decoder reads.
const ONCE: [u16; 24] = [
    WIDTH,
    257,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    FILL_ORDER,
    STRIPS[0],
    SAMPLES,
    278,
    STRIPS[1],
    PLANAR,
    PREDICTOR,
    320,
    TILE_WIDTH,
    323,
    TILES[0],
    TILES[1],
    INK_SET,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
    347,
    CHROMA_WEIGHTS,
    CHROMA_SUBSAMPLING,
    CHROMA_RANGE,
];

/// What the colours of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    WhiteIsZero,
    Gray,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

impl Color {
    fn samples(self) -> u32 {
        match self {
            Self::WhiteIsZero | Self::Gray | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// What comes after the colours of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    /// Nobody knows what it is: it is left out, as viewers do.
    Unknown,
    Alpha,
    /// Colours are stored multiplied by it.
    Associated,
}

/// A page that can be decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) color: Color,
    pub(super) extra: Extra,
    pub(super) bits: u32,
    /// Of a pixel, all together.
    pub(super) samples: u32,
    /// Each sample lies in strips of its own.
    pub(super) planar: bool,
    /// The bits of each byte run from the lowest on.
    pub(super) reversed: bool,
    /// There is a predictor, and it is none: only LZW and Deflate have one.
    pub(super) idle_predictor: bool,
    /// The width with the last column of tiles whole, where the decoder must not be left to cut it: it reads what it cuts off
    /// in pieces, and its LZW takes the end of a piece for the end of the tile.
    pub(super) whole_width: Option<u32>,
}

/// Reads the tags.
pub(super) fn read(file: &Tiff<'_>, directory: &Directory) -> Result<Page, Error> {
    for tag in ONCE {
        if directory.entries.iter().filter(|entry| entry.tag == tag).count() > 1 {
            return Err(Error::corrupt(format!("the TIFF's page has its tag {tag} twice")));
        }
    }
    let tags = Tags { file, directory };
    let compression = tags.number(COMPRESSION, 1)?;
    check_compression(compression)?;
    let color = color(tags.number(PHOTOMETRIC, u32::MAX)?)?;
    let samples = tags.number(SAMPLES, 1)?;
    let extra = extra(&tags, color, samples)?;
    let bits = bits(&tags, samples)?;
    if tags.numbers(SAMPLE_FORMAT)?.iter().any(|format| *format != 1) {
        return Err(unsupported("of signed or floating-point samples, whose black and white are not defined"));
    }
    if color == Color::YCbCr && compression != JPEG {
        check_chroma(&tags)?;
    }
    if color == Color::Cmyk && tags.number(INK_SET, 1)? != 1 {
        return Err(unsupported("of other inks than cyan, magenta, yellow and black"));
    }
    let predictor = tags.number(PREDICTOR, 1)?;
    let predicts = matches!(compression, 5 | 8 | 32_946);
    if predicts && !matches!(predictor, 1 | 2) {
        return Err(unsupported("packed with a predictor for floating-point samples"));
    }
    if predictor == 2 && predicts && bits < 8 {
        return Err(unsupported("packed with a predictor for samples of fewer than 8 bits"));
    }
    Ok(Page {
        color,
        extra,
        bits,
        samples,
        planar: tags.number(PLANAR, 1)? == 2 && samples > 1,
        reversed: tags.number(FILL_ORDER, 1)? == 2 && compression != JPEG,
        idle_predictor: predictor != 1 && !predicts,
        whole_width: if compression == LZW { whole_width(&tags)? } else { None },
    })
}

/// The next multiple of the tiles' width, if there are tiles and it is not the page's own.
fn whole_width(tags: &Tags<'_>) -> Result<Option<u32>, Error> {
    let (page, tile) = (tags.number(WIDTH, 0)?, tags.number(TILE_WIDTH, 0)?);
    let whole = page.checked_next_multiple_of(tile).filter(|whole| *whole != page && tile <= WIDEST_TILE);
    Ok(whole)
}

const LZW: u32 = 5;
/// Compression of a JPEG in each strip.
pub(super) const JPEG: u32 = 7;
/// Of wider tiles a few pixels would cost much memory.
const WIDEST_TILE: u32 = 4096;

fn check_compression(compression: u32) -> Result<(), Error> {
    let name = match compression {
        1 | 4 | 5 | JPEG | 8 | 32_773 | 32_946 => return Ok(()),
        2 => "as a fax of 1980 (CCITT RLE)",
        3 => "as a fax of group 3",
        6 => "by the old kind of JPEG",
        9 | 10 => "by JBIG",
        34_712 => "by JPEG 2000",
        34_925 => "by LZMA",
        50_000 => "by Zstandard",
        50_001 => "by WebP",
        50_002 => "by JPEG XL",
        other => return Err(unsupported(&format!("packed in a way that is not known here ({other})"))),
    };
    Err(unsupported(&format!("packed {name}")))
}

fn color(photometric: u32) -> Result<Color, Error> {
    Ok(match photometric {
        0 => Color::WhiteIsZero,
        1 => Color::Gray,
        2 => Color::Rgb,
        3 => Color::Palette,
        5 => Color::Cmyk,
        6 => Color::YCbCr,
        4 => return Err(unsupported("a mask for another picture")),
        8..=10 => return Err(unsupported("of L*a*b* colours")),
        32_803 | 34_892 => return Err(unsupported("raw data of a camera")),
        32_844 | 32_845 => return Err(unsupported("of LogLuv colours")),
        u32::MAX => return Err(Error::corrupt("the TIFF does not say what its samples mean")),
        other => return Err(unsupported(&format!("of colours that are not known here ({other})"))),
    })
}

fn extra(tags: &Tags<'_>, color: Color, samples: u32) -> Result<Extra, Error> {
    let kinds = tags.numbers(EXTRA_SAMPLES)?;
    let count = samples.checked_sub(color.samples());
    let count = count.filter(|count| kinds.len() <= *count as usize);
    match count.ok_or_else(|| Error::corrupt("the TIFF has fewer samples than its colours take"))? {
        0 => Ok(Extra::None),
        1 if matches!(color, Color::Gray | Color::Rgb) => Ok(match kinds.first() {
            Some(1) => Extra::Associated,
            // Where nothing is said of it, every program takes it for that.
            Some(2) | None => Extra::Alpha,
            _ => Extra::Unknown,
        }),
        _ => Err(unsupported("of more samples than colour and transparency take")),
    }
}

fn bits(tags: &Tags<'_>, samples: u32) -> Result<u32, Error> {
    let all = tags.numbers(BITS)?;
    let bits = all.first().copied().unwrap_or(1);
    if all.iter().any(|other| *other != bits) {
        return Err(unsupported("of samples of several depths"));
    }
    match bits {
        8 | 16 | 32 => Ok(bits),
        1 | 2 | 4 if samples == 1 => Ok(bits),
        _ => Err(unsupported(&format!("of {samples} samples of {bits} bits"))),
    }
}

/// Refuses chroma that is subsampled, or not as JFIF has it.
fn check_chroma(tags: &Tags<'_>) -> Result<(), Error> {
    let subsampling = tags.numbers(CHROMA_SUBSAMPLING)?;
    if subsampling != [1, 1] {
        return Err(unsupported("of subsampled YCbCr outside a JPEG"));
    }
    let ratios = |tag, usual: &[f64]| {
        let told = tags.ratios(tag);
        told.is_none_or(|told| {
            told.len() == usual.len() && told.iter().zip(usual).all(|(told, usual)| (told - usual).abs() < 0.001)
        })
    };
    if ratios(CHROMA_WEIGHTS, &[0.299, 0.587, 0.114])
        && tags.ratios(CHROMA_RANGE).is_some()
        && ratios(CHROMA_RANGE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])
    {
        return Ok(());
    }
    Err(unsupported("of YCbCr of unusual weights or ranges"))
}

struct Tags<'a> {
    file: &'a Tiff<'a>,
    directory: &'a Directory,
}

impl Tags<'_> {
    /// All numbers of a tag; none where it is not there.
    fn numbers(&self, tag: u16) -> Result<Vec<u32>, Error> {
        let Some(entry) = self.directory.find(tag) else { return Ok(Vec::new()) };
        let numbers = self.file.numbers(entry).map(Iterator::collect);
        numbers.ok_or_else(|| Error::corrupt(format!("the TIFF's tag {tag} is broken")))
    }

    /// The first number of a tag.
    fn number(&self, tag: u16, default: u32) -> Result<u32, Error> {
        Ok(self.numbers(tag)?.first().copied().unwrap_or(default))
    }

    /// The fractions of a tag.
    fn ratios(&self, tag: u16) -> Option<Vec<f64>> {
        const RATIONAL: u16 = 5;
        let entry = self.directory.find(tag).filter(|entry| entry.kind == RATIONAL)?;
        let range = self.file.value_range(entry)?;
        let number = |at| self.file.u32(at).map(f64::from);
        range.step_by(8).map(|at| Some(number(at)? / number(at + 4)?)).collect()
    }
}
