//! A small JPEG from planes: colour comes at half the resolution of brightness, as the file has it (4:2:0).
//!
//! Symbols are noted down and counted at once, then written with codes made for them.

use super::dct::{BLOCK, Dct};
use super::file::{self, Symbols, Tally, put_block, put_coefficients};
use crate::decode::jpeg::pattern::SIDE;
use crate::error::Error;
use crate::pixels::Pixels;
use crate::simd::{Work, vectorized};

/// Writes upright planes: grey, or YCbCr whose colours have half the sides of brightness, rounded up.
pub(crate) fn encode(planes: &[Pixels], quality: u8) -> Result<Vec<u8>, Error> {
    let color = planes.len() > 1;
    // Sides of an MCU in blocks of brightness.
    let side: usize = if color { 2 } else { 1 };
    let (width, height) = (planes[0].width, planes[0].height);
    let steps = [false, true].map(|color| file::steps(color, quality));
    let mut notes = Notes { entries: Vec::new(), tally: Tally([[[0; 256]; 2]; 2]) };
    let mcus = [width, height].map(|length| (length as usize).div_ceil(SIDE * side));
    vectorized(Scan { planes, mcus, side, transforms: steps.each_ref().map(Dct::new), to: &mut notes });
    file::write((width, height), planes.len(), &steps, &notes.tally, |writer| {
        notes.read_out(writer);
        Ok(())
    })
}

/// Symbols as they came, and how often each did.
struct Notes {
    entries: Vec<Entry>,
    tally: Tally,
}

/// One symbol, and the bits after it.
struct Entry {
    extra: u16,
    size: u8,
    symbol: u8,
    component: u8,
    table: u8,
}

impl Symbols for Notes {
    #[inline(always)]
    fn put(&mut self, component: usize, table: usize, symbol: u8, extra: u32, size: u32) {
        self.tally.put(component, table, symbol, extra, size);
        self.entries.push(Entry {
            extra: extra as u16,
            size: size as u8,
            symbol,
            component: component as u8,
            table: table as u8,
        });
    }
}

impl Notes {
    fn read_out(&self, to: &mut impl Symbols) {
        for entry in &self.entries {
            let &Entry { extra, size, symbol, component, table } = entry;
            to.put(component.into(), table.into(), symbol, extra.into(), size.into());
        }
    }
}

/// All blocks, MCU by MCU.
struct Scan<'a> {
    planes: &'a [Pixels],
    /// Across and down.
    mcus: [usize; 2],
    side: usize,
    /// Of brightness, and of colour.
    transforms: [Dct; 2],
    to: &'a mut Notes,
}

impl Work for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut before = vec![0; self.planes.len()];
        for (y, x) in (0..self.mcus[1]).flat_map(|y| (0..self.mcus[0]).map(move |x| (y, x))) {
            for (component, (plane, before)) in self.planes.iter().zip(&mut before).enumerate() {
                let side = if component == 0 { self.side } else { 1 };
                for (v, h) in (0..side).flat_map(|v| (0..side).map(move |h| (v, h))) {
                    let Some(block) = block(plane, x * side + h, y * side + v) else {
                        // Nothing of it is seen.
                        put_block::<0>(self.to, component, 0, []);
                        continue;
                    };
                    let mut coefficients = self.transforms[component.min(1)].coefficients(&block);
                    let dc = std::mem::replace(&mut coefficients[0], 0).into();
                    put_coefficients(self.to, component, dc - *before, &coefficients);
                    *before = dc;
                }
            }
        }
    }
}

/// The samples of a block; the plane's last ones stand in for those beyond. `None` if all are beyond.
#[inline(always)]
fn block(plane: &Pixels, x: usize, y: usize) -> Option<[u8; BLOCK]> {
    let (width, height) = (plane.width as usize, plane.height as usize);
    let (left, top) = (x * SIDE, y * SIDE);
    if left >= width || top >= height {
        return None;
    }
    let mut block = [0; BLOCK];
    for (i, out) in block.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
        let row = &plane.data[(top + i).min(height - 1) * width..][left..width];
        match row.first_chunk() {
            Some(whole) => *out = *whole,
            None => *out = std::array::from_fn(|i| row[i.min(row.len() - 1)]),
        }
    }
    Some(block)
}
