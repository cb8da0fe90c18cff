//! Step 6 at once: one attempt, whose failure is the sender's of the event to mend.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::callback::send::Sender;
use crate::callback::{CallbackConfig, SigningSecret, Verdict};
use crate::config::{Config, UploadDefaults};
use crate::event::StorageEvent;
use crate::key::Layout;
use crate::preset::{Preset, hex};
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
    pub async fn tell(
        &self,
        subject: &Subject<'_>,
        metadata: BTreeMap<String, String>,
        outcome: &Outcome,
    ) -> Result<(), String> {
        let mut upload = self.upload(subject);
        upload.policy.metadata = metadata;
        let id = message_id(&upload.id, subject, outcome);
        let Some(notice) = self.config.notice(&self.layout, Some(subject.preset), &upload, outcome) else {
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

/// The `webhook-id`: the upload's, and a hash of what is told.
fn message_id(upload: &UploadId, subject: &Subject<'_>, outcome: &Outcome) -> String {
    let event = subject.event;
    let told = match outcome {
        Outcome::Completed(manifest) => format!("completed {}", manifest.original.sha256),
        Outcome::Processed(key) => format!("processed {key}"),
        Outcome::Failed(failure) => format!("failed {} {:?} {:?}", failure.code, event.version, event.etag),
    };
    let text = format!("{}\n{}\n{}\n{told}", subject.bucket, event.key, subject.preset.version);
    format!("{upload}-{}", &hex(&Sha256::digest(text))[..16])
}
