//! What S3 reads more generously than the protocol layer does: a `Range` that it ignores or that has very large numbers, lists
//! of entity tags, and metadata that looks like RFC 2047. These headers may be signed, so they are put right only after the
//! signature was checked.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use s3s::dto::{ETagCondition, Range};
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, StdError};
use url::form_urlencoded;

use super::condition::entity_tags;
use super::protocol::{METADATA, is_well_signed};

/// The largest number that the protocol layer takes in a range.
const LARGEST: u64 = i64::MAX as u64;

/// Answers such requests by another service, to which they come without their signature.
pub struct Lenient(pub S3Service);

/// On a request of the account, whose signature was good.
#[derive(Debug, Clone, Copy)]
pub struct Verified;

/// The metadata of a PUT, which the protocol layer is not shown.
#[derive(Debug, Clone)]
pub struct Metadata(pub HeaderMap);

#[async_trait]
impl S3Route for Lenient {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        match *method {
            Method::GET | Method::HEAD => {
                is_odd_range(headers) || [IF_MATCH, IF_NONE_MATCH].iter().any(|name| is_list(headers, name))
            }
            Method::PUT => is_presigned(uri) && metadata(headers).any(|(_, value)| is_encoded(value)),
            _ => false,
        }
    }

    /// Who shows no signature is judged as a stranger by the other service.
    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        if request.credentials.is_some() {
            is_well_signed(&request.uri, &request.headers)?;
            request.extensions.insert(Verified);
        }
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let S3Request { input, method, uri, mut headers, mut extensions, .. } = request;
        if method == Method::PUT {
            let given: HeaderMap = metadata(&headers).map(|(name, value)| (name.clone(), value.clone())).collect();
            given.keys().for_each(|name| drop(headers.remove(name)));
            extensions.insert(Metadata(given));
        } else {
            rewrite_range(&mut headers);
            for name in [IF_MATCH, IF_NONE_MATCH] {
                rewrite_list(&mut headers, &name);
            }
        }
        headers.remove(AUTHORIZATION);
        let mut inner = Request::new(input);
        *inner.uri_mut() = without_signature(&uri)?;
        (*inner.method_mut(), *inner.headers_mut(), *inner.extensions_mut()) = (method, headers, extensions);
        let answer = self.0.call(inner).await;
        let (parts, output) =
            answer.map_err(|error| S3Error::internal_error(std::io::Error::other(StdError::from(error))))?.into_parts();
        Ok(S3Response { output, status: Some(parts.status), headers: parts.headers, extensions: parts.extensions })
    }
}

/// Whether an address shows the signature. The body of such a request comes as it is.
fn is_presigned(uri: &Uri) -> bool {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.any(|(name, _)| name == "X-Amz-Signature")
}

fn metadata(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| name.as_str().starts_with(METADATA))
}

/// Whether the protocol layer would decode a value, or refuse it since it cannot.
fn is_encoded(value: &HeaderValue) -> bool {
    let text = value.as_bytes().trim_ascii();
    text.starts_with(b"=?") && text.ends_with(b"?=")
}

/// Whether there is a `Range` that the protocol layer cannot read.
fn is_odd_range(headers: &HeaderMap) -> bool {
    let mut ranges = headers.get_all(RANGE).iter();
    let Some(first) = ranges.next() else { return false };
    ranges.next().is_some() || first.to_str().map_or(true, |text| Range::parse(text).is_err())
}

/// Several ranges, one that ends before it begins, another unit, or no range at all: the object is given whole.
fn rewrite_range(headers: &mut HeaderMap) {
    if !is_odd_range(headers) {
        return;
    }
    let lines = headers.get_all(RANGE).iter().count();
    let range = headers.get(RANGE).filter(|_| lines == 1).and_then(|line| readable(line.to_str().ok()?));
    match range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(value) => drop(headers.insert(RANGE, value)),
        None => drop(headers.remove(RANGE)),
    }
}

/// One range, its numbers at most those that the protocol layer takes: no object is larger.
fn readable(text: &str) -> Option<String> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let text = format!("bytes={}-{}", at_most_largest(first)?, at_most_largest(last)?);
    Range::parse(&text).is_ok().then_some(text)
}

/// The number that these digits are, at most the largest; nothing for no digits, as in `bytes=5-`.
fn at_most_largest(digits: &str) -> Option<String> {
    if digits.is_empty() {
        return Some(String::new());
    }
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().map_or(LARGEST, |number: u64| number.min(LARGEST)).to_string())
}

