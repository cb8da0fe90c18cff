//! W3C Trace Context: who asked for an upload finds it in his own trace, from its presign to its callback.
//!
//! `traceparent` comes with `POST /v1/uploads`, is kept with the upload, and goes with its callbacks. With the feature `otlp`,
//! and a collector named, what Tintype does in between is told there as spans of the same trace.

#[cfg(feature = "otlp")]
mod otlp;

use http::{HeaderMap, HeaderName};
use tracing::Span;

#[cfg(feature = "otlp")]
pub use otlp::{Told, flush, layer};

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The `traceparent` of a request, if it is one: version 00, with ids that are not all zeros.
pub fn of_request(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let good = part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        good.then_some(part)
    };
    let (version, trace, parent, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let named = |id: &str| id.bytes().any(|b| b != b'0');
    (version == "00" && named(trace) && named(parent) && parts.next().is_none()).then_some(text)
}

/// Makes a span that was not entered yet a part of the trace that this names.
pub fn follow(span: Span, traceparent: Option<&str>) -> Span {
    #[cfg(feature = "otlp")]
    otlp::follow(&span, traceparent);
    #[cfg(not(feature = "otlp"))]
    let _ = traceparent;
    span
}

/// What to hand on from the span that we are in; where none is told to a collector, what came.
pub fn here(came: Option<&str>) -> Option<String> {
    #[cfg(feature = "otlp")]
    if let Some(told) = otlp::here() {
        return Some(told);
    }
    came.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_is_well_formed_is_taken() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(TRACEPARENT, text.parse().unwrap())]);
            of_request(&headers).map(str::to_owned)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(good).as_deref(), Some(good));
        let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for bad in [
            "",
            "x",
            &good.to_uppercase(),
            &good[..good.len() - 1],
            &format!("{good}-00"),
            &good.replacen("00", "01", 1),
            &zeros,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
