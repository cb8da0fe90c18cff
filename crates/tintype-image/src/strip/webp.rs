//! WebP: chunks are dropped, and the flags that announce them.

use super::exif;
use crate::container::webp::{self, Chunk, write_chunk};
use crate::error::Error;
use crate::spec::MetadataPolicy;

pub(super) fn strip(bytes: &[u8], policy: MetadataPolicy) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(bytes.len());
    let mut seen_exif = false;
    let file = webp::chunks(bytes)?;
    for chunk in &file.chunks {
        match &chunk.kind {
            b"VP8 " | b"VP8L" | b"VP8X" | b"ALPH" | b"ANIM" | b"ICCP" => write_chunk(&mut body, chunk.kind, chunk.data),
            b"ANMF" => write_chunk(&mut body, chunk.kind, &frame_without_extras(chunk)?),
            b"EXIF" if !seen_exif => {
                if let Some(kept) = exif::strip(chunk.data, policy) {
                    seen_exif = true;
                    write_chunk(&mut body, chunk.kind, &kept);
                }
            }
            _ => {}
        }
    }
    // A picture that is cut stays so.
    if let Some(cut) = file.cut.filter(|cut| matches!(&cut.kind, b"VP8 " | b"VP8L")) {
        body.extend_from_slice(&cut.kind);
        body.extend_from_slice(&file.told.to_le_bytes());
        body.extend_from_slice(cut.data);
    }
    // VP8X, where there is one, comes first: its flags are after the chunk's header.
    if body.starts_with(b"VP8X") && body.len() > 8 {
        body[8] &= !(webp::EXIF | webp::XMP);
        body[8] |= if seen_exif { webp::EXIF } else { 0 };
    }
    Ok(webp::wrap(&body))
}

/// Frames may carry unknown chunks too.
fn frame_without_extras(frame: &Chunk<'_>) -> Result<Vec<u8>, Error> {
    let (head, body) = frame.data.split_at_checked(16).ok_or_else(|| Error::corrupt("a WebP frame has no header"))?;
    let mut out = head.to_vec();
    for chunk in webp::sub_chunks(body)? {
        if matches!(&chunk.kind, b"VP8 " | b"VP8L" | b"ALPH") {
            write_chunk(&mut out, chunk.kind, chunk.data);
        }
    }
    Ok(out)
}
