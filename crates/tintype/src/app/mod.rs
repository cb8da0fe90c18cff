//! One running service: its parts, and what is done with more than one of them.

mod admission;
mod open;
pub(crate) mod secrets;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

pub use admission::{Admission, NotAdmitted};
pub use open::{EmbeddedParts, lock};

use crate::callback::SigningSecret;
use crate::config::Config;
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::key::{Key, Layout};
use crate::ledger::{Ledger, LedgerError};
use crate::presign::Presigner;
use crate::process::Processor;
use crate::queue::{Job, Queue, QueueError};
use crate::room::Room;
use crate::store::embedded::Arrivals;
use crate::store::{ObjectMeta, Store, StoreError};
use crate::token::Tokens;
use crate::upload::{Outcome, Upload, UploadId};

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

    /// Adds a job, and wakes a worker and whoever waits for the upload.
    pub async fn enqueue(&self, job: Job) -> Result<(), QueueError> {
        self.queue.push(&job).await?;
        self.signals.jobs.notify_one();
        self.signals.changed(&job.upload_id);
        Ok(())
    }

    /// Records how an upload ended together with the callback that tells it, and wakes who waits.
    pub async fn settle(&self, upload: &Upload, outcome: &Outcome) -> Result<(), LedgerError> {
        let notice = self.config.callback.as_ref().map(|c| c.notice(&self.layout, upload, outcome));
        if !self.ledger.finish(&upload.id, outcome, notice.as_ref()).await? {
            // Deleted while it was developed: nothing of it may stay.
            if let Err(error) = self.erase(upload).await {
                tracing::warn!(%error, upload = %upload.id, "objects of a deleted upload are left");
            }
        }
        self.signals.callbacks.notify_one();
        self.signals.changed(&upload.id);
        Ok(())
    }

    /// Removes an upload's original, its variants and its manifest from the store.
    pub async fn erase(&self, upload: &Upload) -> Result<(), StoreError> {
        for key in self.outputs(upload) {
            self.store.delete(&key).await?;
        }
        self.store.delete(&upload.key).await
    }

    /// Every key that developing an upload can have written.
    fn outputs(&self, upload: &Upload) -> Vec<Key> {
        let known = upload.key.extension().or_else(|| upload.extension.clone());
        let extensions: Vec<String> = match known {
            Some(extension) => vec![extension],
            None => tintype_image::Format::ALL.iter().map(|format| format.extension().to_owned()).collect(),
        };
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
        };
        accept(&self.0, event).await.map(drop).map_err(|e| e.to_string())
    }
}
