//! The colours of a PNG that has no ICC profile, or whose other chunks count for more.
//!
//! In the order of the third edition, section 4.3: cICP, then iCCP, then sRGB, then gAMA and cHRM.

use moxcms::{Chromaticity, CicpColorPrimaries, ColorPrimaries, ColorProfile, ToneReprCurve, curve_from_gamma};
use png::{CodingIndependentCodePoints, ColorType, Info, ScaledFloat, SourceChromaticities};

/// What sRGB's curve is near to: files say so of sRGB itself, and mean that.
const SRGB_GAMMA: f32 = 0.45455;
/// How far from that a gamma may be and mean the same.
const SRGB_TOLERANCE: f32 = 0.005;

/// The ICC profile that says what the PNG's chunks say; `None` for sRGB.
/// `profile` is that of its iCCP.
pub(crate) fn icc(info: &Info<'_>, profile: Option<Vec<u8>>) -> Option<Vec<u8>> {
    if let Some(points) = info.coding_independent_code_points.filter(is_known) {
        return coded_points(points)?.encode().ok();
    }
    if profile.is_some() {
        return profile;
    }
    if info.srgb.is_some() {
        return None;
    }
    let gamma = info.gama_chunk.map(|gamma| gamma.into_value()).filter(|gamma| (0.1..=10.0).contains(gamma));
    let gamma = gamma.filter(|gamma| (gamma - SRGB_GAMMA).abs() > SRGB_TOLERANCE);
    if matches!(info.color_type, ColorType::Grayscale | ColorType::GrayscaleAlpha) {
        return ColorProfile::new_gray_with_gamma(1.0 / gamma?).encode().ok();
    }
    let mut profile = ColorProfile::new_srgb();
    let primaries = info.chrm_chunk.is_some_and(|chromaticities| set_primaries(&mut profile, chromaticities));
    if let Some(gamma) = gamma {
        set_curve(&mut profile, curve_from_gamma(1.0 / gamma));
    }
    (primaries || gamma.is_some()).then(|| profile.encode().ok()).flatten()
}

/// Whether code points say anything that can be heeded. Narrow range and PQ cannot: the one is unheard of in
/// PNG, the other is light of up to 10,000 nits, which no table turns into sRGB without choosing what to lose.
fn is_known(points: &CodingIndependentCodePoints) -> bool {
    let primaries = CicpColorPrimaries::try_from(points.color_primaries).and_then(ColorPrimaries::try_from);
    primaries.is_ok()
        && matches!(points.transfer_function, 1 | 4..=6 | 8 | 13..=15 | 18)
        && points.is_video_full_range_image
}

/// `None` for sRGB. The curve of BT.709 and its kin is a camera's: what it made is shown by a screen's, which on
/// the web is sRGB's. HLG is made to be shown so, too.
fn coded_points(points: CodingIndependentCodePoints) -> Option<ColorProfile> {
    let curve = match points.transfer_function {
        4 => Some(curve_from_gamma(2.2)),
        5 => Some(curve_from_gamma(2.8)),
        8 => Some(curve_from_gamma(1.0)),
        _ => None,
    };
    let primaries = CicpColorPrimaries::try_from(points.color_primaries).ok()?;
    if primaries == CicpColorPrimaries::Bt709 && curve.is_none() {
        return None;
    }
    let mut profile = ColorProfile::new_from_cicp(moxcms::CicpProfile {
        color_primaries: primaries,
        transfer_characteristics: moxcms::TransferCharacteristics::Srgb,
        matrix_coefficients: moxcms::MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.cicp = None;
    if let Some(curve) = curve {
        set_curve(&mut profile, curve);
    }
    Some(profile)
}

fn set_curve(profile: &mut ColorProfile, curve: ToneReprCurve) {
    profile.cicp = None;
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
}

/// False, and nothing done, where the chunk's numbers span no colours.
fn set_primaries(profile: &mut ColorProfile, chunk: SourceChromaticities) -> bool {
    let point = |(x, y): (ScaledFloat, ScaledFloat)| Chromaticity::new(x.into_value(), y.into_value());
    let [red, green, blue] = [chunk.red, chunk.green, chunk.blue].map(point);
    let white = point(chunk.white);
    let inside = |point: &Chromaticity| (0.0..=1.0).contains(&point.x) && (0.0..=1.0).contains(&point.y);
    let twice_the_area = (green.x - red.x) * (blue.y - red.y) - (blue.x - red.x) * (green.y - red.y);
    if ![red, green, blue, white].iter().all(inside) || white.y < 0.1 || twice_the_area.abs() < 0.01 {
        return false;
    }
    profile.update_rgb_colorimetry(white.to_xyyb(), ColorPrimaries { red, green, blue });
    true
}

#[cfg(test)]
mod tests;
