//! What a request's line and headers may take. Twice as much and more is refused before it is understood.

use http::request::Parts;

/// Most bytes of path and query.
pub const MAX_URI: usize = 8 << 10;
/// Most bytes of all headers, names and values.
pub const MAX_HEADERS: usize = 32 << 10;
/// Most headers.
pub const MAX_HEADER_COUNT: usize = 100;
/// Most bytes that are held of a connection before they are understood, and before they are sent.
pub const MAX_BUFFER: usize = 64 << 10;

/// Why the front turns a request away, whatever it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its address is too long.
    UriTooLong,
    /// Its headers are too many or too large.
    HeadersTooLarge,
    /// Its body came too slowly.
    TooSlow,
    /// There are too many connections, or requests of strangers.
    Crowded,
    /// There are too many requests of this key or address.
    TooManyOfOne,
}

/// Whether the head of a request is within bounds.
pub fn check(head: &Parts) -> Result<(), Refused> {
    if head.uri.path_and_query().is_some_and(|path| path.as_str().len() > MAX_URI) {
        return Err(Refused::UriTooLong);
    }
    let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADERS || head.headers.len() > MAX_HEADER_COUNT {
        return Err(Refused::HeadersTooLarge);
    }
    Ok(())
}
