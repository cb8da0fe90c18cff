//! WebP: RIFF chunks (RFC 9649).

use super::{le24, le32};
use crate::error::Error;

/// One chunk.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
}

/// Bits of the first byte of VP8X.
pub(crate) const PROFILE: u8 = 0x20;
pub(crate) const ALPHA: u8 = 0x10;
pub(crate) const EXIF: u8 = 0x08;
pub(crate) const XMP: u8 = 0x04;
pub(crate) const ANIMATION: u8 = 0x02;

/// The chunks of a file.
pub(crate) struct WebP<'a> {
    /// Those that are whole.
    pub(crate) chunks: Vec<Chunk<'a>>,
    /// The one that the file ends in, as far as it goes.
    pub(crate) cut: Option<Chunk<'a>>,
    /// How long that one says it is.
    pub(crate) told: u32,
    /// Whether the file is as long as it says.
    pub(crate) ends: bool,
}

/// The chunks of the file, or what is there of them. Bytes after the RIFF size are not the image's.
pub(crate) fn chunks(bytes: &[u8]) -> Result<WebP<'_>, Error> {
    let end = (8 + le32(bytes, 4).ok_or_else(cut)? as usize).max(12);
    let mut body = bytes.get(12..end.min(bytes.len())).ok_or_else(cut)?;
    let mut out = WebP { chunks: Vec::new(), cut: None, told: 0, ends: end <= bytes.len() };
    while body.len() >= 8 {
        let kind = [body[0], body[1], body[2], body[3]];
        let size = le32(body, 4).ok_or_else(cut)? as usize;
        match body.get(8..8 + size) {
            Some(data) => out.chunks.push(Chunk { kind, data }),
            None => {
                out.cut = Some(Chunk { kind, data: &body[8..] });
                out.told = size as u32;
                out.ends = false;
                return Ok(out);
            }
        }
        body = body.get(8 + size + (size & 1)..).unwrap_or(&[]);
    }
    Ok(out)
}

/// The chunks of an ANMF chunk after its 16 bytes of header.
pub(crate) fn sub_chunks(mut body: &[u8]) -> Result<Vec<Chunk<'_>>, Error> {
    let mut out = Vec::new();
    while body.len() >= 8 {
        let kind = [body[0], body[1], body[2], body[3]];
        let size = le32(body, 4).ok_or_else(cut)? as usize;
        let data = body.get(8..8 + size).ok_or_else(cut)?;
        out.push(Chunk { kind, data });
        body = body.get(8 + size + (size & 1)..).unwrap_or(&[]);
    }
    Ok(out)
}

fn cut() -> Error {
    Error::corrupt("the WebP ends early")
}

/// Width and height that a VP8 or VP8L bitstream says it has.
pub(crate) fn bitstream_size(chunk: &Chunk<'_>) -> Option<(u32, u32)> {
    if chunk.kind == *b"VP8L" {
        let bits = le32(chunk.data, 1)?;
        return Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1));
    }
    let bits = le32(chunk.data, 6)?;
    Some((bits & 0x3FFF, (bits >> 16) & 0x3FFF))
}

/// Whether a VP8L bitstream says its alpha is used.
pub(crate) fn lossless_has_alpha(chunk: &Chunk<'_>) -> bool {
    chunk.kind == *b"VP8L" && chunk.data.get(4).is_some_and(|b| b & 0x10 != 0)
}

/// Canvas size of a VP8X chunk, or the place and size of an ANMF one, by where the first field lies.
pub(crate) fn size_at(data: &[u8], at: usize) -> Option<(u32, u32)> {
    Some((le24(data, at)? + 1, le24(data, at + 3)? + 1))
}

/// The flags that are true: those of VP8X, less what they announce and is not there. Programs that strip
/// files forget to clear them.
pub(crate) fn true_flags(chunks: &[Chunk<'_>]) -> u8 {
    let announced = match chunks.first() {
        Some(first) if first.kind == *b"VP8X" => first.data.first().copied().unwrap_or(0),
        _ => return 0,
    };
    let holds = |kinds: &[&[u8; 4]]| chunks.iter().any(|chunk| kinds.contains(&&chunk.kind));
    let absent = |flag, kinds: &[&[u8; 4]]| if holds(kinds) { 0 } else { flag };
    announced & !(absent(EXIF, &[b"EXIF"]) | absent(XMP, &[b"XMP "]) | absent(ALPHA, &[b"ALPH", b"VP8L", b"ANMF"]))
}

/// Writes a chunk, padded to an even length.
pub(crate) fn write_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    out.extend_from_slice(&kind);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

/// Writes a chunk of which only the beginning is there; gives how much is not.
pub(crate) fn write_cut_chunk(out: &mut Vec<u8>, chunk: &Chunk<'_>, told: u32) -> u32 {
    out.extend_from_slice(&chunk.kind);
    out.extend_from_slice(&told.to_le_bytes());
    out.extend_from_slice(chunk.data);
    (told - chunk.data.len() as u32).saturating_add(told & 1)
}

/// A file of chunks.
pub(crate) fn wrap_all(chunks: &[Chunk<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    chunks.iter().for_each(|chunk| write_chunk(&mut body, chunk.kind, chunk.data));
    wrap(&body)
}

/// Puts the RIFF header before a body of chunks.
pub(crate) fn wrap(body: &[u8]) -> Vec<u8> {
    wrap_cut(body, 0)
}

/// Puts the RIFF header before a body of which so many bytes are missing: decoders want it to say how long it should be.
pub(crate) fn wrap_cut(body: &[u8], missing: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 12);
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(body.len() as u32 + 4).saturating_add(missing).to_le_bytes());
    out.extend_from_slice(b"WEBP");
    out.extend_from_slice(body);
    out
}
