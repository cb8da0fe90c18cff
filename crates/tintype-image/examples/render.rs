//! Renders the default preset of one file into a folder, once or, for a profiler, many times:
//! `render FILE FOLDER [TIMES [png]]`. With `png` variants are written as they are before a JPEG's loss.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use tintype_image::{BoxSize, Fit, Limits, MetadataPolicy, OutputFormat, VariantSpec, render};

fn spec(name: &str, side: Option<u32>, blur: Option<f32>) -> VariantSpec {
    let fit = side.map(|side| Fit::Inside(BoxSize { width: side, height: side }));
    VariantSpec { name: name.to_owned(), fit, blur, ..VariantSpec::default() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: render FILE FOLDER [TIMES [png]]".into());
    };
    let times = arguments.next().map_or(Ok(1), |times| times.parse::<u32>())?;
    let mut specs = vec![spec("original", None, None), spec("original_blurred", None, Some(20.0))];
    for side in [50, 100, 400] {
        specs.push(spec(&format!("{side}x{side}"), Some(side), None));
        specs.push(spec(&format!("{side}x{side}_blurred"), Some(side), Some(side as f32 / 100.0)));
    }
    if arguments.next().is_some_and(|format| format == "png") {
        specs.iter_mut().for_each(|spec| spec.format = OutputFormat::Png);
    }
    let bytes = std::fs::read(&file)?;
    let once = || render(&bytes, &specs, MetadataPolicy::PrivateStripped, &Limits::default());
    let start = Instant::now();
    for _ in 1..times {
        once()?;
    }
    let rendered = once()?;
    println!("{:.2} ms  {:?}", start.elapsed().as_secs_f64() * 1000.0 / f64::from(times), rendered.facts);
    std::fs::create_dir_all(&folder)?;
    for variant in rendered.variants {
        let path = Path::new(&folder).join(format!("{}.{}", variant.name, variant.format.extension()));
        println!("{:>5} x {:<5} {:>9} bytes  {}", variant.width, variant.height, variant.bytes.len(), path.display());
        std::fs::write(path, variant.bytes)?;
    }
    Ok(())
}
