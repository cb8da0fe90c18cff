//! Headers: a fact or a coded refusal, the same twice, and within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tintype_fuzz::{abort_on_our_panics, limits};
use tintype_image::{ErrorCode, Format, probe};

fuzz_target!(init: abort_on_our_panics(), |bytes: &[u8]| {
    let limits = limits();
    let probed = probe(bytes, &limits);
    match &probed {
        Ok(probe) => {
            assert_eq!(Format::sniff(bytes), Some(probe.format));
            let pixels = u64::from(probe.width) * u64::from(probe.height);
            assert!((1..=limits.max_pixels).contains(&pixels) && (1..=limits.max_frames).contains(&probe.frames));
        }
        Err(error) => assert!(error.code != ErrorCode::Internal && !error.message.is_empty(), "{error:?}"),
    }
    assert!(probed == probe_again(bytes), "the same bytes give another header");
});

fn probe_again(bytes: &[u8]) -> Result<tintype_image::Probe, tintype_image::Error> {
    probe(bytes, &limits())
}
