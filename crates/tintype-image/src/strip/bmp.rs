//! BMP: it has no place for metadata, but gaps for anything: they become zeros, and what follows the pixels is
//! cut off. Nothing moves. An embedded profile stays; a linked one is the name of a file, and goes.

use std::borrow::Cow;
use std::ops::Range;

use super::coded::runs;
use super::copy::Copy;
use super::profile;
use crate::container::{bmp, le16, le32};
use crate::error::Error;

const EMBEDDED_PROFILE: &[u8] = b"DEBM";

pub(super) fn strip(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let mut kept = kept(bytes).ok_or_else(|| Error::corrupt("the BMP ends early"))?;
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
    Ok(out.finish())
}

/// The longest header there is; what a longer one holds besides means nothing.
const LONGEST_HEADER: usize = 124;

/// Header, tables, pixels, profile.
fn kept(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let number = |at| le32(bytes, at).map(|n| n as usize);
    let (pixels, header) = (bmp::pixels(bytes)?, number(14)?);
    let old = header == 12;
    let bits = usize::from(le16(bytes, if old { 24 } else { 28 })?);
    let is_short = old || header < 40;
    let packing = if is_short { 0 } else { number(30)? };
    let masks = match (header, packing) {
        (40, 3) => 12,
        (40, 6) => 16,
        _ => 0,
    };
    let most = if bits > 8 { 0 } else { 1 << bits };
    let colors = match if is_short { 0 } else { number(46)? } {
        0 => most,
        colors => colors.min(most),
    };
    let table = header.checked_add(14 + masks)?;
    let colors = table..table.saturating_add(colors * if old { 3 } else { 4 });
    let before_pixels = |range: Range<usize>| range.start.min(pixels.max(26))..range.end.min(pixels.max(26));
    let mut kept = vec![
        0..26,
        before_pixels(0..14 + header.min(LONGEST_HEADER) + masks),
        before_pixels(colors),
        pixels..pixels.saturating_add(length(bytes, pixels, bits, packing)?),
    ];
    if header >= LONGEST_HEADER && bytes.get(70..74) == Some(EMBEDDED_PROFILE) {
        let start = number(126)?.checked_add(14)?;
        let profile = bytes.get(start..start.saturating_add(number(130)?).min(bytes.len()));
        if let Some(profile) = profile.and_then(profile::of) {
            kept.push(start..start + profile.len());
        }
    }
    Some(kept)
}

/// How long the pixels are. Packed ones end with a mark.
fn length(bytes: &[u8], pixels: usize, bits: usize, packing: usize) -> Option<usize> {
    match packing {
        0 | 3 | 6 => bmp::length(bytes, le32(bytes, 14)? == 12, bits),
        _ => Some(runs::bmp(bytes.get(pixels..)?, bits)),
    }
}
