//! Shrinks to fit a box, by Lanczos over every source pixel.

mod kernel;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::Error;
use crate::pixels::Pixels;
use crate::spec::BoxSize;

pub(crate) use kernel::{Kernel, Shape};

/// The size of an image made to fit inside a box: the size Pillow's `Image.thumbnail` gives.
///
/// Never enlarged, no side below 1. The side that is computed is the whole number, below or above,
/// that is nearest to the aspect ratio.
pub fn fit_inside(width: u32, height: u32, fit: BoxSize) -> (u32, u32) {
    if fit.width >= width && fit.height >= height {
        return (width, height);
    }
    scale_into(width, height, fit)
}

/// The same, but a small image grows until it touches the box.
pub(crate) fn scale_into(width: u32, height: u32, fit: BoxSize) -> (u32, u32) {
    let aspect = f64::from(width) / f64::from(height);
    let fit = BoxSize { width: fit.width.max(1), height: fit.height.max(1) };
    let (x, y) = (f64::from(fit.width), f64::from(fit.height));
    if x / y >= aspect {
        (round_aspect(y * aspect, |n| (aspect - n / y).abs()), fit.height)
    } else {
        (fit.width, round_aspect(x / aspect, |n| if n == 0.0 { 0.0 } else { (aspect - x / n).abs() }))
    }
}

/// Below or above, whichever errs less; below when both err alike.
fn round_aspect(number: f64, error: impl Fn(f64) -> f64) -> u32 {
    let (below, above) = (number.floor(), number.ceil());
    let nearest = if error(above) < error(below) { above } else { below };
    (nearest as u32).max(1)
}

/// A part of an image, in its samples; sides may lie within one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    /// The same area of an image so many times smaller.
    pub(crate) fn divided_by(self, factor: f64) -> Self {
        let Self { left, top, width, height } = self;
        Self { left: left / factor, top: top / factor, width: width / factor, height: height / factor }
    }

    pub(crate) fn whole((width, height): (u32, u32)) -> Self {
        Self { left: 0.0, top: 0.0, width: width.into(), height: height.into() }
    }

    /// Without the hair by which rounding may have put the far edges outside.
    fn within(self, width: u32, height: u32) -> Self {
        let (across, down) = (f64::from(width) - self.left, f64::from(height) - self.top);
        Self { width: self.width.min(across), height: self.height.min(down), ..self }
    }
}

/// How a plane is resampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Filter {
    Kernel(Kernel),
    /// As JPEG decoders enlarge colour: what is far counts less.
    Linear,
    /// As they enlarge what is no more than two samples wide.
    Nearest,
}

impl Filter {
    fn algorithm(self) -> Result<ResizeAlg, Error> {
        let filter = match self {
            Self::Kernel(kernel) => {
                let kernel = kernel.prepared().map_err(|e| Error::internal(format!("the kernel: {e}")))?;
                FilterType::Custom(kernel)
            }
            Self::Linear => FilterType::Bilinear,
            Self::Nearest => return Ok(ResizeAlg::Nearest),
        };
        Ok(ResizeAlg::Convolution(filter))
    }
}

/// The variance of the mean of so many pixels in a row, in squares of a pixel.
pub(crate) fn box_variance(pixels: f64) -> f64 {
    (pixels.powi(2) - 1.0).max(0.0) / 12.0
}

/// In samples; moves no weight by as much as it is rounded by.
const HAIR: f64 = 1e-7;

