//! GIF: header, then blocks up to the trailer (GIF89a, appendix A).

use super::le16;
use crate::error::Error;

/// The label of an application's own block.
pub(crate) const APPLICATION: u8 = 0xFF;
/// That of what is said of the next image, and that of a caption.
pub(crate) const GRAPHIC_CONTROL: u8 = 0xF9;
pub(crate) const CAPTION: u8 = 0x01;
/// Names of applications' blocks: the profile's, and those of how often an animation plays.
pub(crate) const PROFILE: &[u8] = b"ICCRGBG1012";
pub(crate) const LOOPS: [&[u8]; 2] = [b"NETSCAPE2.0", b"ANIMEXTS1.0"];

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

impl Block<'_> {
    /// Of comments, which may be three bytes each, and of unknown blocks nobody needs to know.
    fn says_something(&self) -> bool {
        match self {
            Self::Image(_) => true,
            Self::Extension { label: APPLICATION, data, .. } => {
                sub_blocks(data).next().is_some_and(|name| [PROFILE, LOOPS[0], LOOPS[1]].contains(&name))
            }
            Self::Extension { label, .. } => matches!(*label, GRAPHIC_CONTROL | CAPTION),
        }
    }

    fn is_control(&self) -> bool {
        matches!(self, Self::Extension { label: GRAPHIC_CONTROL, .. })
    }
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
    /// Of the canvas.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Signature, screen descriptor and global colour table.
    pub(crate) head: &'a [u8],
    /// Those that say something of the pixels, and how they are shown.
    pub(crate) blocks: Vec<Block<'a>>,
    /// Why it ends before its trailer; none where it does not.
    pub(crate) damage: Option<&'static str>,
}

/// Cuts the file up to its trailer. Of a file without one, what is there: an image last may be a part of one.
pub(crate) fn parse(bytes: &[u8]) -> Result<Gif<'_>, Error> {
    let screen = bytes.get(..13).ok_or_else(cut)?;
    let head = bytes.get(..13 + table_length(screen[10])).ok_or_else(cut)?;
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut at = head.len();
    let damage = loop {
        match read_block(bytes, at) {
            Ok((end, block)) => {
                at = end;
                let Some(block) = block.filter(Block::says_something) else { continue };
                // Of two controls the second counts.
                blocks.pop_if(|last| last.is_control() && block.is_control());
                blocks.push(block);
            }
            Err(End::Trailer) => break None,
            Err(End::Cut(image)) => {
                let missing = at >= bytes.len();
                blocks.extend(image.map(Block::Image));
                break Some(if missing { "the GIF's trailer is missing" } else { "the GIF ends early" });
            }
            Err(End::Unknown) => break Some("a block of the GIF is of no known kind"),
        }
    };
    let (width, height) = canvas(screen, &blocks);
    Ok(Gif { width, height, head, blocks, damage })
}

/// The screen's size, or as far as the first image reaches where that is farther: some encoders leave the screen too small, or
/// zero. Browsers enlarge it for that image alone, and clip later ones.
fn canvas(screen: &[u8], blocks: &[Block<'_>]) -> (u32, u32) {
    let side = |at| le16(screen, at).map_or(0, u32::from);
    let first = blocks.iter().find_map(|block| match block {
        Block::Image(image) => Some(image),
        Block::Extension { .. } => None,
    });
    let reach = |start: u16, length: u16| u32::from(start) + u32::from(length);
    let (right, bottom) =
        first.map_or((0, 0), |image| (reach(image.left, image.width), reach(image.top, image.height)));
    (side(6).max(right), side(8).max(bottom))
}

/// What ends a file.
enum End<'a> {
    Trailer,
    /// The bytes do, perhaps in an image.
    Cut(Option<ImageBlock<'a>>),
    /// What browsers end at, too.
    Unknown,
}

/// The block at an offset, if it is one to keep, and where the next one begins.
fn read_block(bytes: &[u8], start: usize) -> Result<(usize, Option<Block<'_>>), End<'_>> {
    match *bytes.get(start).ok_or(End::Cut(None))? {
        0x3B => Err(End::Trailer),
        0x21 => {
            let label = *bytes.get(start + 1).ok_or(End::Cut(None))?;
            let end = skip_sub_blocks(bytes, start + 2).ok_or(End::Cut(None))?;
            let raw = &bytes[start..end];
            Ok((end, Some(Block::Extension { label, raw, data: &raw[2..] })))
        }
        0x2C => {
            let descriptor = bytes.get(start..start + 10).ok_or(End::Cut(None))?;
            let data = start + 11 + table_length(descriptor[9]);
            match skip_sub_blocks(bytes, data) {
                Some(end) => Ok((end, Some(Block::Image(image_block(descriptor, &bytes[start..end]))))),
                // Of an image whose first byte is missing there is nothing to show.
                None if data + 1 >= bytes.len() => Err(End::Cut(None)),
                None => Err(End::Cut(Some(image_block(descriptor, &bytes[start..])))),
            }
        }
        // Padding between blocks: seen in the wild, skipped by every decoder.
        0x00 => Ok((start + 1, None)),
        _ => Err(End::Unknown),
    }
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

/// The data of a block, one run of at most 255 bytes after the other; of a run that is cut, what is there.
pub(crate) fn sub_blocks(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&length, rest) = data.split_first().filter(|(length, _)| **length > 0)?;
        let (block, rest) = rest.split_at(usize::from(length).min(rest.len()));
        data = rest;
        Some(block).filter(|block| !block.is_empty())
    })
}

/// The colour profile, which has an application block of its own.
pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    parse(bytes).ok()?.blocks.iter().find_map(|block| match block {
        Block::Extension { label: APPLICATION, data, .. } => {
            let mut parts = sub_blocks(data);
            parts.next().filter(|name| *name == PROFILE).map(|_| parts.flatten().copied().collect())
        }
        _ => None,
    })
}

/// The offset after the empty sub-block that ends a run of them; `None` where the bytes end before.
fn skip_sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_say_nothing_take_no_place() {
        let image = [&[0x2C][..], &[0; 4], &[1, 0, 1, 0, 0], &[2, 2, 0x44, 1, 0]].concat();
        let control = [0x21, GRAPHIC_CONTROL, 4, 1, 0, 0, 0, 0];
        let nothing = [[0x21, 0xFE, 0], [0x21, APPLICATION, 0], [0x21, 0x77, 0]].concat().repeat(1000);
        let head = [&b"GIF89a\x01\0\x01\0"[..], &[0; 3]].concat();
        let file = [&head[..], &nothing, &control.repeat(1000), &nothing, &image, &nothing, &[0x3B]].concat();
        let parsed = parse(&file).expect("a GIF");
        assert!(matches!(&parsed.blocks[..], [Block::Extension { label: GRAPHIC_CONTROL, .. }, Block::Image(_)]));
        assert_eq!(parsed.damage, None);
    }
}
