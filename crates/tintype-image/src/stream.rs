//! A still picture that goes by row by row, and what is left of it: a reduced picture to make small variants
//! from, and a grid for each wide blur. The whole picture is never there.

use crate::blur::{self, Blocks};
use crate::color::ToSrgb;
use crate::container::le32;
use crate::container::tiff::Tiff;
use crate::damage::Damage;
use crate::decode::Rows;
use crate::encode::{self, holds_alpha};
use crate::error::Error;
use crate::format::Format;
use crate::job::Job;
use crate::limits::Limits;
use crate::picture::{Picture, Reduced};
use crate::pixels::{Layout, Pixels};
use crate::probe::Header;

/// How much larger than a variant the reduced picture must be: what is averaged must not be seen, and a PNG hides
/// nothing.
const LEFT_TO_RESIZE: f64 = 3.0;

/// What is to be kept of a picture.
pub(crate) struct Plan {
    /// Pixels along a side of what one sample of the reduced picture is the mean of.
    block: usize,
    /// Of the jobs, those that come from a grid.
    wide: Vec<usize>,
}

impl Plan {
    /// The plan for some jobs; `None` when one of them needs the whole picture.
    pub(crate) fn new(jobs: &[Job<'_>], has_alpha: bool, header: &Header<'_>) -> Option<Self> {
        let (width, height) = (header.width, header.height);
        let is_wide = |job: &Job<'_>| {
            let opaque = !has_alpha || (holds_alpha(job.output.format) && job.background.is_none());
            let blurred = job.spec.blur.is_some_and(|sigma| blur::is_by_rows(width, height, sigma));
            opaque && blurred && job.spec.sharpen.is_none() && job.is_whole(header)
        };
        let (wide, small): (Vec<usize>, Vec<usize>) = (0..jobs.len()).partition(|&i| is_wide(&jobs[i]));
        let spare = |job: &Job<'_>| {
            let across = job.area.width / f64::from(job.stored_size.0);
            across.min(job.area.height / f64::from(job.stored_size.1)) / LEFT_TO_RESIZE
        };
        let least = small.iter().map(|&i| spare(&jobs[i])).fold(f64::MAX, f64::min);
        let sample = f64::from(width.max(height)) / 100.0 / LEFT_TO_RESIZE;
        let block = least.min(sample) as usize;
        (block >= 2).then_some(Self { block, wide })
    }
}

