//! What a spec can say beyond size and blur, decoded and looked at.
#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, GREEN, RED, WHITE, assert_quarters, decode, fixture, near, oriented, with_orientation};
use image::{ImageFormat, Rgba, RgbaImage};
use tintype_image::{
    BoxSize, Fit, Format, Gravity, Limits, MetadataPolicy, OutputFormat, Quality, Variant, VariantSpec,
    hamming_distance, render,
};

fn plain() -> VariantSpec {
    VariantSpec { name: "it".into(), quality: Quality::all(95), ..VariantSpec::default() }
}

fn make(bytes: &[u8], spec: VariantSpec) -> Variant<'static> {
    let mut made = render(bytes, &[spec], MetadataPolicy::default(), &Limits::default()).unwrap().into_owned();
    made.variants.remove(0)
}

fn cover(width: u32, height: u32, gravity: Gravity) -> Option<Fit> {
    Some(Fit::Cover { size: BoxSize { width, height }, gravity, enlarge: false })
}

fn contain(width: u32, height: u32) -> Option<Fit> {
    Some(Fit::Contain { size: BoxSize { width, height }, enlarge: false })
}

fn png(image: &RgbaImage) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Noise-like but smooth enough for a lossy codec: nothing in it repeats.
fn photo(width: u32, height: u32, alpha: impl Fn(u32) -> u8) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| {
        let wave = |f: f64, g: f64| (127.0 + 100.0 * (f64::from(x) * f + f64::from(y) * g).sin()) as u8;
        Rgba([wave(0.11, 0.05), wave(0.03, 0.17), wave(0.07, -0.1), alpha(x)])
    })
}

#[track_caller]
fn assert_near(image: &RgbaImage, (x, y): (u32, u32), want: [u8; 4], tolerance: u8) {
    let got = image.get_pixel(x, y).0;
    assert!(near(got, want, tolerance), "{got:?} instead of {want:?} at {x},{y}");
}

#[test]
fn a_cut_shows_the_right_part_of_the_upright_image() {
    let stored = [RED, GREEN, BLUE, WHITE];
    // As in `orientation.rs`: which stored quarter is seen top left, top right, bottom left, bottom right.
    let seen = [
        [0, 1, 2, 3],
        [1, 0, 3, 2],
        [3, 2, 1, 0],
        [2, 3, 0, 1],
        [0, 2, 1, 3],
        [2, 0, 3, 1],
        [3, 1, 2, 0],
        [1, 3, 0, 2],
    ];
    for (i, quarters) in seen.into_iter().enumerate() {
        let bytes = oriented(i as u8 + 1);
        let [top_left, top_right, bottom_left, bottom_right] = quarters.map(|q| stored[q]);
        let corners = [
            (Gravity::NorthWest, top_left),
            (Gravity::NorthEast, top_right),
            (Gravity::SouthWest, bottom_left),
            (Gravity::SouthEast, bottom_right),
        ];
        // A narrow or a flat strip: a corner's quarter is all there is at its end of it.
        for (gravity, color) in corners {
            for (width, height) in [(6, 18), (18, 6)] {
                let made = make(&bytes, VariantSpec { fit: cover(width, height, gravity), ..plain() });
                assert_eq!((made.width, made.height), (width, height));
                let image = decode(&made.bytes);
                assert_eq!(image.dimensions(), (width, height));
                let x = if matches!(gravity, Gravity::NorthWest | Gravity::SouthWest) { 1 } else { width - 2 };
                let y = if matches!(gravity, Gravity::NorthWest | Gravity::NorthEast) { 1 } else { height - 2 };
                assert_near(&image, (x, y), color, 40);
            }
        }
    }
}

