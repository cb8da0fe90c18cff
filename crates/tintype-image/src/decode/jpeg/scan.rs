//! One sequential scan of all components, MCU by MCU (T.81, annex A.2 and F.2).

use std::ops::Range;

use super::bits::{Bits, REFILLED};
use super::canvas::{Block, Canvas};
use super::frame::{Frame, Scan};
use super::huffman::{END, LOOK, Step, Table};
use super::pattern::{BLOCK, Patterns, SIDE, patterns};
use crate::error::Error;
use crate::limits::Limits;
use crate::simd::{Work, vectorized};

/// What it takes to decode one component, and where it goes.
struct Coder<'a, const SAMPLES: usize> {
    dc: &'a Table,
    ac: &'a Table,
    reduced: Box<Patterns<SAMPLES>>,
    /// Along the edge, every sample must be known.
    whole: Box<Patterns<BLOCK>>,
    /// The quantiser, in zigzag order.
    steps: Box<[f32; BLOCK]>,
    /// Blocks of an MCU.
    across: usize,
    down: usize,
    canvas: &'a mut Canvas,
    /// The DC coefficient before.
    before: i32,
}

/// Bytes of image data that may be left over: some cameras write a few more.
const SPARE: usize = 16;

/// What a scan held besides its picture.
#[derive(Default)]
pub(super) struct Rest {
    /// Stretches of the image data that no code lies in: between restart intervals, and at the end.
    pub(super) spare: Vec<Range<usize>>,
    /// Whether that was so much that somewhere something was misread.
    pub(super) is_much: bool,
    /// How far the image data was looked at.
    pub(super) read: usize,
}

impl Rest {
    /// Notes what is left of an interval, between where it begins and ends.
    fn note(&mut self, bits: &Bits<'_>, interval: &Range<usize>, end: usize) {
        let from = if bits.left() > 0 { interval.start + bits.used() } else { interval.end };
        if from < end {
            self.spare.push(from..end);
            self.is_much |= end - from >= SPARE;
        }
    }
}

/// Reads the scan into the canvases, `SAMPLES` for each block. Says what there was besides; `Corrupt` where it cannot be
/// read at all.
pub(super) fn read<const SAMPLES: usize>(
    frame: &Frame<'_>,
    scan: &Scan<'_>,
    canvases: &mut [Canvas],
    limits: &Limits,
) -> Result<Rest, Error> {
    vectorized(Read::<SAMPLES> { frame, scan, canvases, limits })
}

struct Read<'a, const SAMPLES: usize> {
    frame: &'a Frame<'a>,
    scan: &'a Scan<'a>,
    canvases: &'a mut [Canvas],
    limits: &'a Limits,
}

impl<const SAMPLES: usize> Work for Read<'_, SAMPLES> {
    type Output = Result<Rest, Error>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        read_mcus::<SAMPLES>(self.frame, self.scan, self.canvases, self.limits)
    }
}

#[inline(always)]
fn read_mcus<const SAMPLES: usize>(
    frame: &Frame<'_>,
    scan: &Scan<'_>,
    canvases: &mut [Canvas],
    limits: &Limits,
) -> Result<Rest, Error> {
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
            steps: Box::new(std::array::from_fn(|k| f32::from(component.steps[k]))),
            across: if alone { 1 } else { component.across as usize },
            down: if alone { 1 } else { component.down as usize },
            canvas,
            before: 0,
        })
        .collect();
    let mut intervals = Intervals { data: scan.entropy, next: Some(0), number: 0 };
    let mut interval = intervals.next()?;
    let mut bits = Bits::new(&scan.entropy[interval.clone()]);
    let mut left = scan.restart;
    let (mut broken, mut rest) = (false, Rest { read: scan.entropy.len(), ..Rest::default() });
    for y in 0..mcus_down {
        limits.check_time()?;
        for x in 0..mcus_across {
            if scan.restart > 0 {
                if left == 0 {
                    check(&bits, broken)?;
                    rest.note(&bits, &interval, interval.end);
                    interval = intervals.next()?;
                    bits = Bits::new(&scan.entropy[interval.clone()]);
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
    rest.note(&bits, &interval, scan.entropy.len());
    Ok(rest)
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
                    let block =
                        read_block(self.dc, self.ac, &self.reduced, &self.steps, &mut self.before, bits, broken);
                    self.canvas.put(x, y, &block);
                }
            }
        }
    }

    #[cold]
    fn read_edge(&mut self, x: usize, y: usize, bits: &mut Bits<'_>, broken: &mut bool) {
        let block = read_block(self.dc, self.ac, &self.whole, &self.steps, &mut self.before, bits, broken);
        self.canvas.put_edge(x, y, &block);
    }
}

/// Reads one block.
#[inline(always)]
fn read_block<const SAMPLES: usize>(
    dc: &Table,
    ac: &Table,
    patterns: &Patterns<SAMPLES>,
    steps: &[f32; BLOCK],
    before: &mut i32,
    bits: &mut Bits<'_>,
    broken: &mut bool,
) -> Block<SAMPLES> {
    let (mut at_hand, mut failed) = (*bits, false);
    at_hand.refill();
    *before = before.wrapping_add(dc.next(&mut at_hand, &mut failed).value);
    let mean = *before as f32 * patterns[0][0] + 128.0;
    let mut samples = [mean; SAMPLES];
    let mut energy = 0.0;
    let mut place = 1;
    let mut add = |step: Step| {
        place += step.places;
        // What ends a block adds nothing, wherever it points.
        let (at, value) = ((place - 1) % BLOCK, step.value as f32);
        energy += (value * steps[at]) * (value * steps[at]);
        if SAMPLES > 1 {
            for (sample, unit) in samples.iter_mut().zip(&patterns[at]) {
                *sample += value * unit;
            }
        }
        place >= BLOCK
    };
    'block: loop {
        at_hand.refill();
        // Enough for a few short ones.
        for _ in 0..REFILLED / LOOK {
            let Some(step) = ac.next_short(&mut at_hand) else {
                at_hand.refill();
                if add(ac.next(&mut at_hand, &mut failed)) {
                    break 'block;
                }
                continue 'block;
            };
            if add(step) {
                break 'block;
            }
        }
    }
    *bits = at_hand;
    *broken |= failed || (place > BLOCK && place < END);
    // The cosines are orthonormal: squares of coefficients sum up to squares of pixels.
    Block { samples, mean, variance: energy / BLOCK as f32 }
}

/// The entropy-coded data between restart markers.
struct Intervals<'a> {
    data: &'a [u8],
    /// Where the next one begins, if there is one.
    next: Option<usize>,
    number: u8,
}

impl Intervals<'_> {
    fn next(&mut self) -> Result<Range<usize>, Error> {
        let start = self.next.ok_or_else(|| Error::corrupt("the JPEG ends early"))?;
        let data = &self.data[start..];
        let marker = memchr::memchr_iter(0xFF, data).find(|&at| matches!(data.get(at + 1), Some(0xD0..=0xD7)));
        let Some(at) = marker else {
            self.next = None;
            return Ok(start..self.data.len());
        };
        if data[at + 1] != 0xD0 + self.number {
            return Err(Error::corrupt("a restart marker of the JPEG is missing"));
        }
        self.number = (self.number + 1) % 8;
        self.next = Some(start + at + 2);
        Ok(start..start + at)
    }
}
