//! What every fact is read from.

use crate::orient::upright;
use crate::pixels::Pixels;

/// The first frame, small, upright, in sRGB.
pub(super) struct Sample {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgba: Vec<u8>,
}

impl Sample {
    /// Turns a small frame upright.
    pub(super) fn new(frame: &Pixels, orientation: u8) -> Self {
        let small = upright(frame.clone(), orientation);
        Self { width: small.width as usize, height: small.height as usize, rgba: small.to_rgba() }
    }

    /// Red, green and blue as they are seen on white, for the facts that know no alpha.
    pub(super) fn on_white(&self) -> impl Iterator<Item = [u8; 3]> {
        self.rgba.chunks_exact(4).map(|pixel| {
            let alpha = u32::from(pixel[3]);
            let over_white = |value: u8| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
            [over_white(pixel[0]), over_white(pixel[1]), over_white(pixel[2])]
        })
    }
}
