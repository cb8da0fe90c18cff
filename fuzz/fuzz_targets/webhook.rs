//! What a remote processor sends, and what an endpoint answers with: signatures, results, `Retry-After`.
//!
//! Lines: id, timestamp, signatures, Retry-After; then the body.
#![no_main]

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use libfuzzer_sys::fuzz_target;
use time::macros::datetime;
use tintype::callback::{Secret, parse};
use tintype::fuzzing::retry_after;

fuzz_target!(|text: &str| {
    let now = datetime!(2026-11-25 12:00 UTC);
    let mut parts = text.splitn(5, '\n');
    let mut part = || parts.next().unwrap_or_default();
    let (id, timestamp, signatures, wait, body) = (part(), part(), part(), part(), part());

    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    assert!(!secret.verify(id, timestamp, signatures, body, now), "a signature that nobody made");
    if let Ok(at) = timestamp.parse::<i64>() {
        let good = format!("{signatures} {}", secret.sign(id, at, body));
        let near = (i128::from(now.unix_timestamp()) - i128::from(at)).abs() <= 300;
        assert_eq!(secret.verify(id, timestamp, &good, body, now), near, "at {at}");
    }
    if let Ok(value) = wait.parse() {
        let asked = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now.into());
        assert!(asked.is_none_or(|wait| wait <= Duration::from_secs(24 * 3600)), "{asked:?}");
    }
    if let Ok(value) = serde_json::from_str(body) {
        let _ = parse(&value);
    }
});
