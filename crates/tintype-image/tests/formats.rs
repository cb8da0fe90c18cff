//! Every form a format has, in and out.
#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, CLEAR, GREEN, RED, WHITE, assert_quarters, decode, fixture, fixtures, render_all, variant};
use tintype_image::{Limits, probe};

fn luma([r, g, b, a]: [u8; 4]) -> [u8; 4] {
    let y = (f32::from(r) * 0.299 + f32::from(g) * 0.587 + f32::from(b) * 0.114).round() as u8;
    [y, y, y, a]
}

/// What a fixture shows, as its name says.
fn expected(name: &str) -> [[u8; 4]; 4] {
    let last = if name.contains("alpha") { CLEAR } else { WHITE };
    let mut colors = [RED, GREEN, BLUE, last];
    if name.starts_with("png_animated_alpha")
        || name.starts_with("gif_animated_alpha")
        || name.starts_with("webp_animated_alpha")
    {
        colors = [RED, GREEN, BLUE, CLEAR];
    }
    if name.contains("private") && !name.starts_with("gif") {
        colors = [BLUE, RED, WHITE, GREEN];
    }
    if name.contains("gray_1_bit") {
        return colors.map(|color| if luma(color)[0] < 128 { [0, 0, 0, 255] } else { WHITE });
    }
    if name.contains("gray") { colors.map(luma) } else { colors }
}

#[test]
fn every_fixture_comes_out_as_it_went_in() {
    for (name, bytes) in fixtures().into_iter().filter(|(name, _)| !name.contains("inverts")) {
        let rendered = render_all(&bytes);
        let tolerance =
            if name.contains("jpeg") || name.contains("lossy") || name.starts_with("webp_") { 16 } else { 2 };
        for variant in rendered.variants.iter().skip(1) {
            let what = format!("{name} {}", variant.name);
            let image = decode(&variant.bytes);
            assert_eq!(image.dimensions(), (variant.width, variant.height), "{what}");
            assert_quarters(&what, &image, expected(&name), tolerance);
            let again = probe(&variant.bytes, &Limits::default()).unwrap();
            assert_eq!(again.format, rendered.facts.format, "{what}");
            assert_eq!((again.orientation, again.frames), (1, rendered.facts.frames), "{what}");
        }
    }
}

#[test]
fn facts_are_those_of_the_upright_image() {
    for (name, bytes) in fixtures() {
        let facts = render_all(&bytes).facts;
        let probed = probe(&bytes, &Limits::default()).unwrap();
        let turned = name.contains("private") && !name.starts_with("gif");
        let size = match () {
            () if name == "jpeg_odd.jpg" => (31, 23),
            () if turned => (24, 32),
            () => (32, 24),
        };
        assert_eq!((facts.width, facts.height), size, "{name}");
        assert_eq!((probed.width, probed.height), size, "{name}");
        assert_eq!(facts.orientation, if turned { 6 } else { 1 }, "{name}");
        assert_eq!(facts.frames, if name.contains("animated") { 4 } else { 1 }, "{name}");
        assert_eq!(facts.has_alpha, name.contains("alpha"), "{name}");
        assert_eq!(probed.has_alpha, facts.has_alpha, "{name}");
        assert!(facts.thumbhash.len() >= 20 && facts.thumbhash.len().is_multiple_of(4), "{name}: {}", facts.thumbhash);
        assert!(facts.dominant_color.len() == 7, "{name}: {}", facts.dominant_color);
        let taken = turned.then_some("2012-09-22T16:18:51+02:00");
        if !name.starts_with("tiff") {
            assert_eq!(facts.taken_at.as_deref(), taken, "{name}");
        }
    }
}

#[test]
fn gray_jpegs_stay_gray() {
    let rendered = render_all(&fixture("jpeg_gray.jpg"));
    for variant in &rendered.variants {
        let image = image::load_from_memory(&variant.bytes).unwrap();
        assert_eq!(image.color(), image::ColorType::L8, "{}", variant.name);
    }
}

#[test]
fn webp_without_loss_stays_without_loss() {
    for (name, lossless) in
        [("webp_lossless.webp", true), ("webp_lossy.webp", false), ("webp_lossless_alpha.webp", true)]
    {
        let rendered = render_all(&fixture(name));
        let file = variant(&rendered, "400x400");
        assert_eq!(file.windows(4).any(|w| w == b"VP8L"), lossless, "{name}");
    }
    // Nothing was resized or blurred: the very pixels.
    let rendered = render_all(&fixture("webp_lossless.webp"));
    assert_eq!(decode(variant(&rendered, "400x400")), decode(&fixture("webp_lossless.webp")));
}

#[test]
fn jpegs_are_written_at_4_2_0() {
    let rendered = render_all(&fixture("jpeg_444.jpg"));
    let file = variant(&rendered, "400x400");
    let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    assert_eq!(file[frame + 11], 0x22, "sampling of luma");
}

#[test]
fn variants_come_in_the_order_of_the_specs_and_always_the_same() {
    for (name, bytes) in fixtures() {
        let rendered = render_all(&bytes);
        let names: Vec<_> = rendered.variants.iter().map(|variant| variant.name.as_str()).collect();
        assert_eq!(names, ["original", "original_blurred", "16x16", "16x16_blurred", "400x400"]);
        assert!(rendered == render_all(&bytes), "{name} differs the second time");
    }
}

#[test]
fn tiny_and_thin_images_come_through() {
    use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for (width, height) in [(1, 1), (1, 700), (700, 1), (2, 3), (400, 401)] {
        let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
        for format in [Bmp, Gif, Jpeg, Png, Tiff, WebP] {
            let mut file = std::io::Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            for variant in render_all(file.get_ref()).variants {
                let size = decode(&variant.bytes).dimensions();
                assert_eq!(size, (variant.width, variant.height), "{format:?} {width}x{height} {}", variant.name);
            }
        }
    }
}

#[test]
fn a_webp_whose_flags_announce_what_is_not_there_is_read() {
    let file = fixture("webp_private.webp");
    let chunk = |kind: &[u8]| file.windows(4).position(|w| w == kind).unwrap();
    let (flags, exif) = (chunk(b"VP8X") + 8, chunk(b"EXIF"));
    let mut lying = file[..exif].to_vec();
    let size = (lying.len() as u32 - 8).to_le_bytes();
    lying[4..8].copy_from_slice(&size);
    // Alpha, EXIF and XMP: none of them follows.
    lying[flags] |= 0x10 | 0x08 | 0x04;
    let rendered = render_all(&lying);
    assert!(!rendered.facts.has_alpha);
    assert_quarters("webp", &decode(variant(&rendered, "16x16")), [RED, GREEN, BLUE, WHITE], 16);
}

#[test]
fn a_cmyk_profile_is_applied() {
    let rendered = render_all(&fixture("jpeg_cmyk_profile_inverts.jpg"));
    let image = decode(variant(&rendered, "16x16"));
    let [_, _, blue, white] = common::quarters(&image);
    assert!(white[..3].iter().all(|&v| v < 16), "no ink is black: {white:?}");
    // The profile is without colour: 225 + 225 + 55 of 765 in ink is a lightness of 66.
    assert!(blue[..3].iter().all(|v| v.abs_diff(160) < 12), "{blue:?}");
}