/// Whether the protocol layer would not take a header for one entity tag, or for a list that only looks like one.
fn is_list(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return false };
    values.next().is_some() || ETagCondition::parse_http_header(first.as_bytes()).is_err()
}

/// One line, each tag in quotes.
fn rewrite_list(headers: &mut HeaderMap, name: &HeaderName) {
    if !is_list(headers, name) {
        return;
    }
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    let lines = lines.join(", ");
    let tags: Vec<_> =
        entity_tags(&lines).map(|(weak, tag)| format!("{}\"{tag}\"", if weak { "W/" } else { "" })).collect();
    let any = lines.split(',').any(|part| part.trim() == "*");
    let text = if any { "*".to_owned() } else { tags.join(", ") };
    // What holds no tag is the tag of no object.
    let text = if text.is_empty() { "\"\"".to_owned() } else { text };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(name, value);
    }
}

/// The same address, less what signed it.
fn without_signature(uri: &Uri) -> S3Result<Uri> {
    let Some(query) = uri.query() else { return Ok(uri.clone()) };
    let is_signature = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.to_ascii_lowercase());
        name.is_some_and(|name| name.starts_with("x-amz-") && !name.starts_with("x-amz-checksum-"))
    };
    let rest: Vec<_> = query.split('&').filter(|pair| !is_signature(pair)).collect();
    let mark = if rest.is_empty() { "" } else { "?" };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query =
        Some(format!("{}{mark}{}", uri.path(), rest.join("&")).parse().map_err(S3Error::internal_error)?);
    Uri::from_parts(parts).map_err(S3Error::internal_error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_range_is_ignored_unless_it_is_one() {
        let of = |lines: &[&str]| {
            let mut headers = headers(RANGE, lines);
            rewrite_range(&mut headers);
            headers.get(RANGE).map(|value| value.to_str().unwrap().to_owned())
        };
        for one in ["bytes=0-1", "bytes=5-", "bytes=-5", "bytes=7-7"] {
            assert!(!is_odd_range(&headers(RANGE, &[one])), "{one}");
            assert_eq!(of(&[one]).as_deref(), Some(one));
        }
        for other in ["bytes=0-1,4-5", "bytes=9-5", "items=0-1", "bytes=", "bytes=a-b", "bytes=+1-2", "0-1"] {
            assert_eq!(of(&[other]), None, "{other}");
        }
        assert_eq!(of(&["bytes=0-1", "bytes=2-3"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_number_past_what_is_counted_is_the_largest() {
        for (given, read) in [
            ("0-18446744073709551616", "0-9223372036854775807"),
            ("5-9223372036854775808", "5-9223372036854775807"),
            ("99999999999999999999-", "9223372036854775807-"),
            ("-99999999999999999999", "-9223372036854775807"),
        ] {
            assert_eq!(readable(&format!("bytes={given}")), Some(format!("bytes={read}")));
        }
        assert_eq!(readable("bytes=18446744073709551616-5"), None);
    }

    #[test]
    fn lists_come_to_one_line_of_quoted_tags() {
        let of = |lines: &[&str]| {
            let mut headers = headers(IF_NONE_MATCH, lines);
            rewrite_list(&mut headers, &IF_NONE_MATCH);
            headers[IF_NONE_MATCH].to_str().unwrap().to_owned()
        };
        assert_eq!(of(&["\"a\""]), "\"a\"");
        assert_eq!(of(&["a, b"]), "\"a\", \"b\"");
        assert_eq!(of(&["\"a\"", "W/\"b,c\", d"]), "\"a\", W/\"b,c\", \"d\"");
        assert_eq!(of(&["\"a\", *"]), "*");
        assert_eq!(of(&[" ,"]), "\"\"");
    }

    #[test]
    fn an_address_loses_its_signature_alone() {
        let of = |text: &str| without_signature(&text.parse().unwrap()).unwrap().to_string();
        assert_eq!(
            of("/tintype/a%20b?X-Amz-Signature=1&response-content-type=a%2Fb&X-Amz-Date=2"),
            "/tintype/a%20b?response-content-type=a%2Fb"
        );
        assert_eq!(of("/tintype/a?X-Amz-Signature=1"), "/tintype/a");
        assert_eq!(of("/tintype/a?x"), "/tintype/a?x");
    }
}