/// Resamples an area of one plane.
pub(crate) fn resize_plane(
    data: &[u8],
    stride: usize,
    rows: usize,
    area: Area,
    (width, height): (u32, u32),
    filter: Filter,
) -> Result<Vec<u8>, Error> {
    let whole = (f64::from(width), f64::from(height));
    let as_it_is = (area.left, area.top) == (0.0, 0.0) && (area.width, area.height) == whole;
    let keeps = !matches!(filter, Filter::Kernel(Kernel { sharpness, .. }) if sharpness != 0.0);
    if as_it_is && keeps {
        return Ok(data
            .chunks_exact(stride)
            .take(height as usize)
            .flat_map(|row| &row[..width as usize])
            .copied()
            .collect());
    }
    let mut area = area.within(stride as u32, rows as u32);
    if as_it_is {
        // Where nothing seems to be resized, the crate would copy.
        (area.left, area.top) = (HAIR, HAIR);
        (area.width, area.height) = (area.width - 2.0 * HAIR, area.height - 2.0 * HAIR);
    }
    let source = ImageRef::new(stride as u32, rows as u32, data, PixelType::U8).map_err(failed)?;
    let options =
        ResizeOptions::new().resize_alg(filter.algorithm()?).crop(area.left, area.top, area.width, area.height);
    Ok(resample(&source, Image::new(width, height, PixelType::U8), &options)?.into_vec())
}

fn resample<'a>(
    source: &impl IntoImageView,
    mut target: Image<'a>,
    options: &ResizeOptions,
) -> Result<Image<'a>, Error> {
    Resizer::new().resize(source, &mut target, options).map_err(failed)?;
    Ok(target)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("resize: {error}"))
}

/// Pixels up to which what lies between rows and columns is kept to 16 bits: twice the work.
pub(crate) const PRECISE: usize = 1 << 20;

/// Resamples an area of the stored image to a size. Each pixel is the mean of so many on a side of what is to be seen.
pub(crate) fn resize(pixels: &Pixels, area: Area, width: u32, height: u32, block: f64) -> Result<Pixels, Error> {
    let area = area.within(pixels.width, pixels.height);
    // In samples of what there is, where there are to be more.
    let scale = (area.width / f64::from(width) * area.height / f64::from(height)).sqrt().max(1.0);
    let sharpness = box_variance(block) / block.powi(2) / scale.powi(2) / 2.0;
    let kernel = Kernel { sharpness, ..Kernel::LANCZOS };
    // Alpha is multiplied in first, so that the colour of what cannot be seen does not bleed.
    let options = ResizeOptions::new()
        .resize_alg(Filter::Kernel(kernel).algorithm()?)
        .crop(area.left, area.top, area.width, area.height)
        .use_alpha(pixels.layout.has_alpha());
    let channels = pixels.layout.channels();
    if pixels.data.len() / channels > PRECISE {
        let kind = [PixelType::U8, PixelType::U8x2, PixelType::U8x3, PixelType::U8x4][channels - 1];
        let source = ImageRef::new(pixels.width, pixels.height, &pixels.data, kind).map_err(failed)?;
        let data = resample(&source, Image::new(width, height, kind), &options)?.into_vec();
        return Ok(Pixels { width, height, layout: pixels.layout, data });
    }
    let kind = [PixelType::U16, PixelType::U16x2, PixelType::U16x3, PixelType::U16x4][channels - 1];
    let mut source = Image::new(pixels.width, pixels.height, kind);
    for (wide, &byte) in source.buffer_mut().as_chunks_mut::<2>().0.iter_mut().zip(&pixels.data) {
        // A byte twice is 257 times itself, and white 65535.
        *wide = [byte; 2];
    }
    let target = resample(&source, Image::new(width, height, kind), &options)?;
    let narrow = |wide: &[u8; 2]| ((u32::from(u16::from_ne_bytes(*wide)) + 128) / 257) as u8;
    let data = target.buffer().as_chunks::<2>().0.iter().map(narrow).collect();
    Ok(Pixels { width, height, layout: pixels.layout, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Layout;

    #[test]
    fn hidden_colour_does_not_bleed() {
        let mut pixels = Pixels::zeroed(64, 4, Layout::Rgba);
        for (x, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
            // Stripes three wide, so that thumbnails' pixels lie across their edges.
            let seen = x % 64 / 3 % 2 == 0;
            pixel.copy_from_slice(if seen { &[255, 0, 0, 255] } else { &[0, 255, 0, 0] });
        }
        let out = resize(&pixels, Area::whole((64, 4)), 24, 2, 1.0).expect("a resize");
        for pixel in out.data.chunks_exact(4).filter(|pixel| pixel[3] > 8) {
            assert!(pixel[0] > 250 && pixel[1] < 5, "{pixel:?}");
        }
    }
}
