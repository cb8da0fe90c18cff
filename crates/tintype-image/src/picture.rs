//! One frame, at a resolution that is enough for all that is to be made of it.

use crate::color::ToSrgb;
use crate::error::Error;
use crate::pixels::{Layout, Pixels, ycbcr_to_rgb};
use crate::planes::{Color, Plane, Planes};
use crate::resize::{Area, Filter, Kernel, Shape, box_variance, resize, resize_plane};
use crate::upsample;

/// A frame as its decoder left it, with the way to sRGB.
pub(crate) enum Picture {
    /// Grey or YCbCr, from a JPEG. Colours are converted after a variant is resized: there are fewer then.
    Planes(Box<(Planes, ToSrgb)>),
    /// At full size, in sRGB.
    Pixels(Pixels),
    /// Of a picture that went by, in sRGB.
    Reduced(Reduced),
}

/// Means of square blocks of a picture.
pub(crate) struct Reduced {
    pub(crate) pixels: Pixels,
    /// Pixels of the picture along a side of a block.
    pub(crate) block: f64,
}

impl Picture {
    /// A JPEG's planes. Other colour spaces than its own two are put together to pixels.
    pub(crate) fn from_planes(planes: Planes, to_srgb: ToSrgb) -> Result<Self, Error> {
        match planes.color {
            Color::YCbCr => Ok(Self::Planes(Box::new((planes.shown(), to_srgb)))),
            Color::Gray if !to_srgb.changes_gray() => Ok(Self::Planes(Box::new((planes.shown(), to_srgb)))),
            _ => Ok(Self::Pixels(to_srgb.apply(merge(&planes)?)?)),
        }
    }

    /// A JPEG's pixels as decoders show them, if it has colours that are stored apart and all its samples are there.
    pub(crate) fn as_shown(planes: &Planes, to_srgb: &ToSrgb) -> Result<Self, Error> {
        Ok(Self::Pixels(to_srgb.apply(merge(planes)?.into_rgb())?))
    }

    /// An area of the stored picture in sRGB at a size; grey and YCbCr stay what they are when they are sRGB.
    pub(crate) fn resize(&self, area: Area, width: u32, height: u32) -> Result<Pixels, Error> {
        match self {
            Self::Pixels(pixels) if is_all_of(area, pixels, (width, height)) => Ok(pixels.clone()),
            Self::Pixels(pixels) => resize(pixels, area, width, height, 1.0),
            Self::Reduced(Reduced { pixels, block }) => resize(pixels, area.divided_by(*block), width, height, *block),
            Self::Planes(parts) => {
                let (planes, to_srgb) = &**parts;
                to_srgb.apply(resize_planes(planes, area, width, height)?)
            }
        }
    }
}

/// Whether an area at a size is the very picture.
pub(crate) fn is_all_of(area: Area, pixels: &Pixels, size: (u32, u32)) -> bool {
    (pixels.width, pixels.height) == size && area == Area::whole(size)
}

fn resize_planes(planes: &Planes, area: Area, width: u32, height: u32) -> Result<Pixels, Error> {
    let resize = |plane| resize_plane_of(planes, plane, area, (width, height), Sampling::Pixels);
    let resized: Vec<Vec<u8>> = planes.planes.iter().map(resize).collect::<Result<_, _>>()?;
    let (layout, data) = match <[Vec<u8>; 1]>::try_from(resized) {
        Ok([gray]) => (Layout::Gray, gray),
        Err(resized) => (Layout::YCbCr, interleave(&resized)),
    };
    Ok(Pixels { width, height, layout, data })
}

/// What a sample of a resampled plane stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// One pixel of the variant. The area lies within the picture, give or take a hair.
    Pixels,
    /// The mean of two by two. The area may reach beyond the picture, where its last samples stand in.
    Fours,
}

