//! A raster of 8-bit samples, as every step hands it to the next.

/// How many samples a pixel has and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    /// JFIF's, full range; what a JPEG is read to and written from.
    YCbCr,
    Rgba,
    /// Ink amounts, 255 for full ink; decoders only, [`crate::color`] turns it into RGB.
    Cmyk,
}

impl Layout {
    pub(crate) const fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb | Self::YCbCr => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    pub(crate) const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Rows from the top, samples interleaved, no padding.
#[derive(Debug, Clone)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) layout: Layout,
    pub(crate) data: Vec<u8>,
}

impl Pixels {
    /// A black, transparent raster.
    pub(crate) fn zeroed(width: u32, height: u32, layout: Layout) -> Self {
        let len = width as usize * height as usize * layout.channels();
        Self { width, height, layout, data: vec![0; len] }
    }

    /// Samples of one row.
    pub(crate) fn stride(&self) -> usize {
        self.width as usize * self.layout.channels()
    }

    /// The same picture in RGB, if it is in YCbCr; else as it is.
    pub(crate) fn into_rgb(mut self) -> Self {
        if self.layout == Layout::YCbCr {
            for pixel in self.data.as_chunks_mut::<3>().0 {
                *pixel = ycbcr_to_rgb(*pixel);
            }
            self.layout = Layout::Rgb;
        }
        self
    }

    /// The same picture as RGBA.
    pub(crate) fn to_rgba(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.width as usize * self.height as usize * 4);
        let pixels = self.data.chunks_exact(self.layout.channels());
        match self.layout {
            Layout::Gray => out.extend(self.data.iter().flat_map(|&gray| [gray, gray, gray, 255])),
            Layout::GrayAlpha => out.extend(pixels.flat_map(|p| [p[0], p[0], p[0], p[1]])),
            Layout::Rgb | Layout::Cmyk => out.extend(pixels.flat_map(|p| [p[0], p[1], p[2], 255])),
            Layout::YCbCr => out.extend(pixels.flat_map(|p| {
                let [r, g, b] = ycbcr_to_rgb([p[0], p[1], p[2]]);
                [r, g, b, 255]
            })),
            Layout::Rgba => out.extend_from_slice(&self.data),
        }
        out
    }

    /// The colours alone, whatever came after them.
    pub(crate) fn drop_alpha(&mut self) {
        let channels = self.layout.channels();
        self.layout = match self.layout {
            Layout::GrayAlpha => Layout::Gray,
            Layout::Rgba => Layout::Rgb,
            _ => return,
        };
        let kept = self.layout.channels();
        for at in 0..self.data.len() / channels {
            self.data.copy_within(at * channels..at * channels + kept, at * kept);
        }
        self.data.truncate(self.data.len() / channels * kept);
    }

    /// From colour multiplied by alpha, as some files store it, to colour as it is.
    pub(crate) fn divide_by_alpha(&mut self) {
        if !self.layout.has_alpha() {
            return;
        }
        for pixel in self.data.chunks_exact_mut(self.layout.channels()) {
            let Some((alpha, color)) = pixel.split_last_mut() else { continue };
            let alpha = u32::from(*alpha);
            for value in color {
                *value = ((u32::from(*value) * 255 + alpha / 2).checked_div(alpha)).unwrap_or(0).min(255) as u8;
            }
        }
    }
}

/// The nearest byte.
#[inline(always)]
pub(crate) fn to_byte(value: f32) -> u8 {
    // 2^23 leaves no room for a fraction; a cast, which has to mind what is no byte, is several times slower.
    const MAGIC: f32 = 8_388_608.0;
    (value.clamp(0.0, 255.0) + MAGIC).to_bits() as u8
}

/// ITU-R BT.601 at full range, as JFIF has it; in 16 bits of fraction, rounded.
pub(crate) fn ycbcr_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + 91_881 * cr;
    let green = y - 22_554 * cb - 46_802 * cr;
    let blue = y + 116_130 * cb;
    [red, green, blue].map(|v| ((v + HALF) >> 16).clamp(0, 255) as u8)
}
