//! Decoders: as little as can be made of an image, so that a run's time goes into reading it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tintype_fuzz::{abort_on_our_panics, check};
use tintype_image::{BoxSize, Fit, MetadataPolicy, VariantSpec};

fuzz_target!(init: abort_on_our_panics(), |bytes: &[u8]| {
    let fit = Some(Fit::Inside(BoxSize { width: 8, height: 8 }));
    let spec = VariantSpec { name: "tiny".into(), fit, ..VariantSpec::default() };
    check(bytes, &[spec], MetadataPolicy::default());
});
