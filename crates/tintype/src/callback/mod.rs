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
use time::OffsetDateTime;

use crate::key::Layout;
use crate::ledger::{Delivery, DeliveryStatus};
use crate::preset::hex;
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
    /// The delivery that tells how an upload ended. Equal outcomes give equal ids.
    pub fn delivery(&self, layout: &Layout, upload: &Upload, outcome: &Outcome) -> Delivery {
        let body = body(upload, outcome).to_string();
        let now = OffsetDateTime::now_utc();
        Delivery {
            id: delivery_id(upload, outcome),
            upload_id: upload.id.clone(),
            url: self.expand(layout, upload),
            method: self.method.clone(),
            body,
            status: DeliveryStatus::Pending,
            attempts: 0,
            due_at: now,
            last_status: None,
            last_error: None,
            created_at: now,
        }
    }

    fn expand(&self, layout: &Layout, upload: &Upload) -> String {
        const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
        let key = utf8_percent_encode(layout.relative(&upload.key), SAFE).to_string();
        self.url.replace("{id}", upload.id.as_str()).replace("{key}", &key)
    }
}

/// The same outcome of the same original is the same message, however often it is found out.
fn delivery_id(upload: &Upload, outcome: &Outcome) -> String {
    use sha2::{Digest, Sha256};
    let what = match outcome {
        Outcome::Completed(m) => format!("completed {} {} {}", m.original.sha256, m.preset.version, m.engine),
        Outcome::Processed(key) => format!("processed {key}"),
        Outcome::Failed(failure) => format!("failed {} {}", failure.code, failure.message),
    };
    format!("msg_{}", hex(&Sha256::digest(format!("{} {} {what}", upload.id, upload.key))[..16]))
}
