//! What of a page's strips and tiles its pixels need.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use super::tags::{JPEG, OLD_JPEG, Page, YCBCR};
use crate::container::tiff::{Directory, Tiff};
use crate::strip::coded::deflate::{self, Extent};
use crate::strip::coded::lzw::{self, Order};
use crate::strip::coded::{fax, runs};
use crate::strip::jpeg;

const PLAIN: u32 = 1;
const FAX_4: u32 = 4;
const LZW: u32 = 5;
const DEFLATE: u32 = 8;
const OLD_DEFLATE: u32 = 32946;
const PACK_BITS: u32 = 32773;

const LOW_BIT_FIRST: u32 = 2;
const PLANES_APART: u32 = 2;

/// Padding of a tile is unpacked only as far as this allows: a small page may say that its tiles are huge.
const PADDING: usize = 1 << 24;

/// What stays of one strip or tile.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// These of its bytes.
    Kept(Vec<Range<usize>>),
    /// Other bytes, no more than there were.
    Anew(Vec<u8>),
}

/// How a page's pixels are laid into strips or tiles, and coded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    compression: u32,
    bits: usize,
    /// Samples of a pixel that lie side by side.
    samples: usize,
    /// Pixels that share their colours, across and down.
    shared: (usize, usize),
    is_low_bit_first: bool,
    size: (usize, usize),
    /// Of a strip or a tile.
    part: (usize, usize),
    are_tiles: bool,
}

impl Layout {
    /// `None` where the page does not say it.
    pub(super) fn of(tiff: &Tiff<'_>, page: &Directory) -> Option<Self> {
        let number = |tag| tiff.number(page, tag);
        let or = |tag, otherwise| if page.find(tag).is_some() { number(tag) } else { Some(otherwise) };
        let size = (number(256)? as usize, number(257)? as usize);
        let are_tiles = page.find(324).is_some();
        let part = if are_tiles {
            (number(322)? as usize, number(323)? as usize)
        } else {
            (size.0, (or(278, u32::MAX)? as usize).min(size.1))
        };
        let compression = or(259, PLAIN)?;
        let is_shared = or(262, 0)? == YCBCR && !matches!(compression, JPEG | OLD_JPEG);
        let shared = match page.find(530).map(|entry| tiff.numbers(entry)) {
            _ if !is_shared => (1, 1),
            None => (2, 2),
            Some(numbers) => {
                let mut numbers = numbers?;
                (numbers.next()? as usize, numbers.next()? as usize)
            }
        };
        let are_apart = or(284, 1)? == PLANES_APART;
        let layout = Self {
            compression,
            bits: or(258, 1)? as usize,
            samples: if are_apart { 1 } else { or(277, 1)? as usize },
            shared,
            is_low_bit_first: or(266, 1)? == LOW_BIT_FIRST,
            size,
            part,
            are_tiles,
        };
        let sides = [size.0, size.1, part.0, part.1, shared.0, shared.1];
        (!sides.contains(&0)).then_some(layout)
    }

    pub(super) fn page(&self, tiff: &Tiff<'_>, page: &Directory) -> Page {
        let samples = tiff.number(page, 277).unwrap_or(1).clamp(1, 64);
        let photometric = tiff.number(page, 262).unwrap_or(0);
        Page { bits: self.bits as u32, samples, compression: self.compression, photometric }
    }

    /// Columns and rows of a strip or tile that lie in the page.
    pub(super) fn seen(&self, index: usize) -> (usize, usize) {
        let across = self.size.0.div_ceil(self.part.0);
        let down = self.size.1.div_ceil(self.part.1);
        let (column, row) = (index % across, index / across % down);
        ((self.size.0 - column * self.part.0).min(self.part.0), (self.size.1 - row * self.part.1).min(self.part.1))
    }

    /// Bytes of so many pixels, unpacked.
    fn length(&self, width: usize, rows: usize) -> Option<usize> {
        let (across, down) = self.shared;
        let samples = if self.shared == (1, 1) { self.samples } else { across.checked_mul(down)?.checked_add(2)? };
        let row = width.div_ceil(across).checked_mul(samples)?.checked_mul(self.bits)?.div_ceil(8);
        row.checked_mul(rows.div_ceil(down))
    }

    /// What stays of a strip or tile, for which a JPEG may need tables; `None` where its size says nothing.
    pub(super) fn keep(&self, index: usize, data: &[u8], tables: &[u8]) -> Option<Part> {
        let (columns, rows) = self.seen(index);
        let least = self.length(self.part.0, rows)?;
        // Some readers unpack tiles as a whole, beyond the end of the page.
        let whole = self.length(self.part.0, self.part.1).filter(|&whole| whole - least <= PADDING);
        let needed = if self.are_tiles { whole.unwrap_or(least) } else { least };
        let is_turned = self.is_low_bit_first && !matches!(self.compression, JPEG | OLD_JPEG);
        let straight = if is_turned { Cow::Owned(turned(data)) } else { Cow::Borrowed(data) };
        let head = |length: usize| Part::Kept(iter::once(0..length.min(data.len())).collect());
        Some(match self.compression {
            PLAIN if self.are_tiles && self.shared == (1, 1) => Part::Kept(self.rows(columns, rows, data.len())?),
            PLAIN => head(least),
            LZW => head(lzw::end(&straight, Order::HighFirst, 8, needed, |_| {}).map_or(data.len(), lzw::End::bytes)),
            DEFLATE | OLD_DEFLATE => match deflate::extent(&[&straight], needed, |_| {}) {
                Extent::Ends(end) => head(end),
                Extent::Broken => head(data.len()),
                Extent::Longer => match deflate::shortened(&[&straight], needed) {
                    short if short.len() > data.len() => head(deflate::read_for(&straight, needed)),
                    short => Part::Anew(if is_turned { turned(&short) } else { short }),
                },
            },
            PACK_BITS => head(runs::pack_bits(&straight, needed)),
            FAX_4 => head(fax::group_4(&straight, self.part.0, rows)),
            JPEG | OLD_JPEG => Part::Anew(jpeg::of_a_strip(data, tables)),
            _ => head(data.len()),
        })
    }

    /// Rows of a tile, as far as they lie in the page.
    fn rows(&self, columns: usize, rows: usize, length: usize) -> Option<Vec<Range<usize>>> {
        let (stride, used) = (self.length(self.part.0, 1)?, self.length(columns, 1)?);
        if used == stride {
            return Some(iter::once(0..(stride * rows).min(length)).collect());
        }
        let row = |row: usize| (row * stride).min(length)..(row * stride + used).min(length);
        Some((0..rows).map(row).filter(|row| !row.is_empty()).collect())
    }
}

/// Each byte's bits the other way round.
fn turned(data: &[u8]) -> Vec<u8> {
    data.iter().map(|byte| byte.reverse_bits()).collect()
}
