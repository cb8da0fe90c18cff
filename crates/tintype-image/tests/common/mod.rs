//! Fixtures and how to look at them. The picture is of four colours; see `fixtures/make.py`.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;

use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, Quality, Rendered, VariantSpec, render};

pub const RED: [u8; 4] = [200, 30, 30, 255];
pub const GREEN: [u8; 4] = [30, 160, 30, 255];
pub const BLUE: [u8; 4] = [30, 30, 200, 255];
pub const WHITE: [u8; 4] = [255, 255, 255, 255];
pub const CLEAR: [u8; 4] = [255, 255, 255, 0];

/// Of the picture: top left, top right, bottom left, bottom right.
pub const QUARTERS: [[u8; 4]; 4] = [RED, GREEN, BLUE, WHITE];

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The picture as a JPEG of an orientation.
pub fn oriented(orientation: u8) -> Vec<u8> {
    with_orientation(&fixture("jpeg_444.jpg"), orientation)
}

/// Puts an EXIF segment that says an orientation into a JPEG without one.
pub fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    out.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&jpeg[2..]);
    out
}

/// Every fixture: its name and bytes.
pub fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".py"))
        .collect();
    names.sort();
    assert!(names.len() > 40, "fixtures are missing");
    names.into_iter().map(|name| (name.clone(), fixture(&name))).collect()
}

pub fn spec(name: &str, side: Option<u32>, blur: Option<f32>) -> VariantSpec {
    let fit = side.map(|side| Fit::Inside(BoxSize { width: side, height: side }));
    VariantSpec { name: name.to_owned(), fit, blur, quality: Quality::all(90), ..VariantSpec::default() }
}

pub fn specs() -> Vec<VariantSpec> {
    vec![
        spec("original", None, None),
        spec("original_blurred", None, Some(0.6)),
        spec("16x16", Some(16), None),
        spec("16x16_blurred", Some(16), Some(0.6)),
        spec("400x400", Some(400), None),
    ]
}

pub fn render_all(bytes: &[u8]) -> Rendered<'static> {
    render(bytes, &specs(), MetadataPolicy::default(), &Limits::default()).unwrap().into_owned()
}

pub fn variant<'a>(rendered: &'a Rendered<'_>, name: &str) -> &'a [u8] {
    &rendered.variants.iter().find(|variant| variant.name == name).unwrap().bytes
}

/// The colour at the middle of each quarter: top left, top right, bottom left, bottom right.
pub fn quarters(image: &image::RgbaImage) -> [[u8; 4]; 4] {
    let (w, h) = image.dimensions();
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| image.get_pixel(w * x / 4, h * y / 4).0)
}

pub fn near(a: [u8; 4], b: [u8; 4], tolerance: u8) -> bool {
    let hidden = a[3] < 16 && b[3] < 16;
    hidden || a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}

#[track_caller]
pub fn assert_quarters(what: &str, image: &image::RgbaImage, want: [[u8; 4]; 4], tolerance: u8) {
    let got = quarters(image);
    let same = got.iter().zip(want).all(|(&got, want)| near(got, want, tolerance));
    assert!(same, "{what}: {got:?} instead of {want:?}");
}

pub fn decode(bytes: &[u8]) -> image::RgbaImage {
    image::load_from_memory(bytes).unwrap().into_rgba8()
}
