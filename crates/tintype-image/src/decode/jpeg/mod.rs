//! JPEG in: reduced planes, without ever making the whole picture.
//!
//! What nearly every camera writes, one sequential Huffman-coded scan, is decoded here, MCU by MCU.
//! Libjpeg reads the coefficients of what is progressive, or in several scans; from there the way is the same. It
//! reads those of a damaged file, too, for it goes on where it can, and browsers show what it makes of it: those of one
//! scan row by row, so that damage takes no more memory than was told from the headers.

mod bits;
mod canvas;
mod damage;
mod frame;
mod huffman;
pub(crate) mod pattern;
mod scan;
mod whole;

use std::iter;
use std::ops::Range;

use crate::damage::Damage;
use crate::error::{Error, ErrorCode};
use crate::jpeg_codec::{Losses, Scans};
use crate::limits::Limits;
use crate::planes::{Color, Planes};
use canvas::Canvas;
use frame::{Frame, Scan};
use pattern::SIDE;

/// A decoded JPEG.
pub(crate) struct Decoded {
    /// As they were stored: what no screen can show is not clipped, and blocks reach beyond the picture.
    pub(crate) planes: Planes,
    /// The embedded colour profile.
    pub(crate) icc: Option<Vec<u8>>,
    /// What is missing.
    pub(crate) damage: Option<Damage>,
    /// What of the file, from its first scan on, no pixel needs.
    pub(crate) spare: Vec<Range<usize>>,
}

/// Samples for the eight along each side of a block that there is code for.
pub(crate) const PER_SIDE: [usize; 6] = [1, 2, 3, 4, 6, 8];

/// Decodes with `per_side` samples for the eight along each side of a block: one of [`PER_SIDE`].
pub(crate) fn decode(bytes: &[u8], per_side: usize, limits: &Limits) -> Result<Decoded, Error> {
    let mut frame = frame::read(bytes)?;
    damage::check_length(&frame, limits)?;
    let mut canvases = canvases(&frame, per_side);
    let read = frame.scan.take().map(|scan| read_scan(&frame, &scan, &mut canvases, per_side, limits));
    let mut spare = Vec::new();
    let damage = match read {
        Some(Ok(rest)) => {
            spare = spare_of_scan(&frame, &rest);
            damage::beside_the_rows(&frame, rest.is_much)
        }
        Some(Err(error)) if error.code != ErrorCode::Corrupt => return Err(error),
        broken => {
            let scans = if broken.is_some() { Scans::First } else { Scans::All };
            if broken.is_some() {
                // What was read goes first: there is room for one picture.
                canvases.clear();
                canvases = self::canvases(&frame, per_side);
            }
            let losses = read_whole(&bytes[..frame.length], scans, &mut canvases, per_side, limits)?;
            let damage = damage::of(&frame, &losses);
            if damage.is_none() {
                spare = spare_of_scans(&frame, &losses.ends);
            }
            damage
        }
    };
    let mut planes = Vec::new();
    let mut means = Vec::new();
    let mut roughness = Vec::new();
    for (component, canvas) in frame.components.iter().zip(canvases) {
        let (widest, tallest) = frame.most();
        let scale = (f64::from(widest) / f64::from(component.across), f64::from(tallest) / f64::from(component.down));
        let (plane, mean, rough) = canvas.finish((frame.width, frame.height), scale);
        if planes.is_empty() {
            roughness = rough;
        }
        planes.push(plane);
        means.push(mean);
    }
    let planes = Planes { width: frame.width, height: frame.height, color: frame.color, planes, means, roughness };
    Ok(Decoded { planes, icc: frame.icc, damage, spare })
}

/// What of a lone JPEG, as those in a TIFF are, no pixel needs: found by decoding no more of it than the means.
pub(crate) fn spare(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(mut frame) = frame::read(bytes) else { return Vec::new() };
    let mut canvases = canvases(&frame, 1);
    let scan = frame.scan.take();
    let rest = scan.and_then(|scan| read_scan(&frame, &scan, &mut canvases, 1, &Limits::default()).ok());
    rest.map(|rest| spare_of_scan(&frame, &rest)).unwrap_or_default()
}

/// What no pixel needs of a file whose one scan holds all of them: stretches of its image data, and what follows that.
fn spare_of_scan(frame: &Frame<'_>, rest: &scan::Rest) -> Vec<Range<usize>> {
    let Some(start) = frame.entropy.first().map(|entropy| entropy.start) else { return Vec::new() };
    let spare = rest.spare.iter().map(|range| start + range.start..start + range.end);
    let end = frame.length - if frame.ends { END_MARKER } else { 0 };
    spare.chain(iter::once(start + rest.read..end)).filter(|range| !range.is_empty()).collect()
}

