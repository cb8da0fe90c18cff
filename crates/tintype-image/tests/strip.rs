//! The verbatim variant: private metadata gone, pixels as they were coded, orientation and profile kept.
#![allow(clippy::unwrap_used)]

mod common;

use std::borrow::Cow;

use common::{decode, fixture, fixtures, spec};
use tintype_image::{Limits, MetadataPolicy, probe, render, taken};

const PRIVATE: [&str; 5] =
    ["jpeg_private.jpg", "png_private.png", "webp_private.webp", "tiff_private.tiff", "gif_private.gif"];

fn strip(bytes: &[u8], policy: MetadataPolicy) -> Vec<u8> {
    let mut rendered = render(bytes, &[spec("original", None, None)], policy, &Limits::default()).unwrap();
    rendered.variants.remove(0).bytes.into_owned()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn what_is_private_is_gone_and_what_is_public_stays() {
    for name in PRIVATE {
        let original = fixture(name);
        assert!(holds(&original, b"SECRET") || name.starts_with("png"), "{name} proves nothing");
        let stripped = strip(&original, MetadataPolicy::PrivateStripped);
        assert!(!holds(&stripped, b"SECRET"), "{name}");
        assert!(!holds(&stripped, &30.25f32.to_be_bytes()), "{name}");
        assert_eq!(decode(&stripped), decode(&original), "{name}: the pixels changed");
        let before = probe(&original, &Limits::default()).unwrap();
        assert_eq!(probe(&stripped, &Limits::default()).unwrap(), before, "{name}");
        if !name.starts_with("gif") {
            assert!(holds(&stripped, b"Model") && holds(&stripped, b"Maker"), "{name} lost its camera");
            assert_eq!(before.orientation, 6);
        }
        let again = strip(&stripped, MetadataPolicy::PrivateStripped);
        assert!(again == stripped, "{name}: stripping twice is not stripping once");
    }
}

#[test]
fn the_place_is_gone() {
    for name in PRIVATE.into_iter().filter(|name| !name.starts_with("gif")) {
        let original = fixture(name);
        // The GPS directory's tag, a LONG, in either byte order.
        let pointer = |bytes: &[u8]| {
            holds(bytes, &[0x25, 0x88, 4, 0, 1, 0, 0, 0]) || holds(bytes, &[0x88, 0x25, 0, 4, 0, 0, 0, 1])
        };
        assert!(pointer(&original) || name.starts_with("tiff"), "{name} proves nothing");
        assert!(!pointer(&strip(&original, MetadataPolicy::PrivateStripped)), "{name}");
    }
}

#[test]
fn none_keeps_orientation_and_profile_alone() {
    for name in PRIVATE.into_iter().filter(|name| !name.starts_with("gif")) {
        let original = fixture(name);
        let stripped = strip(&original, MetadataPolicy::None);
        for text in [&b"SECRET"[..], b"Model", b"2012:09:22"] {
            assert!(!holds(&stripped, text), "{name} keeps {text:?}");
        }
        assert_eq!(probe(&stripped, &Limits::default()).unwrap().orientation, 6, "{name}");
        assert!(holds(&stripped, b"acsp") || holds(&stripped, b"iCCP"), "{name} lost its profile");
        assert_eq!(decode(&stripped), decode(&original), "{name}: the pixels changed");
    }
}

#[test]
fn profiles_stay_with_the_original_and_leave_the_rest() {
    for name in PRIVATE.into_iter().filter(|name| !name.starts_with("gif")) {
        let rendered = common::render_all(&fixture(name));
        for variant in &rendered.variants {
            let profile = holds(&variant.bytes, b"acsp") || holds(&variant.bytes, b"iCCP");
            assert_eq!(profile, variant.name == "original", "{name} {}", variant.name);
            assert!(!holds(&variant.bytes, b"SECRET"), "{name} {}", variant.name);
        }
    }
}

#[test]
fn keep_touches_nothing() {
    for (name, bytes) in fixtures() {
        assert!(strip(&bytes, MetadataPolicy::Keep) == bytes, "{name}");
    }
}

#[test]
fn every_fixture_keeps_its_pixels() {
    // The image crate reads no palettes in TIFF.
    for (name, bytes) in fixtures().into_iter().filter(|(name, _)| name != "tiff_palette.tiff") {
        for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
            assert_eq!(decode(&strip(&bytes, policy)), decode(&bytes), "{name} {policy:?}");
        }
    }
}

#[test]
fn what_follows_the_image_is_dropped() {
    for name in ["jpeg_baseline.jpg", "png_rgb.png", "gif_still.gif", "webp_lossy.webp"] {
        let mut bytes = fixture(name);
        bytes.extend_from_slice(b"SECRET appendix");
        let stripped = strip(&bytes, MetadataPolicy::PrivateStripped);
        assert!(!holds(&stripped, b"SECRET"), "{name}");
    }
}

