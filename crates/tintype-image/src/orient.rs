//! Turns a stored image upright by its EXIF orientation.

use crate::pixels::Pixels;

/// The size of the upright image: orientations 5 to 8 lie on their side.
pub(crate) fn upright_size(width: u32, height: u32, orientation: u8) -> (u32, u32) {
    if orientation >= 5 { (height, width) } else { (width, height) }
}

/// The upright image of stored pixels.
pub(crate) fn upright(pixels: Pixels, orientation: u8) -> Pixels {
    if orientation <= 1 {
        return pixels;
    }
    let channels = pixels.layout.channels();
    let (width, height) = upright_size(pixels.width, pixels.height, orientation);
    let mut out = Pixels::zeroed(width, height, pixels.layout);
    let (last_x, last_y) = (pixels.width - 1, pixels.height - 1);
    // Where the upright pixel (x, y) lies in the stored image.
    let stored = |x: u32, y: u32| match orientation {
        2 => (last_x - x, y),
        3 => (last_x - x, last_y - y),
        4 => (x, last_y - y),
        5 => (y, x),
        6 => (y, last_y - x),
        7 => (last_x - y, last_y - x),
        _ => (last_x - y, x),
    };
    let stride = pixels.stride();
    for (y, row) in out.data.chunks_exact_mut(width as usize * channels).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let (from_x, from_y) = stored(x as u32, y as u32);
            let at = from_y as usize * stride + from_x as usize * channels;
            pixel.copy_from_slice(&pixels.data[at..at + channels]);
        }
    }
    out
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
}
