//! One frame, at a resolution that is enough for all that is to be made of it.

use crate::color::ToSrgb;
use crate::error::Error;
use crate::pixels::{Layout, Pixels, ycbcr_to_rgb};
use crate::planes::{Color, Plane, Planes};
use crate::resize::{Area, Filter, resize, resize_plane};

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
    pub(crate) fn from_planes(planes: Planes, inverted: bool, to_srgb: ToSrgb) -> Result<Self, Error> {
        match planes.color {
            Color::YCbCr => Ok(Self::Planes(Box::new((planes, to_srgb)))),
            Color::Gray if !to_srgb.changes_gray() => Ok(Self::Planes(Box::new((planes, to_srgb)))),
            _ => Ok(Self::Pixels(to_srgb.apply(merge(&planes, inverted)?)?)),
        }
    }

    /// An area of the stored picture in sRGB at a size; grey and YCbCr stay what they are when they are sRGB.
    pub(crate) fn resize(&self, area: Area, width: u32, height: u32) -> Result<Pixels, Error> {
        match self {
            Self::Pixels(pixels) if is_all_of(area, pixels, (width, height)) => Ok(pixels.clone()),
            Self::Pixels(pixels) => resize(pixels, area, width, height),
            Self::Reduced(Reduced { pixels, block }) => resize(pixels, area.divided_by(*block), width, height),
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
    let area = Area { left: area.left * x, top: area.top * y, width: area.width * x, height: area.height * y };
    let enlarges = area.width < f64::from(width) || area.height < f64::from(height);
    let filter = match sampling {
        // Libjpeg's rule (its h2v1 and h2v2 "fancy" upsampling).
        Sampling::Pixels if as_it_is && plane.width <= 2.0 => Filter::Nearest,
        Sampling::Pixels if as_it_is => Filter::Linear,
        Sampling::Fours if enlarges => Filter::Linear,
        Sampling::Pixels => Filter::Lanczos,
        Sampling::Fours => Filter::Cubic,
    };
    resize_area(plane, area, (width, height), filter, sampling)
}

/// How much larger than what is made of it a plane must still be once it was halved: as in `render`.
const LEFT_TO_RESIZE: f64 = 1.9;

fn resize_area(
    plane: &Plane,
    area: Area,
    (width, height): (u32, u32),
    filter: Filter,
    sampling: Sampling,
) -> Result<Vec<u8>, Error> {
    // Of a strip, the part of a sample that is left over at its edge would weigh too much.
    const NARROW: f64 = 48.0;
    let enough = |length: f64, made: u32| length >= (2.0 * LEFT_TO_RESIZE * f64::from(made)).max(NARROW);
    if enough(area.width, width) && enough(area.height, height) {
        return resize_area(plane.half(), area.divided_by(2.0), (width, height), filter, sampling);
    }
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

/// A plane at full size.
fn whole_plane(plane: &Plane, width: u32, height: u32) -> Result<Vec<u8>, Error> {
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
fn merge(planes: &Planes, inverted: bool) -> Result<Pixels, Error> {
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
    if layout == Layout::Cmyk && inverted {
        data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    Ok(Pixels { width, height, layout, data })
}
