//! What lies behind a picture: room around it, and a colour where it is transparent.

use crate::pixels::{Layout, Pixels};

/// Lays a picture in the middle of a canvas no smaller than it. With a colour, nothing stays transparent.
pub(crate) fn lay(picture: Pixels, canvas: (u32, u32), color: Option<[u8; 3]>) -> Pixels {
    let grows = (picture.width, picture.height) != canvas;
    match color {
        Some(color) if grows || picture.layout.has_alpha() => over_color(&picture, canvas, color),
        None if grows => over_nothing(&picture, canvas),
        _ => picture,
    }
}

fn over_color(picture: &Pixels, canvas: (u32, u32), color: [u8; 3]) -> Pixels {
    let mut out = Pixels::zeroed(canvas.0, canvas.1, Layout::Rgb);
    for pixel in out.data.chunks_exact_mut(3) {
        pixel.copy_from_slice(&color);
    }
    let rgba = picture.to_rgba();
    each_row(picture, &rgba, &mut out, |to, from| {
        for (to, from) in to.chunks_exact_mut(3).zip(from.chunks_exact(4)) {
            for ((to, &over), under) in to.iter_mut().zip(from).zip(color) {
                *to = mix(over, under, from[3]);
            }
        }
    });
    out
}

fn over_nothing(picture: &Pixels, canvas: (u32, u32)) -> Pixels {
    let mut out = Pixels::zeroed(canvas.0, canvas.1, Layout::Rgba);
    let rgba = picture.to_rgba();
    each_row(picture, &rgba, &mut out, <[u8]>::copy_from_slice);
    out
}

/// Hands each row of a picture, as RGBA, to the place on the canvas where it lies.
fn each_row(picture: &Pixels, rgba: &[u8], out: &mut Pixels, write: impl Fn(&mut [u8], &[u8])) {
    let (x, y) = ((out.width - picture.width) / 2, (out.height - picture.height) / 2);
    let channels = out.layout.channels();
    let stride = out.stride();
    let across = picture.width as usize;
    let rows = out.data.chunks_exact_mut(stride).skip(y as usize);
    for (to, from) in rows.zip(rgba.chunks_exact(across * 4)) {
        write(&mut to[x as usize * channels..][..across * channels], from);
    }
}

/// Over and under by alpha, rounded.
fn mix(over: u8, under: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(over) * alpha + u32::from(under) * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(layout: Layout, pixel: &[u8]) -> Pixels {
        Pixels { width: 2, height: 1, layout, data: pixel.repeat(2) }
    }

    #[test]
    fn room_around_a_picture_is_of_the_colour_or_clear() {
        let out = lay(picture(Layout::Rgb, &[9, 8, 7]), (4, 3), Some([1, 2, 3]));
        let row = |middle: &[u8]| [&[1, 2, 3], middle, middle, &[1, 2, 3]].concat();
        assert_eq!(out.data, [row(&[1, 2, 3]), row(&[9, 8, 7]), row(&[1, 2, 3])].concat());
        let out = lay(picture(Layout::Gray, &[9]), (2, 2), None);
        assert_eq!((out.layout, out.data), (Layout::Rgba, [[9, 9, 9, 255].repeat(2), vec![0; 8]].concat()));
    }

    #[test]
    fn what_is_transparent_shows_the_colour() {
        let out = lay(picture(Layout::GrayAlpha, &[200, 51]), (2, 1), Some([0, 100, 255]));
        assert_eq!((out.layout, &out.data[..3]), (Layout::Rgb, &[40, 120, 244][..]));
        let kept = lay(picture(Layout::Rgba, &[1, 2, 3, 4]), (2, 1), None);
        assert_eq!((kept.layout, &kept.data[..4]), (Layout::Rgba, &[1, 2, 3, 4][..]));
    }
}
