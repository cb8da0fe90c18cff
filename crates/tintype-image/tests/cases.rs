//! Damaged and odd files that others collected, if they are beside the repository: each gives what its list says.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use common::decode;
use tintype_image::{
    BoxSize, ErrorCode, Fit, Limits, MetadataPolicy, OutputFormat, Rendered, Tolerance, VariantSpec, render,
};

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cases");
    folder.is_dir().then_some(folder)
}

fn develop(name: &str, damaged: Tolerance) -> Option<Result<Rendered<'static>, tintype_image::Error>> {
    let bytes = std::fs::read(folder()?.join(name)).unwrap();
    let fit = Some(Fit::Inside(BoxSize { width: 400, height: 400 }));
    let png = VariantSpec { name: "png".into(), fit, format: OutputFormat::Png, ..VariantSpec::default() };
    let specs = [VariantSpec { name: "original".into(), ..VariantSpec::default() }, png];
    let limits = Limits { damaged, ..Limits::default() };
    Some(render(&bytes, &specs, MetadataPolicy::default(), &limits).map(Rendered::into_owned))
}

/// Mean difference of two files' pixels.
fn difference(a: &Rendered<'_>, b: &Rendered<'_>) -> f64 {
    let (a, b) = (decode(&a.variants[1].bytes), decode(&b.variants[1].bytes));
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: f64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.as_raw().len() as f64
}

#[test]
fn damaged_files_are_developed_and_say_so() {
    for (name, rows, whole) in [
        ("jpeg-no-eoi.jpg", 1.0..=1.0, true),
        ("jpeg-cut-at-80.jpg", 0.7..=0.9, false),
        ("jpeg-eoi-in-the-middle.jpg", 0.55..=0.85, false),
        ("jpeg-restart-lost.jpg", 0.8..=0.95, false),
        ("jpeg-restart-wrong.jpg", 0.8..=1.0, false),
        ("png-no-iend.png", 1.0..=1.0, true),
        ("png-cut-at-80.png", 0.7..=0.9, false),
        ("gif-no-trailer.gif", 1.0..=1.0, false),
        ("gif-cut-in-third-frame.gif", 0.66..=0.99, false),
    ] {
        let Some(rendered) = develop(name, Tolerance::Half) else { return };
        let rendered = rendered.unwrap_or_else(|e| panic!("{name}: {e}"));
        let damage = rendered.damaged.clone().unwrap_or_else(|| panic!("{name} is not said to be damaged"));
        assert!(rows.contains(&damage.rows), "{name}: {damage:?}");
        if whole {
            let corgi = develop("jpeg-no-eoi.jpg", Tolerance::Half).unwrap().unwrap();
            assert!(difference(&rendered, &corgi) < 6.0, "{name}");
        }
        if name.starts_with("gif") {
            assert_eq!(rendered.facts.frames, 3, "{name}");
        }
        let refused = develop(name, Tolerance::Refuse).unwrap().unwrap_err();
        assert_eq!(refused.code, ErrorCode::Corrupt, "{name}");
    }
    let refused = develop("jpeg-cut-at-30.jpg", Tolerance::Half).unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::Corrupt);
}

#[test]
fn odd_files_are_read_right_or_refused_by_name() {
    let Some(corgi) = develop("jpeg-no-eoi.jpg", Tolerance::Half) else { return };
    let corgi = corgi.unwrap();
    for (name, most) in [
        // Of 16 greys, against colours.
        ("tiff-fill-order-2.tif", 40.0),
        ("tiff-planar-16-bit-tiles.tif", 6.0),
        ("tiff-jpeg.tif", 6.0),
        ("bmp-offset-into-palette.bmp", 12.0),
    ] {
        let rendered = develop(name, Tolerance::Refuse).unwrap().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(difference(&rendered, &corgi) < most, "{name}: {}", difference(&rendered, &corgi));
    }
    for (name, word) in [
        ("tiff-lzma.tif", "LZMA"),
        ("tiff-big.tif", "BigTIFF"),
        ("tiff-ycbcr-subsampled.tif", "subsampled"),
        ("tiff-fax-g3.tif", "fax"),
        ("tiff-lab.tif", "L*a*b*"),
        ("jpeg-arithmetic.jpg", "arithmetic"),
        ("bmp-os2-16-byte-header.bmp", ""),
    ] {
        match develop(name, Tolerance::Half).unwrap() {
            // Who reads it must read it right.
            Ok(rendered) => assert!(difference(&rendered, &corgi) < 60.0 && rendered.damaged.is_none(), "{name}"),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::UnsupportedFormat, "{name}: {error}");
                assert!(error.message.contains(word), "{name}: {error}");
            }
        }
    }
}
