//! GIF: comments, captions and applications' own blocks are dropped, but for the loop count.

use crate::container::gif::{Block, parse};
use crate::error::Error;

const GRAPHIC_CONTROL: u8 = 0xF9;
const APPLICATION: u8 = 0xFF;
const TRAILER: u8 = 0x3B;

pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let file = parse(bytes)?;
    let mut out = file.head.to_vec();
    // A control belongs to the next image or caption, and goes where that goes.
    let mut control: &[u8] = &[];
    for block in &file.blocks {
        match block {
            Block::Image(image) => {
                out.extend_from_slice(control);
                out.extend_from_slice(image.raw);
                control = &[];
            }
            Block::Extension { label: GRAPHIC_CONTROL, raw, .. } => control = raw,
            Block::Extension { label: APPLICATION, raw, data } if is_kept(data) => out.extend_from_slice(raw),
            Block::Extension { label: 0x01, .. } => control = &[],
            Block::Extension { .. } => {}
        }
    }
    out.push(TRAILER);
    Ok(out)
}

fn is_kept(data: &[u8]) -> bool {
    let name = data.get(1..12);
    [b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"].into_iter().any(|kept| name == Some(kept))
}
