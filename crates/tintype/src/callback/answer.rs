//! What an endpoint answered, and what that means for a delivery.

use std::time::{Duration, SystemTime};

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use url::Url;

/// Longest wait an endpoint may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Most bytes of an answer's body that are kept.
const EXCERPT: usize = 1024;

/// How one attempt went.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// What follows.
    pub verdict: Verdict,
    /// The status, if there was an answer.
    pub status: Option<StatusCode>,
    /// What went wrong; none when it was taken.
    pub error: Option<String>,
    /// How the answer's body begins, at most a KiB; none where it is empty.
    pub response: Option<String>,
}

/// What an attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: it is delivered.
    Taken,
    /// 410: there is nobody any more.
    Gone,
    /// Any other status, or no answer: once more, and not before the endpoint said, if it did.
    Failed(Option<Duration>),
}

impl Answer {
    /// Judges an answer by its status and headers. `body` is how its body begins.
    pub fn of(url: &Url, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let (verdict, error) = match status {
            status if status.is_success() => (Verdict::Taken, None),
            StatusCode::GONE => (Verdict::Gone, Some(format!("the endpoint is gone: it answered {status}"))),
            status if status.is_redirection() => (failed(headers), Some(redirected(url, status, headers))),
            status => (failed(headers), Some(format!("the endpoint answered {status}"))),
        };
        Self { verdict, status: Some(status), error, response: excerpt(body) }
    }

    /// There was none.
    pub fn none(why: String) -> Self {
        Self { verdict: Verdict::Failed(None), status: None, error: Some(why), response: None }
    }
}

fn failed(headers: &HeaderMap) -> Verdict {
    Verdict::Failed(retry_after(headers, SystemTime::now()))
}

/// Says where to, but no more than the host: the rest may hold a secret.
fn redirected(url: &Url, status: StatusCode, headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|text| url.join(text).ok()).and_then(|to| Some(to.host_str()?.to_owned()));
    let to = to.map(|host| format!(" to {host}")).unwrap_or_default();
    format!("the endpoint answered {status}{to}: redirects are not followed, so callback.url must be where they end")
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number too large to be read is a long wait all the same.
        text.parse().map_or(LONGEST_RETRY_AFTER, Duration::from_secs)
    } else {
        httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Text that any ledger can keep: Postgres takes no NUL.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).replace('\0', "\u{FFFD}");
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judge(status: u16, headers: &[(http::HeaderName, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let url = "https://user:pass@example.com/hook?token=s3cr3t".parse().unwrap();
        Answer::of(&url, StatusCode::from_u16(status).unwrap(), &headers, b"")
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Mon, 23 Nov 2026 12:00:00 GMT").unwrap();
        let wait = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Mon, 23 Nov 2026 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Monday, 23-Nov-26 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Mon Nov 23 12:01:00 2026"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Mon, 23 Nov 2026 11:00:00 GMT"), None);
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST_RETRY_AFTER));
        for long in ["18446744073709551615", "18446744073709551616", "99999999999999999999"] {
            assert_eq!(wait(long), Some(LONGEST_RETRY_AFTER), "{long}");
        }
        for neither in ["soon", "-1", "+1", "1.5", ""] {
            assert_eq!(wait(neither), None, "{neither}");
        }
    }

    #[test]
    fn a_status_decides_what_follows() {
        for taken in [200, 201, 202, 204, 299] {
            assert_eq!((judge(taken, &[]).verdict, judge(taken, &[]).error), (Verdict::Taken, None), "{taken}");
        }
        assert_eq!(judge(410, &[]).verdict, Verdict::Gone);
        assert_eq!(judge(410, &[(RETRY_AFTER, "5")]).verdict, Verdict::Gone);
        for again in [301, 302, 303, 304, 307, 308, 400, 401, 404, 408, 429, 500, 502, 503, 599] {
            assert_eq!(judge(again, &[]).verdict, Verdict::Failed(None), "{again}");
        }
        assert_eq!(judge(429, &[(RETRY_AFTER, "7")]).verdict, Verdict::Failed(Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_redirect_is_told_by_its_host_alone() {
        let error = |to| judge(302, &[(LOCATION, to)]).error.unwrap();
        assert!(error("https://u:p@other.example/x?token=1").contains("302 Found to other.example:"));
        assert!(error("/login").contains("to example.com:"));
        assert!(judge(302, &[]).error.unwrap().contains("302 Found: redirects"));
    }

    #[test]
    fn an_excerpt_is_short_and_is_text() {
        assert_eq!(excerpt(b""), None);
        assert_eq!(excerpt(b"no\0t me\xFF").unwrap(), "no\u{FFFD}t me\u{FFFD}");
        assert_eq!(excerpt(&[b'x'; 5000]).unwrap().len(), EXCERPT);
    }
}
