//! Sends deliveries that are due until each is taken, refused for good, or out of attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use rand::RngExt;
use reqwest::redirect::Policy;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::guard::{PublicResolver, check_literal};
use super::{CallbackConfig, Secret};
use crate::ledger::{Attempt, Delivery, Ledger, Next};

/// Deliveries under way at once.
const CONCURRENCY: usize = 32;
/// How long to sleep when nothing is due and nobody calls.
const IDLE: Duration = Duration::from_secs(1);
/// Longest wait an endpoint may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The sender of callbacks.
pub struct Deliverer {
    ledger: Arc<dyn Ledger>,
    client: reqwest::Client,
    config: CallbackConfig,
    wake: Arc<Notify>,
}

/// How one attempt went.
enum Answer {
    Taken(StatusCode),
    Gone(StatusCode),
    Refused(StatusCode, Option<Duration>),
    Unreachable(String),
}

impl Deliverer {
    /// A sender; `wake` tells it that something may be due.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(ledger: Arc<dyn Ledger>, config: CallbackConfig, wake: Arc<Notify>) -> Result<Self, String> {
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
        Ok(Self { ledger, client, config, wake })
    }

    /// Delivers until told to stop; what is under way then is finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONCURRENCY));
        while !stop.is_cancelled() {
            if self.send_due(&slots).await == 0 {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(IDLE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        let _ = slots.acquire_many(CONCURRENCY as u32).await;
    }

    /// Starts what is due, as far as there are free slots; gives how many.
    async fn send_due(self: &Arc<Self>, slots: &Arc<Semaphore>) -> usize {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return 0;
        };
        drop(slot);
        let free = u32::try_from(slots.available_permits()).unwrap_or(1).max(1);
        let due = match self.ledger.claim_deliveries(free, self.config.timeout * 2).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "callbacks cannot be read");
                return 0;
            }
        };
        let count = due.len();
        for delivery in due {
            let Ok(slot) = slots.clone().acquire_owned().await else {
                break;
            };
            let this = self.clone();
            tokio::spawn(async move {
                this.attempt(&delivery).await;
                drop(slot);
            });
        }
        count
    }

    async fn attempt(&self, delivery: &Delivery) {
        let (at, started) = (OffsetDateTime::now_utc(), Instant::now());
        let answer = self.send(delivery).await;
        let next = self.next(delivery.attempts, &answer);
        let (status, error) = match answer {
            Answer::Taken(status) => (Some(status), None),
            Answer::Gone(status) => (Some(status), Some(format!("the endpoint answered {status}: it is gone"))),
            Answer::Refused(status, _) => (Some(status), Some(format!("the endpoint answered {status}"))),
            Answer::Unreachable(why) => (None, Some(why)),
        };
        tracing::info!(
            upload = %delivery.upload_id, delivery = delivery.id, attempt = delivery.attempts + 1,
            status = status.map(|s| s.as_u16()), error, "callback"
        );
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempt = Attempt { at, status: status.map(|s| s.as_u16()), error, millis };
        if let Err(error) = self.ledger.settle_delivery(&delivery.id, &attempt, next).await {
            tracing::error!(%error, delivery = delivery.id, "a callback's attempt could not be recorded; it will be sent again");
        }
    }

    async fn send(&self, delivery: &Delivery) -> Answer {
        let url: Url = match delivery.url.parse() {
            Ok(url) => url,
            Err(error) => {
                return Answer::Unreachable(format!("{} is no address: {error}", delivery.url));
            }
        };
        if !self.config.allow_private
            && let Err(why) = check_literal(&url)
        {
            return Answer::Unreachable(why);
        }
        let method = Method::from_bytes(delivery.method.as_bytes()).unwrap_or(Method::POST);
        let request = self
            .client
            .request(method, url)
            .header("content-type", "application/json")
            .headers(headers(self.config.secret.as_ref(), delivery))
            .body(delivery.body.clone());
        match request.send().await {
            Ok(response) => judge(response.status(), response.headers()),
            // The address may hold a secret, and the log says the delivery anyway.
            Err(error) => Answer::Unreachable(chain(&error.without_url())),
        }
    }

    fn next(&self, attempts: u32, answer: &Answer) -> Next {
        let wait = match answer {
            Answer::Taken(_) => return Next::Delivered,
            Answer::Gone(_) => return Next::Dead,
            Answer::Refused(_, wait) => *wait,
            Answer::Unreachable(_) => None,
        };
        match self.config.schedule.get(attempts as usize) {
            Some(pause) => Next::RetryIn(jitter(*pause).max(wait.unwrap_or_default())),
            None => Next::Dead,
        }
    }
}

fn headers(secret: Option<&Secret>, delivery: &Delivery) -> HeaderMap {
    let timestamp = OffsetDateTime::now_utc().unix_timestamp();
    let mut pairs = vec![("webhook-id", delivery.id.clone()), ("webhook-timestamp", timestamp.to_string())];
    pairs.extend(secret.map(|s| ("webhook-signature", s.sign(&delivery.id, timestamp, &delivery.body))));
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

/// Up to a fifth more, so that deliveries that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::rng().random_range(0.0..0.2))
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
