//! JPEG: segments are dropped, entropy-coded data is copied.

use super::exif;
use crate::container::jpeg::{self, COM, EOI, EXIF, ICC, Segment};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..2]);
    let mut seen_exif = false;
    for segment in jpeg::segments(bytes) {
        let segment = segment?;
        match segment.marker {
            0xE0 => out.extend(without_thumbnail(&segment)),
            0xE1 if !seen_exif && segment.payload.starts_with(EXIF) => {
                seen_exif = true;
                write_exif(&mut out, segment.payload, policy);
            }
            0xE2 if segment.payload.starts_with(ICC) => out.extend_from_slice(segment.raw),
            0xEE if segment.payload.starts_with(b"Adobe") => out.extend_from_slice(segment.raw),
            0xE0..=0xEF | COM | 0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                out.extend_from_slice(segment.raw);
                out.extend_from_slice(segment.entropy);
            }
        }
    }
    debug_assert!(out.ends_with(&[0xFF, EOI]));
    Ok(out)
}

/// JFIF's own segment, less the thumbnail it may carry; nothing for its extension, which is one.
fn without_thumbnail(segment: &Segment<'_>) -> Vec<u8> {
    let Some(fields) = segment.payload.get(..12).filter(|fields| fields.starts_with(b"JFIF\0")) else {
        return Vec::new();
    };
    [&[0xFF, 0xE0, 0, 16], fields, &[0, 0]].concat()
}

fn write_exif(out: &mut Vec<u8>, payload: &[u8], policy: MetadataPolicy) {
    let Some(kept) = exif::strip(payload, policy) else {
        return;
    };
    let length = kept.len() + EXIF.len() + 2;
    out.extend_from_slice(&[0xFF, 0xE1, (length >> 8) as u8, length as u8]);
    out.extend_from_slice(EXIF);
    out.extend_from_slice(&kept);
}
