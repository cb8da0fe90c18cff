//! EXIF orientation is applied to what is derived, and kept on what is not.
#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, GREEN, RED, WHITE, assert_quarters, decode, fixture, oriented, render_all};
use tintype_image::{Limits, probe};

#[test]
fn all_eight_and_the_two_that_mean_nothing() {
    let stored = [RED, GREEN, BLUE, WHITE];
    // Which stored quarter is seen top left, top right, bottom left, bottom right.
    let seen = [
        (0, [0, 1, 2, 3]),
        (1, [0, 1, 2, 3]),
        (2, [1, 0, 3, 2]),
        (3, [3, 2, 1, 0]),
        (4, [2, 3, 0, 1]),
        (5, [0, 2, 1, 3]),
        (6, [2, 0, 3, 1]),
        (7, [3, 1, 2, 0]),
        (8, [1, 3, 0, 2]),
        (9, [0, 1, 2, 3]),
    ];
    for (orientation, quarters) in seen {
        let bytes = oriented(orientation);
        let rendered = render_all(&bytes);
        let turned = (5..=8).contains(&orientation);
        let read = if (1..=8).contains(&orientation) { orientation } else { 1 };
        assert_eq!(rendered.facts.orientation, read);
        assert_eq!(probe(&bytes, &Limits::default()).unwrap().orientation, read);
        for variant in &rendered.variants {
            let what = format!("orientation {orientation}, {}", variant.name);
            assert_eq!(variant.width < variant.height, turned, "{what}");
            let image = decode(&variant.bytes);
            if variant.name == "original" {
                // The image crate does not turn: the pixels lie as they lay, and the tag is there.
                assert_quarters(&what, &image, stored, 10);
                assert_eq!(probe(&variant.bytes, &Limits::default()).unwrap().orientation, read, "{what}");
            } else {
                assert_quarters(&what, &image, quarters.map(|i| stored[i]), 10);
            }
        }
    }
}

/// EXIF that says an orientation, or nothing.
fn exif(orientation: Option<u16>) -> Vec<u8> {
    let Some(orientation) = orientation else { return b"MM\0\x2A\0\0\0\x08\0\0\0\0\0\0".to_vec() };
    let entry = [&b"\x01\x12\0\x03\0\0\0\x01"[..], &orientation.to_be_bytes(), &[0, 0]].concat();
    [&b"MM\0\x2A\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat()
}

fn app1(exif: &[u8]) -> Vec<u8> {
    [&[0xFF, 0xE1], &(exif.len() as u16 + 8).to_be_bytes()[..], b"Exif\0\0", exif].concat()
}

/// A JPEG with something behind each of its segments, up to the last scan's header, in turn; and whether that is before
/// the first scan.
fn with_segment(jpeg: &[u8], segment: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut files = Vec::new();
    let mut seen_scan = false;
    for at in 2..jpeg.len() - 1 {
        // Tables and headers, and not what looks like one within one: they begin where one ends, or where a scan does.
        let is_marker = jpeg[at] == 0xFF && matches!(jpeg[at + 1], 0xC0 | 0xC2 | 0xC4 | 0xDA | 0xDB);
        if is_marker {
            files.push(([&jpeg[..at], segment, &jpeg[at..]].concat(), !seen_scan));
            seen_scan |= jpeg[at + 1] == 0xDA;
        }
    }
    files
}

/// What is made and what is copied are seen the same way up.
#[track_caller]
fn assert_read(what: &str, bytes: &[u8], orientation: u8) {
    let rendered = render_all(bytes);
    assert_eq!(rendered.facts.orientation, orientation, "{what}");
    assert_eq!(probe(bytes, &Limits::default()).unwrap().orientation, orientation, "{what}");
    let turned = (5..=8).contains(&orientation);
    assert!(rendered.variants.iter().all(|variant| (variant.width < variant.height) == turned), "{what}");
    let original = &rendered.variants[0].bytes;
    assert_eq!(probe(original, &Limits::default()).unwrap().orientation, orientation, "{what}: its copy");
    // No reader finds another there.
    let said = original.windows(8).filter(|window| window == b"\x01\x12\0\x03\0\0\0\x01").count();
    assert_eq!(said, usize::from(orientation != 1), "{what}: its copy");
}

#[test]
fn a_jpeg_says_it_before_its_first_scan() {
    let six = app1(&exif(Some(6)));
    for name in ["jpeg_444.jpg", "jpeg_progressive.jpg"] {
        let files = with_segment(&fixture(name), &six);
        assert!(files.len() > 5, "{name}");
        for (i, (file, is_before)) in files.iter().enumerate() {
            assert_read(&format!("{name}, place {i}"), file, if *is_before { 6 } else { 1 });
        }
    }
    let jpeg = fixture("jpeg_444.jpg");
    let two = [&jpeg[..2], &six, &app1(&exif(Some(3))), &jpeg[2..]].concat();
    assert_read("the first of two", &two, 6);
    for nonsense in [0, 9, 1536] {
        let file = [&jpeg[..2], &app1(&exif(Some(nonsense))), &jpeg[2..]].concat();
        assert_read(&format!("{nonsense}"), &file, 1);
    }
}

fn exif_chunk(exif: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(b"eXIf");
    crc.update(exif);
    [&(exif.len() as u32).to_be_bytes(), &b"eXIf"[..], exif, &crc.sum().to_be_bytes()].concat()
}

#[test]
fn the_first_word_of_a_png_counts() {
    let png = fixture("png_rgb.png");
    let (head, end) = (33, png.len() - 12);
    let [six, three, none] = [Some(6), Some(3), None].map(|orientation| exif_chunk(&exif(orientation)));
    let with = |before: &[u8], behind: &[u8]| [&png[..head], before, &png[head..end], behind, &png[end..]].concat();
    assert_read("before and behind", &with(&six, &three), 6);
    assert_read("behind", &with(&[], &six), 6);
    assert_read("two before", &with(&[&three[..], &six].concat(), &[]), 3);
    assert_read("the first says nothing", &with(&none, &six), 1);
    let mut broken = three.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert_read("the first is broken", &with(&broken, &six), 6);
}

#[test]
fn a_webp_without_its_header_says_nothing() {
    let webp = fixture("webp_lossy.webp");
    assert_eq!(&webp[12..16], b"VP8 ");
    let chunk = |kind: &[u8; 4], data: &[u8]| [&kind[..], &(data.len() as u32).to_le_bytes(), data].concat();
    let file = |chunks: &[&[u8]]| {
        let body = chunks.concat();
        [b"RIFF", &(body.len() as u32 + 4).to_le_bytes(), &b"WEBP"[..], &body].concat()
    };
    let header = |flags: u8| chunk(b"VP8X", &[flags, 0, 0, 0, 31, 0, 0, 23, 0, 0]);
    let [six, three, none] = [Some(6), Some(3), None].map(|orientation| chunk(b"EXIF", &exif(orientation)));
    let picture = &webp[12..];
    assert_read("with it", &file(&[&header(8), picture, &six]), 6);
    assert_read("without the flag", &file(&[&header(0), picture, &six]), 6);
    assert_read("two", &file(&[&header(8), picture, &three, &six]), 3);
    assert_read("the first says nothing", &file(&[&header(8), picture, &none, &six]), 1);
    assert_read("without it", &file(&[picture, &six]), 1);
}
