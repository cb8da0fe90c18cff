//! Brings every colour space to sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout as IccLayout, TransformExecutor, TransformOptions};

use crate::error::Error;
use crate::pixels::{Layout, Pixels};

/// Pixels converted at once: enough to be quick, little enough to stay in the cache.
const BATCH: usize = 4096;

/// What the embedded profile says, ready to be applied to each frame.
pub(crate) struct ToSrgb {
    profile: Option<ColorProfile>,
}

impl ToSrgb {
    /// Reads the profile. A broken one says nothing, as in every viewer.
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        Self { profile: icc.and_then(|icc| ColorProfile::new_from_slice(icc).ok()) }
    }

    /// The frame in sRGB, or in grey of the same tone curve.
    pub(crate) fn apply(&self, pixels: Pixels) -> Result<Pixels, Error> {
        let transform = self.transform(pixels.layout).filter(|(executor, _)| changes(&**executor, pixels.layout));
        let Some((executor, target)) = transform else {
            return Ok(without_profile(pixels));
        };
        convert(&*executor, pixels, target)
    }

    /// The transform for a layout, when the profile is of that kind of colour.
    fn transform(&self, layout: Layout) -> Option<(Arc<dyn TransformExecutor<u8> + Send + Sync>, Layout)> {
        let profile = self.profile.as_ref()?;
        let (space, source, target, target_layout) = match layout {
            Layout::Gray => (DataColorSpace::Gray, IccLayout::Gray, IccLayout::Rgb, Layout::Rgb),
            Layout::GrayAlpha => (DataColorSpace::Gray, IccLayout::GrayAlpha, IccLayout::Rgba, Layout::Rgba),
            Layout::Rgb => (DataColorSpace::Rgb, IccLayout::Rgb, IccLayout::Rgb, Layout::Rgb),
            Layout::Rgba => (DataColorSpace::Rgb, IccLayout::Rgba, IccLayout::Rgba, Layout::Rgba),
            // Four inks go in where the crate says RGBA.
            Layout::Cmyk => (DataColorSpace::Cmyk, IccLayout::Rgba, IccLayout::Rgb, Layout::Rgb),
        };
        if profile.color_space != space {
            return None;
        }
        let srgb = ColorProfile::new_srgb();
        let transform = profile.create_transform_8bit(source, &srgb, target, TransformOptions::default()).ok()?;
        Some((transform, target_layout))
    }
}

/// Whether a transform does anything: most photos carry sRGB itself, which should cost nothing.
fn changes(executor: &dyn TransformExecutor<u8>, layout: Layout) -> bool {
    if layout != Layout::Rgb {
        return true;
    }
    let steps = || (0..=255u8).step_by(17);
    let colors: Vec<u8> =
        steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
    let mut out = vec![0; colors.len()];
    executor.transform(&colors, &mut out).is_err() || colors.iter().zip(&out).any(|(a, b)| a.abs_diff(*b) > 1)
}

fn convert(executor: &dyn TransformExecutor<u8>, pixels: Pixels, target: Layout) -> Result<Pixels, Error> {
    let (from, to) = (pixels.layout.channels(), target.channels());
    let gray = matches!(pixels.layout, Layout::Gray | Layout::GrayAlpha);
    let mut out = Vec::with_capacity(pixels.data.len() / from * to);
    let mut batch = vec![0; BATCH * to];
    for source in pixels.data.chunks(BATCH * from) {
        let converted = &mut batch[..source.len() / from * to];
        executor.transform(source, converted).map_err(|e| Error::internal(format!("colour transform: {e:?}")))?;
        out.extend_from_slice(converted);
    }
    let out = Pixels { width: pixels.width, height: pixels.height, layout: target, data: out };
    Ok(if gray { back_to_gray(&out) } else { out })
}

/// A grey profile gives equal red, green and blue: one of them will do, so grey stays grey.
fn back_to_gray(pixels: &Pixels) -> Pixels {
    let alpha = pixels.layout.has_alpha();
    let each = |p: &[u8]| if alpha { vec![p[1], p[3]] } else { vec![p[1]] };
    let data = pixels.data.chunks_exact(pixels.layout.channels()).flat_map(each).collect();
    let layout = if alpha { Layout::GrayAlpha } else { Layout::Gray };
    Pixels { width: pixels.width, height: pixels.height, layout, data }
}

/// Inks without a profile become light the simple way; the rest is taken for sRGB.
fn without_profile(pixels: Pixels) -> Pixels {
    if pixels.layout != Layout::Cmyk {
        return pixels;
    }
    let mut data = Vec::with_capacity(pixels.data.len() / 4 * 3);
    for ink in pixels.data.chunks_exact(4) {
        let paper = 255 - u32::from(ink[3]);
        data.extend(ink[..3].iter().map(|&i| ((255 - u32::from(i)) * paper + 127) / 255).map(|v| v as u8));
    }
    Pixels { width: pixels.width, height: pixels.height, layout: Layout::Rgb, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inks_darken_paper() {
        let pixels =
            Pixels { width: 3, height: 1, layout: Layout::Cmyk, data: vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255] };
        let out = ToSrgb::new(None).apply(pixels).expect("no profile cannot fail");
        assert_eq!(out.data, [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn a_wide_gamut_profile_is_applied_and_a_broken_one_ignored() {
        let p3 = ColorProfile::new_display_p3().encode().expect("a built-in profile encodes");
        let pixels = Pixels { width: 1, height: 1, layout: Layout::Rgb, data: vec![200, 100, 50] };
        let converted = ToSrgb::new(Some(&p3)).apply(pixels.clone()).expect("converts");
        assert!(converted.data[0] > 205 && converted.data[2] < 45, "{:?}", converted.data);
        let ignored = ToSrgb::new(Some(&p3[..100])).apply(pixels.clone()).expect("ignores");
        assert_eq!(ignored.data, pixels.data);
    }

    #[test]
    fn gray_stays_gray() {
        let icc = ColorProfile::new_gray_with_gamma(1.0).encode().expect("a built-in profile encodes");
        let pixels = Pixels { width: 1, height: 1, layout: Layout::GrayAlpha, data: vec![55, 9] };
        let out = ToSrgb::new(Some(&icc)).apply(pixels).expect("converts");
        assert_eq!((out.layout, out.data.len(), out.data[1]), (Layout::GrayAlpha, 2, 9));
        assert!((125..132).contains(&out.data[0]), "linear 55 is sRGB 128, got {}", out.data[0]);
    }
}
