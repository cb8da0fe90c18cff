//! The body of a POST upload, as it comes off the wire, up to its file.
#![no_main]

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use tintype::fuzzing::read_form;

/// As in the store: most bytes of all fields together.
const MAX_FIELDS: usize = 20 * 1024;

// The first byte says how much the wire gives at once.
fuzz_target!(|bytes: &[u8]| {
    let Some((size, body)) = bytes.split_first() else { return };
    let chunks = body.chunks(1 + usize::from(*size)).map(<[u8]>::to_vec).collect();
    let Ok(read) = block_on(read_form(chunks, "b")) else { return };
    let fields = &read.form.fields;
    let total: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(total <= MAX_FIELDS, "{total} bytes of fields");
    for (at, (name, value)) in fields.iter().enumerate() {
        assert!(!value.contains(char::is_control), "a value that no header can hold: {value:?}");
        assert!(!fields[..at].iter().any(|(n, _)| n.eq_ignore_ascii_case(name)), "{name} twice");
        assert!(!name.eq_ignore_ascii_case("file"), "a file among the fields");
    }
    if let Ok(key) = read.key {
        assert!(!key.as_str().split('/').any(|segment| matches!(segment, "" | "." | "..")), "{key}");
        assert!(!key.as_str().contains(char::is_control), "{key:?}");
    }
    if let Ok(options) = read.options {
        for (name, value) in &options.metadata {
            assert!(http::HeaderName::try_from(format!("x-amz-meta-{name}")).is_ok(), "metadata {name:?} is no header");
            assert!(http::HeaderValue::try_from(value.as_str()).is_ok(), "metadata {value:?} is no header");
        }
        for value in [&options.content_type, &options.cache_control] {
            assert!(http::HeaderValue::try_from(value.as_str()).is_ok(), "{value:?} is no header");
        }
    }
});
