//! BMP: it has no place for metadata, but gaps for anything: they become zeros, and what follows the pixels is
//! cut off. Nothing moves. An embedded profile stays; a linked one is the name of a file, and goes.

mod unused;

use std::borrow::Cow;
use std::ops::Range;

use super::copy::Copy;
use super::profile;
use crate::container::bmp::{self, Shape};
use crate::container::le32;
use crate::error::Error;

const EMBEDDED_PROFILE: &[u8] = b"DEBM";

pub(super) fn strip(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let cut = || Error::corrupt("the BMP ends early");
    let (pixels, shape) = bmp::pixels(bytes).zip(Shape::of(bytes)).ok_or_else(cut)?;
    let stripped = match unused::emptied(bytes, pixels, &shape) {
        Cow::Borrowed(bytes) => without_gaps(bytes, pixels, &shape),
        Cow::Owned(bytes) => without_gaps(&bytes, pixels, &shape).map(|out| Cow::Owned(out.into_owned())),
    };
    stripped.ok_or_else(cut)
}

fn without_gaps<'a>(bytes: &'a [u8], pixels: usize, shape: &Shape) -> Option<Cow<'a, [u8]>> {
    let mut kept = kept(bytes, pixels, shape)?;
    let end = kept.iter().map(|range| range.end.min(bytes.len())).max().unwrap_or(0);
    // The length is told anew; the two numbers after it are reserved, which is to say anybody's.
    let head = [&bytes[..2], &(end as u32).to_le_bytes(), &[0; 4]].concat();
    let mut out = Copy::of(bytes);
    out.push(&head);
    let mut at = head.len();
    kept.sort_unstable_by_key(|range| range.start);
    for range in kept {
        let range = range.start.clamp(at, end)..range.end.clamp(at, end);
        if !range.is_empty() {
            out.push_zeros(range.start - at);
            at = range.end;
            out.push(&bytes[range]);
        }
    }
    Some(out.finish())
}

/// The longest header there is; what a longer one holds besides means nothing.
const LONGEST_HEADER: usize = 124;

/// Header, tables, pixels, profile.
fn kept(bytes: &[u8], pixels: usize, shape: &Shape) -> Option<Vec<Range<usize>>> {
    let number = |at| le32(bytes, at).map(|n| n as usize);
    let table = shape.table()?;
    let colors = table..table.saturating_add(shape.colors * shape.color);
    let before_pixels = |range: Range<usize>| range.start.min(pixels.max(26))..range.end.min(pixels.max(26));
    let mut kept = vec![
        0..26,
        before_pixels(0..14 + shape.header.min(LONGEST_HEADER) + shape.masks),
        before_pixels(colors),
        pixels..pixels.saturating_add(length(bytes, pixels, shape)?),
    ];
    if shape.header >= LONGEST_HEADER && bytes.get(70..74) == Some(EMBEDDED_PROFILE) {
        let start = number(126)?.checked_add(14)?;
        let profile = bytes.get(start..start.saturating_add(number(130)?).min(bytes.len()));
        if let Some(profile) = profile.and_then(profile::of) {
            kept.push(start..start + profile.len());
        }
    }
    Some(kept)
}

/// How long the pixels are.
fn length(bytes: &[u8], pixels: usize, shape: &Shape) -> Option<usize> {
    if shape.is_plain() { shape.length() } else { Some(bmp::extent(bytes.get(pixels..)?, shape).length) }
}
