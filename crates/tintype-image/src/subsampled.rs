//! JPEG to JPEG without pixels: a small variant stays in planes, its colour at half the resolution, as both files have it.

use crate::blur::blur;
use crate::encode::jpeg::planes::encode;
use crate::error::Error;
use crate::format::Format;
use crate::job::Job;
use crate::orient::{mirrored, upright, upright_size};
use crate::picture::{Sampling, resize_plane_of};
use crate::pixels::{Layout, Pixels};
use crate::planes::{Plane, Planes};
use crate::resize::Area;

/// What larger variants have to be noted down costs more memory than pixels, which go by rows.
const MOST_PIXELS: u64 = 1 << 20;

/// Of a side shorter than that, what stands in beyond an odd one weighs too much, and rings of colour, which are
/// twice as wide as those of brightness, are seen.
const NARROWEST: u32 = 32;

/// One frame in planes, with what has been made of it so far.
pub(crate) struct Subsampled<'a> {
    planes: &'a Planes,
    orientation: u8,
    /// A thumbnail and its blur are of one area and size: it is resized to once.
    resized: Vec<(Area, (u32, u32), Vec<Pixels>)>,
}

/// Whether a variant of planes that are in sRGB can be made so.
pub(crate) fn suits(job: &Job<'_>, orientation: u8) -> bool {
    let (width, height) = (job.output.width, job.output.height);
    let plain = job.output.format == Format::Jpeg && !job.output.progressive && job.spec.sharpen.is_none();
    let fills = upright_size(job.stored_size.0, job.stored_size.1, orientation) == (width, height);
    let fits = width.min(height) >= NARROWEST && u64::from(width) * u64::from(height) <= MOST_PIXELS;
    plain && fills && fits
}

impl<'a> Subsampled<'a> {
    pub(crate) fn new(planes: &'a Planes, orientation: u8) -> Self {
        Self { planes, orientation, resized: Vec::new() }
    }

    /// Cut and resize, blur, turn upright, encode.
    pub(crate) fn develop(&mut self, job: &Job<'_>) -> Result<Vec<u8>, Error> {
        let orientation = self.orientation;
        let sigma = job.spec.blur.unwrap_or_default();
        let develop = |(i, plane): (usize, &Pixels)| {
            let sigma = if i == 0 { sigma } else { sigma / 2.0 };
            upright(blur(plane, sigma), orientation)
        };
        let planes: Vec<Pixels> = self.resize(job.area, job.stored_size)?.iter().enumerate().map(develop).collect();
        encode(&planes, job.output.quality)
    }

    fn resize(&mut self, area: Area, size: (u32, u32)) -> Result<&[Pixels], Error> {
        let place = match self.resized.iter().position(|made| (made.0, made.1) == (area, size)) {
            Some(place) => place,
            None => {
                let (brightness, colors) = self.planes.planes.split_at(1);
                let mut made = vec![self.resize_one(&brightness[0], area, size, Sampling::Pixels)?];
                let (half, half_size) = self.halved(area, size);
                for plane in colors {
                    made.push(self.resize_one(plane, half, half_size, Sampling::Fours)?);
                }
                self.resized.push((area, size, made));
                self.resized.len() - 1
            }
        };
        Ok(&self.resized[place].2)
    }

    fn resize_one(
        &self,
        plane: &Plane,
        area: Area,
        (width, height): (u32, u32),
        sampling: Sampling,
    ) -> Result<Pixels, Error> {
        let data = resize_plane_of(self.planes, plane, area, (width, height), sampling)?;
        Ok(Pixels { width, height, layout: Layout::Gray, data })
    }

    /// The area and size of colour: of an odd side, the last sample is half beyond the picture, at what will be the
    /// right or the bottom.
    fn halved(&self, area: Area, (width, height): (u32, u32)) -> (Area, (u32, u32)) {
        let (right, bottom) = mirrored(self.orientation);
        let (from_right, from_bottom) = if self.orientation >= 5 { (bottom, right) } else { (right, bottom) };
        let (left, across, half_width) = halved(area.left, area.width, width, from_right);
        let (top, down, half_height) = halved(area.top, area.height, height, from_bottom);
        (Area { left, top, width: across, height: down }, (half_width, half_height))
    }
}

/// Start and length of an area, and samples for it.
fn halved(start: f64, length: f64, samples: u32, from_end: bool) -> (f64, f64, u32) {
    let half = samples.div_ceil(2);
    let one = length / f64::from(samples);
    let beyond = f64::from(2 * half - samples) * one;
    (if from_end { start - beyond } else { start }, f64::from(2 * half) * one, half)
}
