//! GIF: comments, captions and applications' own blocks are dropped, but for the loop count.

use std::borrow::Cow;

use super::copy::Copy;
use crate::container::gif::{APPLICATION, Block, parse, sub_blocks};
use crate::error::Error;

const GRAPHIC_CONTROL: u8 = 0xF9;
const TRAILER: u8 = 0x3B;

pub(super) fn strip(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let file = parse(bytes)?;
    let mut out = Copy::of(bytes);
    out.push(file.head);
    // A control belongs to the next image or caption, and goes where that goes.
    let mut control: &[u8] = &[];
    for block in &file.blocks {
        match block {
            Block::Image(image) => {
                out.push(control);
                out.push(image.raw);
                control = &[];
            }
            Block::Extension { label: GRAPHIC_CONTROL, raw, .. } => control = raw,
            Block::Extension { label: APPLICATION, raw, data } => out.push(&kept_application(raw, data)),
            Block::Extension { label: 0x01, .. } => control = &[],
            Block::Extension { .. } => {}
        }
    }
    out.push(&[TRAILER]);
    Ok(out.finish())
}

/// The colour profile, or how often the animation plays; nothing of any other.
fn kept_application(raw: &[u8], data: &[u8]) -> Vec<u8> {
    let mut parts = sub_blocks(data);
    match parts.next() {
        Some(b"ICCRGBG1012") => raw.to_vec(),
        Some(name @ (b"NETSCAPE2.0" | b"ANIMEXTS1.0")) => match parts.find(|part| part.len() == 3 && part[0] == 1) {
            Some(plays) => [&[0x21, APPLICATION, 11], name, &[3], plays, &[0]].concat(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}
