//! Small public documents (certificates, keys) from addresses that were checked: no redirects, and bounded in time, size
//! and number, since strangers can cause them.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use tokio::sync::Mutex;
use url::Url;

/// Longest time for one.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of one.
const MOST_BYTES: usize = 256 << 10;
/// Most of them a minute.
const MOST_A_MINUTE: u32 = 20;

/// Fetches, one at a time.
pub struct Fetcher {
    client: reqwest::Client,
    minute: Mutex<(Instant, u32)>,
}

impl Fetcher {
    /// One that has fetched nothing yet.
    ///
    /// # Errors
    /// When no TLS can be set up.
    pub fn new() -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("tintype/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Self { client, minute: Mutex::new((Instant::now(), 0)) })
    }

    /// The body of a 200.
    ///
    /// # Errors
    /// Why there is none, without the address, whose query may be a secret. Try again.
    pub async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let mut minute = self.minute.lock().await;
        if minute.0.elapsed() > Duration::from_secs(60) {
            *minute = (Instant::now(), 0);
        }
        if minute.1 >= MOST_A_MINUTE {
            return Err(format!("more than {MOST_A_MINUTE} were asked for within a minute"));
        }
        minute.1 += 1;
        let mut answer = self.client.get(url.clone()).send().await.map_err(|e| e.without_url().to_string())?;
        if answer.status() != http::StatusCode::OK {
            return Err(format!("it was answered {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(format!("it is larger than {MOST_BYTES} bytes"));
            }
        }
        Ok(body)
    }
}
