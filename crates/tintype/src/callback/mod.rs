//! Step 6: the signed notice of how an upload ended.
//!
//! `payload` words it, `signature` signs it (Standard Webhooks), `deliver` sends it until it is taken,
//! `guard` keeps it out of private networks.

pub mod deliver;
mod guard;
mod payload;
pub mod signature;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::key::Layout;
use crate::ledger::Notice;
use crate::upload::{Outcome, Upload};

pub use payload::{body, parse};
pub use signature::Secret;

/// How callbacks are made and sent.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// Where to, with `{id}` and `{key}` to be filled in.
    pub url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// What signs them.
    pub secret: Option<Secret>,
    /// Whether addresses inside private networks may be called.
    pub allow_private: bool,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// How long to wait before each further attempt; after the last the delivery is dead.
    pub schedule: Vec<Duration>,
}

impl CallbackConfig {
    /// What is to be told of how an upload ended, and where.
    pub fn notice(&self, layout: &Layout, upload: &Upload, outcome: &Outcome) -> Notice {
        Notice {
            url: self.expand(layout, upload),
            method: self.method.clone(),
            body: body(upload, outcome).to_string(),
        }
    }

    fn expand(&self, layout: &Layout, upload: &Upload) -> String {
        const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
        let key = utf8_percent_encode(layout.relative(&upload.key), SAFE).to_string();
        self.url.replace("{id}", upload.id.as_str()).replace("{key}", &key)
    }
}
