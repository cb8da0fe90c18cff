//! The same input, preset and version give the same bytes: on every machine, on any thread.
//!
//! `golden.txt` holds a hash of the eight default variants of each fixture, and of pictures so large that all of them
//! are resized. A change of pixels on purpose is a
//! change of that file: `BLESS=1 cargo test -p tintype-image --test golden`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::io::Cursor;
use std::path::PathBuf;

use common::fixtures;
use image::{ImageFormat, RgbImage};
use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, OutputFormat, VariantSpec, render};

/// The seed's eight.
fn specs() -> Vec<VariantSpec> {
    let sizes = [(None, 20.0), (Some(50), 0.5), (Some(100), 1.0), (Some(400), 4.0)];
    let twins = |(side, sigma): (Option<u32>, f32)| {
        let fit = side.map(|side| Fit::Inside(BoxSize { width: side, height: side }));
        [None, Some(sigma)].map(|blur| VariantSpec {
            name: format!("{side:?}{blur:?}"),
            fit,
            blur,
            ..VariantSpec::default()
        })
    };
    sizes.into_iter().flat_map(twins).collect()
}

/// FNV-1a in 64 bits: enough to see a difference by.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    bytes.iter().fold(seed, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn hash_of(bytes: &[u8], specs: &[VariantSpec]) -> u64 {
    let rendered = render(bytes, specs, MetadataPolicy::default(), &Limits::default()).unwrap();
    rendered.variants.iter().fold(0xcbf2_9ce4_8422_2325, |seed, variant| hash(&variant.bytes, seed))
}

/// Grain on slopes and edges, some of it of colours that a JPEG can say and no screen can show.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut seed = 7u32;
    let image = RgbImage::from_fn(width, height, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = |shift: u32| (seed >> shift & 31) as u8;
        let edge = if (x / 37 + y / 23) % 3 == 0 { 200 } else { 20 };
        image::Rgb([edge + grain(27), (x * 220 / width) as u8 + grain(22), (y * 200 / height) as u8 / 4 + grain(17)])
    });
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// What is hashed: a name, a file, and what is made of it.
fn subjects() -> Vec<(String, Vec<u8>, Vec<VariantSpec>)> {
    let mut subjects: Vec<_> = fixtures().into_iter().map(|(name, bytes)| (name, bytes, specs())).collect();
    let as_jpeg = VariantSpec { format: OutputFormat::Jpeg, ..VariantSpec::default() };
    let as_png = specs().into_iter().map(|spec| VariantSpec { format: OutputFormat::Png, ..spec });
    let as_png: Vec<VariantSpec> = as_png.collect();
    for (width, height) in [(803, 601), (2100, 1500)] {
        let png = picture(width, height);
        let jpeg = render(&png, std::slice::from_ref(&as_jpeg), MetadataPolicy::default(), &Limits::default());
        let jpeg = jpeg.unwrap().variants.remove(0).bytes.into_owned();
        subjects.push((format!("{width}x{height}.jpg"), jpeg.clone(), specs()));
        subjects.push((format!("{width}x{height}.jpg to png"), jpeg, as_png.clone()));
        subjects.push((format!("{width}x{height}.png"), png, specs()));
    }
    subjects
}

#[test]
fn fixtures_come_out_as_they_did() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    let mut now = String::new();
    for (name, bytes, specs) in subjects() {
        writeln!(now, "{:016x} {name}", hash_of(&bytes, &specs)).unwrap();
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    let changed: Vec<_> = now.lines().zip(golden.lines()).filter(|(now, then)| now != then).collect();
    assert!(changed.is_empty() && now == golden, "other bytes than before (now, then): {changed:#?}");
}

#[test]
fn threads_change_nothing() {
    let all = subjects();
    let hashes = || all.iter().map(|(_, bytes, specs)| hash_of(bytes, specs)).collect::<Vec<u64>>();
    let alone = hashes();
    let together: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(hashes)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(together.iter().all(|hashes| *hashes == alone));
}
