//! Step 6: the signed notice of how an upload ended.
//!
//! `payload` words it, `secret` finds what signs it, `signature` signs it (Standard Webhooks), `send` sends it once,
//! `deliver` until it is taken, `guard` keeps it out of private networks.

#[cfg(feature = "server")]
pub mod deliver;
mod guard;
mod payload;
pub mod secret;
pub mod send;
pub mod signature;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::aws::secret::SecretArn;
use crate::key::Layout;
use crate::ledger::Notice;
use crate::upload::{Outcome, Upload};

pub use payload::{body, parse};
pub use secret::SigningSecret;
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
    /// Where what signs them is kept, if it is not `secret`.
    pub secret_from: Option<SecretArn>,
    /// Whether addresses inside private networks may be called.
    pub allow_private: bool,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// How long to wait before each further attempt; after the last the delivery is dead.
    pub schedule: Vec<Duration>,
}

impl CallbackConfig {
    /// What signs them; `aws` is an address for AWS services other than their own.
    pub fn signing_secret(&self, aws: Option<&Url>) -> SigningSecret {
        match (&self.secret, &self.secret_from) {
            (Some(secret), _) => SigningSecret::Fixed(secret.clone()),
            (None, Some(arn)) => SigningSecret::of_arn(arn.clone(), aws.cloned()),
            (None, None) => SigningSecret::None,
        }
    }

    /// Whether they are signed.
    pub fn is_signed(&self) -> bool {
        self.secret.is_some() || self.secret_from.is_some()
    }

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
