//! Brings every colour space to sRGB.

pub(crate) mod png;

use std::sync::{Arc, OnceLock};

use moxcms::{ColorProfile, DataColorSpace, Layout as IccLayout, RenderingIntent, TransformExecutor, TransformOptions};

use crate::error::Error;
use crate::pixels::{Layout, Pixels};
use crate::planes::Means;

/// Most bytes of a profile. The largest that is in use, of a press, has three million; what is longer counts as none.
pub(crate) const MOST_PROFILE: usize = 4 << 20;

/// Pixels converted at once: enough to be quick, little enough to stay in the cache.
const BATCH: usize = 4096;

type Transform = Arc<dyn TransformExecutor<u8> + Send + Sync>;

/// What the embedded profile says, ready to be applied to each frame.
pub(crate) struct ToSrgb {
    profile: Option<ColorProfile>,
    /// The frames of a file are of one layout: what is to be done with them is found out once.
    step: OnceLock<(Layout, Step)>,
}

/// What is to be done with the pixels of a layout.
enum Step {
    /// They are taken for sRGB.
    Keep,
    /// Each level of grey becomes another.
    Gray(Vec<u8>),
    /// Three or four channels go in, as many come out, in the same place; or four inks, and three come out.
    Transform(Transform),
    /// Inks become light the simple way.
    Inks,
}

impl ToSrgb {
    /// Reads the profile. A broken one says nothing, as in every viewer, nor does one that is too long.
    pub(crate) fn new(icc: Option<&[u8]>) -> Self {
        let icc = icc.filter(|icc| icc.len() <= MOST_PROFILE);
        Self { profile: icc.and_then(|icc| ColorProfile::new_from_slice(icc).ok()), step: OnceLock::new() }
    }

    /// The frame in sRGB, or in grey of the same tone curve.
    pub(crate) fn apply(&self, pixels: Pixels) -> Result<Pixels, Error> {
        // What is sRGB already can stay as a JPEG has it.
        let pixels = match pixels.layout {
            Layout::YCbCr if self.changes_rgb() => pixels.into_rgb(),
            Layout::YCbCr => return Ok(pixels),
            _ => pixels,
        };
        match self.step.get_or_init(|| (pixels.layout, self.step(pixels.layout))) {
            (layout, step) if *layout == pixels.layout => step.run(pixels),
            _ => self.step(pixels.layout).run(pixels),
        }
    }

    /// Whether RGB is of another space.
    pub(crate) fn changes_rgb(&self) -> bool {
        let (_, step) = self.step.get_or_init(|| (Layout::Rgb, self.step(Layout::Rgb)));
        matches!(step, Step::Transform(_))
    }

    /// Whether grey is of another tone curve.
    pub(crate) fn changes_gray(&self) -> bool {
        self.gray_levels().is_some()
    }

    /// Means of YCbCr in sRGB. Planes of other cells than the first one's are brought to those.
    pub(crate) fn apply_to_means(&self, means: Vec<Means>) -> Result<Vec<Means>, Error> {
        let [mut y, cb, cr] = match <[Means; 3]>::try_from(means) {
            Ok(planes) if self.changes_rgb() => planes,
            Ok(planes) => return Ok(planes.into()),
            Err(means) => return Ok(means),
        };
        let failed = |e| Error::internal(format!("colour transform: {e:?}"));
        let profile = self.profile.as_ref().ok_or_else(|| Error::internal("a colour transform without a profile"))?;
        let (rgb, srgb) = (IccLayout::Rgb, ColorProfile::new_srgb());
        let transform = profile.create_transform_f32(rgb, &srgb, rgb, TransformOptions::default()).map_err(failed)?;
        let (mut cb, mut cr) = (cb.over(&y), cr.over(&y));
        let colors = y.data.iter().zip(&cb.data).zip(&cr.data);
        let colors: Vec<f32> = colors.flat_map(|((y, cb), cr)| ycbcr_to_unit_rgb(*y, cb - 128.0, cr - 128.0)).collect();
        let mut out = vec![0.0; colors.len()];
        transform.transform(&colors, &mut out).map_err(failed)?;
        for (i, rgb) in out.as_chunks::<3>().0.iter().enumerate() {
            [y.data[i], cb.data[i], cr.data[i]] = unit_rgb_to_ycbcr(*rgb);
        }
        Ok(vec![y, cb, cr])
    }

    fn step(&self, layout: Layout) -> Step {
        match layout {
            Layout::Gray | Layout::GrayAlpha => self.gray_levels().map_or(Step::Keep, Step::Gray),
            Layout::Rgb | Layout::YCbCr => self.rgb_transform(IccLayout::Rgb, 3),
            Layout::Rgba => self.rgb_transform(IccLayout::Rgba, 4),
            // Four inks go in where the crate says RGBA.
            Layout::Cmyk => self
                .transform(DataColorSpace::Cmyk, IccLayout::Rgba, IccLayout::Rgb)
                .map_or(Step::Inks, Step::Transform),
        }
    }

    /// The transform from a kind of colour, when the profile is of that kind.
    fn transform(&self, space: DataColorSpace, source: IccLayout, target: IccLayout) -> Option<Transform> {
        let profile = self.profile.as_ref().filter(|profile| profile.color_space == space)?;
        // A matrix is as exact in whole numbers; a table is not, by a level here and there.
        let options =
            TransformOptions { prefer_fixed_point: profile.is_matrix_shaper(), ..TransformOptions::default() };
        // By the table for the perceptual intent, as browsers do; a profile without it by the one that it has.
        let by = |rendering_intent| {
            let options = TransformOptions { rendering_intent, ..options };
            profile.create_transform_8bit(source, &ColorProfile::new_srgb(), target, options).ok()
        };
        by(RenderingIntent::Perceptual).or_else(|| by(RenderingIntent::RelativeColorimetric))
    }

