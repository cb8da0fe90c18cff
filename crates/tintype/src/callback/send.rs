//! One attempt to send one message: signed, bounded in time, never redirected, and never into a private network
//! unless that is allowed.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use reqwest::redirect::Policy;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use super::guard::{PublicResolver, check_literal};
use super::{CallbackConfig, Notice, Secret, SigningSecret};

/// Longest wait an endpoint may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Sends messages to endpoints.
pub struct Sender {
    client: reqwest::Client,
    allow_private: bool,
    secret: std::sync::Arc<SigningSecret>,
}

/// How one attempt went.
#[derive(Debug)]
pub enum Answer {
    /// 2xx.
    Taken(StatusCode),
    /// 410: there is nobody any more.
    Gone(StatusCode),
    /// Any other status, and how long to wait, if it said.
    Refused(StatusCode, Option<Duration>),
    /// No answer.
    Unreachable(String),
}

impl Answer {
    /// The status, if there was an answer.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Taken(status) | Self::Gone(status) | Self::Refused(status, _) => Some(*status),
            Self::Unreachable(_) => None,
        }
    }

    /// What went wrong; none when it was taken.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Taken(_) => None,
            Self::Gone(status) => Some(format!("the endpoint answered {status}: it is gone")),
            Self::Refused(status, _) => Some(format!("the endpoint answered {status}")),
            Self::Unreachable(why) => Some(why.clone()),
        }
    }
}

impl Sender {
    /// A sender.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(config: &CallbackConfig, secret: std::sync::Arc<SigningSecret>) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .user_agent(concat!("tintype/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if !config.allow_private {
            builder = builder.dns_resolver(PublicResolver);
        }
        let client = builder.build().map_err(|e| e.to_string())?;
        Ok(Self { client, allow_private: config.allow_private, secret })
    }

    /// Sends a message under its `webhook-id`, once.
    pub async fn send(&self, id: &str, notice: &Notice) -> Answer {
        let url: Url = match notice.url.parse() {
            Ok(url) => url,
            Err(error) => return Answer::Unreachable(format!("{} is no address: {error}", notice.url)),
        };
        if !self.allow_private
            && let Err(why) = check_literal(&url)
        {
            return Answer::Unreachable(why);
        }
        // Unsigned it must not go: the receiver would refuse it, or worse, believe it.
        let secret = match self.secret.current().await {
            Ok(secret) => secret,
            Err(why) => return Answer::Unreachable(format!("the secret that signs callbacks cannot be had: {why}")),
        };
        let method = Method::from_bytes(notice.method.as_bytes()).unwrap_or(Method::POST);
        let request = self
            .client
            .request(method, url)
            .header("content-type", "application/json")
            .headers(headers(secret.as_ref(), id, &notice.body))
            .body(notice.body.clone());
        match request.send().await {
            Ok(response) => judge(response.status(), response.headers()),
            // The address may hold a secret, and the log says the delivery anyway.
            Err(error) => Answer::Unreachable(chain(&error.without_url())),
        }
    }
}

fn headers(secret: Option<&Secret>, id: &str, body: &str) -> HeaderMap {
    let timestamp = OffsetDateTime::now_utc().unix_timestamp();
    let mut pairs = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp.to_string())];
    pairs.extend(secret.map(|s| ("webhook-signature", s.sign(id, timestamp, body))));
    pairs.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Answer {
    match status {
        status if status.is_success() => Answer::Taken(status),
        StatusCode::GONE => Answer::Gone(status),
        status => Answer::Refused(status, retry_after(headers, OffsetDateTime::now_utc())),
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()?;
            Duration::try_from(date - now).ok()?
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use time::macros::datetime;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = datetime!(2026-11-23 12:00 UTC);
        let wait = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]), now);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Mon, 23 Nov 2026 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("Mon, 23 Nov 2026 11:00:00 GMT"), None);
        assert_eq!(wait("99999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn redirects_and_errors_are_tried_again_and_410_is_not() {
        let none = HeaderMap::new();
        assert!(matches!(judge(StatusCode::NO_CONTENT, &none), Answer::Taken(_)));
        assert!(matches!(judge(StatusCode::GONE, &none), Answer::Gone(_)));
        for status in [StatusCode::FOUND, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
            assert!(matches!(judge(status, &none), Answer::Refused(..)), "{status}");
        }
    }
}
