//! Frames, delays and loops survive; disposal and transparency are composed as viewers do.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Cursor;

use common::{BLUE, CLEAR, GREEN, RED, WHITE, assert_quarters, fixture, render_all, spec};
use image::codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{AnimationDecoder, Frame};
use tintype_image::{ErrorCode, Limits, MetadataPolicy, OutputFormat, VariantSpec, probe, render};

const COLORS: [[u8; 4]; 4] = [RED, GREEN, BLUE, WHITE];

fn frames(name: &str, bytes: &[u8]) -> Vec<Frame> {
    let bytes = Cursor::new(bytes);
    let frames = match name.rsplit('.').next().unwrap() {
        "gif" => GifDecoder::new(bytes).unwrap().into_frames(),
        "png" => PngDecoder::new(bytes).unwrap().apng().unwrap().into_frames(),
        _ => WebPDecoder::new(bytes).unwrap().into_frames(),
    };
    frames.collect_frames().unwrap()
}

fn expected(frame: usize, alpha: bool) -> [[u8; 4]; 4] {
    let mut colors: [[u8; 4]; 4] = std::array::from_fn(|i| COLORS[(i + frame) % 4]);
    if alpha {
        colors[3] = CLEAR;
        if frame == 1 {
            colors[0] = CLEAR;
        }
    }
    colors
}

#[test]
fn every_frame_of_every_variant_shows_what_it_should_for_as_long() {
    for name in [
        "gif_animated.gif",
        "gif_animated_alpha.gif",
        "png_animated.png",
        "png_animated_alpha.png",
        "webp_animated.webp",
        "webp_animated_alpha.webp",
    ] {
        for variant in render_all(&fixture(name)).variants {
            let got = frames(name, &variant.bytes);
            assert_eq!(got.len(), 4, "{name} {}", variant.name);
            for (i, frame) in got.into_iter().enumerate() {
                let what = format!("{name} {} frame {i}", variant.name);
                let (num, den) = frame.delay().numer_denom_ms();
                assert_eq!(num / den, 50 * (i as u32 + 1), "{what}");
                let tolerance = if name.starts_with("webp") { 20 } else { 2 };
                assert_quarters(&what, frame.buffer(), expected(i, name.contains("alpha")), tolerance);
            }
        }
    }
}

/// How often the file says it plays, read from its bytes: 0 for ever.
fn plays(bytes: &[u8]) -> u32 {
    let after = |mark: &[u8]| bytes.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len());
    if let Some(at) = after(b"NETSCAPE2.0") {
        let repeats = u32::from(bytes[at + 2]) | u32::from(bytes[at + 3]) << 8;
        return if repeats == 0 { 0 } else { repeats + 1 };
    }
    if let Some(at) = after(b"acTL") {
        return u32::from_be_bytes(bytes[at + 4..at + 8].try_into().unwrap());
    }
    let at = after(b"ANIM").unwrap();
    bytes[at + 8].into()
}

#[test]
fn loops_are_kept() {
    for name in [
        "gif_animated.gif",
        "gif_animated_alpha.gif",
        "png_animated.png",
        "webp_animated.webp",
        "webp_animated_alpha.webp",
    ] {
        let original = fixture(name);
        for variant in render_all(&original).variants {
            assert_eq!(plays(&variant.bytes), plays(&original), "{name} {}", variant.name);
        }
    }
}

#[test]
fn frames_that_repeat_are_not_dropped() {
    let name = "gif_animated.gif";
    let mut file = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut file);
        for _ in 0..3 {
            encoder.encode_frame(Frame::new(common::decode(&fixture(name)))).unwrap();
        }
    }
    let rendered =
        render(&file, &[spec("small", Some(16), None)], MetadataPolicy::default(), &Limits::default()).unwrap();
    assert_eq!(frames(name, &rendered.variants[0].bytes).len(), 3);
}

#[test]
fn many_colours_are_quantised_closely() {
    let ramp = image::RgbaImage::from_fn(200, 150, |x, y| image::Rgba([x as u8, y as u8, (x + y) as u8 / 2, 255]));
    let mut file = Vec::new();
    image::codecs::gif::GifEncoder::new(&mut file).encode_frame(Frame::new(ramp)).unwrap();
    let source = common::decode(&file);
    let rendered =
        render(&file, &[spec("blurred", None, Some(0.3))], MetadataPolicy::default(), &Limits::default()).unwrap();
    let out = common::decode(&rendered.variants[0].bytes);
    let error: u64 = source.as_raw().iter().zip(out.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = error as f64 / source.as_raw().len() as f64;
    assert!(mean < 4.0, "mean error {mean}");
}

/// A GIF of two plain images, each on its part of a screen.
fn two_images(screen: [u16; 2], first: [u16; 4], second: [u16; 4]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, screen[0], screen[1], &[200, 30, 30, 30, 30, 200]).unwrap();
    for (index, [left, top, width, height]) in [(0, first), (1, second)] {
        let buffer = vec![index; usize::from(width) * usize::from(height)].into();
        encoder.write_frame(&gif::Frame { left, top, width, height, buffer, ..gif::Frame::default() }).unwrap();
    }
    drop(encoder);
    file
}

#[test]
fn a_screen_grows_for_the_first_image_of_a_gif_and_no_other() {
    let whole = [0, 0, 83, 61];
    for (screen, first, size) in [
        ([40, 30], whole, (83, 61)),
        ([0, 0], whole, (83, 61)),
        ([100, 30], whole, (100, 61)),
        ([40, 30], [10, 20, 83, 61], (93, 81)),
    ] {
        let file = two_images(screen, first, [60, 40, 100, 100]);
        let told = probe(&file, &Limits::default()).unwrap();
        assert_eq!((told.width, told.height), size, "{screen:?} {first:?}");
        assert_eq!(told.has_alpha, size != (83, 61));
        let spec = VariantSpec { name: "all".into(), format: OutputFormat::Png, ..VariantSpec::default() };
        let specs = [spec.clone(), VariantSpec { animated: true, ..spec }];
        let made = render(&file, &specs, MetadataPolicy::default(), &Limits::default()).unwrap();
        let still = image::load_from_memory(&made.variants[0].bytes).unwrap().into_rgba8();
        assert_eq!(still.dimensions(), size);
        let [left, top, ..] = first.map(u32::from);
        assert_eq!(still.get_pixel(left, top).0, [200, 30, 30, 255]);
        assert_eq!(still.get_pixel(left + 82, top + 60).0, [200, 30, 30, 255]);
        let moving = frames("png", &made.variants[1].bytes);
        assert_eq!((moving.len(), moving[1].buffer().dimensions()), (2, size));
        assert_eq!(moving[1].buffer().get_pixel(size.0 - 1, size.1 - 1).0, [30, 30, 200, 255]);
    }
    let limits = Limits { max_pixels: 83 * 61 - 1, ..Limits::default() };
    let refused = probe(&two_images([40, 30], whole, [0, 0, 1, 1]), &limits).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyPixels);
}
