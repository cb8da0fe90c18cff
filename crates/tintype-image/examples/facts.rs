//! Prints the facts of images, what they cost, and how far apart their perceptual hashes are: `facts FILE…`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use tintype_image::{BoxSize, Facts, Fit, Limits, MetadataPolicy, Quality, VariantSpec, hamming_distance, render};

fn facts(bytes: &[u8]) -> Result<Facts, tintype_image::Error> {
    Ok(render(bytes, &[], MetadataPolicy::Keep, &Limits::default())?.facts)
}

/// Microseconds of the facts alone, or a little more: of an uncompressed file of the sample's own size.
fn cost(bytes: &[u8]) -> Result<f64, Box<dyn std::error::Error>> {
    let fit = Some(Fit::Inside(BoxSize { width: 100, height: 100 }));
    let spec = VariantSpec { name: "sample".to_owned(), fit, quality: Quality::all(100), ..VariantSpec::default() };
    let sample = render(bytes, &[spec], MetadataPolicy::None, &Limits::default())?.variants.remove(0);
    let mut bmp = std::io::Cursor::new(Vec::new());
    image::load_from_memory(&sample.bytes)?.write_to(&mut bmp, image::ImageFormat::Bmp)?;
    let mut best = f64::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        facts(bmp.get_ref())?;
        best = best.min(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut seen: Vec<(String, u64)> = Vec::new();
    for file in std::env::args().skip(1) {
        let bytes = std::fs::read(&file)?;
        let facts = facts(&bytes)?;
        println!("{file}: {:.0} us\n  {facts:?}\n  hash {:016x}", cost(&bytes)?, facts.perceptual_hash);
        for (other, hash) in &seen {
            println!("  {:2} from {other}", hamming_distance(*hash, facts.perceptual_hash));
        }
        seen.push((file, facts.perceptual_hash));
    }
    Ok(())
}
