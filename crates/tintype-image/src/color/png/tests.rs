use moxcms::{Layout as IccLayout, TransformOptions};
use png::SrgbRenderingIntent;

use super::*;

fn icc(info: &Info<'_>) -> Option<Vec<u8>> {
    super::icc(info, None)
}

/// What a colour becomes in sRGB under what a PNG says.
fn shown(info: &Info<'_>, color: [u8; 3]) -> [u8; 3] {
    let Some(icc) = icc(info) else {
        return color;
    };
    let profile = ColorProfile::new_from_slice(&icc).expect("what was encoded is read");
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    let transform = profile.create_transform_8bit(IccLayout::Rgb, &srgb, IccLayout::Rgb, options).expect("a transform");
    let mut out = [0; 3];
    transform.transform(&color, &mut out).expect("three channels");
    out
}

/// An RGB image and what is said of it.
fn rgb(say: impl FnOnce(&mut Info<'static>)) -> Info<'static> {
    let mut info = Info::default();
    info.color_type = ColorType::Rgb;
    say(&mut info);
    info
}

fn with_gamma(gamma: f32) -> Info<'static> {
    rgb(|info| info.gama_chunk = Some(ScaledFloat::new(gamma)))
}

fn with_primaries(numbers: [f32; 8]) -> Info<'static> {
    let [white, red, green, blue] = [0, 2, 4, 6].map(|at| (numbers[at], numbers[at + 1]));
    rgb(|info| info.chrm_chunk = Some(SourceChromaticities::new(white, red, green, blue)))
}

fn with_points(color_primaries: u8, transfer_function: u8) -> Info<'static> {
    let points = CodingIndependentCodePoints {
        color_primaries,
        transfer_function,
        matrix_coefficients: 0,
        is_video_full_range_image: true,
    };
    rgb(|info| info.coding_independent_code_points = Some(points))
}

const P3: [f32; 8] = [0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
const COLOR: [u8; 3] = [180, 90, 60];

#[test]
fn gamma_is_heeded_unless_it_is_srgbs() {
    for gamma in [0.45455, 0.45454, 0.4545, 0.452] {
        assert_eq!(icc(&with_gamma(gamma)), None, "{gamma}");
    }
    let mut linear = with_gamma(1.0);
    // Linear light of 55 parts in 255 is 128 in sRGB.
    assert!(shown(&linear, [55; 3]).iter().all(|value| value.abs_diff(128) <= 1), "{:?}", shown(&linear, [55; 3]));
    linear.color_type = ColorType::Grayscale;
    let profile = ColorProfile::new_from_slice(&icc(&linear).expect("a profile")).expect("what was encoded is read");
    assert_eq!(profile.color_space, moxcms::DataColorSpace::Gray);
}

#[test]
fn primaries_are_heeded_with_and_without_gamma() {
    let as_p3 = shown(&with_points(12, 13), COLOR);
    let mut info = with_primaries(P3);
    let by_chunk = shown(&info, COLOR);
    assert!(as_p3.iter().zip(by_chunk).all(|(a, b)| a.abs_diff(b) <= 1), "{as_p3:?} {by_chunk:?}");
    assert!(as_p3[0] > COLOR[0] + 5, "{as_p3:?}");
    info.gama_chunk = Some(ScaledFloat::new(1.0 / 2.8));
    assert!(shown(&info, COLOR)[1] + 10 < by_chunk[1]);
}

#[test]
fn the_third_editions_order_holds() {
    let mut info = with_primaries(P3);
    info.gama_chunk = Some(ScaledFloat::new(1.0));
    assert!(icc(&info).is_some());
    info.srgb = Some(SrgbRenderingIntent::Perceptual);
    assert_eq!(icc(&info), None);
    assert_eq!(super::icc(&info, Some(b"a profile".to_vec())).as_deref(), Some(&b"a profile"[..]));
    info.coding_independent_code_points = with_points(1, 13).coding_independent_code_points;
    assert_eq!(super::icc(&info, Some(b"a profile".to_vec())), None);
}

#[test]
fn srgbs_kin_change_nothing_and_what_cannot_be_heeded_is_not() {
    for (primaries, transfer) in [(1, 13), (1, 1), (1, 6), (1, 14), (9, 16), (2, 13), (1, 2), (200, 13), (12, 99)] {
        assert_eq!(icc(&with_points(primaries, transfer)), None, "{primaries} {transfer}");
    }
    assert!(icc(&with_points(9, 18)).is_some() && icc(&with_points(1, 8)).is_some());
    let no_area = [0.3127, 0.329, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2];
    let no_white = [0.3127, 0.0, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
    for nonsense in [[0.0; 8], no_area, no_white] {
        assert_eq!(icc(&with_primaries(nonsense)), None, "{nonsense:?}");
    }
    for nonsense in [0.00001, 900.0] {
        assert_eq!(icc(&with_gamma(nonsense)), None, "{nonsense}");
    }
}