#[test]
fn broken_exif_goes_but_for_which_way_is_up() {
    let original = fixture("jpeg_private.jpg");
    let exif = original.windows(6).position(|w| w == b"Exif\0\0").unwrap() + 6;
    // Past the last directory entry of the first directory, everything is made nonsense.
    let mut broken = original.clone();
    broken[exif + 4..exif + 8].copy_from_slice(&[0xFF; 4]);
    let stripped = strip(&broken, MetadataPolicy::PrivateStripped);
    assert!(!holds(&stripped, b"SECRET") && !holds(&stripped, b"Exif"));
}

#[test]
fn a_stripped_file_gives_the_same_thumbnails() {
    // Orientation, profile and Adobe's mark: all that the look of the pixels depends on.
    for (name, bytes) in fixtures() {
        let thumbnail = |bytes: &[u8]| common::render_all(bytes).variants.swap_remove(2).bytes;
        for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
            assert!(thumbnail(&strip(&bytes, policy)) == thumbnail(&bytes), "{name} {policy:?}");
        }
    }
}

#[test]
fn what_has_nothing_to_strip_is_not_copied() {
    let mut borrowed = std::collections::BTreeSet::new();
    for (name, bytes) in fixtures() {
        let stripped = strip(&bytes, MetadataPolicy::PrivateStripped);
        let specs = [spec("original", None, None)];
        let again = render(&stripped, &specs, MetadataPolicy::PrivateStripped, &Limits::default()).unwrap();
        assert!(*again.variants[0].bytes == *stripped, "{name}");
        if matches!(again.variants[0].bytes, Cow::Borrowed(_)) {
            borrowed.insert(name.split('_').next().unwrap().to_owned());
        }
    }
    let expected = ["bmp", "gif", "jpeg", "png", "tiff"].map(String::from);
    assert!(borrowed.into_iter().eq(expected));
}

/// A chunk of a PNG.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), &kind[..], data, &crc.sum().to_be_bytes()].concat()
}

#[test]
fn what_lies_behind_the_last_pixel_is_dropped() {
    let png = fixture("png_rgb.png");
    let end = png.len() - 12;
    let behind = [&png[..end], &chunk(b"IDAT", b"SECRET"), &png[end..]].concat();
    let gif = fixture("gif_still.gif");
    let last = gif.len() - 2;
    assert_eq!(gif[last..], [0, 0x3B], "the last run of data, and the trailer");
    let run = [&gif[..last], b"\x06SECRET", &gif[last..]].concat();
    for (name, clean, carrier) in [("PNG", png, behind), ("GIF", gif, run)] {
        for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
            let stripped = strip(&carrier, policy);
            assert!(!holds(&stripped, b"SECRET"), "{name} {policy:?}");
            assert_eq!(decode(&stripped), decode(&clean), "{name}: the pixels changed");
            assert!(strip(&stripped, policy) == stripped, "{name}: stripping twice is not stripping once");
        }
    }
}

/// Longer than what libjpeg reads ahead.
const LONG: &[u8] = b"a SECRET that goes on for a while, so that all but its first bytes must go";

/// What of it must go: libjpeg does not tell to the byte where the scans end that it reads.
fn telling(name: &str) -> &'static [u8] {
    if name.contains("progressive") { &LONG[8..] } else { &LONG[..6] }
}

#[track_caller]
fn assert_goes(what: &str, needle: &[u8], carrier: &[u8], clean: &[u8]) {
    assert!(holds(carrier, needle), "{what} proves nothing");
    for policy in [MetadataPolicy::PrivateStripped, MetadataPolicy::None] {
        let stripped = strip(carrier, policy);
        assert!(!holds(&stripped, needle), "{what} {policy:?}");
        assert_eq!(decode(&stripped), decode(clean), "{what} {policy:?}: the pixels changed");
        assert!(strip(&stripped, policy) == stripped, "{what} {policy:?}: stripping twice is not stripping once");
    }
    assert!(strip(carrier, MetadataPolicy::Keep) == carrier, "{what}: keep keeps all");
}

