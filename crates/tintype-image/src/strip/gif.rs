//! GIF: comments, captions and applications' own blocks are dropped, but for the loop count and the profile.

use std::borrow::Cow;

use super::coded::lzw::{self, Order};
use super::copy::Copy;
use super::profile;
use crate::container::gif::{APPLICATION, Block, ImageBlock, parse, sub_blocks};
use crate::error::Error;

const GRAPHIC_CONTROL: u8 = 0xF9;
const TRAILER: u8 = 0x3B;
const PROFILE: &[u8] = b"ICCRGBG1012";

pub(super) fn strip(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let file = parse(bytes)?;
    let mut out = Copy::of(bytes);
    out.push(file.head);
    // A control belongs to the next image or caption, and goes where that goes.
    let mut control = Vec::new();
    let mut seen_profile = false;
    for block in &file.blocks {
        match block {
            Block::Image(image) => {
                out.push(&control);
                out.push(&kept_image(image));
                control.clear();
            }
            Block::Extension { label: GRAPHIC_CONTROL, data, .. } => control = kept_control(data),
            Block::Extension { label: APPLICATION, raw, data } if sub_blocks(data).next() == Some(PROFILE) => {
                if !seen_profile {
                    out.push(&kept_profile(raw, data));
                }
                // Decoders look at the first alone.
                seen_profile = true;
            }
            Block::Extension { label: APPLICATION, data, .. } => out.push(&kept_loops(data)),
            Block::Extension { label: 0x01, .. } => control.clear(),
            Block::Extension { .. } => {}
        }
    }
    // A file without one stays without.
    if file.damage.is_none() {
        out.push(&[TRAILER]);
    }
    Ok(out.finish())
}

/// Data in runs of at most 255 bytes, and the empty one that ends them.
fn write_sub_blocks(out: &mut Vec<u8>, data: &[u8]) {
    for run in data.chunks(255) {
        out.push(run.len() as u8);
        out.extend_from_slice(run);
    }
    out.push(0);
}

/// Delay, disposal and transparency, in four bytes.
fn kept_control(data: &[u8]) -> Vec<u8> {
    match sub_blocks(data).next().and_then(<[u8]>::first_chunk::<4>) {
        Some(fields) => [&[0x21, GRAPHIC_CONTROL, 4], &fields[..], &[0]].concat(),
        None => Vec::new(),
    }
}

/// How often the animation plays; nothing of any other application.
fn kept_loops(data: &[u8]) -> Vec<u8> {
    let mut parts = sub_blocks(data);
    match parts.next() {
        Some(name @ (b"NETSCAPE2.0" | b"ANIMEXTS1.0")) => match parts.find(|part| part.len() == 3 && part[0] == 1) {
            Some(plays) => [&[0x21, APPLICATION, 11], name, &[3], plays, &[0]].concat(),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn kept_profile<'a>(raw: &'a [u8], data: &[u8]) -> Cow<'a, [u8]> {
    let whole: Vec<u8> = sub_blocks(data).skip(1).flatten().copied().collect();
    match profile::of(&whole) {
        None => Cow::Borrowed(&[]),
        Some(profile) if profile.len() == whole.len() => Cow::Borrowed(raw),
        Some(profile) => {
            let mut out = [&[0x21, APPLICATION, 11], PROFILE].concat();
            write_sub_blocks(&mut out, profile);
            Cow::Owned(out)
        }
    }
}

/// An image up to its last pixel: what its data holds beyond that is read by no decoder.
fn kept_image<'a>(image: &ImageBlock<'a>) -> Cow<'a, [u8]> {
    let as_it_is = Cow::Borrowed(image.raw);
    let Some((head, data)) = image.raw.split_at_checked(image.data_at) else { return as_it_is };
    let Some((&sample_bits, data)) = data.split_first() else { return as_it_is };
    let pixels = usize::from(image.width) * usize::from(image.height);
    let codes: Vec<u8> = sub_blocks(data).flatten().copied().collect();
    match lzw::end(&codes, Order::LowFirst, sample_bits.into(), pixels) {
        Some(end) if end.is_marked && end.bytes() == codes.len() => as_it_is,
        Some(end) => {
            let mut out = [head, &[sample_bits]].concat();
            write_sub_blocks(&mut out, &lzw::ended(&codes, sample_bits.into(), end));
            Cow::Owned(out)
        }
        // It gives fewer pixels than there are: all of it is read.
        None => as_it_is,
    }
}
