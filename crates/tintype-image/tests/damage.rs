//! What is there of a damaged file is developed as browsers show it, and what is missing is told.
#![allow(clippy::unwrap_used)]

mod common;

use common::{decode, fixture, fixtures, spec, specs, variant};
use tintype_image::{Damage, Error, ErrorCode, Limits, MetadataPolicy, Rendered, Tolerance, probe, render};

/// Smaller than no picture here: every pixel is looked at.
fn develop(bytes: &[u8], damaged: Tolerance) -> Result<Rendered<'static>, Error> {
    let limits = Limits { damaged, ..Limits::default() };
    render(bytes, &specs(), MetadataPolicy::default(), &limits).map(Rendered::into_owned)
}

#[track_caller]
fn accepted(bytes: &[u8]) -> (Rendered<'static>, Damage) {
    let rendered = develop(bytes, Tolerance::Half).unwrap();
    assert_eq!(rendered.facts.frames, probe(bytes, &Limits::default()).unwrap().frames);
    let refused = develop(bytes, Tolerance::Refuse).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Corrupt);
    let damage = rendered.damaged.clone().unwrap();
    (rendered, damage)
}

/// Mean difference of the rows from one to another, as parts of the height.
fn difference(a: &[u8], b: &[u8], from: f64, to: f64) -> f64 {
    let (a, b) = (decode(a), decode(b));
    assert_eq!(a.dimensions(), b.dimensions());
    let rows = |part: f64| (part * f64::from(a.height())) as u32;
    let pixels = (rows(from)..rows(to)).flat_map(|y| (0..a.width()).map(move |x| (x, y)));
    let differences = pixels.flat_map(|(x, y)| {
        let (a, b) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
        (0..3).map(move |c| f64::from(a[c].abs_diff(b[c])))
    });
    let all: Vec<f64> = differences.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// A photo, nearly, as a JPEG with a restart after each row of MCUs, or with none; of 160 x 128.
fn photo(restarts: bool) -> Vec<u8> {
    let name = if restarts { "damage/restarts.jpg" } else { "damage/plain.jpg" };
    std::fs::read(common::folder().join("..").join(name)).unwrap()
}

/// Where the markers between restart intervals lie.
fn restarts(jpeg: &[u8]) -> Vec<usize> {
    let scan = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    (scan..jpeg.len() - 1).filter(|&at| jpeg[at] == 0xFF && matches!(jpeg[at + 1], 0xD0..=0xD7)).collect()
}

#[test]
fn an_end_marker_alone_is_missed_by_no_pixel() {
    for (name, end) in [
        ("jpeg_baseline.jpg", 2),
        ("jpeg_progressive.jpg", 2),
        ("jpeg_restart.jpg", 2),
        ("png_rgb.png", 12),
        ("png_rgb_interlaced.png", 12),
        ("png_rgb.png", 1),
        ("png_animated.png", 12),
        ("gif_still.gif", 1),
        ("gif_animated.gif", 1),
    ] {
        let whole = fixture(name);
        let cut = &whole[..whole.len() - end];
        let (rendered, damage) = accepted(cut);
        assert_eq!(damage.rows, 1.0, "{name}: {damage:?}");
        for (ours, expected) in
            rendered.variants.iter().zip(develop(&whole, Tolerance::Refuse).unwrap().variants).skip(1)
        {
            assert!(ours.bytes == expected.bytes, "{name}: {} is another picture", ours.name);
        }
        // The original goes out with the pixels it came with.
        let again = develop(variant(&rendered, "original"), Tolerance::Half).unwrap();
        assert!(again.variants[4].bytes == rendered.variants[4].bytes, "{name}");
    }
}

#[test]
fn a_jpeg_that_is_cut_is_grey_from_there_on() {
    let whole = photo(false);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    for percent in [60, 80, 95] {
        let (rendered, damage) = accepted(&whole[..whole.len() * percent / 100]);
        assert_eq!(damage.why, "the JPEG ends early");
        assert!((damage.rows - percent as f64 / 100.0).abs() < 0.16, "{percent}: {damage:?}");
        let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
        // The last rows before the gap are smoothed into it.
        assert!(difference(ours, theirs, 0.0, damage.rows - 0.03) < 0.5, "{percent}");
        let last = decode(ours).get_pixel(80, 127).0;
        assert!(last[..3].iter().all(|v| v.abs_diff(128) < 4), "{percent}: {last:?}");
    }
    let refused = develop(&whole[..whole.len() * 30 / 100], Tolerance::Half).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Corrupt);
    assert!(refused.message.contains("more than half must be"), "{}", refused.message);
    let least = |part| develop(&whole[..whole.len() * 80 / 100], Tolerance::Rows(part)).map(|_| ());
    assert_eq!((least(0.5), least(0.0)), (Ok(()), Ok(())));
    assert_eq!(least(0.95).unwrap_err().code, ErrorCode::Corrupt);
}