/// Resamples one plane of a picture; the area is in pixels of the picture.
pub(crate) fn resize_plane_of(
    planes: &Planes,
    plane: &Plane,
    area: Area,
    (width, height): (u32, u32),
    sampling: Sampling,
) -> Result<Vec<u8>, Error> {
    let as_it_is = (area.width, area.height) == (f64::from(width), f64::from(height));
    // The area in samples of this plane.
    let (x, y) = (plane.width / f64::from(planes.width), plane.height / f64::from(planes.height));
    let pixels = (area.width * area.height / f64::from(width) / f64::from(height)).sqrt();
    let area = Area { left: area.left * x, top: area.top * y, width: area.width * x, height: area.height * y };
    let enlarges = area.width < f64::from(width) || area.height < f64::from(height);
    let filter = match sampling {
        // Libjpeg's rule (its h2v1 and h2v2 "fancy" upsampling).
        Sampling::Pixels if as_it_is && plane.width <= 2.0 => Filter::Nearest,
        Sampling::Pixels if as_it_is => Filter::Linear,
        Sampling::Fours if enlarges => Filter::Linear,
        Sampling::Pixels => Filter::Kernel(Kernel::LANCZOS),
        Sampling::Fours => Filter::Kernel(Kernel { shape: Shape::Cubic, sharpness: UPSAMPLED }),
    };
    let first = &planes.planes[0];
    let sampled = (first.width * first.height / plane.width / plane.height).sqrt();
    let grain = Grain { sample: 1.0 / (x * y).sqrt(), sampled, pixels };
    resize_area(plane, area, (width, height), filter, sampling, grain)
}

/// What each sample of a plane stands for, and each of the target, in pixels of the picture along a side.
#[derive(Clone, Copy)]
struct Grain {
    /// A sample of this plane.
    sample: f64,
    /// A sample of the file, of which the decoder took means.
    sampled: f64,
    /// A sample of the target.
    pixels: f64,
}

impl Grain {
    /// What a kernel is to give back of what the samples' means took from the picture that decoders show. Those
    /// enlarge colour themselves, between the samples around each pixel: twice as large, with weights of 1/8, 3/8,
    /// 3/8 and 1/8.
    fn sharpness(self) -> f64 {
        let means = self.sampled.powi(2) * box_variance(self.sample / self.sampled);
        // In both directions, or in one: the kernel is the same for both.
        let decoder = match self.sampled {
            1.9.. => 0.75,
            1.3.. => 0.75 / 2.0,
            _ => 0.0,
        };
        // A kernel is never narrower than the samples it weighs: what is enlarged, it measures in those.
        (means - decoder) / (2.0 * self.pixels.max(self.sample).powi(2))
    }

    fn halved(self) -> Self {
        Self { sample: self.sample * 2.0, ..self }
    }
}

/// What the same kernel takes when the variant is looked at: as much is added, for what is seen to be nearest (least
/// squares; `u(w) / (u(w)² + u(w + pi)²)` of the weights `u`, near its middle).
const UPSAMPLED: f64 = 0.125;

/// How much larger than what is made of it a plane must still be once it was halved: as in `render`.
const LEFT_TO_RESIZE: f64 = 1.9;

fn resize_area(
    plane: &Plane,
    area: Area,
    (width, height): (u32, u32),
    filter: Filter,
    sampling: Sampling,
    grain: Grain,
) -> Result<Vec<u8>, Error> {
    // Of a strip, the part of a sample that is left over at its edge would weigh too much.
    const NARROW: f64 = 48.0;
    let enough = |length: f64, made: u32| length >= (2.0 * LEFT_TO_RESIZE * f64::from(made)).max(NARROW);
    if enough(area.width, width) && enough(area.height, height) {
        return resize_area(plane.half(), area.divided_by(2.0), (width, height), filter, sampling, grain.halved());
    }
    let filter = match filter {
        Filter::Kernel(kernel) => Filter::Kernel(Kernel { sharpness: kernel.sharpness + grain.sharpness(), ..kernel }),
        other => other,
    };
    if sampling == Sampling::Fours
        && let Some((plane, area)) = extended(plane, area)
    {
        return resize_plane(&plane.data, plane.stride, plane.rows, area, (width, height), filter);
    }
    resize_plane(&plane.data, plane.stride, plane.rows, area, (width, height), filter)
}

/// A plane that holds all of an area, if it does not by itself, and the area in it.
fn extended(plane: &Plane, area: Area) -> Option<(Plane, Area)> {
    // Less than that is rounding's doing.
    const HAIR: f64 = 1e-6;
    let beyond = |length: f64| if length > HAIR { length.ceil() as usize } else { 0 };
    let (left, top) = (beyond(-area.left), beyond(-area.top));
    let right = beyond(area.left + area.width - plane.stride as f64);
    let bottom = beyond(area.top + area.height - plane.rows as f64);
    let area = Area { left: area.left + left as f64, top: area.top + top as f64, ..area };
    ([left, top, right, bottom] != [0; 4]).then(|| (plane.extended([left, right], [top, bottom]), area))
}