/// Bytes of the marker that ends a file.
const END_MARKER: usize = 2;

/// What no pixel needs of many scans, by where libjpeg was when it had read each: it reads a few bytes ahead.
fn spare_of_scans(frame: &Frame<'_>, ends: &[usize]) -> Vec<Range<usize>> {
    let scans = frame.entropy.iter().zip(ends);
    scans.filter(|(entropy, end)| entropy.contains(end)).map(|(entropy, &end)| end..entropy.end).collect()
}

/// Whether every sample is there of a picture whose colours are stored apart. What does not leave as a JPEG, which
/// would store them so again, is then made of pixels as decoders show them.
pub(crate) fn is_whole(per_side: usize, color: Color) -> bool {
    per_side == SIDE && color == Color::YCbCr
}

/// Bytes that decoding takes, told from the headers; and what pixels as decoders show them take, if any variant is
/// made of those. Refuses what is too short for its size.
pub(crate) fn footprint(bytes: &[u8], per_side: usize, by_pixels: bool, limits: &Limits) -> Result<u64, Error> {
    /// A coefficient is of two bytes, in libjpeg's arrays.
    const WHOLE_BLOCK: u64 = 2 * 64;
    let frame = frame::read(bytes)?;
    damage::check_length(&frame, limits)?;
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let blocks = |component: &frame::Component| {
        let (widest, tallest) = frame.most();
        pixels * u64::from(component.across * component.down) / u64::from(widest * tallest) / 64 + 1
    };
    let blocks: u64 = frame.components.iter().map(blocks).sum();
    // Samples; and a mean as read, turned, blurred along its row and written.
    let planes = blocks * (per_side * per_side) as u64 + blocks * 4 * 4;
    // One scan is read row by row, by libjpeg too, which is asked once it turns out to be damaged.
    let whole = if frame.scan.is_none() { blocks * WHOLE_BLOCK } else { row_of_blocks(&frame) * WHOLE_BLOCK };
    let merged = match frame.color {
        Color::Gray => 0,
        // Planes of full size, and the pixels; or those, in another colour space.
        Color::YCbCr if by_pixels && is_whole(per_side, frame.color) => pixels * 3 * 2,
        Color::YCbCr => 0,
        Color::Rgb | Color::Cmyk | Color::Ycck => pixels * 4 * 3,
    };
    Ok(planes + whole + merged)
}

/// Blocks of one row of MCUs.
fn row_of_blocks(frame: &Frame<'_>) -> u64 {
    let mcu: u32 = frame.components.iter().map(|component| component.across * component.down).sum();
    u64::from(frame.width.div_ceil(frame.most().0 * SIDE as u32)) * u64::from(mcu)
}

fn canvases(frame: &Frame<'_>, per_side: usize) -> Vec<Canvas> {
    let (widest, tallest) = frame.most();
    let canvas = |(i, component): (usize, &frame::Component)| {
        let width = (frame.width * component.across).div_ceil(widest);
        let height = (frame.height * component.down).div_ceil(tallest);
        Canvas::new(width, height, per_side, i == 0)
    };
    frame.components.iter().enumerate().map(canvas).collect()
}

fn read_scan(
    frame: &Frame<'_>,
    scan: &Scan<'_>,
    canvases: &mut [Canvas],
    per_side: usize,
    limits: &Limits,
) -> Result<scan::Rest, Error> {
    match per_side {
        1 => scan::read::<1>(frame, scan, canvases, limits),
        2 => scan::read::<4>(frame, scan, canvases, limits),
        3 => scan::read::<9>(frame, scan, canvases, limits),
        4 => scan::read::<16>(frame, scan, canvases, limits),
        6 => scan::read::<36>(frame, scan, canvases, limits),
        _ => scan::read::<64>(frame, scan, canvases, limits),
    }
}

fn read_whole(
    bytes: &[u8],
    scans: Scans,
    canvases: &mut [Canvas],
    per_side: usize,
    limits: &Limits,
) -> Result<Losses, Error> {
    match per_side {
        1 => whole::read::<1>(bytes, scans, canvases, limits),
        2 => whole::read::<4>(bytes, scans, canvases, limits),
        3 => whole::read::<9>(bytes, scans, canvases, limits),
        4 => whole::read::<16>(bytes, scans, canvases, limits),
        6 => whole::read::<36>(bytes, scans, canvases, limits),
        _ => whole::read::<64>(bytes, scans, canvases, limits),
    }
}