#[test]
fn a_jpeg_goes_on_where_its_restart_markers_say() {
    let whole = photo(true);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    let marks = restarts(&whole);
    assert_eq!(marks.len(), 7);
    // One interval of eight, and its marker, are gone.
    let lost = [&whole[..marks[1]], &whole[marks[2]..]].concat();
    let (rendered, damage) = accepted(&lost);
    assert_eq!(damage, Damage { rows: 0.875, why: "a restart marker of the JPEG is missing".into() });
    let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
    assert!(difference(ours, theirs, 0.0, 0.23) < 0.5 && difference(ours, theirs, 0.4, 1.0) < 0.5);
    // Another number: libjpeg takes it for the one that it looked for.
    let mut wrong = whole.clone();
    wrong[marks[2] + 1] = 0xD5;
    let (rendered, damage) = accepted(&wrong);
    assert!(damage.rows >= 0.875, "{damage:?}");
    assert!(difference(variant(&rendered, "400x400"), theirs, 0.0, 0.2) < 0.5);
    // A stretch of an interval is no code at all.
    let mut broken = whole.clone();
    broken[marks[3] + 20..marks[3] + 60].fill(0xFE);
    let (rendered, damage) = accepted(&broken);
    assert!(damage.rows >= 0.75, "{damage:?}");
    assert!(difference(variant(&rendered, "400x400"), theirs, 0.7, 1.0) < 0.5);
}

#[test]
fn an_end_marker_amid_the_data_ends_a_jpeg() {
    let whole = photo(false);
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap() + 14;
    let mut at = scan + (whole.len() - scan) * 3 / 4;
    while whole[at] == 0xFF || whole[at - 1] == 0xFF {
        at += 1;
    }
    let (_, damage) = accepted(&[&whole[..at], &[0xFF, 0xD9], &whole[at..]].concat());
    assert!((0.6..0.9).contains(&damage.rows), "{damage:?}");
}

#[test]
fn more_image_data_than_the_size_takes_is_told() {
    let whole = photo(false);
    let more = [&whole[..whole.len() - 2], &[0x5A; 64], &[0xFF, 0xD9]].concat();
    let (rendered, damage) = accepted(&more);
    assert_eq!(damage.rows, 1.0);
    let expected = develop(&whole, Tolerance::Refuse).unwrap();
    assert!(variant(&rendered, "400x400") == variant(&expected, "400x400"));
}

/// A cut still picture shows its rows, and nothing below.
#[test]
fn rows_of_a_cut_file_stay_in_their_place() {
    for (name, why) in [
        ("bmp_rgb.bmp", "the BMP ends early"),
        ("bmp_palette.bmp", "the BMP ends early"),
        ("bmp_rgba_alpha.bmp", "the BMP ends early"),
        ("png_rgb_16_bit.png", "the PNG ends early"),
        ("png_rgba_alpha.png", "the PNG ends early"),
        ("webp_lossless.webp", "the WebP ends early"),
    ] {
        let whole = fixture(name);
        let expected = develop(&whole, Tolerance::Refuse).unwrap();
        let mut seen = Vec::new();
        for length in whole.len() / 4..whole.len() {
            let Ok(rendered) = develop(&whole[..length], Tolerance::Half) else { continue };
            let Some(damage) = &rendered.damaged else { continue };
            if damage.rows == 1.0 {
                continue;
            }
            assert_eq!(damage.why, why, "{name} at {length}");
            let (ours, theirs) = (variant(&rendered, "400x400"), variant(&expected, "400x400"));
            let (from, to) = if name.starts_with("bmp") { (1.0 - damage.rows, 1.0) } else { (0.0, damage.rows) };
            assert!(difference(ours, theirs, from, to) < 2.0, "{name} at {length}: {damage:?}");
            seen.push(damage.rows);
        }
        assert!(!seen.is_empty(), "{name}: no length leaves some of its rows");
    }
}

#[test]
fn an_animation_keeps_the_frames_that_are_there() {
    for name in ["gif_animated.gif", "gif_animated_alpha.gif", "png_animated.png", "webp_animated.webp"] {
        let whole = fixture(name);
        let frames = probe(&whole, &Limits::default()).unwrap().frames;
        let mut seen = 0;
        for length in whole.len() / 3..whole.len() - 12 {
            let Ok(rendered) = develop(&whole[..length], Tolerance::Half) else { continue };
            let damage = rendered.damaged.unwrap();
            assert!(rendered.facts.frames <= frames && damage.rows > 0.5, "{name} at {length}: {damage:?}");
            seen += 1;
        }
        assert!(seen > 0, "{name}: no length leaves some of its frames");
    }
}

#[test]
fn bits_that_fall_over_are_told_or_make_no_difference_to_libjpeg() {
    // Whatever is developed of a broken stretch, a word goes with it wherever libjpeg has one.
    let whole = photo(true);
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap() + 14;
    let mut told = 0;
    for at in (scan..whole.len() - 80).step_by(37) {
        let mut broken = whole.clone();
        broken[at..at + 64].fill(0);
        match develop(&broken, Tolerance::Half) {
            Ok(rendered) => told += u32::from(rendered.damaged.is_some()),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::Corrupt);
                told += 1;
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn no_part_of_a_file_is_shown_as_the_whole() {
    for (name, bytes) in fixtures() {
        let one = &[spec("t", Some(9), None)];
        let whole = render(&bytes, one, MetadataPolicy::default(), &Limits::default()).unwrap().into_owned();
        for length in (bytes.len() / 2..bytes.len()).step_by(7) {
            let Ok(part) = render(&bytes[..length], one, MetadataPolicy::default(), &Limits::default()) else {
                continue;
            };
            assert!(
                part.damaged.is_some() || part.variants[0].bytes == whole.variants[0].bytes,
                "{name} at {length} is another picture without a word"
            );
        }
    }
}
