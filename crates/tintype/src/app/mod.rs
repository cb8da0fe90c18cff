//! One running service: its parts, and what is done with more than one of them.

mod admission;
mod beside;
mod bodies;
mod open;
pub(crate) mod secrets;
mod streams;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

pub use admission::{Admission, NotAdmitted};
pub use beside::Beside;
pub use bodies::{Bodies, NoBody, ReadBody};
pub use open::{EmbeddedParts, Locks, lock, open_ledger};
pub use streams::{Follower, NoStream, Stream, Streams};

use crate::auth::Keyring;
use crate::callback::SigningSecret;
use crate::config::{Config, StoreUrl};
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::event::auth::Gate;
use crate::key::{self, Key, Layout};
use crate::ledger::{Finished, Ledger, LedgerError, Marked};
use crate::manifest::Manifest;
use crate::metrics;
use crate::presign::Presigner;
use crate::process::Processor;
use crate::queue::{JobEnd, Queue};
use crate::room::Room;
use crate::store::embedded::Arrivals;
use crate::store::{ObjectMeta, Store, StoreError};
use crate::token::Tokens;
use crate::upload::{Outcome, Upload, UploadId};

/// Deletions that are ended in one go.
const DELETIONS: u32 = 100;

/// Why an upload was not deleted whole. What was begun is ended later.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The objects.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One running service.
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// The bucket's name.
    pub bucket: String,
    /// How keys are made.
    pub layout: Layout,
    /// The rows.
    pub ledger: Arc<dyn Ledger>,
    /// The jobs.
    pub queue: Arc<dyn Queue>,
    /// The objects.
    pub store: Arc<dyn Store>,
    /// What signs credentials.
    pub presigner: Arc<dyn Presigner>,
    /// What develops originals.
    pub processor: Processor,
    /// What signs the tokens of uploads.
    pub tokens: Tokens,
    /// What signs callbacks.
    pub signing: Arc<SigningSecret>,
    /// What is left of the disk.
    pub room: Room,
    /// Who may ask for uploads just now.
    pub admission: Admission,
    /// The memory of request bodies.
    pub bodies: Arc<Bodies>,
    /// Who follows uploads just now.
    pub streams: Arc<Streams>,
    /// Which API keys are good.
    pub keys: Keyring,
    /// What providers' pushed events are held against.
    pub gate: Gate,
    /// Who wakes whom.
    pub signals: Signals,
}

/// Who wakes whom, inside one process.
pub struct Signals {
    /// There may be a job.
    pub jobs: Arc<Notify>,
    /// A callback may be due.
    pub callbacks: Arc<Notify>,
    /// The server stops: whoever waits for a change is answered as things stand.
    pub stopping: CancellationToken,
    changes: broadcast::Sender<UploadId>,
}

impl Signals {
    fn new() -> Self {
        Self {
            jobs: Arc::default(),
            callbacks: Arc::default(),
            stopping: CancellationToken::new(),
            changes: broadcast::channel(1024).0,
        }
    }

    /// Says that an upload's status may have changed.
    pub fn changed(&self, id: &UploadId) {
        // Nobody listening is no error.
        let _ = self.changes.send(id.clone());
    }

    /// Says that an upload has a new job.
    pub fn job(&self, id: &UploadId) {
        self.jobs.notify_one();
        self.changed(id);
    }

    /// Hears of changes from now on.
    pub fn listen(&self) -> broadcast::Receiver<UploadId> {
        self.changes.subscribe()
    }
}

