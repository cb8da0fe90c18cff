//! HEIC and AVIF in: pixels, turns, alpha and profile, by files that another program made.
#![cfg(feature = "heif")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{BLUE, GREEN, RED, WHITE, assert_quarters, decode, render_all, specs, variant};
use tintype_image::{ErrorCode, Format, Limits, MetadataPolicy, probe, render};

fn file(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heif");
    std::fs::read(folder.join(name)).unwrap()
}

#[test]
fn a_heic_comes_out_as_jpeg_upright_and_in_srgb() {
    let (green_red, red_green) = ([30, 200, 30, 255], [160, 30, 30, 255]);
    for (name, size, want) in [
        ("rgb.heic", (64, 48), [RED, GREEN, BLUE, WHITE]),
        ("turned.heic", (48, 64), [BLUE, RED, WHITE, GREEN]),
        ("swapped.heic", (64, 48), [green_red, red_green, BLUE, WHITE]),
    ] {
        let rendered = render_all(&file(name));
        assert_eq!(rendered.facts.format, Format::Heic, "{name}");
        assert_eq!((rendered.facts.width, rendered.facts.height), size, "{name}");
        for variant in &rendered.variants {
            assert_eq!(variant.format, Format::Jpeg, "{name} {}", variant.name);
            // Another profile's colours are not exactly ours.
            let tolerance = if name == "swapped.heic" { 48 } else { 20 };
            assert_quarters(&format!("{name} {}", variant.name), &decode(&variant.bytes), want, tolerance);
        }
        assert_eq!(decode(variant(&rendered, "original")).dimensions(), size, "{name}");
    }
}

#[test]
fn alpha_is_read_and_an_avif_is_written_as_one() {
    for (name, alpha) in [("rgb.avif", false), ("alpha.avif", true)] {
        let rendered = render_all(&file(name));
        assert_eq!((rendered.facts.format, rendered.facts.has_alpha), (Format::Avif, alpha), "{name}");
        for made in &rendered.variants {
            // Read again by the same library, which did not write it.
            let again = render_all(&made.bytes);
            assert_eq!(again.facts.format, Format::Avif, "{name} {}", made.name);
            assert_eq!((again.facts.width, again.facts.height), (made.width, made.height), "{name} {}", made.name);
            assert_eq!(again.facts.has_alpha, alpha, "{name} {}", made.name);
        }
    }
    assert!(probe(&file("alpha.heic"), &Limits::default()).unwrap().has_alpha);
}

#[test]
fn what_is_kept_is_kept_whole() {
    let bytes = file("turned.heic");
    let rendered = render(&bytes, &specs(), MetadataPolicy::Keep, &Limits::default()).unwrap();
    assert_eq!((rendered.variants[0].format, &rendered.variants[0].bytes), (Format::Heic, &bytes));
    let stripped = render(&bytes, &specs(), MetadataPolicy::PrivateStripped, &Limits::default()).unwrap();
    assert!(!stripped.variants[0].bytes.windows(4).any(|window| window == b"Exif"));
}

#[test]
fn damage_and_size_are_told() {
    for name in ["rgb.heic", "rgb.avif", "alpha.heic", "alpha.avif"] {
        let bytes = file(name);
        for length in (16..bytes.len()).step_by(7) {
            let error = render(&bytes[..length], &specs(), MetadataPolicy::default(), &Limits::default());
            let code = error.err().map(|error| error.code);
            assert!(
                matches!(code, Some(ErrorCode::Corrupt | ErrorCode::UnsupportedFormat)),
                "{name} at {length} of {}: {code:?}",
                bytes.len()
            );
        }
        let limits = Limits { max_pixels: 1000, ..Limits::default() };
        let code = probe(&bytes, &limits).err().map(|error| error.code);
        assert_eq!(code, Some(ErrorCode::TooManyPixels), "{name}");
    }
}
