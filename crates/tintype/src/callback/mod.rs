//! Step 6: the signed notice of how an upload ended.
//!
//! `payload` words it, `secret` finds what signs it, `signature` signs it (Standard Webhooks), `send` sends it once and
//! `answer` judges what came of that, or `trouble` says why nothing did. `guard` keeps it out of private networks by what
//! `address` knows. `deliver` sends until it is taken, in `lanes` of one endpoint each; `log` shows
//! what became of it, `resend` begins anew.

mod address;
pub(crate) mod answer;
#[cfg(feature = "server")]
pub mod deliver;
pub(crate) mod guard;
#[cfg(feature = "server")]
mod lanes;
#[cfg(feature = "server")]
pub mod log;
mod payload;
#[cfg(feature = "server")]
pub mod resend;
pub mod secret;
pub mod send;
pub mod signature;
mod trouble;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::aws::secret::SecretArn;
use crate::key::{Layout, is_of_doctor};
use crate::ledger::Notice;
use crate::preset::Preset;
use crate::upload::{Outcome, Upload};

pub use answer::{Answer, Verdict};
pub use guard::Guard;
pub use payload::{body, expired, parse};
pub use secret::SigningSecret;
pub use signature::{Secret, Secrets};

/// How callbacks are made and sent.
#[derive(Debug, Clone)]
pub struct CallbackConfig {
    /// Where to, with `{id}` and `{key}` to be filled in; empty: nowhere, but for presets that have an address of their own.
    pub url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// What signs them.
    pub secret: Option<Secret>,
    /// Where what signs them is kept, if it is not `secret`.
    pub secret_from: Option<SecretArn>,
    /// What signed them before and, while receivers change over, signs them too; newest first.
    pub previous_secrets: Vec<Secret>,
    /// Which addresses may be called.
    pub guard: Guard,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// Most attempts at once at one endpoint, from this process.
    pub concurrency: usize,
    /// How long to wait before each further attempt; after the last the delivery is dead.
    pub schedule: Vec<Duration>,
}

impl CallbackConfig {
    /// What signs them; `aws` is an address for AWS services other than their own.
    pub fn signing_secret(&self, aws: Option<&Url>) -> SigningSecret {
        let mut written: Vec<_> = self.secret.iter().cloned().collect();
        written.extend(self.previous_secrets.iter().cloned());
        match &self.secret_from {
            Some(arn) => SigningSecret::kept(arn.clone(), aws.cloned(), written),
            None => SigningSecret::written(written),
        }
    }

    /// Whether they are signed.
    pub fn is_signed(&self) -> bool {
        self.secret.is_some() || self.secret_from.is_some()
    }

    /// What is to be told of how an upload ended, and where; none when nobody is to be told. `preset` is the upload's, if
    /// it is still configured.
    pub fn notice(
        &self,
        layout: &Layout,
        preset: Option<&Preset>,
        upload: &Upload,
        outcome: &Outcome,
    ) -> Option<Notice> {
        self.notice_of(layout, preset, upload, &body(upload, outcome))
    }

    /// The same with a body that is made already.
    pub fn notice_of(&self, layout: &Layout, preset: Option<&Preset>, upload: &Upload, body: &Value) -> Option<Notice> {
        // No backend asked for it, and each would answer that it knows no such upload.
        if is_of_doctor(&upload.key) {
            return None;
        }
        let url = preset.and_then(|preset| preset.callback_url.as_ref()).unwrap_or(&self.url);
        (!url.is_empty()).then(|| Notice {
            url: expand(url, layout, upload),
            method: self.method.clone(),
            body: body.to_string(),
        })
    }
}

fn expand(url: &str, layout: &Layout, upload: &Upload) -> String {
    const SAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    let key = utf8_percent_encode(layout.relative(&upload.key), SAFE).to_string();
    url.replace("{id}", upload.id.as_str()).replace("{key}", &key)
}