#[test]
fn image_data_ends_with_its_last_code() {
    let names = fixtures().into_iter().filter(|(name, _)| name.starts_with("jpeg"));
    let mut progressive = 0;
    for (name, whole) in names {
        // None of it stays but what it takes to fill the last byte.
        let stripped = strip(&whole, MetadataPolicy::None);
        assert_eq!(decode(&stripped), decode(&whole), "{name}");
        let end = whole.len() - 2;
        let more = [&whole[..end], LONG, &whole[end..]].concat();
        assert_goes(&name, telling(&name), &more, &whole);
        progressive += u32::from(name.contains("progressive"));
        // Behind a marker that begins another interval, where all are there.
        let restarted = [&whole[..end], b"\xFF\xD3", LONG, &whole[end..]].concat();
        if !name.contains("progressive") {
            assert_goes(&name, telling(&name), &restarted, &whole);
        }
    }
    assert!(progressive > 0);
    let whole = fixture("jpeg_restart.jpg");
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let marks = (scan..whole.len() - 1).filter(|&at| whole[at] == 0xFF && matches!(whole[at + 1], 0xD0..=0xD7));
    for at in marks {
        let more = [&whole[..at], LONG, &whole[at..]].concat();
        assert_goes("between intervals", telling(""), &more, &whole);
    }
}

#[test]
fn segments_hold_what_decoders_read_and_no_more() {
    let segment =
        |marker: u8, payload: &[u8]| [&[0xFF, marker], &(payload.len() as u16 + 2).to_be_bytes()[..], payload].concat();
    let longer = |file: &[u8], at: usize| {
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        let payload = [&file[at + 4..at + 2 + length], b"SECRET"].concat();
        [&file[..at], &segment(file[at + 1], &payload), &file[at + 2 + length..]].concat()
    };
    let steps = [&[3][..], &b"SECRET".repeat(11)[..64]].concat();
    let codes = [&[3, 0, 0, 6][..], &[0; 13], b"SECRET"].concat();
    for name in ["jpeg_444.jpg", "jpeg_progressive.jpg"] {
        let whole = fixture(name);
        let at = |marker: u8| whole.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
        let (scan, end) = (at(0xDA), whole.len() - 2);
        let before = |more: &[u8]| [&whole[..scan], more, &whole[scan..]].concat();
        assert_goes(name, b"SECRET", &before(&segment(0xDB, &steps)), &whole);
        assert_goes(name, b"SECRET", &before(&segment(0xC4, &codes)), &whole);
        assert_goes(name, b"SECRET", &before(&segment(0xDC, b"\0\x18SECRET")), &whole);
        assert_goes(name, b"SECRET", &before(&segment(0xCC, b"SECRET")), &whole);
        // Read, but written over before it is used.
        let first = [&[0][..], &steps[1..]].concat();
        let at_start = [&whole[..2], &segment(0xDB, &first), &whole[2..]].concat();
        assert_goes(name, b"SECRET", &at_start, &whole);
        // Behind the last scan.
        let behind = [&whole[..end], &segment(0xDB, &first), &whole[end..]].concat();
        assert_goes(name, b"SECRET", &behind, &whole);
    }
    // What libjpeg would refuse, and others read on.
    let whole = fixture("jpeg_444.jpg");
    let at = |marker: u8| whole.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    for marker in [0xC0, 0xDA] {
        assert_goes("a longer header", b"SECRET", &longer(&whole, at(marker)), &whole);
    }
}

#[test]
fn colours_that_no_pixel_has_are_zeros() {
    // Four colours, and as many more.
    let gif = fixture("gif_still.gif");
    assert_eq!(gif[10] & 0x87, 0x81);
    let wider = |more: &[u8]| [&gif[..10], &[gif[10] + 1], &gif[11..25], more, &gif[25..]].concat();
    assert_goes("GIF", b"SECRET", &wider(b"SECRETSECRET"), &gif);
    assert!(strip(&wider(b"SECRETSECRET"), MetadataPolicy::None) == wider(&[0; 12]));
    let bmp = fixture("bmp_palette.bmp");
    assert_eq!((bmp[10], bmp[46]), (70, 4));
    let wider = |more: &[u8]| {
        let mut out = [&bmp[..70], more, &bmp[70..]].concat();
        (out[10], out[46]) = (86, 8);
        let length = out.len() as u32;
        out[2..6].copy_from_slice(&length.to_le_bytes());
        out
    };
    assert_goes("BMP", b"SECRET", &wider(b"SECRETSECRETSECR"), &bmp);
    assert!(strip(&wider(b"SECRETSECRETSECR"), MetadataPolicy::None) == wider(&[0; 16]));
}

#[test]
fn when_and_with_what_is_read_without_pixels() {
    for name in PRIVATE {
        let original = fixture(name);
        let rendered = render(&original, &[], MetadataPolicy::None, &Limits::default()).unwrap();
        assert_eq!(taken(&original), (rendered.facts.taken_at, rendered.facts.camera), "{name}");
    }
    assert_eq!(taken(b"no image"), (None, None));
}