impl App {
    /// Where clients reach the API, without a last slash.
    pub fn api_url(&self) -> String {
        match &self.config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("{}://{}", self.config.scheme(), self.config.listen),
        }
    }

    /// Where a browser sends originals to and fetches variants from: scheme, host and port.
    pub fn origins_of_stores(&self) -> Vec<String> {
        let bucket = match &self.config.store {
            StoreUrl::Embedded => open::embedded_url(&self.config).ok(),
            StoreUrl::S3 { bucket } => Some(self.config.s3(bucket).bucket_url()),
        };
        let urls = bucket.iter().chain(&self.config.variants_url);
        let mut origins: Vec<_> = urls.map(|url| url.origin().ascii_serialization()).collect();
        origins.dedup();
        origins
    }

    /// Records how an upload ended together with the callback that tells it and the end of the job that found it out,
    /// and wakes who waits.
    pub async fn settle(
        &self,
        upload: &Upload,
        outcome: &Outcome,
        job: Option<JobEnd<'_>>,
    ) -> Result<Finished, LedgerError> {
        let preset = self.config.presets.get(&upload.preset).map(AsRef::as_ref);
        let callback = self.config.callback.as_ref();
        let notice = callback.and_then(|callback| callback.notice(&self.layout, preset, upload, outcome));
        let finished = self.ledger.finish(&upload.id, outcome, notice.as_ref(), job).await?;
        if finished == Finished::Recorded {
            metrics::ended(outcome);
        }
        if finished == Finished::Gone {
            // Deleted while it was developed: nothing of it may stay.
            if let Err(error) = self.erase(upload).await {
                tracing::warn!(%error, upload = %upload.id, "objects of a deleted upload are left");
            }
        }
        self.signals.callbacks.notify_one();
        self.signals.changed(&upload.id);
        Ok(finished)
    }

    /// Takes everything of an upload: it is invisible at once, its objects go, then its row. Cut off in between, or
    /// while a worker may still write, [`App::finish_deletions`] goes on with it.
    ///
    /// # Errors
    /// When ledger or store fail: what was begun is ended later.
    pub async fn delete(&self, upload: &Upload) -> Result<(), DeleteError> {
        let marked = self.ledger.mark_deleted(&upload.id).await?;
        self.signals.changed(&upload.id);
        self.erase(upload).await?;
        if marked == Marked::Free {
            self.ledger.remove(upload).await?;
        }
        Ok(())
    }

    /// Ends deletions that were cut off.
    ///
    /// # Errors
    /// When ledger or store fail: try again.
    pub async fn finish_deletions(&self) -> Result<(), DeleteError> {
        // By then a worker that had a job of it in hand knows, and has stopped.
        let before = OffsetDateTime::now_utc() - 2 * self.config.lease;
        for upload in self.ledger.deleting(before, DELETIONS).await? {
            self.erase(&upload).await?;
            self.ledger.remove(&upload).await?;
            tracing::info!(upload = %upload.id, "deleted at last");
        }
        Ok(())
    }

    /// Removes an upload's original, its variants and its manifest from the store.
    pub async fn erase(&self, upload: &Upload) -> Result<(), StoreError> {
        let (manifests, variants): (Vec<_>, Vec<_>) = self.outputs(upload).into_iter().partition(key::is_manifest);
        // A set of an earlier preset is known by its manifest alone, which therefore goes after it.
        let stored = self.stored_manifests(upload, &manifests).await?;
        let stored = stored.iter().flat_map(|(_, manifest)| manifest.own_keys(&self.layout, &upload.key));
        for key in stored.chain(variants).chain(manifests) {
            self.store.delete(&key).await?;
        }
        self.store.delete(&upload.key).await
    }

    /// Removes variants of an upload that no manifest of its own seals.
    pub async fn erase_unsealed(&self, upload: &Upload) -> Result<(), StoreError> {
        let keys = self.outputs(upload);
        let mut sealed = HashSet::new();
        for (key, manifest) in self.stored_manifests(upload, &keys).await? {
            sealed.insert(key);
            sealed.extend(manifest.variants.into_iter().map(|variant| variant.key));
        }
        for key in keys.iter().filter(|key| !sealed.contains(key)) {
            self.store.delete(key).await?;
        }
        Ok(())
    }

    /// The manifests of an upload's own that are in the store, of those at some keys.
    async fn stored_manifests(&self, upload: &Upload, keys: &[Key]) -> Result<Vec<(Key, Manifest)>, StoreError> {
        let mut stored = Vec::new();
        for key in keys.iter().filter(|key| key::is_manifest(key)) {
            if let Some(manifest) = self.processor.stored_manifest(key).await?
                && manifest.original.key == upload.key
            {
                stored.push((key.clone(), manifest));
            }
        }
        Ok(stored)
    }

    /// Every key that developing an upload can have written.
    fn outputs(&self, upload: &Upload) -> Vec<Key> {
        let extensions = extensions(upload);
        let preset = self.config.presets.get(&upload.preset);
        let mut keys: Vec<Key> =
            upload.manifest.iter().flat_map(|m| m.variants.iter().map(|v| v.key.clone())).collect();
        for extension in &extensions {
            keys.extend(preset.iter().flat_map(|preset| self.layout.possible_keys(&upload.key, preset, extension)));
            keys.extend(self.layout.manifest_key(&upload.key, extension).ok());
        }
        keys
    }
}

/// The extensions that an upload's variants can have.
fn extensions(upload: &Upload) -> Vec<String> {
    match upload.key.extension().or_else(|| upload.extension.clone()) {
        Some(extension) => vec![extension],
        None => tintype_image::Format::ALL.iter().map(|format| format.extension().to_owned()).collect(),
    }
}

/// Step 5 without a wire: what the embedded store tells its own service.
pub struct InProcess(pub Arc<App>);

#[async_trait]
impl Arrivals for InProcess {
    async fn arrived(&self, object: &ObjectMeta) -> Result<(), String> {
        let event = StorageEvent {
            bucket: None,
            key: object.key.clone(),
            size: Some(object.size),
            etag: object.etag.clone(),
            version: None,
            sequencer: None,
        };
        accept(&self.0, event).await.map(drop).map_err(|e| e.to_string())
    }
}
