//! A name for each request, the caller's or a new one: in the log, and in the answer.

use std::borrow::Cow;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;

use crate::{auth, token, trace};

/// What callers and proxies name a request by.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What the API answers it under.
pub static OF_API: [HeaderName; 1] = [REQUEST_ID];
/// What the store does: S3 clients show the second of a request that failed.
pub static OF_STORE: [HeaderName; 2] = [REQUEST_ID, HeaderName::from_static("x-amz-request-id")];
/// Longest name that is taken from a caller.
const LONGEST: usize = 64;

/// Gives a request a name, if it has no sane one, and answers with it under some headers.
pub async fn name(headers: &'static [HeaderName], mut request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(random);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    for header in headers {
        response.headers_mut().insert(header, id.clone());
    }
    response
}

/// What each line of the log about a request carries. The path alone: a query may hold a token. So may a path, by mistake. The
/// key's id is filled in where an API key is shown.
pub fn span<B>(request: &http::Request<B>) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, path) = (request.method(), without_secrets(request.uri().path()));
    let span = tracing::info_span!("http", request = id, %method, path = &*path, key = tracing::field::Empty);
    trace::follow(span, trace::of_request(request.headers()))
}

/// A path with dots where a part of it has the shape of an upload's token, or of an API key.
fn without_secrets(path: &str) -> Cow<'_, str> {
    let is_secret = |part: &str| token::has_shape(part) || auth::id_of(part).is_some();
    if !path.split('/').any(is_secret) {
        return path.into();
    }
    let shown: Vec<_> = path.split('/').map(|part| if is_secret(part) { "…" } else { part }).collect();
    shown.join("/").into()
}

/// A caller's name, if it can stand in a log: visible ASCII, not too long.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let sane = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| id.clone())
}

fn random() -> HeaderValue {
    let id = uuid::Uuid::new_v4().simple().to_string();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_in_a_path_is_not_shown() {
        let token = "a-b_".repeat(10) + "abc";
        let key = auth::NewKey::random();
        for (path, shown) in [
            ("/v1/uploads/0123456789abcdef0123456789abcdef/events".to_owned(), None),
            (format!("/tintype/temp/{token}.jpg"), None),
            (format!("/v1/uploads/{token}"), Some("/v1/uploads/…")),
            (format!("/{}/{token}/retry", key.reveal()), Some("/…/…/retry")),
        ] {
            assert_eq!(without_secrets(&path), shown.unwrap_or(&path));
        }
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_log_is_not_taken() {
        let of = |id: &[u8]| given(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]));
        assert_eq!(of(b"req-7/a").unwrap(), "req-7/a");
        for bad in [&b""[..], b"a b", b"a\tb", "\u{fc}".as_bytes(), &[b'x'; 65]] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(random().len(), 32);
    }
}
