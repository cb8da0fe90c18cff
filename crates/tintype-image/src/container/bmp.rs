//! BMP: a header, perhaps masks and a table of colours, and the pixels.

use super::{le16, le32};

/// The file's header, before the bitmap's own.
const FILE_HEADER: usize = 14;

/// Where the pixels begin: where the file says, unless that is within what comes before them. Then they come right
/// behind it, if there is as much in the file.
pub(crate) fn pixels(bytes: &[u8]) -> Option<usize> {
    let number = |at| le32(bytes, at).map(|n| n as usize);
    let (told, header) = (number(10)?, number(14)?);
    let old = header == 12;
    let bits = usize::from(le16(bytes, if old { 24 } else { 28 })?);
    let packing = if old || header < 40 { 0 } else { number(30)? };
    let masks = match (header, packing) {
        (40, 3) => 12,
        (40, 6) => 16,
        _ => 0,
    };
    let fixed = FILE_HEADER.checked_add(header)?.checked_add(masks)?;
    let colors = match if old || header < 40 { 0 } else { number(46)? } {
        _ if bits > 8 => 0,
        0 => 1 << bits,
        colors => colors.min(1 << bits),
    };
    let behind = fixed.checked_add(colors * if old { 3 } else { 4 })?;
    if told >= behind || told >= bytes.len() {
        return Some(told);
    }
    // A table may have fewer colours than it says: then the pixels of the file would not be enough.
    let enough = match packing {
        0 | 3 | 6 => bytes.len() >= behind.checked_add(length(bytes, old, bits)?)?,
        _ => false,
    };
    Some(if enough || told < fixed { behind } else { told })
}

/// Bytes of pixels that are not packed.
pub(crate) fn length(bytes: &[u8], old: bool, bits: usize) -> Option<usize> {
    let (width, height) = if old {
        (le16(bytes, 18)?.into(), le16(bytes, 20)?.into())
    } else {
        (le32(bytes, 18)?, le32(bytes, 22)?.cast_signed().unsigned_abs())
    };
    (width as usize).checked_mul(bits)?.div_ceil(32).checked_mul(4)?.checked_mul(height as usize)
}
