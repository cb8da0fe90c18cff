//! A blurred JPEG, block by block from blurred means: no pixel of it is ever made.

use super::file::{self, Symbols, Tally, put_block};
use super::slopes::{Across, REACH, Slopes, TERMS};
use crate::blur::means::{self, Blocks, Blurred};
use crate::error::Error;
use crate::limits::Limits;
use crate::planes::Means;
use crate::simd::{Work, vectorized};

/// Every how many rows of MCUs are counted to make codes.
const COUNTED: usize = 8;

/// Writes a picture of upright means, blurred by `sigma` pixels: grey, or YCbCr in 4:2:0.
pub(crate) fn encode(
    (width, height): (u32, u32),
    means: &[Means],
    sigma: f64,
    quality: u8,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    let color = means.len() > 1;
    // Sides of an MCU in blocks of brightness.
    let side: usize = if color { 2 } else { 1 };
    let mcus = [width, height].map(|length| (length as usize).div_ceil(8 * side));
    let steps = [false, true].map(|color| file::steps(color, quality));
    let slopes = [1, side].map(|pixels| Slopes::new(sigma / pixels as f64));
    let planes: Vec<Plane<'_>> = means
        .iter()
        .enumerate()
        .map(|(i, means)| {
            let side = if i == 0 { (side, 1) } else { (1, side) };
            Plane::new(means, mcus, side, &steps[i.min(1)], &slopes[i.min(1)], sigma)
        })
        .collect();
    let scan = Scan { planes: &planes, across: mcus[0], limits };
    let mut tally = Tally([[[0; 256]; 2]; 2]);
    for first in (0..mcus[1]).step_by(COUNTED) {
        scan.put_rows(first..first + 1, &mut tally)?;
    }
    let tally = Tally(tally.0.map(|[dc, ac]| [smoothed(&dc, 0), smoothed(&ac, 1)]));
    file::write((width, height), means.len(), &steps, &tally, |writer| scan.put_rows(0..mcus[1], writer))
}

/// A few rows were counted: what did not come in them may come in the others.
fn smoothed(tally: &[u32; 256], table: usize) -> [u32; 256] {
    std::array::from_fn(|symbol| {
        let (run, size) = (symbol >> 4, symbol & 15);
        let possible = match table {
            0 => symbol <= 11,
            _ => symbol == 0 || (run < TERMS.len() - 1 && (1..=10).contains(&size)),
        };
        tally[symbol] * 2 * COUNTED as u32 + u32::from(possible)
    })
}

/// One component to be written.
struct Plane<'a> {
    blurred: Blurred,
    slopes: &'a Slopes,
    /// Blocks of an MCU along a side.
    side: usize,
    /// What each of [`TERMS`] is multiplied by to be quantised.
    scales: [f32; TERMS.len()],
}

impl<'a> Plane<'a> {
    /// `side` blocks along each side of an MCU, whose samples are of `pixels` by `pixels`.
    fn new(
        means: &Means,
        mcus: [usize; 2],
        (side, pixels): (usize, usize),
        steps: &[u8; 64],
        slopes: &'a Slopes,
        sigma: f64,
    ) -> Self {
        let [across, down] = mcus.map(|count| count * side);
        let length = (8 * pixels) as f64;
        let blocks = Blocks { across, down, width: length, height: length };
        Self {
            blurred: means::blur(means, blocks, REACH, sigma),
            slopes,
            side,
            scales: TERMS.map(|(u, v)| 1.0 / f32::from(steps[v * 8 + u])),
        }
    }
}

/// All components, and how to walk them.
struct Scan<'a> {
    planes: &'a [Plane<'a>],
    /// MCUs.
    across: usize,
    limits: &'a Limits,
}

/// Rows of MCUs on their way.
struct Put<'a, S> {
    scan: &'a Scan<'a>,
    rows: std::ops::Range<usize>,
    to: &'a mut S,
}

impl<S: Symbols> Work for Put<'_, S> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        self.scan.put(self.rows, self.to)
    }
}

impl Scan<'_> {
    fn put_rows(&self, rows: std::ops::Range<usize>, to: &mut impl Symbols) -> Result<(), Error> {
        vectorized(Put { scan: self, rows, to })
    }

    #[inline(always)]
    fn put(&self, rows: std::ops::Range<usize>, to: &mut impl Symbols) -> Result<(), Error> {
        let mut rollers: Vec<_> = self.planes.iter().map(|plane| Roller::new(plane, rows.start * plane.side)).collect();
        let mut before = vec![0; self.planes.len()];
        for _ in rows {
            self.limits.check_time()?;
            for roller in &mut rollers {
                roller.fill();
            }
            for x in 0..self.across {
                for (component, (roller, before)) in rollers.iter().zip(&mut before).enumerate() {
                    let side = roller.plane.side;
                    for row in &roller.rows {
                        for block in &row[x * side..(x + 1) * side] {
                            let [dc, ac @ ..] = *block;
                            put_block(to, component, dc - *before, ac);
                            *before = dc;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// One block: of each of [`TERMS`], the quantised coefficient.
type Quantised = [i32; TERMS.len()];

/// Walks down the blurred means, and keeps the rows that the next coefficients draw from.
struct Roller<'a> {
    plane: &'a Plane<'a>,
    /// From [`REACH`] rows above the next to as many below.
    around: [Across; 2 * REACH + 1],
    next: usize,
    /// The rows of an MCU.
    rows: Vec<Vec<Quantised>>,
    means: Vec<f32>,
    values: Vec<f32>,
}

impl<'a> Roller<'a> {
    fn new(plane: &'a Plane<'a>, first: usize) -> Self {
        let across = plane.blurred.across();
        let mut roller = Self {
            plane,
            around: Default::default(),
            next: first,
            rows: vec![vec![[0; TERMS.len()]; across - 2 * REACH]; plane.side],
            means: vec![0.0; across],
            values: Vec::new(),
        };
        for _ in 0..2 * REACH {
            roller.advance();
        }
        roller
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.around.rotate_left(1);
        self.plane.blurred.row(self.next, &mut self.means);
        self.plane.slopes.across(&self.means, &mut self.around[2 * REACH]);
        self.next += 1;
    }

    /// Makes the rows of the next MCU.
    #[inline(always)]
    fn fill(&mut self) {
        for row in 0..self.rows.len() {
            self.advance();
            for (term, (u, v)) in TERMS.into_iter().enumerate() {
                let around = &self.around;
                self.plane.slopes.down(v, |offset| &around[REACH.wrapping_add_signed(offset)][u], &mut self.values);
                // The level shift of T.81, A.3.1.
                let shift = if (u, v) == (0, 0) { 128.0 * 8.0 } else { 0.0 };
                let scale = self.plane.scales[term];
                for (block, value) in self.rows[row].iter_mut().zip(&self.values) {
                    block[term] = round((value - shift) * scale);
                }
            }
        }
    }
}

/// To the nearest whole number, for what is below 2^21: adding this constant leaves no room for a fraction.
#[inline(always)]
pub(super) fn round(value: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0;
    (value + MAGIC).to_bits().cast_signed() - MAGIC.to_bits().cast_signed()
}
