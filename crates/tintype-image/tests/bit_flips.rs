//! Damage gives a coded error or a picture, soon, and never takes the program down.
//! A file of its own: it silences the process' panic hook.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{fixtures, specs};
use tintype_image::{ErrorCode, Limits, MetadataPolicy, render};

#[test]
fn flipped_bits_never_panic() {
    // A panic inside a decoder is caught and coded; the hook would only fill the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.location().is_some_and(|place| place.file().contains("tests/")) {
            hook(info);
        }
    }));
    for (name, bytes) in fixtures() {
        let mut seed = 1u32;
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % damaged.len();
                damaged[at] ^= 1 << (seed >> 29);
            }
            let start = Instant::now();
            let limits = Limits { max_pixels: 1_000_000, ..Limits::default() };
            if let Err(error) = render(&damaged, &specs(), MetadataPolicy::default(), &limits) {
                assert!(!error.message.is_empty() && error.code != ErrorCode::Internal, "{name}: {error:?}");
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{name} took {:?}", start.elapsed());
        }
    }
}
