//! PNG: chunks (third edition, section 5).

use super::be32;
use crate::error::Error;

/// One chunk.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
    /// Length, type and checksum included.
    pub(crate) raw: &'a [u8],
}

/// Every chunk up to IEND. A file without one is cut short.
pub(crate) fn chunks(bytes: &[u8]) -> Result<Vec<Chunk<'_>>, Error> {
    let cut = || Error::corrupt("the PNG ends early");
    let mut out = Vec::new();
    let mut at = 8;
    loop {
        let length = be32(bytes, at).ok_or_else(cut)? as usize;
        let raw = bytes.get(at..at + 12 + length).ok_or_else(cut)?;
        let kind = [raw[4], raw[5], raw[6], raw[7]];
        out.push(Chunk { kind, data: &raw[8..8 + length], raw });
        if kind == *b"IEND" {
            return Ok(out);
        }
        at += raw.len();
    }
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