#[test]
fn the_middle_and_the_stretched_hold_all_four() {
    let bytes = oriented(6);
    let want = [BLUE, RED, WHITE, GREEN];
    for fit in [
        cover(16, 16, Gravity::Center),
        Some(Fit::Fill { size: BoxSize { width: 24, height: 8 }, enlarge: false }),
        Some(Fit::Fill { size: BoxSize { width: 300, height: 200 }, enlarge: true }),
        Some(Fit::Cover { size: BoxSize { width: 200, height: 200 }, gravity: Gravity::Center, enlarge: true }),
    ] {
        let made = make(&bytes, VariantSpec { fit, ..plain() });
        assert_quarters(&format!("{fit:?}"), &decode(&made.bytes), want, 40);
    }
}

#[test]
fn smart_finds_the_face_at_every_orientation() {
    let skin = Rgba([224, 172, 140, 255]);
    let wall = Rgba([90, 100, 110, 255]);
    let image =
        RgbaImage::from_fn(300, 100, |x, y| if (240..280).contains(&x) && (30..70).contains(&y) { skin } else { wall });
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image).into_rgb8().write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    for orientation in 1..=8 {
        let bytes = with_orientation(jpeg.get_ref(), orientation);
        let face = |gravity| {
            let made = make(&bytes, VariantSpec { fit: cover(50, 50, gravity), ..plain() });
            decode(&made.bytes).pixels().filter(|pixel| near(pixel.0, skin.0, 40)).count()
        };
        assert!(face(Gravity::Smart) > 300, "{orientation}: {} of 400 pixels", face(Gravity::Smart));
        assert_eq!(face(Gravity::Center), 0);
    }
}

#[test]
fn contain_has_its_background_around_the_whole_picture() {
    let jpeg = oriented(1);
    let spec = VariantSpec { fit: contain(20, 40), background: Some([10, 200, 90]), ..plain() };
    let made = make(&jpeg, spec);
    assert_eq!((made.width, made.height), (20, 40));
    let image = decode(&made.bytes);
    for corner in [(1, 1), (18, 1), (1, 38), (18, 38)] {
        assert_near(&image, corner, [10, 200, 90, 255], 25);
    }
    // The picture of 4:3 is 20 x 15 in the middle of it.
    assert_near(&image, (3, 15), RED, 40);
    assert_near(&image, (16, 24), WHITE, 40);
}

#[test]
fn without_a_background_room_is_clear_or_white() {
    let bytes = png(&photo(40, 20, |_| 255));
    let corner = |format| {
        let made = make(&bytes, VariantSpec { fit: contain(40, 40), format, ..plain() });
        decode(&made.bytes).get_pixel(0, 0).0
    };
    assert_eq!(corner(OutputFormat::Same)[3], 0);
    assert_eq!(corner(OutputFormat::WebP)[3], 0);
    assert!(near(corner(OutputFormat::Jpeg), WHITE, 8));
}

#[test]
fn alpha_is_laid_on_the_background() {
    let bytes =
        png(&RgbaImage::from_fn(32, 16, |x, _| if x < 16 { Rgba([255, 0, 0, 128]) } else { Rgba([0, 255, 0, 0]) }));
    let with = |format, background| {
        let made = make(&bytes, VariantSpec { format, background, ..plain() });
        decode(&made.bytes)
    };
    let jpeg = with(OutputFormat::Jpeg, Some([0, 0, 255]));
    assert_near(&jpeg, (4, 8), [128, 0, 127, 255], 12);
    assert_near(&jpeg, (28, 8), [0, 0, 255, 255], 12);
    let white = with(OutputFormat::Jpeg, None);
    assert_near(&white, (28, 8), WHITE, 8);
    let png = with(OutputFormat::Png, Some([0, 0, 255]));
    assert_eq!((png.get_pixel(4, 8).0, png.get_pixel(28, 8).0), ([128, 0, 127, 255], [0, 0, 255, 255]));
    let kept = with(OutputFormat::Png, None);
    assert_eq!(kept.get_pixel(28, 8).0[3], 0);
}

