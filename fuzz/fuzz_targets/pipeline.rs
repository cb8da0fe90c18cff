//! Everything: the default preset and more, metadata stripped in each way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tintype_fuzz::{abort_on_our_panics, check, every_spec};
use tintype_image::MetadataPolicy;

fuzz_target!(init: abort_on_our_panics(), |bytes: &[u8]| {
    // Few formats mind their last byte: it can choose without making a seed another file.
    let choice = bytes.last().copied().unwrap_or(0);
    let metadata = match choice % 4 {
        0 => MetadataPolicy::None,
        1 => MetadataPolicy::Keep,
        _ => MetadataPolicy::PrivateStripped,
    };
    check(bytes, &every_spec(choice & 4 == 0), metadata);
});
