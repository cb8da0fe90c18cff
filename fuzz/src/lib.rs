//! What every target holds a result against.

use std::time::{Duration, Instant};

use tintype_image::{
    BoxSize, ErrorCode, Fit, Format, Gravity, Limits, MetadataPolicy, OutputFormat, Rendered, VariantSpec, probe,
    render,
};

const DEADLINE: Duration = Duration::from_secs(5);

/// The deadline is looked at between frames and between variants: one of these, with sanitizers on, may still run.
const GRACE: Duration = Duration::from_secs(5);

/// Small, so that a run is quick and what goes past them is met often.
pub fn limits() -> Limits {
    Limits { max_pixels: 1 << 18, max_frames: 20, deadline: Some(Instant::now() + DEADLINE), ..Limits::default() }
}

/// `render` takes a dependency's panic for the file's fault, and that is no finding; a panic of our own is one,
/// caught or not.
pub fn abort_on_our_panics() {
    std::panic::set_hook(Box::new(|info| {
        // Dependencies and std have absolute paths, this package has relative ones.
        let ours = |file: &str| !file.starts_with('/') || file.contains("crates/tintype-image/");
        if info.location().is_none_or(|place| ours(place.file())) {
            eprintln!("{info}");
            std::process::abort();
        }
    }));
}

/// The default preset's eight variants, and those that tell most of the rest apart.
///
/// AVIF is left out: its encoder is slow and meets nothing but pixels, which every other format has met before it.
pub fn every_spec(auto: bool) -> Vec<VariantSpec> {
    let side = |side| Some(Fit::Inside(BoxSize { width: side, height: side }));
    let mut specs = Vec::new();
    for (name, fit, sigma) in
        [("original", None, 20.0), ("50", side(50), 0.5), ("100", side(100), 1.0), ("400", side(400), 4.0)]
    {
        let spec = VariantSpec { name: name.into(), fit, ..VariantSpec::default() };
        specs.extend([spec.clone(), VariantSpec { name: format!("{name}_blurred"), blur: Some(sigma), ..spec }]);
    }
    let size = BoxSize { width: 48, height: 32 };
    let smart = Fit::Cover { size, gravity: Gravity::Smart, enlarge: true };
    let conversion = |name: &str, fit, format| VariantSpec { name: name.into(), fit, format, ..VariantSpec::default() };
    specs.push(conversion("smart", Some(smart), OutputFormat::Jpeg));
    specs.push(conversion("png", side(40), OutputFormat::Png));
    specs.push(conversion("webp", Some(Fit::Contain { size, enlarge: false }), OutputFormat::WebP));
    specs.push(VariantSpec {
        sharpen: Some(1.0),
        ..conversion("fill", Some(Fit::Fill { size, enlarge: true }), OutputFormat::Jpeg)
    });
    specs.push(VariantSpec { progressive: true, ..conversion("progressive", None, OutputFormat::Jpeg) });
    // For `auto` a picture must be whole, where otherwise it would go by row by row: not always, then.
    if auto {
        specs.push(conversion("auto", side(30), OutputFormat::Auto));
    }
    specs
}

/// Renders, and fails where the crate breaks its word.
pub fn check(bytes: &[u8], specs: &[VariantSpec], metadata: MetadataPolicy) {
    let start = Instant::now();
    let rendered = render(bytes, specs, metadata, &limits());
    assert!(start.elapsed() < DEADLINE + GRACE, "took {:?}", start.elapsed());
    match &rendered {
        Ok(rendered) => check_files(rendered, specs),
        Err(error) => {
            assert!(error.code != ErrorCode::Internal && !error.message.is_empty(), "{error:?}");
        }
    }
    // A second look at every file would halve what a run sees; at one in eight it still sees them soon.
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    if sum % 8 == 0 && start.elapsed() < DEADLINE / 4 {
        assert!(rendered == render(bytes, specs, metadata, &limits()), "the same bytes give other files");
    }
}

fn check_files(rendered: &Rendered<'_>, specs: &[VariantSpec]) {
    assert_eq!(rendered.variants.len(), specs.len());
    for (variant, spec) in rendered.variants.iter().zip(specs) {
        assert_eq!(variant.name, spec.name);
        assert_eq!(Format::sniff(&variant.bytes), Some(variant.format), "{}", spec.name);
        let read = probe(&variant.bytes, &limits()).unwrap_or_else(|error| panic!("{}: {error:?}", spec.name));
        let said = (variant.format, variant.width, variant.height);
        assert_eq!((read.format, read.width, read.height), said, "{}", spec.name);
    }
}
