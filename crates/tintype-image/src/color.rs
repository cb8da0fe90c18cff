//! Brings every colour space to sRGB.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout as IccLayout, TransformExecutor, TransformOptions};

use crate::error::Error;
use crate::pixels::{Layout, Pixels};
use crate::planes::Means;

/// Pixels converted at once: enough to be quick, little enough to stay in the cache.
const BATCH: usize = 4096;

/// What the embedded profile says, ready to be applied to each frame.
pub(crate) struct ToSrgb {
    profile: Option<ColorProfile>,
    /// Most photos carry sRGB itself, which should cost nothing.
    changes_rgb: bool,
}

impl ToSrgb {
    /// Reads the profile. A broken one says nothing, as in every viewer.
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        let profile = icc.and_then(|icc| ColorProfile::new_from_slice(icc).ok());
        let mut to_srgb = Self { profile, changes_rgb: false };
        to_srgb.changes_rgb = to_srgb.transform(Layout::Rgb).is_some_and(|(executor, _)| changes(&*executor));
        to_srgb
    }

    /// Whether grey is of another tone curve.
    pub(crate) fn changes_gray(&self) -> bool {
        self.transform(Layout::Gray).is_some()
    }

    /// The frame in sRGB, or in grey of the same tone curve.
    pub(crate) fn apply(&self, pixels: Pixels) -> Result<Pixels, Error> {
        if pixels.layout == Layout::YCbCr {
            return if self.changes_rgb { self.apply(pixels.into_rgb()) } else { Ok(pixels) };
        }
        let idle = pixels.layout == Layout::Rgb && !self.changes_rgb;
        let Some((executor, target)) = self.transform(pixels.layout).filter(|_| !idle) else {
            return Ok(without_profile(pixels));
        };
        convert(&*executor, pixels, target)
    }

    /// Means of YCbCr in sRGB. Planes of other cells than the first one's are brought to those.
    pub(crate) fn apply_to_means(&self, means: Vec<Means>) -> Result<Vec<Means>, Error> {
        let [y, cb, cr] = match <[Means; 3]>::try_from(means) {
            Ok(planes) if self.changes_rgb => planes,
            Ok(planes) => return Ok(planes.into()),
            Err(means) => return Ok(means),
        };
        let failed = |e| Error::internal(format!("colour transform: {e:?}"));
        let profile = self.profile.as_ref().ok_or_else(|| Error::internal("a colour transform without a profile"))?;
        let transform = profile
            .create_transform_f32(IccLayout::Rgb, &ColorProfile::new_srgb(), IccLayout::Rgb, TransformOptions::default())
            .map_err(failed)?;
        let mut planes = [cb.over(&y), cr.over(&y)];
        let mut luma = y;
        let mut rgb: Vec<f32> = Vec::with_capacity(luma.data.len() * 3);
        for ((y, cb), cr) in luma.data.iter().zip(&planes[0].data).zip(&planes[1].data) {
            rgb.extend(ycbcr_to_unit_rgb(*y, cb - 128.0, cr - 128.0));
        }
        let mut out = vec![0.0; rgb.len()];
        transform.transform(&rgb, &mut out).map_err(failed)?;
        for (i, rgb) in out.as_chunks::<3>().0.iter().enumerate() {
            [luma.data[i], planes[0].data[i], planes[1].data[i]] = unit_rgb_to_ycbcr(*rgb);
        }
        let [cb, cr] = planes;
        Ok(vec![luma, cb, cr])
    }

    /// The transform for a layout, when the profile is of that kind of colour.
    fn transform(&self, layout: Layout) -> Option<(Arc<dyn TransformExecutor<u8> + Send + Sync>, Layout)> {
        let profile = self.profile.as_ref()?;
        let (space, source, target, target_layout) = match layout {
            Layout::Gray => (DataColorSpace::Gray, IccLayout::Gray, IccLayout::Rgb, Layout::Rgb),
            Layout::GrayAlpha => (DataColorSpace::Gray, IccLayout::GrayAlpha, IccLayout::Rgba, Layout::Rgba),
            Layout::Rgb | Layout::YCbCr => (DataColorSpace::Rgb, IccLayout::Rgb, IccLayout::Rgb, Layout::Rgb),
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

/// Whether a transform of RGB does anything.
fn changes(executor: &dyn TransformExecutor<u8>) -> bool {
    let steps = || (0..=255u8).step_by(17);
    let colors: Vec<u8> =
        steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
    let mut out = vec![0; colors.len()];
    executor.transform(&colors, &mut out).is_err() || colors.iter().zip(&out).any(|(a, b)| a.abs_diff(*b) > 1)
}

/// ITU-R BT.601 at full range, as JFIF has it; colour less its middle.
fn ycbcr_to_unit_rgb(y: f32, cb: f32, cr: f32) -> [f32; 3] {
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| (v / 255.0).clamp(0.0, 1.0))
}

fn unit_rgb_to_ycbcr(rgb: [f32; 3]) -> [f32; 3] {
    let [r, g, b] = rgb.map(|v| v * 255.0);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, (b - y) / 1.772 + 128.0, (r - y) / 1.402 + 128.0]
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
