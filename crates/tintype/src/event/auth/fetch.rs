//! Small public documents (certificates, keys) from addresses that were checked: no redirects, and bounded in time, size
//! and number, since strangers can cause them. Each cause has a fetcher of its own, and so its own budget.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use url::Url;

/// Longest time for one.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of one.
const MOST_BYTES: usize = 256 << 10;
/// Most of them in a minute.
const MOST: u32 = 60;
/// Most of them that one sender causes in it: so that it takes a dozen to use up all.
const MOST_OF_ONE: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

/// Why there is no document. None of them holds its address, whose query may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing was asked for: there have been too many.
    #[error("more than {0} were asked for within a minute, {1}")]
    TooMany(u32, &'static str),
    /// There is none: its host says so, or it is too large to be one.
    #[error("{0}")]
    None(String),
    /// It could not be had just now.
    #[error("{0}")]
    Failed(String),
}

impl FetchError {
    fn failed(error: reqwest::Error) -> Self {
        Self::Failed(error.without_url().to_string())
    }
}

/// Fetches. Nobody waits for another's: what is slow holds back those alone who want the same.
pub struct Fetcher {
    client: reqwest::Client,
    budget: Mutex<Budget>,
}

/// What was fetched in this minute.
struct Budget {
    since: Instant,
    all: u32,
    /// By sender; there are no more of them than fetches.
    by_sender: HashMap<IpAddr, u32>,
}

impl Budget {
    fn new() -> Self {
        Self { since: Instant::now(), all: 0, by_sender: HashMap::new() }
    }

    fn take(&mut self, sender: Option<IpAddr>) -> Result<(), FetchError> {
        if self.since.elapsed() > MINUTE {
            *self = Self::new();
        }
        if self.all >= MOST {
            return Err(FetchError::TooMany(MOST, "by all"));
        }
        if let Some(sender) = sender {
            let own = self.by_sender.get(&sender).copied().unwrap_or_default();
            if own >= MOST_OF_ONE {
                return Err(FetchError::TooMany(MOST_OF_ONE, "by this sender"));
            }
            self.by_sender.insert(sender, own + 1);
        }
        self.all += 1;
        Ok(())
    }
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
        Ok(Self { client, budget: Mutex::new(Budget::new()) })
    }

    /// The body of a 200, for a sender that is known by its address or not at all.
    ///
    /// # Errors
    /// Why there is none. Try again.
    pub async fn get(&self, url: &Url, sender: Option<IpAddr>) -> Result<Vec<u8>, FetchError> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(sender)?;
        let mut answer = self.client.get(url.clone()).send().await.map_err(FetchError::failed)?;
        let status = answer.status();
        if status != http::StatusCode::OK {
            let why = format!("it was answered {status}");
            return Err(if status.is_server_error() { FetchError::Failed(why) } else { FetchError::None(why) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(FetchError::failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(FetchError::None(format!("it is larger than {MOST_BYTES} bytes")));
            }
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_leaves_the_rest_to_others() {
        let mut budget = Budget::new();
        let sender = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let taken = (0..30).filter(|_| budget.take(sender(1)).is_ok()).count();
        assert_eq!(taken, MOST_OF_ONE as usize);
        assert!(budget.take(sender(2)).is_ok() && budget.take(None).is_ok());
        let taken = (0..100).filter(|n| budget.take(sender(*n)).is_ok()).count();
        assert_eq!(taken + MOST_OF_ONE as usize + 2, MOST as usize);
    }
}