/// A plane at full size, as decoders enlarge it.
fn whole_plane(plane: &Plane, width: u32, height: u32) -> Result<Vec<u8>, Error> {
    // What the picture covers of the plane, in whole samples, and how many of its pixels each is of.
    let (across, down) = (plane.width.ceil() as usize, plane.height.ceil() as usize);
    let factor = |length: u32, samples: f64| (f64::from(length) / samples * 64.0).round() / 64.0;
    let factors = (factor(width, plane.width), factor(height, plane.height));
    // Narrower ones are not interpolated.
    if across > 2 && matches!(factors, (2.0, 1.0 | 2.0)) {
        let size = (width as usize, height as usize);
        return Ok(upsample::twice(&plane.data, plane.stride, (across, down), factors.1 == 2.0, size));
    }
    let area = Area { left: 0.0, top: 0.0, width: plane.width, height: plane.height };
    resize_plane(&plane.data, plane.stride, plane.rows, area, (width, height), Filter::Linear)
}

fn interleave(planes: &[Vec<u8>]) -> Vec<u8> {
    if let [a, b, c] = planes {
        return a.iter().zip(b).zip(c).flat_map(|((&a, &b), &c)| [a, b, c]).collect();
    }
    (0..planes.iter().map(Vec::len).sum()).map(|i| planes[i % planes.len()][i / planes.len()]).collect()
}

/// All planes as pixels of full size: for what is not YCbCr.
fn merge(planes: &Planes) -> Result<Pixels, Error> {
    let (width, height) = (planes.width, planes.height);
    let whole: Vec<Vec<u8>> =
        planes.planes.iter().map(|plane| whole_plane(plane, width, height)).collect::<Result<_, _>>()?;
    let mut data = interleave(&whole);
    if planes.color == Color::Ycck {
        for ink in data.chunks_exact_mut(4) {
            // The three are stored as YCbCr of what is left of white.
            let light = ycbcr_to_rgb([ink[0], ink[1], ink[2]]);
            ink[..3].copy_from_slice(&light.map(|v| 255 - v));
        }
    }
    let layout = match planes.color {
        Color::Gray => Layout::Gray,
        Color::YCbCr => Layout::YCbCr,
        Color::Rgb => Layout::Rgb,
        Color::Cmyk | Color::Ycck => Layout::Cmyk,
    };
    // Adobe's programs store 255 for no ink, and so do others: browsers ask for no marker of Adobe's.
    if layout == Layout::Cmyk {
        data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    Ok(Pixels { width, height, layout, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_stays_small_however_much_is_enlarged() {
        for sampled in [1.0, f64::sqrt(2.0), 2.0] {
            for means in [1.0, 4.0 / 3.0, 2.0, 4.0, 8.0, 64.0] {
                for pixels in [0.01, 0.5, 1.0, 1.25, 3.2, 10.0, 100.0] {
                    let grain = Grain { sample: sampled * means, sampled, pixels };
                    let sharpness = grain.sharpness();
                    assert!((-0.1..=1.0 / 24.0).contains(&sharpness), "{sharpness} of {sampled} {means} {pixels}");
                }
            }
        }
    }

    #[test]
    fn inks_are_stored_upside_down() {
        let plane = |value| Plane::new((1, 1), (1.0, 1.0), vec![value]);
        let planes = Planes {
            width: 1,
            height: 1,
            color: Color::Cmyk,
            planes: [55, 235, 225, 245].map(plane).into(),
            means: Vec::new(),
            roughness: Vec::new(),
        };
        let Ok(Picture::Pixels(pixels)) = Picture::from_planes(planes, ToSrgb::new(None)) else {
            panic!("inks become pixels");
        };
        // As Chromium shows it, with Adobe's marker and without.
        assert_eq!(pixels.data, [53, 226, 216]);
    }

    #[test]
    fn a_plane_of_one_value_stays_one_at_any_size() {
        for (per_side, stride, rows) in [(1.0, 40, 30), (1.0, 25, 8), (2.0, 9, 40), (8.0, 320, 240)] {
            let plane = Plane::new((stride, rows), (stride as f64, rows as f64), vec![200; stride * rows]);
            let (width, height) = (stride as f64 * 8.0 / per_side, rows as f64 * 8.0 / per_side);
            let planes = Planes {
                width: width as u32,
                height: height as u32,
                color: Color::Gray,
                planes: vec![plane],
                means: Vec::new(),
                roughness: Vec::new(),
            };
            for size in [(100, 75), (1, 1), (400, 3), (3, 400), (319, 239), (640, 480), (41, 31)] {
                let made = resize_planes(&planes, Area::whole((planes.width, planes.height)), size.0, size.1);
                let made = made.expect("a resize").data;
                assert!(made.iter().all(|&value| value == 200), "{per_side} {stride}x{rows} to {size:?}");
            }
        }
    }
}
