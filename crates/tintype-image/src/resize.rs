//! Shrinks to fit a box, by Lanczos over every source pixel.

use std::sync::LazyLock;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::Error;
use crate::pixels::{Layout, Pixels};
use crate::spec::BoxSize;

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

/// How samples are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Three lobes, widened when there is less to make than there is.
    Lanczos,
    /// Catmull and Rom's cubic, for colour at half the resolution: there the rings of Lanczos would be twice as wide.
    Cubic,
    /// As JPEG decoders enlarge colour: what is far counts less.
    Linear,
    /// As they enlarge what is no more than two samples wide.
    Nearest,
}

/// Parts of one in the table of the kernel: between two entries it is as good as straight.
const PARTS: usize = 1024;
const LOBES: usize = 3;

/// Lanczos' kernel of three lobes. From a table: the sines are a good part of a small image's cost.
fn lanczos() -> Result<fast_image_resize::Filter, Error> {
    fast_image_resize::Filter::new("Lanczos", kernel, LOBES as f64)
        .map_err(|e| Error::internal(format!("Lanczos' kernel: {e}")))
}

fn kernel(x: f64) -> f64 {
    static TABLE: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let value = |x: f64| if x < LOBES as f64 { sinc(x) * sinc(x / LOBES as f64) } else { 0.0 };
        (0..LOBES * PARTS + 2).map(|i| value(i as f64 / PARTS as f64)).collect()
    });
    let place = x.abs().min(LOBES as f64) * PARTS as f64;
    let at = place as usize;
    let (before, after) = (TABLE[at], TABLE[at + 1]);
    before + (after - before) * (place - at as f64)
}

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
    if (area.left, area.top) == (0.0, 0.0) && (area.width, area.height) == whole {
        return Ok(data
            .chunks_exact(stride)
            .take(height as usize)
            .flat_map(|row| &row[..width as usize])
            .copied()
            .collect());
    }
    let area = area.within(stride as u32, rows as u32);
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("resize to {width}x{height}: {e}"));
    let source = ImageRef::new(stride as u32, rows as u32, data, PixelType::U8).map_err(|e| failed(&e))?;
    let mut target = Image::new(width, height, PixelType::U8);
    let algorithm = match filter {
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Custom(lanczos()?)),
        Filter::Cubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Linear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Nearest => ResizeAlg::Nearest,
    };
    let options = ResizeOptions::new().resize_alg(algorithm).crop(area.left, area.top, area.width, area.height);
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(target.into_vec())
}

/// Resamples an area of the stored image to a size.
pub(crate) fn resize(pixels: &Pixels, area: Area, width: u32, height: u32) -> Result<Pixels, Error> {
    let area = area.within(pixels.width, pixels.height);
    let kind = match pixels.layout {
        Layout::Gray => PixelType::U8,
        Layout::GrayAlpha => PixelType::U8x2,
        Layout::Rgb | Layout::YCbCr => PixelType::U8x3,
        Layout::Rgba | Layout::Cmyk => PixelType::U8x4,
    };
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("resize to {width}x{height}: {e}"));
    let source = ImageRef::new(pixels.width, pixels.height, &pixels.data, kind).map_err(|e| failed(&e))?;
    let mut target = Image::new(width, height, kind);
    // Alpha is multiplied in first, so that the colour of what cannot be seen does not bleed.
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Custom(lanczos()?)))
        .crop(area.left, area.top, area.width, area.height)
        .use_alpha(pixels.layout.has_alpha());
    Resizer::new().resize(&source, &mut target, &options).map_err(|e| failed(&e))?;
    Ok(Pixels { width, height, layout: pixels.layout, data: target.into_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_colour_does_not_bleed() {
        let mut pixels = Pixels::zeroed(64, 4, Layout::Rgba);
        for (x, pixel) in pixels.data.chunks_exact_mut(4).enumerate() {
            // Stripes three wide, so that thumbnails' pixels lie across their edges.
            let seen = x % 64 / 3 % 2 == 0;
            pixel.copy_from_slice(if seen { &[255, 0, 0, 255] } else { &[0, 255, 0, 0] });
        }
        let out = resize(&pixels, Area::whole((64, 4)), 24, 2).expect("a resize");
        for pixel in out.data.chunks_exact(4).filter(|pixel| pixel[3] > 8) {
            assert!(pixel[0] > 250 && pixel[1] < 5, "{pixel:?}");
        }
    }
}
