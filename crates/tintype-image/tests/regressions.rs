//! Files that fuzzing found something with: each ends in files that can be read, or in a coded error, soon.
//! A file of its own: it watches the process' panic hook.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tintype_image::{BoxSize, ErrorCode, Fit, Limits, MetadataPolicy, OutputFormat, VariantSpec, probe, render};

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The limits of `fuzz/src/lib.rs`.
fn limits() -> Limits {
    Limits {
        max_pixels: 1 << 18,
        max_frames: 20,
        deadline: Some(Instant::now() + Duration::from_secs(5)),
        ..Limits::default()
    }
}

fn specs() -> Vec<VariantSpec> {
    let fit = Some(Fit::Inside(BoxSize { width: 50, height: 50 }));
    let same = VariantSpec::default();
    vec![
        same.clone(),
        VariantSpec { blur: Some(20.0), ..same.clone() },
        VariantSpec { fit, ..same.clone() },
        VariantSpec { fit, format: OutputFormat::Png, ..same.clone() },
        VariantSpec { fit, format: OutputFormat::Auto, ..same },
    ]
}

#[test]
fn what_fuzzing_found_stays_fixed() {
    std::panic::set_hook(Box::new(|info| {
        // A dependency's panic is the file's fault, and caught; one of ours is not.
        if info.location().is_some_and(|place| place.file().contains("tintype-image/")) {
            eprintln!("{info}");
            PANICS.lock().unwrap().push(info.to_string());
        }
    }));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        let bytes = std::fs::read(&path).unwrap();
        for metadata in [MetadataPolicy::PrivateStripped, MetadataPolicy::Keep, MetadataPolicy::None] {
            let start = Instant::now();
            match render(&bytes, &specs(), metadata, &limits()) {
                Ok(rendered) => {
                    for variant in rendered.variants {
                        let read = probe(&variant.bytes, &limits()).unwrap();
                        let said = (variant.format, variant.width, variant.height);
                        assert_eq!((read.format, read.width, read.height), said, "{name}");
                    }
                }
                Err(error) => {
                    assert!(error.code != ErrorCode::Internal && !error.message.is_empty(), "{name}: {error:?}")
                }
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
        }
        seen += 1;
    }
    assert!(seen > 0, "the files are missing");
    assert!(PANICS.lock().unwrap().is_empty(), "{:?}", PANICS.lock().unwrap());
}
