//! One frame, at a resolution that is enough for all that is to be made of it.

use crate::color::ToSrgb;
use crate::error::Error;
use crate::pixels::{Layout, Pixels, ycbcr_to_rgb};
use crate::planes::{Color, Plane, Planes};
use crate::resize::{Area, Filter, resize, resize_plane};

/// A frame as its decoder left it, with the way to sRGB.
pub(crate) enum Picture {
    /// Grey or YCbCr, from a JPEG. Colours are converted after a variant is resized: there are fewer then.
    Planes(Planes, ToSrgb),
    /// At full size, in sRGB.
    Pixels(Pixels),
}

impl Picture {
    /// A JPEG's planes. Other colour spaces than its own two are put together to pixels.
    pub(crate) fn from_planes(planes: Planes, inverted: bool, to_srgb: ToSrgb) -> Result<Self, Error> {
        match planes.color {
            Color::YCbCr => Ok(Self::Planes(planes, to_srgb)),
            Color::Gray if !to_srgb.changes_gray() => Ok(Self::Planes(planes, to_srgb)),
            _ => Ok(Self::Pixels(to_srgb.apply(merge(&planes, inverted)?)?)),
        }
    }

    /// The stored picture in sRGB at another size; grey and YCbCr stay what they are when they are sRGB.
    pub(crate) fn resize(&self, width: u32, height: u32) -> Result<Pixels, Error> {
        match self {
            Self::Pixels(pixels) if (pixels.width, pixels.height) == (width, height) => Ok(pixels.clone()),
            Self::Pixels(pixels) => resize(pixels, width, height),
            Self::Planes(planes, to_srgb) => to_srgb.apply(resize_planes(planes, width, height)?),
        }
    }
}

fn resize_planes(planes: &Planes, width: u32, height: u32) -> Result<Pixels, Error> {
    let filter = if (planes.width, planes.height) == (width, height) { Filter::Linear } else { Filter::Lanczos };
    let resized: Vec<Vec<u8>> =
        planes.planes.iter().map(|plane| resize_plane_to(plane, width, height, filter)).collect::<Result<_, _>>()?;
    let (layout, data) = match <[Vec<u8>; 1]>::try_from(resized) {
        Ok([gray]) => (Layout::Gray, gray),
        Err(resized) => (Layout::YCbCr, interleave(&resized)),
    };
    Ok(Pixels { width, height, layout, data })
}

fn resize_plane_to(plane: &Plane, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>, Error> {
    let area = Area { left: 0.0, top: 0.0, width: plane.width, height: plane.height };
    resize_plane(&plane.data, plane.stride, plane.rows, area, (width, height), filter)
}

fn interleave(planes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; planes.iter().map(Vec::len).sum()];
    for (i, plane) in planes.iter().enumerate() {
        for (to, &from) in out.iter_mut().skip(i).step_by(planes.len()).zip(plane) {
            *to = from;
        }
    }
    out
}

/// All planes as pixels of full size: for what is not YCbCr.
fn merge(planes: &Planes, inverted: bool) -> Result<Pixels, Error> {
    let (width, height) = (planes.width, planes.height);
    let whole: Vec<Vec<u8>> = planes
        .planes
        .iter()
        .map(|plane| resize_plane_to(plane, width, height, Filter::Linear))
        .collect::<Result<_, _>>()?;
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
