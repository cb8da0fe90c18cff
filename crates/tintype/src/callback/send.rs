//! One attempt to send one message: signed, bounded in time, never redirected, and to no address that the guard refuses.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use reqwest::Response;
use reqwest::redirect::Policy;
use time::OffsetDateTime;
use url::Url;

use super::answer::Answer;
use super::guard::{Guard, GuardedResolver};
use super::signature::Secrets;
use super::trouble::explain;
use super::{CallbackConfig, Notice, SigningSecret};

/// Most bytes of an answer's body that are read, so that a short one leaves its connection open for the next message.
const MOST_BODY: usize = 64 << 10;

/// Sends messages to endpoints.
pub struct Sender {
    client: reqwest::Client,
    guard: Arc<Guard>,
    secret: Arc<SigningSecret>,
    timeout: Duration,
}

impl Sender {
    /// A sender.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new(config: &CallbackConfig, secret: Arc<SigningSecret>) -> Result<Self, String> {
        let guard = Arc::new(config.guard.clone());
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(config.timeout)
            .connect_timeout(config.connect_timeout.min(config.timeout))
            .user_agent(concat!("tintype/", env!("CARGO_PKG_VERSION")))
            // A proxy would connect to what the guard has not seen.
            .no_proxy()
            .dns_resolver(GuardedResolver(guard.clone()))
            // A small body may hold a large one.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self { client, guard, secret, timeout: config.timeout })
    }

    /// Longest time that [`Sender::send`] takes.
    pub fn longest(&self) -> Duration {
        // The secret may have to be fetched first.
        self.timeout * 2
    }

    /// Sends a message under its `webhook-id`, once; with the trace that it belongs to, if it does.
    pub async fn send(&self, id: &str, notice: &Notice, traceparent: Option<&str>) -> Answer {
        let url: Url = match notice.url.parse() {
            Ok(url) => url,
            Err(error) => return Answer::none(format!("what callback.url makes is no address: {error}")),
        };
        if let Err(why) = self.guard.check_literal(&url) {
            return Answer::none(why.to_string());
        }
        // Unsigned it must not go: the receiver would refuse it, or worse, believe it.
        let secrets = match tokio::time::timeout(self.timeout, self.secret.current()).await {
            Ok(Ok(secrets)) => secrets,
            Ok(Err(why)) => return Answer::none(format!("the secret that signs callbacks cannot be had: {why}")),
            Err(_) => return Answer::none("the secret that signs callbacks cannot be had in time".to_owned()),
        };
        let method = Method::from_bytes(notice.method.as_bytes()).unwrap_or(Method::POST);
        let request = self
            .client
            .request(method, url.clone())
            .header("content-type", "application/json")
            .headers(headers(&secrets, id, &notice.body, traceparent))
            .body(notice.body.clone());
        match request.send().await {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                Answer::of(&url, status, &headers, &beginning(response).await)
            }
            Err(error) => Answer::none(explain(&error, &url)),
        }
    }
}

fn headers(secrets: &Secrets, id: &str, body: &str, traceparent: Option<&str>) -> HeaderMap {
    let timestamp = OffsetDateTime::now_utc().unix_timestamp();
    let mut pairs = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp.to_string())];
    pairs.extend(secrets.sign(id, timestamp, body).map(|signatures| ("webhook-signature", signatures)));
    pairs.extend(traceparent.map(|traceparent| ("traceparent", traceparent.to_owned())));
    pairs.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect()
}

/// How the body begins. The status has decided already: one that breaks off or never ends takes nothing back.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(MOST_BODY - body.len())]);
        if body.len() == MOST_BODY {
            break;
        }
    }
    body
}
