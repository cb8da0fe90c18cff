//! Where a variant's pixels come from and how many there are: pure arithmetic, in upright coordinates.

use crate::resize::{Area, fit_inside, scale_into};
use crate::spec::{BoxSize, Fit, Gravity};

/// From an image to a variant: cut out `crop`, resample it to `size`, lay that in the middle of `canvas`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) crop: Area,
    pub(crate) size: (u32, u32),
    pub(crate) canvas: (u32, u32),
}

/// The geometry of a fit for an upright image of a size. `anchor` is where a cut-out lies in the room there is
/// for it, from 0 (left, top) to 1 (right, bottom).
pub(crate) fn geometry(fit: Option<Fit>, image: (u32, u32), anchor: (f64, f64)) -> Geometry {
    let crop = Area::whole(image);
    let plain = |size| Geometry { crop, size, canvas: size };
    match fit {
        None => plain(image),
        Some(Fit::Inside(limit)) => plain(fit_inside(image.0, image.1, limit)),
        Some(Fit::Fill { size, enlarge }) => plain(largest_box(size, filling(size, image), enlarge)),
        Some(Fit::Cover { size, enlarge, .. }) => {
            let size = largest_box(size, filling(size, image), enlarge);
            Geometry { crop: cut(image, size, anchor), ..plain(size) }
        }
        Some(Fit::Contain { size, enlarge }) => {
            let scale = fitting(size, image);
            let canvas = largest_box(size, scale, enlarge);
            let kept = scale > 1.0 && !enlarge;
            let picture = if kept { image } else { scale_into(image.0, image.1, size) };
            Geometry { crop, size: (picture.0.min(canvas.0), picture.1.min(canvas.1)), canvas }
        }
    }
}

/// A fit with no side past what a format can hold. A box is as the operator wrote it.
pub(crate) fn bounded(fit: Option<Fit>, longest: u32) -> Option<Fit> {
    match fit {
        None => Some(Fit::Inside(BoxSize { width: longest, height: longest })),
        Some(Fit::Inside(size)) => {
            Some(Fit::Inside(BoxSize { width: size.width.min(longest), height: size.height.min(longest) }))
        }
        boxed => boxed,
    }
}

/// Where a gravity puts a cut-out; `None` for the one that must see the pixels.
pub(crate) fn anchor(gravity: Gravity) -> Option<(f64, f64)> {
    Some(match gravity {
        Gravity::Center => (0.5, 0.5),
        Gravity::North => (0.5, 0.0),
        Gravity::NorthEast => (1.0, 0.0),
        Gravity::East => (1.0, 0.5),
        Gravity::SouthEast => (1.0, 1.0),
        Gravity::South => (0.5, 1.0),
        Gravity::SouthWest => (0.0, 1.0),
        Gravity::West => (0.0, 0.5),
        Gravity::NorthWest => (0.0, 0.0),
        Gravity::Smart => return None,
    })
}

fn scales(size: BoxSize, (width, height): (u32, u32)) -> (f64, f64) {
    (f64::from(size.width) / f64::from(width), f64::from(size.height) / f64::from(height))
}

/// How much an image grows until it fills a box.
fn filling(size: BoxSize, image: (u32, u32)) -> f64 {
    let (x, y) = scales(size, image);
    x.max(y)
}

/// How much an image grows until it touches a box.
fn fitting(size: BoxSize, image: (u32, u32)) -> f64 {
    let (x, y) = scales(size, image);
    x.min(y)
}

/// The box, or one of its aspect ratio that the image need not grow for.
fn largest_box(size: BoxSize, scale: f64, enlarge: bool) -> (u32, u32) {
    if enlarge || scale <= 1.0 {
        return (size.width, size.height);
    }
    let shrunk = |side: u32| ((f64::from(side) / scale).round() as u32).max(1);
    (shrunk(size.width), shrunk(size.height))
}

/// The largest part of an image that has the aspect ratio of a size.
fn cut(image: (u32, u32), size: (u32, u32), anchor: (f64, f64)) -> Area {
    let whole = Area::whole(image);
    let scale = filling(BoxSize { width: size.0, height: size.1 }, image);
    let width = (f64::from(size.0) / scale).min(whole.width);
    let height = (f64::from(size.1) / scale).min(whole.height);
    Area { left: (whole.width - width) * anchor.0, top: (whole.height - height) * anchor.1, width, height }
}

#[cfg(test)]
mod tests;