/// The markers of a JPEG up to its first scan.
fn markers(jpeg: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut at = 2;
    while found.last() != Some(&0xDA) {
        found.push(jpeg[at + 1]);
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    found
}

#[test]
fn a_progressive_jpeg_is_one() {
    let bytes = png(&photo(64, 48, |_| 255));
    let spec = VariantSpec { format: OutputFormat::Jpeg, ..plain() };
    let baseline = make(&bytes, spec.clone());
    let progressive = make(&bytes, VariantSpec { progressive: true, ..spec });
    assert!(markers(&baseline.bytes).contains(&0xC0));
    assert!(markers(&progressive.bytes).contains(&0xC2));
    assert_eq!(decode(&baseline.bytes), decode(&progressive.bytes), "the same coefficients in another order");
}

#[test]
fn a_lossless_webp_decodes_to_the_very_pixels() {
    let image = photo(61, 43, |x| if x < 30 { 255 } else { 90 });
    let spec = VariantSpec { format: OutputFormat::WebP, lossless: true, ..plain() };
    let made = make(&png(&image), spec.clone());
    assert_eq!((made.format, decode(&made.bytes)), (Format::WebP, image.clone()));
    let lossy = make(&png(&image), VariantSpec { lossless: false, ..spec });
    assert_ne!(decode(&lossy.bytes), image);
    assert!(lossy.bytes.len() < made.bytes.len());
}

#[test]
fn quality_is_by_format() {
    let bytes = png(&photo(200, 150, |_| 255));
    let made = |format, quality| make(&bytes, VariantSpec { format, quality, ..plain() }).bytes.len();
    let low = Quality { webp: 20, ..Quality::all(90) };
    assert_eq!(made(OutputFormat::Jpeg, low), made(OutputFormat::Jpeg, Quality::all(90)));
    assert!(made(OutputFormat::WebP, low) < made(OutputFormat::WebP, Quality::all(90)));
}

#[test]
fn a_still_is_the_first_frame_in_every_format() {
    for name in ["gif_animated_alpha.gif", "png_animated.png", "webp_animated.webp"] {
        let bytes = fixture(name);
        let moving = make(&bytes, VariantSpec { fit: cover(16, 16, Gravity::Center), ..plain() });
        let frames = |made: &Variant<'_>| tintype_image::probe(&made.bytes, &Limits::default()).unwrap().frames;
        assert!(frames(&moving) > 1, "{name}");
        for format in [OutputFormat::Same, OutputFormat::Png, OutputFormat::WebP] {
            let fit = cover(16, 16, Gravity::Center);
            let still = make(&bytes, VariantSpec { fit, format, animated: false, ..plain() });
            assert_eq!(frames(&still), 1, "{name} {format:?}");
        }
        // What has no frames holds the first, unasked.
        let jpeg = make(&bytes, VariantSpec { format: OutputFormat::Jpeg, ..plain() });
        assert_eq!((jpeg.format, frames(&jpeg)), (Format::Jpeg, 1));
        let webp = make(&bytes, VariantSpec { format: OutputFormat::WebP, ..plain() });
        assert!(frames(&webp) > 1, "{name}");
    }
}

#[test]
fn auto_is_decided_by_the_image() {
    let auto = |bytes: &[u8]| make(bytes, VariantSpec { format: OutputFormat::Auto, ..plain() });
    assert_eq!(auto(&oriented(1)).format, Format::Jpeg);
    assert_eq!(auto(&png(&photo(60, 40, |_| 255))).format, Format::Jpeg);
    assert_eq!(auto(&png(&photo(60, 40, |_| 250))).format, Format::WebP);
    assert_eq!(auto(&fixture("png_animated.png")).format, Format::WebP);
    let drawing = RgbaImage::from_fn(60, 40, |x, y| {
        if (x / 9 + y / 7) % 2 == 0 { Rgba([0, 0, 0, 255]) } else { Rgba([255, 80, 0, 255]) }
    });
    let made = auto(&png(&drawing));
    assert_eq!((made.format, decode(&made.bytes)), (Format::WebP, drawing));
}

#[test]
fn sharpening_sharpens() {
    let image = RgbaImage::from_fn(64, 64, |x, _| Rgba([if x < 32 { 90 } else { 160 }, 90, 90, 255]));
    let made = decode(&make(&png(&image), VariantSpec { sharpen: Some(1.0), ..plain() }).bytes);
    assert!(made.get_pixel(31, 9).0[0] < 80 && made.get_pixel(32, 9).0[0] > 170, "{:?}", made.get_pixel(31, 9));
    assert_eq!(made.get_pixel(5, 9).0, [90, 90, 90, 255]);
}

#[test]
fn what_changes_no_pixel_is_the_stripped_original() {
    let bytes = fixture("jpeg_444.jpg");
    let loud = VariantSpec { progressive: true, lossless: true, background: Some([0; 3]), ..plain() };
    assert_eq!(make(&bytes, loud).bytes, make(&bytes, plain()).bytes);
    assert_ne!(make(&bytes, VariantSpec { format: OutputFormat::Jpeg, ..plain() }).bytes, make(&bytes, plain()).bytes);
}

#[test]
fn an_image_too_long_for_a_format_is_shrunk_into_it() {
    let bytes = png(&photo(20_000, 3, |_| 255));
    let made = make(&bytes, VariantSpec { format: OutputFormat::WebP, ..plain() });
    assert_eq!((made.width, made.height), (16_383, 3));
    assert_eq!(decode(&made.bytes).dimensions(), (16_383, 3));
}

#[test]
fn one_pixel_goes_through_every_fit() {
    let bytes = png(&photo(1, 1, |_| 255));
    let size = BoxSize { width: 9, height: 4 };
    for enlarge in [false, true] {
        for fit in [
            Fit::Inside(size),
            Fit::Cover { size, gravity: Gravity::Smart, enlarge },
            Fit::Contain { size, enlarge },
            Fit::Fill { size, enlarge },
        ] {
            for format in [OutputFormat::Same, OutputFormat::Auto, OutputFormat::Jpeg, OutputFormat::WebP] {
                let made = make(&bytes, VariantSpec { fit: Some(fit), format, ..plain() });
                assert_eq!(decode(&made.bytes).dimensions(), (made.width, made.height), "{fit:?}");
            }
        }
    }
}

#[test]
fn facts_need_no_variants() {
    let original = VariantSpec { name: "original".into(), ..VariantSpec::default() };
    let as_jpeg = VariantSpec { name: "photo".into(), format: OutputFormat::Jpeg, ..plain() };
    let sizes = [1, 2, 7, 8, 9, 33, 60, 99, 100, 101, 199, 240, 320, 400, 640, 1000];
    for (width, height) in sizes.iter().flat_map(|&width| [(width, 60), (60, width), (width, width * 3 / 4 + 1)]) {
        let jpeg = make(&png(&photo(width, height, |_| 255)), as_jpeg.clone()).bytes.into_owned();
        let facts = |specs: &[VariantSpec]| {
            let made = render(&jpeg, specs, MetadataPolicy::default(), &Limits::default());
            made.unwrap_or_else(|e| panic!("{width}x{height}: {e:?}")).facts
        };
        let (alone, among) = (facts(std::slice::from_ref(&original)), facts(&[original.clone(), plain()]));
        let apart = hamming_distance(alone.perceptual_hash, among.perceptual_hash);
        assert!(apart <= 6, "{width}x{height}: {apart} bits");
        let color = |hex: &str| u32::from_str_radix(&hex[1..], 16).unwrap().to_be_bytes();
        let (alone, among) = (color(&alone.dominant_color), color(&among.dominant_color));
        assert!(near(alone, among, 24), "{width}x{height}: {alone:?} and {among:?}");
    }
}
