//! One sequential scan of all components, MCU by MCU (T.81, annex A.2 and F.2).

use super::bits::Bits;
use super::canvas::Canvas;
use super::frame::{Frame, Scan};
use super::huffman::{END, Table};
use super::pattern::{BLOCK, Patterns, SIDE, patterns};
use crate::error::Error;
use crate::limits::Limits;

/// What it takes to decode one component, and where it goes.
struct Coder<'a, const SAMPLES: usize> {
    dc: &'a Table,
    ac: &'a Table,
    reduced: Box<Patterns<SAMPLES>>,
    /// Along the edge, every sample must be known.
    whole: Box<Patterns<BLOCK>>,
    /// Blocks of an MCU.
    across: usize,
    down: usize,
    canvas: &'a mut Canvas,
    /// The DC coefficient before.
    before: i32,
}

/// Reads the scan into the canvases, `SAMPLES` for each block.
pub(super) fn read<const SAMPLES: usize>(
    frame: &Frame<'_>,
    scan: &Scan<'_>,
    canvases: &mut [Canvas],
    limits: &Limits,
) -> Result<(), Error> {
    // A lone component is not interleaved: its MCU is one block, whatever its sampling.
    let alone = frame.components.len() == 1;
    let (mcus_across, mcus_down) = if alone { (canvases[0].across, canvases[0].down) } else { mcus(frame) };
    let parts = frame.components.iter().zip(&scan.tables).zip(canvases);
    let mut coders: Vec<Coder<'_, SAMPLES>> = parts
        .map(|((component, (dc, ac)), canvas)| Coder {
            dc,
            ac,
            reduced: patterns(&component.steps),
            whole: patterns(&component.steps),
            across: if alone { 1 } else { component.across as usize },
            down: if alone { 1 } else { component.down as usize },
            canvas,
            before: 0,
        })
        .collect();
    let mut intervals = Intervals { rest: Some(scan.entropy), number: 0 };
    let mut bits = Bits::new(intervals.next()?);
    let mut left = scan.restart;
    let mut broken = false;
    for y in 0..mcus_down {
        limits.check_time()?;
        for x in 0..mcus_across {
            if scan.restart > 0 {
                if left == 0 {
                    check(&bits, broken)?;
                    bits = Bits::new(intervals.next()?);
                    coders.iter_mut().for_each(|coder| coder.before = 0);
                    left = scan.restart;
                }
                left -= 1;
            }
            for coder in &mut coders {
                coder.read_mcu(x, y, &mut bits, &mut broken);
            }
        }
        check(&bits, broken)?;
    }
    Ok(())
}

/// MCUs across and down, when blocks are interleaved.
fn mcus(frame: &Frame<'_>) -> (usize, usize) {
    let (widest, tallest) = frame.most();
    let count = |length: u32, most: u32| (length as usize).div_ceil(SIDE * most as usize);
    (count(frame.width, widest), count(frame.height, tallest))
}

fn check(bits: &Bits<'_>, broken: bool) -> Result<(), Error> {
    if broken {
        return Err(Error::corrupt("the JPEG's image data is damaged"));
    }
    if bits.overran() { Err(Error::corrupt("the JPEG ends early")) } else { Ok(()) }
}

impl<const SAMPLES: usize> Coder<'_, SAMPLES> {
    #[inline(always)]
    fn read_mcu(&mut self, x: usize, y: usize, bits: &mut Bits<'_>, broken: &mut bool) {
        for v in 0..self.down {
            for h in 0..self.across {
                let (x, y) = (x * self.across + h, y * self.down + v);
                if self.canvas.is_edge(x, y) {
                    self.read_edge(x, y, bits, broken);
                } else {
                    let (samples, mean) = read_block(self.dc, self.ac, &self.reduced, &mut self.before, bits, broken);
                    self.canvas.put(x, y, &samples, mean);
                }
            }
        }
    }

    #[cold]
    fn read_edge(&mut self, x: usize, y: usize, bits: &mut Bits<'_>, broken: &mut bool) {
        let (block, _) = read_block(self.dc, self.ac, &self.whole, &mut self.before, bits, broken);
        self.canvas.put_edge(x, y, &block);
    }
}

/// The samples of one block and their mean.
#[inline(always)]
fn read_block<const SAMPLES: usize>(
    dc: &Table,
    ac: &Table,
    patterns: &Patterns<SAMPLES>,
    before: &mut i32,
    bits: &mut Bits<'_>,
    broken: &mut bool,
) -> ([f32; SAMPLES], f32) {
    *before = before.wrapping_add(dc.next(bits, broken).value);
    let mean = *before as f32 * patterns[0][0] + 128.0;
    let mut samples = [mean; SAMPLES];
    let mut place = 1;
    while place < BLOCK {
        let step = ac.next(bits, broken);
        place += step.places;
        // What ends a block adds nothing, wherever it points.
        if SAMPLES > 1 {
            let pattern = &patterns[(place - 1) % BLOCK];
            for (sample, unit) in samples.iter_mut().zip(pattern) {
                *sample += step.value as f32 * unit;
            }
        }
    }
    *broken |= place > BLOCK && place < END;
    (samples, mean)
}

/// The entropy-coded data between restart markers.
struct Intervals<'a> {
    rest: Option<&'a [u8]>,
    number: u8,
}

impl<'a> Intervals<'a> {
    fn next(&mut self) -> Result<&'a [u8], Error> {
        let data = self.rest.ok_or_else(|| Error::corrupt("the JPEG ends early"))?;
        let marker = memchr::memchr_iter(0xFF, data).find(|&at| matches!(data.get(at + 1), Some(0xD0..=0xD7)));
        let Some(at) = marker else {
            self.rest = None;
            return Ok(data);
        };
        if data[at + 1] != 0xD0 + self.number {
            return Err(Error::corrupt("a restart marker of the JPEG is missing"));
        }
        self.number = (self.number + 1) % 8;
        self.rest = Some(&data[at + 2..]);
        Ok(&data[..at])
    }
}
