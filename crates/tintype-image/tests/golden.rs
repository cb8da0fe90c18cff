//! The same input, preset and version give the same bytes: on every machine, on any thread.
//!
//! `golden.txt` holds a hash of the eight default variants of each fixture. A change of pixels on purpose is a
//! change of that file: `BLESS=1 cargo test -p tintype-image --test golden`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::path::PathBuf;

use common::fixtures;
use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, VariantSpec, render};

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

fn hash_of(bytes: &[u8]) -> u64 {
    let rendered = render(bytes, &specs(), MetadataPolicy::default(), &Limits::default()).unwrap();
    rendered.variants.iter().fold(0xcbf2_9ce4_8422_2325, |seed, variant| hash(&variant.bytes, seed))
}

#[test]
fn fixtures_come_out_as_they_did() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    let mut now = String::new();
    for (name, bytes) in fixtures() {
        writeln!(now, "{:016x} {name}", hash_of(&bytes)).unwrap();
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
    let all = fixtures();
    let alone: Vec<u64> = all.iter().map(|(_, bytes)| hash_of(bytes)).collect();
    let together: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| all.iter().map(|(_, bytes)| hash_of(bytes)).collect())).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(together.iter().all(|hashes| *hashes == alone));
}
