//! GIF: header, then blocks up to the trailer (GIF89a, appendix A).

use super::le16;
use crate::error::Error;

/// The label of an application's own block.
pub(crate) const APPLICATION: u8 = 0xFF;

/// One block.
pub(crate) enum Block<'a> {
    Image(ImageBlock<'a>),
    /// An extension, by its label.
    Extension {
        label: u8,
        raw: &'a [u8],
        data: &'a [u8],
    },
}

/// An image descriptor with its table and data.
pub(crate) struct ImageBlock<'a> {
    pub(crate) left: u16,
    pub(crate) top: u16,
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) raw: &'a [u8],
    /// Where in it the data begins: descriptor and colour table lie before.
    pub(crate) data_at: usize,
}

/// The file, cut up.
pub(crate) struct Gif<'a> {
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Signature, screen descriptor and global colour table.
    pub(crate) head: &'a [u8],
    pub(crate) blocks: Vec<Block<'a>>,
}

/// Cuts the file up to its trailer. A file without one is cut short.
pub(crate) fn parse(bytes: &[u8]) -> Result<Gif<'_>, Error> {
    let screen = bytes.get(..13).ok_or_else(cut)?;
    let head = bytes.get(..13 + table_length(screen[10])).ok_or_else(cut)?;
    let mut blocks = Vec::new();
    let mut at = head.len();
    loop {
        let start = at;
        match *bytes.get(at).ok_or_else(cut)? {
            0x3B => break,
            0x21 => {
                let label = *bytes.get(at + 1).ok_or_else(cut)?;
                at = skip_sub_blocks(bytes, at + 2)?;
                let raw = &bytes[start..at];
                blocks.push(Block::Extension { label, raw, data: &raw[2..] });
            }
            0x2C => {
                let descriptor = bytes.get(at..at + 10).ok_or_else(cut)?;
                at = skip_sub_blocks(bytes, at + 11 + table_length(descriptor[9]))?;
                blocks.push(Block::Image(image_block(descriptor, &bytes[start..at])));
            }
            // Padding between blocks: seen in the wild, skipped by every decoder.
            0x00 => at += 1,
            other => {
                return Err(Error::corrupt(format!("a GIF block begins with {other:#04x}, which means nothing")));
            }
        }
    }
    let side = |at| le16(screen, at).unwrap_or(0);
    Ok(Gif { width: side(6), height: side(8), head, blocks })
}

fn image_block<'a>(descriptor: &[u8], raw: &'a [u8]) -> ImageBlock<'a> {
    let field = |at| le16(descriptor, at).unwrap_or(0);
    let data_at = descriptor.len() + table_length(descriptor[9]);
    ImageBlock { left: field(1), top: field(3), width: field(5), height: field(7), raw, data_at }
}

fn cut() -> Error {
    Error::corrupt("the GIF ends early")
}

fn table_length(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The data of a block, one run of at most 255 bytes after the other.
pub(crate) fn sub_blocks(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = data.split_first().filter(|(length, _)| **length > 0)?;
        let (block, rest) = rest.split_at_checked(length.into())?;
        data = rest;
        Some(block)
    })
}

/// The colour profile, which has an application block of its own.
pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    parse(bytes).ok()?.blocks.iter().find_map(|block| match block {
        Block::Extension { label: APPLICATION, data, .. } => {
            let mut parts = sub_blocks(data);
            parts.next().filter(|name| name == b"ICCRGBG1012").map(|_| parts.flatten().copied().collect())
        }
        _ => None,
    })
}

/// The offset after the empty sub-block that ends a run of them.
fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> Result<usize, Error> {
    loop {
        let length = usize::from(*bytes.get(at).ok_or_else(cut)?);
        at += 1 + length;
        if length == 0 {
            return Ok(at);
        }
    }
}
