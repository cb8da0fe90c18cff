//! One bench a step, on a 12-megapixel JPEG and its 400x300 thumbnail: a regression names its step.
//!
//! `cargo bench -p tintype-image --features bench`

use std::sync::LazyLock;

use divan::Bencher;
use tintype_image::Format;
use tintype_image::steps::{Bench, photo};

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::new(photo(4160, 3120)));

fn main() {
    divan::main();
}

#[divan::bench]
fn probe() -> u32 {
    BENCH.probe()
}

#[divan::bench]
fn strip() -> Vec<u8> {
    BENCH.strip()
}

#[divan::bench(args = [1, 2, 3, 4, 8], sample_count = 10)]
fn decode(bencher: Bencher<'_, '_>, per_side: usize) {
    bencher.bench(|| BENCH.decode(per_side));
}

#[divan::bench(args = [400, 100, 50])]
fn resize(bencher: Bencher<'_, '_>, width: u32) {
    bencher.bench(|| BENCH.resize(width, width * 3 / 4));
}

#[divan::bench]
fn facts() -> String {
    BENCH.facts()
}

#[divan::bench(args = [0.5, 1.0, 4.0])]
fn blur(bencher: Bencher<'_, '_>, sigma: f32) {
    bencher.bench(|| BENCH.blur(sigma));
}

#[divan::bench]
fn sharpen() -> usize {
    BENCH.sharpen(1.0)
}

#[divan::bench]
fn upright() -> usize {
    BENCH.upright()
}

#[divan::bench(args = [20.0], sample_count = 20)]
fn smooth(bencher: Bencher<'_, '_>, sigma: f64) {
    bencher.bench(|| BENCH.smooth(sigma));
}

#[divan::bench(args = [Format::Jpeg, Format::Png, Format::WebP, Format::Gif, Format::Avif], sample_count = 10)]
fn encode(bencher: Bencher<'_, '_>, format: Format) {
    bencher.bench(|| BENCH.encode(format));
}

#[divan::bench]
fn encode_planes() -> usize {
    BENCH.encode_planes()
}