/// Whether a file is one whose picture need never be there as a whole.
pub(crate) fn goes_by_rows(bytes: &[u8], jobs: &[Job<'_>], header: &Header<'_>) -> bool {
    let stored_by_rows = match header.format {
        Format::Png => header.frames == 1 && bytes.get(28) == Some(&0),
        Format::Tiff => !is_planar(bytes),
        Format::Bmp => matches!(le32(bytes, 30), Some(0 | 3)),
        _ => false,
    };
    stored_by_rows && Plan::new(jobs, header.has_alpha, header).is_some()
}

fn is_planar(bytes: &[u8]) -> bool {
    const PLANAR_CONFIGURATION: u16 = 284;
    let planar = Tiff::new(bytes).and_then(|file| file.number(&file.first()?, PLANAR_CONFIGURATION));
    planar == Some(2)
}

/// What is left of a picture that went by.
pub(crate) struct Kept {
    pub(crate) picture: Picture,
    /// The job and the grid of each wide blur.
    wide: Vec<(usize, Blocks)>,
    layout: Layout,
    /// What was missing of it.
    pub(crate) damage: Option<Damage>,
}

/// What grows while a picture goes by.
struct Keeping {
    averages: Averages,
    wide: Vec<(usize, Blocks)>,
    layout: Layout,
}

/// Lets a picture go by.
pub(crate) fn keep(
    mut rows: Rows<'_>,
    plan: &Plan,
    jobs: &[Job<'_>],
    to_srgb: &ToSrgb,
    limits: &Limits,
) -> Result<Kept, Error> {
    let (width, height) = (rows.width, rows.height);
    let mut kept: Option<Keeping> = None;
    let mut data = Vec::new();
    for y in 0..height {
        data.resize(width as usize * rows.layout.channels(), 0);
        rows.source.read_row(&mut data)?;
        let row = to_srgb.apply(Pixels { width, height: 1, layout: rows.layout, data })?;
        // What layout a profile makes of the stored one is known with the first row.
        let keeping = kept.get_or_insert_with(|| {
            let grid = |&i: &usize| {
                let sigma = jobs[i].spec.blur.unwrap_or_default();
                Some((i, blur::by_rows(width, height, row.layout, sigma)?))
            };
            Keeping {
                averages: Averages::new(width, height, row.layout, plan.block),
                wide: plan.wide.iter().filter_map(grid).collect(),
                layout: row.layout,
            }
        });
        keeping.averages.push_row(&row.data);
        keeping.wide.iter_mut().for_each(|(_, blocks)| blocks.push_row(&row.data));
        if y % 64 == 0 {
            limits.check_time()?;
        }
        data = row.data;
    }
    let damage = limits.damaged.judge(rows.source.finish()?)?;
    let Keeping { averages, wide, layout } = kept.ok_or_else(|| Error::corrupt("the image has no row"))?;
    Ok(Kept { picture: Picture::Reduced(averages.finish()), wide, layout, damage })
}

impl Kept {
    /// Takes the file of a wide blur out, if the job is one.
    pub(crate) fn take_wide(&mut self, index: usize, job: &Job<'_>, orientation: u8) -> Result<Option<Vec<u8>>, Error> {
        let Some(place) = self.wide.iter().position(|(i, _)| *i == index) else {
            return Ok(None);
        };
        let mut smooth = self.wide.swap_remove(place).1.finish(orientation);
        let mut sink = encode::rows(job.output, self.layout)?;
        let mut row = vec![0; job.output.width as usize * self.layout.channels()];
        for y in 0..job.output.height {
            smooth.row(y as usize, &mut row);
            sink.write_row(&row)?;
        }
        sink.finish().map(Some)
    }
}

/// Means of blocks, row by row.
struct Averages {
    width: usize,
    height: usize,
    layout: Layout,
    block: usize,
    taken: usize,
    /// Of the rows of the unfinished block; colour times alpha, where there is alpha.
    sums: Vec<u32>,
    data: Vec<u8>,
}

impl Averages {
    fn new(width: u32, height: u32, layout: Layout, block: usize) -> Self {
        let (width, height) = (width as usize, height as usize);
        let sums = vec![0; width.div_ceil(block) * layout.channels()];
        Self { width, height, layout, block, taken: 0, sums, data: Vec::new() }
    }

    fn push_row(&mut self, row: &[u8]) {
        let channels = self.layout.channels();
        for (sums, pixels) in self.sums.chunks_exact_mut(channels).zip(row.chunks(self.block * channels)) {
            for pixel in pixels.chunks_exact(channels) {
                let opacity = if self.layout.has_alpha() { u32::from(pixel[channels - 1]) } else { 1 };
                for (c, (sum, &value)) in sums.iter_mut().zip(pixel).enumerate() {
                    let times = if self.layout.has_alpha() && c + 1 == channels { 1 } else { opacity };
                    *sum += u32::from(value) * times;
                }
            }
        }
        self.taken += 1;
        if self.taken.is_multiple_of(self.block) || self.taken == self.height {
            self.end_block();
        }
    }

    /// Cells at the right and at the bottom may be of fewer pixels.
    fn end_block(&mut self) {
        let channels = self.layout.channels();
        let down = (self.taken - 1) % self.block + 1;
        for (i, sums) in self.sums.chunks_exact(channels).enumerate() {
            let count = ((self.width - i * self.block).min(self.block) * down) as u32;
            if self.layout.has_alpha() {
                let opacity = sums[channels - 1];
                let color = |sum: &u32| (sum + opacity / 2).checked_div(opacity).unwrap_or(0) as u8;
                self.data.extend(sums[..channels - 1].iter().map(color));
                self.data.push(((opacity + count / 2) / count) as u8);
            } else {
                self.data.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
            }
        }
        self.sums.fill(0);
    }

    fn finish(self) -> Reduced {
        let side = |length: usize| length.div_ceil(self.block) as u32;
        let (width, height) = (side(self.width), side(self.height));
        Reduced { pixels: Pixels { width, height, layout: self.layout, data: self.data }, block: self.block as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_what_is_there_and_hidden_colour_does_not_count() {
        let mut gray = Averages::new(5, 3, Layout::Gray, 2);
        for row in [[10, 20, 30, 40, 50], [10, 20, 30, 40, 50], [1, 2, 3, 4, 9]] {
            gray.push_row(&row);
        }
        let reduced = gray.finish();
        assert_eq!((reduced.pixels.width, reduced.pixels.height), (3, 2));
        assert_eq!(reduced.pixels.data, [15, 35, 50, 2, 4, 9]);
        let mut clear = Averages::new(2, 1, Layout::Rgba, 2);
        clear.push_row(&[200, 100, 0, 255, 0, 0, 255, 0]);
        assert_eq!(clear.finish().pixels.data, [200, 100, 0, 128]);
    }
}
