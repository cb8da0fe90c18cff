//! Step 6 at once: one attempt, whose failure is the sender's of the event to mend.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::callback::send::Sender;
use crate::callback::{CallbackConfig, SigningSecret, Verdict, body};
use crate::config::{Config, UploadDefaults};
use crate::event::StorageEvent;
use crate::key::Layout;
use crate::preset::{Preset, hex};
use crate::process::public;
use crate::store::ObjectMeta;
use crate::upload::{Outcome, Upload, UploadId};

/// Calls back.
pub struct Notifier {
    config: CallbackConfig,
    layout: Layout,
    uploads: UploadDefaults,
    secret: Arc<SigningSecret>,
    /// Made when first needed: loading the trusted certificates takes longer than starting does.
    sender: OnceLock<Sender>,
}

/// Whose outcome is told.
pub struct Subject<'a> {
    /// Where the original is.
    pub bucket: &'a str,
    /// What told of it.
    pub event: &'a StorageEvent,
    /// What was to be made of it.
    pub preset: &'a Preset,
    /// The original that was read, where an outcome without a manifest is told.
    pub seen: Option<&'a ObjectMeta>,
    /// What such an outcome is called, where the state of the original has no name of its own.
    pub seal: Option<&'a str>,
}

/// What a client gave along with its original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// This.
    Known(BTreeMap<String, String>),
    /// The original cannot be asked any more.
    Unknown,
}

impl Notifier {
    /// One that calls as configured; none when nobody is to be called.
    pub fn new(config: &Config) -> Option<Self> {
        let callback = config.callback.clone()?;
        Some(Self {
            secret: Arc::new(callback.signing_secret(config.aws_endpoint.as_ref())),
            layout: config.layout.clone(),
            uploads: config.upload.clone(),
            sender: OnceLock::new(),
            config: callback,
        })
    }

    /// Tells an outcome. Equal subjects and outcomes are told under one `webhook-id`.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn tell(&self, subject: &Subject<'_>, metadata: Metadata, outcome: &Outcome) -> Result<(), String> {
        let mut upload = self.upload(subject);
        let is_known = match metadata {
            Metadata::Known(metadata) => {
                upload.policy.metadata = metadata;
                true
            }
            Metadata::Unknown => false,
        };
        let mut said = body(&upload, outcome);
        if !is_known {
            // Nothing was given, and nothing is known, are two things.
            said["metadata"] = Value::Null;
        }
        let id = message_id(&upload.id, subject, outcome);
        let Some(notice) = self.config.notice_of(&self.layout, Some(subject.preset), &upload, &said) else {
            return Ok(());
        };
        let answer = self.sender()?.send(&id, &notice, None).await;
        let status = answer.status.map(|status| status.as_u16());
        match &answer.error {
            None => tracing::info!(upload = %upload.id, key = %upload.key, delivery = id, status, "callback"),
            Some(why) => tracing::warn!(upload = %upload.id, key = %upload.key, delivery = id, status, why, "callback"),
        }
        match answer.verdict {
            // Whoever is gone wants to hear no more.
            Verdict::Taken | Verdict::Gone => Ok(()),
            Verdict::Failed(_) => Err(answer.error.unwrap_or_default()),
        }
    }

    fn sender(&self) -> Result<&Sender, String> {
        if self.sender.get().is_none() {
            // Should two come at once, one is dropped.
            let _ = self.sender.set(Sender::new(&self.config, self.secret.clone())?);
        }
        self.sender.get().ok_or_else(|| "callbacks cannot be sent".to_owned())
    }

    /// The upload as its callback tells it. Nothing is kept of uploads here, so its id is the one in its key, or made of
    /// its key.
    fn upload(&self, subject: &Subject<'_>) -> Upload {
        let key = &subject.event.key;
        let id = self.layout.upload_id(key).unwrap_or_else(|| UploadId::of_object(subject.bucket, key));
        Upload::unannounced(id, key.clone(), &subject.preset.name, &self.uploads)
    }
}

/// The `webhook-id`: the upload's, and a hash of all that is told. What is told of one state of an original, again and again,
/// has one id; what is told of another state has another, though its bytes be the same. docs/callbacks.md has the formula.
fn message_id(upload: &UploadId, subject: &Subject<'_>, outcome: &Outcome) -> String {
    let event = subject.event;
    let (preset, told) = match outcome {
        Outcome::Completed(manifest) => {
            let original = &manifest.original;
            let state = state(&original.version, &original.sequencer, &original.etag, original.seal.as_deref());
            // Where nothing public holds it, what is told from a seal does not have it either, and has the same id.
            let metadata = json!(public::metadata(&manifest.metadata, subject.preset.metadata));
            (&manifest.preset.version, format!("completed {} {metadata} {state}", original.sha256))
        }
        Outcome::Processed(key) => (&subject.preset.version, format!("processed {key}")),
        Outcome::Failed(failure) => {
            let seen = subject.seen;
            let version = event.version.clone().or_else(|| seen?.version.clone());
            let etag = event.etag.clone().or_else(|| seen?.etag.clone());
            let state = state(&version, &event.sequencer, &etag, subject.seal);
            (&subject.preset.version, format!("failed {} {state}", failure.code))
        }
    };
    let text = format!("{}\n{}\n{preset}\n{told}", subject.bucket, event.key);
    format!("{upload}-{}", &hex(&Sha256::digest(text))[..16])
}

/// What tells one state of an object from all others: the first of these that is known.
fn state(version: &Option<String>, sequencer: &Option<String>, etag: &Option<String>, seal: Option<&str>) -> String {
    match (version, sequencer) {
        (Some(version), _) => format!("version {version}"),
        (None, Some(sequencer)) => format!("sequencer {sequencer}"),
        (None, None) => {
            format!("etag {} seal {}", etag.as_deref().unwrap_or_default(), seal.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_what_the_store_says_most_exactly() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(state(&some("v"), &some("s"), &some("e"), Some("n")), "version v");
        assert_eq!(state(&None, &some("s"), &some("e"), Some("n")), "sequencer s");
        assert_eq!(state(&None, &None, &some("e"), Some("n")), "etag e seal n");
        assert_eq!(state(&None, &None, &None, None), "etag  seal ");
    }
}
