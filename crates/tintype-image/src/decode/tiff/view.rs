//! A file with other tags than it came with, so that a decoder that does not know those it has reads it right.

use super::page::{self, Page};
use crate::container::tiff::{Directory, Entry, Tiff};
use crate::error::Error;

const MIN_IS_BLACK: u16 = 1;
const UNASSOCIATED_ALPHA: u16 = 2;
/// Of a tag that is to be passed over: no format knows it.
const NOTHING: u16 = 0xFFFE;

/// Whether the file must be changed for the decoder.
pub(super) fn is_needed(page: &Page) -> bool {
    let gray = page.color == page::Color::Palette;
    gray || page.reversed || page.idle_predictor || page.extra == page::Extra::Unknown || page.whole_width.is_some()
}

/// A copy of the file: bits in their usual order, indices called grey, no predictor where it is none, and what comes
/// after the colours called alpha, so that it is decoded with them.
pub(super) fn of(bytes: &[u8], file: &Tiff<'_>, directory: &Directory, page: &Page) -> Result<Vec<u8>, Error> {
    let mut out = bytes.to_vec();
    if page.reversed {
        reverse(&mut out, file, directory)?;
    }
    let mut set = |tag, value| {
        if let Some(entry) = directory.find(tag) {
            set_short(&mut out, file, entry, value);
        }
    };
    if page.color == page::Color::Palette {
        set(page::PHOTOMETRIC, MIN_IS_BLACK);
    }
    if page.idle_predictor {
        set(page::PREDICTOR, 1);
    }
    if page.extra == page::Extra::Unknown {
        set(page::EXTRA_SAMPLES, UNASSOCIATED_ALPHA);
    }
    if let (Some(width), Some(entry)) = (page.whole_width, directory.find(page::WIDTH)) {
        set_long(&mut out, file, entry, width);
    }
    Ok(out)
}

/// One plane of a page as a page of grey.
pub(super) fn plane(bytes: &[u8], file: &Tiff<'_>, directory: &Directory, page: &Page, number: u32) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let values = [
        (page::SAMPLES, 1),
        (page::BITS, page.bits as u16),
        (page::SAMPLE_FORMAT, 1),
        (page::PHOTOMETRIC, MIN_IS_BLACK),
        (page::PLANAR, 1),
    ];
    for (tag, value) in values {
        if let Some(entry) = directory.find(tag) {
            set_short(&mut out, file, entry, value);
        }
    }
    if let Some(entry) = directory.find(page::EXTRA_SAMPLES) {
        out[entry.at..entry.at + 2].copy_from_slice(&file.put16(NOTHING));
    }
    for tag in [page::STRIPS, page::TILES].concat() {
        if let Some(entry) = directory.find(tag) {
            keep_part(&mut out, file, entry, (number, page.samples));
        }
    }
    out
}

/// Makes an entry one short number.
fn set_short(out: &mut [u8], file: &Tiff<'_>, entry: &Entry, value: u16) {
    const SHORT: u16 = 3;
    set_one(out, file, entry, SHORT, [file.put16(value), [0; 2]].concat());
}

/// Makes an entry one long number.
fn set_long(out: &mut [u8], file: &Tiff<'_>, entry: &Entry, value: u32) {
    const LONG: u16 = 4;
    set_one(out, file, entry, LONG, file.put32(value).to_vec());
}

fn set_one(out: &mut [u8], file: &Tiff<'_>, entry: &Entry, kind: u16, value: Vec<u8>) {
    let mut field = |at: usize, bytes: &[u8]| out[entry.at + at..][..bytes.len()].copy_from_slice(bytes);
    field(2, &file.put16(kind));
    field(4, &file.put32(1));
    field(8, &value);
}

/// Leaves an entry one of several equal parts of its values.
fn keep_part(out: &mut [u8], file: &Tiff<'_>, entry: &Entry, (number, parts): (u32, u32)) {
    let Some(range) = file.value_range(entry) else { return };
    let count = entry.count / parts;
    let length = range.len() / entry.count.max(1) as usize * count as usize;
    let start = range.start + length * number as usize;
    out[entry.at + 4..entry.at + 8].copy_from_slice(&file.put32(count));
    if length > 4 {
        out[entry.at + 8..entry.at + 12].copy_from_slice(&file.put32(start as u32));
    } else {
        out.copy_within(start..start + length, entry.at + 8);
    }
}

/// Turns the bits of every byte of the strips or tiles around.
fn reverse(out: &mut [u8], file: &Tiff<'_>, directory: &Directory) -> Result<(), Error> {
    let numbers = |tags: [u16; 2]| {
        let [places, lengths] = tags.map(|tag| directory.find(tag).and_then(|entry| file.numbers(entry)));
        Some(places?.zip(lengths?).collect::<Vec<_>>())
    };
    let mut parts = numbers(page::STRIPS).or_else(|| numbers(page::TILES)).unwrap_or_default();
    // Blank tiles are often one and the same, which must be turned once.
    parts.sort_unstable();
    let mut done = 0;
    for (at, length) in parts {
        let (start, end) = (at as usize, (at as usize).saturating_add(length as usize).min(out.len()));
        if start < done && end > done {
            return Err(Error::corrupt("the TIFF's strips lie over each other"));
        }
        if let Some(part) = out.get_mut(start.max(done)..end) {
            part.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            done = end.max(done);
        }
    }
    Ok(())
}
