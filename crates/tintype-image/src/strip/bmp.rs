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

/// The headers of version 4 and 5. The latter is the longest there is; what a longer one holds besides means nothing.
const HEADER_4: usize = 108;
const HEADER_5: usize = 124;
/// That of OS/2, whose own fields say nothing of pixels.
const HEADER_OS2: usize = 64;

/// Header, tables, pixels, profile.
fn kept(bytes: &[u8], pixels: usize, shape: &Shape) -> Option<Vec<Range<usize>>> {
    let table = shape.table()?;
    let colors = table..table.saturating_add(shape.colors * shape.color);
    let before_pixels = |range: Range<usize>| range.start.min(pixels.max(26))..range.end.min(pixels.max(26));
    let profile = embedded_profile(bytes, shape);
    let header = 14 + shape.header;
    let fields = fields(bytes, shape, profile.is_some());
    let fields = fields.into_iter().map(|field| field.start..field.end.min(header)).filter(|field| !field.is_empty());
    let mut kept = vec![
        0..26,
        before_pixels(header..header + shape.masks),
        before_pixels(colors),
        pixels..pixels.saturating_add(length(bytes, pixels, shape)?),
    ];
    kept.extend(fields.map(before_pixels));
    kept.extend(profile);
    Some(kept)
}

/// The fields of the header that say something of this picture.
fn fields(bytes: &[u8], shape: &Shape, has_profile: bool) -> Vec<Range<usize>> {
    const CALIBRATED: &[u8] = &[0; 4];
    const MOST_PIXELS: u32 = 1_000_000;
    let (is_4, is_5) = (shape.header >= HEADER_4, shape.header >= HEADER_5);
    let is_real = |at| le32(bytes, at).is_some_and(|pixels| pixels <= MOST_PIXELS);
    let has_alpha = shape.bits == 32 && shape.header != HEADER_OS2;
    let fields = [
        (0..38, true),
        // Pixels a metre, across and down.
        (38..46, is_real(38) && is_real(42)),
        (46..54, true),
        // Masks of the colours, and of alpha, which some readers look at without the others.
        (54..66, shape.has_masks()),
        (66..70, shape.has_masks() || has_alpha),
        // The colour space; its end points and gamma; how it is to be shown.
        (70..74, is_4),
        (74..122, is_4 && bytes.get(70..74) == Some(CALIBRATED)),
        (122..126, is_5),
        // Where its profile is.
        (126..134, has_profile),
    ];
    fields.into_iter().filter(|(_, says)| *says).map(|(field, _)| field).collect()
}

fn embedded_profile(bytes: &[u8], shape: &Shape) -> Option<Range<usize>> {
    if shape.header < HEADER_5 || bytes.get(70..74) != Some(EMBEDDED_PROFILE) {
        return None;
    }
    let number = |at| le32(bytes, at).map(|n| n as usize);
    let start = number(126)?.checked_add(14)?;
    let profile = bytes.get(start..start.saturating_add(number(130)?).min(bytes.len()))?;
    Some(start..start + profile::of(profile)?.len())
}

/// How long the pixels are.
fn length(bytes: &[u8], pixels: usize, shape: &Shape) -> Option<usize> {
    if shape.is_plain() { shape.length() } else { Some(bmp::extent(bytes.get(pixels..)?, shape).length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_that_cannot_be_becomes_zero() {
        let file = |resolution: &[u8; 8]| {
            let head = [b"BM", &58u32.to_le_bytes()[..], &[0; 4], &54u32.to_le_bytes(), &40u32.to_le_bytes()].concat();
            let size = [&[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0], &[0; 4][..], &4u32.to_le_bytes()].concat();
            [&head[..], &size, resolution, &[0; 8], &[1, 2, 3, 0]].concat()
        };
        let stripped = |resolution: &[u8; 8]| strip(&file(resolution)).expect("a BMP").into_owned();
        let real = [0x13, 0x0B, 0, 0, 0x40, 0x42, 0x0F, 0];
        assert_eq!(stripped(&real), file(&real));
        for unreal in [b"SERIAL-4", &[0x13, 0x0B, 0, 0, 0x41, 0x42, 0x0F, 0], &[0xFF; 8]] {
            assert_eq!(stripped(unreal), file(&[0; 8]), "{unreal:02x?}");
        }
    }
}