    fn rgb_transform(&self, layout: IccLayout, channels: usize) -> Step {
        let transform = self.transform(DataColorSpace::Rgb, layout, layout);
        transform.filter(|transform| changes(&**transform, channels)).map_or(Step::Keep, Step::Transform)
    }

    /// What each level of grey becomes; `None` for itself.
    fn gray_levels(&self) -> Option<Vec<u8>> {
        let levels: Vec<u8> = (0..=255).collect();
        let mut rgb = vec![0; 256 * 3];
        let transform = self.transform(DataColorSpace::Gray, IccLayout::Gray, IccLayout::Rgb)?;
        transform.transform(&levels, &mut rgb).ok()?;
        // Red, green and blue are equal: one of them will do.
        let out: Vec<u8> = rgb.into_iter().skip(1).step_by(3).collect();
        out.iter().zip(&levels).any(|(a, b)| a.abs_diff(*b) > 1).then_some(out)
    }
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

impl Step {
    fn run(&self, mut pixels: Pixels) -> Result<Pixels, Error> {
        match self {
            Self::Keep => {}
            Self::Gray(levels) => {
                for pixel in pixels.data.chunks_exact_mut(pixels.layout.channels()) {
                    pixel[0] = levels[usize::from(pixel[0])];
                }
            }
            Self::Transform(transform) => transform_in_place(&**transform, &mut pixels)?,
            Self::Inks => inks_to_rgb(&mut pixels),
        }
        Ok(pixels)
    }
}

/// Whether a transform of RGB or RGBA does anything: most photos carry sRGB itself, which should cost nothing.
fn changes(transform: &dyn TransformExecutor<u8>, channels: usize) -> bool {
    let steps = || (0..=255u8).step_by(17);
    let mut colors = Vec::new();
    for (r, g, b) in steps().flat_map(|r| steps().flat_map(move |g| steps().map(move |b| (r, g, b)))) {
        colors.extend_from_slice(&[r, g, b, 255][..channels]);
    }
    let mut out = vec![0; colors.len()];
    transform.transform(&colors, &mut out).is_err() || colors.iter().zip(&out).any(|(a, b)| a.abs_diff(*b) > 1)
}

/// What comes out is never longer than what went in, so it takes its place from the front.
fn transform_in_place(transform: &dyn TransformExecutor<u8>, pixels: &mut Pixels) -> Result<(), Error> {
    let target = if pixels.layout == Layout::Cmyk { Layout::Rgb } else { pixels.layout };
    let (from, to) = (pixels.layout.channels(), target.channels());
    let count = pixels.data.len() / from;
    let mut batch = vec![0; BATCH * to];
    for start in (0..count).step_by(BATCH) {
        let end = (start + BATCH).min(count);
        let converted = &mut batch[..(end - start) * to];
        transform
            .transform(&pixels.data[start * from..end * from], converted)
            .map_err(|e| Error::internal(format!("colour transform: {e:?}")))?;
        pixels.data[start * to..end * to].copy_from_slice(converted);
    }
    pixels.data.truncate(count * to);
    pixels.layout = target;
    Ok(())
}

/// Inks without a profile: each takes its colour from the paper, and black takes all.
fn inks_to_rgb(pixels: &mut Pixels) {
    let count = pixels.data.len() / 4;
    for at in 0..count {
        let paper = 255 - u32::from(pixels.data[at * 4 + 3]);
        for channel in 0..3 {
            let light = 255 - u32::from(pixels.data[at * 4 + channel]);
            pixels.data[at * 3 + channel] = ((light * paper + 127) / 255) as u8;
        }
    }
    pixels.data.truncate(count * 3);
    pixels.layout = Layout::Rgb;
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
    fn alpha_is_not_touched_and_srgb_costs_nothing() {
        let pixels = Pixels { width: 2, height: 1, layout: Layout::Rgba, data: vec![200, 100, 50, 7, 1, 2, 3, 0] };
        let p3 = ColorProfile::new_display_p3().encode().expect("a built-in profile encodes");
        let converted = ToSrgb::new(Some(&p3)).apply(pixels.clone()).expect("converts").data;
        assert!(converted[0] > 205 && converted[3] == 7 && converted[7] == 0, "{converted:?}");
        let srgb = ColorProfile::new_srgb().encode().expect("a built-in profile encodes");
        let to_srgb = ToSrgb::new(Some(&srgb));
        assert!(matches!(to_srgb.step(Layout::Rgba), Step::Keep) && matches!(to_srgb.step(Layout::Rgb), Step::Keep));
    }

    #[test]
    fn more_than_one_batch_of_inks_becomes_rgb_in_its_place() {
        let count = BATCH * 2 + 5;
        let data: Vec<u8> = (0..count).flat_map(|i| [i as u8, (i >> 3) as u8, 9, (i >> 7) as u8]).collect();
        let pixels = Pixels { width: count as u32, height: 1, layout: Layout::Cmyk, data };
        let out = ToSrgb::new(None).apply(pixels.clone()).expect("no profile cannot fail");
        assert_eq!((out.layout, out.data.len()), (Layout::Rgb, count * 3));
        for (ink, rgb) in pixels.data.chunks_exact(4).zip(out.data.chunks_exact(3)) {
            let light = (255.0 - f32::from(ink[0])) * (255.0 - f32::from(ink[3])) / 255.0;
            assert!((f32::from(rgb[0]) - light).abs() <= 0.51, "{ink:?} {rgb:?}");
        }
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
