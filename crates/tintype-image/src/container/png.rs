//! PNG: chunks (third edition, section 5).

use super::be32;

/// One chunk.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
    /// Length, type and checksum included.
    pub(crate) raw: &'a [u8],
}

impl Chunk<'_> {
    /// Whether the file ends in it.
    pub(crate) fn is_cut(&self) -> bool {
        be32(self.raw, 0).is_none_or(|length| self.raw.len() < 12 + length as usize)
    }
}

/// The chunks of a file.
pub(crate) struct Png<'a> {
    /// Up to IEND. Of a file that is cut, the last one may be a part of the image's data.
    pub(crate) chunks: Vec<Chunk<'a>>,
    /// Whether the last one is IEND.
    pub(crate) ends: bool,
}

/// Every chunk up to IEND, or to where the file is cut.
pub(crate) fn chunks(bytes: &[u8]) -> Png<'_> {
    let mut chunks = Vec::new();
    let mut at = 8;
    while let Some(length) = be32(bytes, at) {
        let raw = match bytes.get(at..at + 12 + length as usize) {
            Some(raw) => raw,
            // What is there of it.
            None => match bytes.get(at..) {
                Some(raw @ [_, _, _, _, b'I' | b'f', b'D' | b'd', b'A', b'T', ..]) => {
                    let data = &raw[8..raw.len().min(8 + length as usize)];
                    chunks.push(Chunk { kind: [raw[4], raw[5], raw[6], raw[7]], data, raw });
                    break;
                }
                _ => break,
            },
        };
        let kind = [raw[4], raw[5], raw[6], raw[7]];
        chunks.push(Chunk { kind, data: &raw[8..8 + length as usize], raw });
        if kind == *b"IEND" {
            return Png { chunks, ends: true };
        }
        at += raw.len();
    }
    Png { chunks, ends: false }
}

/// Writes a chunk with its checksum.
pub(crate) fn write_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(data);
    let mut crc = flate2::Crc::new();
    crc.update(&out[start..]);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}
