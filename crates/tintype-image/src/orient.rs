//! Turns a stored image upright by its EXIF orientation.

use crate::pixels::Pixels;
use crate::resize::Area;

/// The size of the upright image: orientations 5 to 8 lie on their side.
pub(crate) fn upright_size(width: u32, height: u32, orientation: u8) -> (u32, u32) {
    if orientation >= 5 { (height, width) } else { (width, height) }
}

/// Where a part of the upright image lies in the stored one, whose size is given.
pub(crate) fn stored_area(part: Area, (width, height): (u32, u32), orientation: u8) -> Area {
    let Area { left: x, top: y, width: across, height: down } = part;
    let from_right = |x: f64, across: f64| f64::from(width) - x - across;
    let from_bottom = |y: f64, down: f64| f64::from(height) - y - down;
    let (x, y) = match orientation {
        2 => (from_right(x, across), y),
        3 => (from_right(x, across), from_bottom(y, down)),
        4 => (x, from_bottom(y, down)),
        5 => (y, x),
        6 => (y, from_bottom(x, across)),
        7 => (from_right(y, down), from_bottom(x, across)),
        8 => (from_right(y, down), x),
        _ => (x, y),
    };
    // A hair below zero is zero.
    let (left, top) = (x.max(0.0), y.max(0.0));
    if orientation >= 5 {
        Area { left, top, width: down, height: across }
    } else {
        Area { left, top, width: across, height: down }
    }
}

/// The upright image of stored pixels.
pub(crate) fn upright(pixels: Pixels, orientation: u8) -> Pixels {
    let (width, height) = upright_size(pixels.width, pixels.height, orientation);
    let size = (pixels.width as usize, pixels.height as usize);
    let data = turn(pixels.data, size, pixels.layout.channels(), orientation);
    Pixels { width, height, layout: pixels.layout, data }
}

/// Turns a raster of `(width, height)` with some samples a pixel.
pub(crate) fn turn<T: Copy>(data: Vec<T>, (width, height): (usize, usize), channels: usize, orientation: u8) -> Vec<T> {
    if orientation <= 1 {
        return data;
    }
    let (across, down) = if orientation >= 5 { (height, width) } else { (width, height) };
    let (last_x, last_y) = (width - 1, height - 1);
    // Where the upright pixel (x, y) lies in the stored image.
    let stored = |x: usize, y: usize| match orientation {
        2 => (last_x - x, y),
        3 => (last_x - x, last_y - y),
        4 => (x, last_y - y),
        5 => (y, x),
        6 => (y, last_y - x),
        7 => (last_x - y, last_y - x),
        _ => (last_x - y, x),
    };
    let mut out = Vec::with_capacity(data.len());
    for y in 0..down {
        for x in 0..across {
            let (from_x, from_y) = stored(x, y);
            let at = (from_y * width + from_x) * channels;
            out.extend_from_slice(&data[at..at + channels]);
        }
    }
    out
}

/// Which sides of the upright image were the far ones of the stored one: the right, the bottom.
pub(crate) fn mirrored(orientation: u8) -> (bool, bool) {
    (matches!(orientation, 2 | 3 | 6 | 7), matches!(orientation, 3 | 4 | 7 | 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Layout;

    /// The letter F, three by two pixels of it, each orientation as a viewer must turn it.
    #[test]
    fn all_eight_turn_upright() {
        let upright_image = vec![1, 2, 3, 4, 5, 6];
        let stored: [(u32, u32, [u8; 6]); 8] = [
            (3, 2, [1, 2, 3, 4, 5, 6]),
            (3, 2, [3, 2, 1, 6, 5, 4]),
            (3, 2, [6, 5, 4, 3, 2, 1]),
            (3, 2, [4, 5, 6, 1, 2, 3]),
            (2, 3, [1, 4, 2, 5, 3, 6]),
            (2, 3, [3, 6, 2, 5, 1, 4]),
            (2, 3, [6, 3, 5, 2, 4, 1]),
            (2, 3, [4, 1, 5, 2, 6, 3]),
        ];
        for (i, (width, height, data)) in stored.into_iter().enumerate() {
            let pixels = Pixels { width, height, layout: Layout::Gray, data: data.to_vec() };
            let out = upright(pixels, i as u8 + 1);
            assert_eq!((out.width, out.height, &out.data), (3, 2, &upright_image), "orientation {}", i + 1);
        }
    }

    /// Each pixel of an upright image, as a part of it, is found where turning takes it from.
    #[test]
    fn a_part_lies_where_its_pixels_lie() {
        for orientation in 1..=8 {
            let (width, height) = upright_size(3, 2, orientation);
            let stored = Pixels { width, height, layout: Layout::Gray, data: (0..6).collect() };
            let turned = upright(stored.clone(), orientation);
            assert_eq!((turned.width, turned.height), (3, 2));
            for (x, y) in [(0, 0), (2, 0), (1, 1), (0, 1)] {
                let part = Area { left: x.into(), top: y.into(), width: 1.0, height: 1.0 };
                let found = stored_area(part, (width, height), orientation);
                let at = found.top as usize * width as usize + found.left as usize;
                assert_eq!(stored.data[at], turned.data[(y * 3 + x) as usize], "orientation {orientation}: {found:?}");
            }
            let whole = stored_area(Area::whole((3, 2)), (width, height), orientation);
            assert_eq!(whole, Area::whole((width, height)), "orientation {orientation}");
        }
    }
}
