//! The estimate is held against what rendering takes of the heap. C's share of it (libjpeg, libwebp) is not counted.
#![allow(clippy::print_stdout, clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};
use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, OutputFormat, VariantSpec, estimate, render};

/// Bytes held now, and the most that ever were.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

#[global_allocator]
static HEAP: Counted = Counted;

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

fn spec(side: Option<u32>, blur: Option<f32>) -> VariantSpec {
    let fit = side.map(|side| Fit::Inside(BoxSize { width: side, height: side }));
    VariantSpec { name: format!("{side:?}{blur:?}"), fit, blur, ..VariantSpec::default() }
}

/// The seed's eight.
fn default_preset() -> Vec<VariantSpec> {
    [(None, 20.0), (Some(50), 0.5), (Some(100), 1.0), (Some(400), 4.0)]
        .into_iter()
        .flat_map(|(side, sigma)| [spec(side, None), spec(side, Some(sigma))])
        .collect()
}

/// One that needs every pixel.
fn whole_preset() -> Vec<VariantSpec> {
    vec![
        VariantSpec { sharpen: Some(1.0), ..spec(None, None) },
        VariantSpec { format: OutputFormat::Png, ..spec(Some(1600), None) },
        spec(None, Some(3.0)),
    ]
}

fn photo(width: u32, height: u32) -> RgbImage {
    let mut seed = 7u32;
    RgbImage::from_fn(width, height, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (seed >> 28) as u8;
        image::Rgb([(x / 13) as u8 / 2 + grain, (y / 11) as u8 / 2 + grain, ((x + y) / 17) as u8 / 2 + grain])
    })
}

fn files(width: u32, height: u32) -> Vec<(&'static str, Vec<u8>)> {
    let photo = photo(width, height);
    let kinds = [
        ("bmp", ImageFormat::Bmp),
        ("png", ImageFormat::Png),
        ("tiff", ImageFormat::Tiff),
        ("webp", ImageFormat::WebP),
    ];
    let mut files: Vec<_> = kinds
        .into_iter()
        .map(|(name, format)| {
            let mut file = Cursor::new(Vec::new());
            photo.write_to(&mut file, format).unwrap();
            (name, file.into_inner())
        })
        .collect();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 85).encode_image(&photo).unwrap();
    files.push(("jpeg", jpeg));
    files
}

/// Most bytes that were held while a file was rendered, the file itself included.
fn peak(bytes: &[u8], specs: &[VariantSpec]) -> u64 {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    render(bytes, specs, MetadataPolicy::PrivateStripped, &Limits::default()).unwrap();
    (PEAK.load(Ordering::Relaxed) - before + bytes.len()) as u64
}

/// One test, since the count is of the whole process.
#[test]
fn what_is_held_is_what_was_said_or_less() {
    for (width, height) in [(640, 480), (1180, 885), (2400, 1800)] {
        for (name, bytes) in files(width, height) {
            for (preset, specs) in [("default", default_preset()), ("whole", whole_preset())] {
                let said = estimate(&bytes, &specs, MetadataPolicy::PrivateStripped, &Limits::default()).unwrap();
                let held = peak(&bytes, &specs);
                let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
                println!("{name} {width}x{height} {preset}: {:.1} MiB said, {:.1} held", mib(said), mib(held));
                assert!(held <= said, "{name} {width}x{height} {preset}: {held} bytes held, {said} said");
                // A pool that believes much more than is true stands idle. Small files have the fixed part.
                let limit = 6 * held + (8 << 20);
                assert!(said <= limit, "{name} {width}x{height} {preset}: {said} bytes said, {held} held");
            }
        }
    }
}
