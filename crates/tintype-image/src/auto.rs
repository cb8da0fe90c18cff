//! Which format `auto` is, decided from the image alone.

use crate::format::Format;
use crate::pixels::Pixels;

/// What must be known of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether there are pixels that are not opaque.
    pub(crate) transparent: bool,
    /// Whether most pixels equal the one before them, which noise prevents in a photo.
    pub(crate) drawing: bool,
}

impl Look {
    /// A JPEG needs no looking at.
    pub(crate) const PHOTO: Self = Self { transparent: false, drawing: false };

    /// Looks at the first frame; `lossless` says whether it was stored so: what was coded with loss once is a photo.
    pub(crate) fn at(first: &Pixels, lossless: bool) -> Self {
        Self { transparent: is_transparent(first), drawing: lossless && is_drawing(first) }
    }
}

/// A format, and whether it is to be without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) format: Format,
    pub(crate) lossless: bool,
}

/// JPEG for an opaque photo, WebP for the rest; without loss for drawings.
pub(crate) fn choose(look: Look, frames: u32) -> Choice {
    let photo = frames == 1 && !look.drawing && !look.transparent;
    Choice { format: if photo { Format::Jpeg } else { Format::WebP }, lossless: look.drawing }
}

fn is_transparent(pixels: &Pixels) -> bool {
    let channels = pixels.layout.channels();
    pixels.layout.has_alpha() && pixels.data.chunks_exact(channels).any(|pixel| pixel[channels - 1] != 255)
}

fn is_drawing(pixels: &Pixels) -> bool {
    let channels = pixels.layout.channels();
    let pairs = |row: &[u8]| {
        row.chunks_exact(channels).zip(row[channels..].chunks_exact(channels)).filter(|(a, b)| a == b).count()
    };
    let same: usize = pixels.data.chunks_exact(pixels.stride()).map(pairs).sum();
    2 * same > (pixels.width as usize - 1) * pixels.height as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Layout;

    fn image(layout: Layout, pixel: impl Fn(usize) -> Vec<u8>) -> Pixels {
        Pixels { width: 16, height: 4, layout, data: (0..64).flat_map(pixel).collect() }
    }

    #[test]
    fn photo_alpha_animation_drawing() {
        let photo = image(Layout::Rgb, |i| vec![i as u8, 3, 5]);
        let drawing = image(Layout::Rgb, |i| vec![i as u8 / 8, 3, 5]);
        let clear = image(Layout::Rgba, |i| vec![i as u8, 3, 5, 250]);
        let opaque = image(Layout::Rgba, |i| vec![i as u8, 3, 5, 255]);
        let lossy = |format| Choice { format, lossless: false };
        let choose = |first: &Pixels, frames, lossless| choose(Look::at(first, lossless), frames);
        assert_eq!(choose(&photo, 1, true), lossy(Format::Jpeg));
        assert_eq!(choose(&opaque, 1, true), lossy(Format::Jpeg));
        assert_eq!(choose(&clear, 1, true), lossy(Format::WebP));
        assert_eq!(choose(&photo, 2, true), lossy(Format::WebP));
        assert_eq!(choose(&drawing, 1, true), Choice { format: Format::WebP, lossless: true });
        // A plain wall, but photographed.
        assert_eq!(choose(&drawing, 1, false), lossy(Format::Jpeg));
    }
}
