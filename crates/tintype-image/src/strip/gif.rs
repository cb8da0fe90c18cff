//! GIF: comments, captions and applications' own blocks are dropped, but for the loop count and the profile; so are
//! colours that no pixel has.

use std::borrow::Cow;

use super::coded::lzw::{self, Order};
use super::copy::Copy;
use super::palette::Used;
use super::profile;
use crate::container::gif::{
    APPLICATION, Block, CAPTION, GRAPHIC_CONTROL, ImageBlock, LOOPS, PROFILE, parse, sub_blocks,
};
use crate::error::Error;

const TRAILER: u8 = 0x3B;
/// Bytes before the table of colours: of the file, where one is the background's index, and of an image.
const SCREEN: usize = 13;
const BACKGROUND: usize = 11;
const DESCRIPTOR: usize = 10;
/// Bytes of a colour.
const COLOR: usize = 3;

pub(super) fn strip(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let file = parse(bytes)?;
    let mut out = Copy::of(bytes);
    let mut images = Vec::new();
    let mut used = Used::default();
    used.note(file.head[BACKGROUND]);
    for block in &file.blocks {
        if let Block::Image(image) = block {
            images.push(kept_image(image, &mut used));
        }
    }
    let (screen, table) = file.head.split_at(SCREEN);
    out.push(screen);
    out.push(&used.emptied(table, COLOR));
    let mut images = images.into_iter();
    // A control belongs to the next image or caption, and goes where that goes.
    let mut control = Vec::new();
    let mut seen_profile = false;
    for block in &file.blocks {
        match block {
            Block::Image(_) => {
                out.push(&control);
                images.next().into_iter().flatten().for_each(|part| out.push(&part));
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
            Block::Extension { label: CAPTION, .. } => control.clear(),
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
        Some(name) if LOOPS.contains(&name) => match parts.find(|part| part.len() == 3 && part[0] == 1) {
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

/// An image up to its last pixel, in parts: what its data holds beyond that is read by no decoder. Its colours are noted,
/// where they are those of the whole file.
fn kept_image<'a>(image: &ImageBlock<'a>, of_file: &mut Used) -> Vec<Cow<'a, [u8]>> {
    let mut own = Used::default();
    let has_table = image.data_at > DESCRIPTOR;
    let used = if has_table { &mut own } else { of_file };
    // Pixels that are missing have the first colour, as some decoders show them.
    used.note(0);
    let pixels = usize::from(image.width) * usize::from(image.height);
    let (head, data) = image.raw.split_at(image.data_at.min(image.raw.len()));
    let Some(data) = kept_data(data, pixels, used) else {
        // It gives fewer pixels than there are: all of it is read.
        *used = Used::all();
        return vec![Cow::Borrowed(image.raw)];
    };
    let (descriptor, table) = head.split_at(DESCRIPTOR);
    let table = if has_table { Cow::Owned(own.emptied(table, COLOR)) } else { Cow::Borrowed(table) };
    vec![Cow::Borrowed(descriptor), table, data]
}

/// The data of so many pixels, less what follows them; `None` where it is too little. Notes their colours.
fn kept_data<'a>(data: &'a [u8], pixels: usize, used: &mut Used) -> Option<Cow<'a, [u8]>> {
    let (&sample_bits, runs) = data.split_first()?;
    let codes: Vec<u8> = sub_blocks(runs).flatten().copied().collect();
    let note = |index| u8::try_from(index).into_iter().for_each(|index| used.note(index));
    let end = lzw::end(&codes, Order::LowFirst, sample_bits.into(), pixels, note)?;
    if end.is_marked && end.bytes() == codes.len() {
        return Some(Cow::Borrowed(data));
    }
    let mut out = vec![sample_bits];
    write_sub_blocks(&mut out, &lzw::ended(&codes, sample_bits.into(), end));
    Some(Cow::Owned(out))
}
