//! The parts of one running service, put together from the configuration.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use rand::RngExt;
use tintype_image::Limits;
use tokio::sync::{Notify, broadcast};
use url::Url;

use crate::config::{Config, StoreUrl};
use crate::event::StorageEvent;
use crate::event::accept::accept;
use crate::key::{Key, Layout};
use crate::ledger::{Ledger, LedgerError, SqliteLedger};
use crate::preset::{Preset, hex};
use crate::presign::s3::S3Presigner;
use crate::presign::{Credential, Presigner};
use crate::process::Processor;
use crate::queue::{Job, Queue, QueueError};
use crate::store::embedded::{self, Arrivals, DiskStore};
use crate::store::s3::{S3Config, S3Store};
use crate::store::{ObjectMeta, PublicUrl, Store};
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
    /// Who wakes whom.
    pub signals: Signals,
}

/// Who wakes whom, inside one process.
pub struct Signals {
    /// There may be a job.
    pub jobs: Arc<Notify>,
    /// A callback may be due.
    pub callbacks: Arc<Notify>,
    changes: broadcast::Sender<UploadId>,
}

impl Signals {
    fn new() -> Self {
        Self { jobs: Arc::default(), callbacks: Arc::default(), changes: broadcast::channel(1024).0 }
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

/// The embedded store's side of an [`App`].
pub struct EmbeddedParts {
    /// The objects.
    pub disk: DiskStore,
    /// The one account.
    pub account: Credential,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When data cannot be opened, or is in use by another process.
    pub async fn open(config: Config) -> anyhow::Result<(Self, Option<EmbeddedParts>)> {
        let data = &config.data;
        let ledger = SqliteLedger::open(&config.ledger)
            .await
            .with_context(|| format!("cannot open the ledger {}", config.ledger.display()))?;
        let tokens = Tokens::new(load_secret(&data.join("token-secret"))?);
        let layout = config.layout.clone();
        let (store, presigner, bucket_url, bucket, embedded) = match &config.store {
            StoreUrl::Embedded => open_embedded(&config)?,
            StoreUrl::S3 { bucket } => open_s3(&config, bucket)?,
        };
        let public_url = PublicUrl::new(config.variants_url.as_ref().unwrap_or(&bucket_url));
        let processor = Processor {
            source: store.clone(),
            target: store.clone(),
            layout: layout.clone(),
            preset: Preset::from_default(&config.preset),
            limits: Limits { max_pixels: config.max_pixels, max_frames: config.max_frames, deadline: None },
            deadline: config.deadline,
            max_bytes: config.upload.max_bytes,
            strict_type: config.strict_type,
            cache_control: config.cache_control.clone(),
            public_url: Some(public_url),
        };
        let ledger = Arc::new(ledger);
        let app = Self {
            bucket,
            layout,
            queue: ledger.clone(),
            ledger,
            store,
            presigner,
            processor,
            tokens,
            signals: Signals::new(),
            config,
        };
        Ok((app, embedded))
    }

    /// Where clients reach the API, without a last slash.
    pub fn api_url(&self) -> String {
        match &self.config.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.config.listen),
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
    pub async fn erase(&self, upload: &Upload) -> Result<(), crate::store::StoreError> {
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
        let mut keys: Vec<Key> =
            upload.manifest.iter().flat_map(|m| m.variants.iter().map(|v| v.key.clone())).collect();
        for extension in &extensions {
            let names = self.processor.preset.variants.iter().map(|variant| &variant.name);
            keys.extend(names.filter_map(|name| self.layout.variant_key(&upload.key, name, extension).ok()));
            keys.extend(self.layout.manifest_key(&upload.key, extension).ok());
        }
        keys
    }
}

/// Refuses to share a data folder with another process, for as long as the file is held.
///
/// # Errors
/// When the folder cannot be made, or another process holds it.
pub fn lock(data: &Path) -> anyhow::Result<fs::File> {
    // Secrets and rows: for the owner alone.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let path = data.join("lock");
    let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!(
            "another tintype is running on {}; stop it, or give this one its own folder with --data",
            data.display()
        ),
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

type StoreParts = (Arc<dyn Store>, Arc<dyn Presigner>, Url, String, Option<EmbeddedParts>);

fn open_embedded(config: &Config) -> anyhow::Result<StoreParts> {
    let folder = config.data.join("store");
    let disk = DiskStore::open(&folder).with_context(|| format!("cannot open the store {}", folder.display()))?;
    let account = load_account(&config.data.join("store-credentials"))?;
    let endpoint = match &config.store_endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("http://{}", config.store_listen).parse()?,
    };
    let bucket_url: Url = format!("{}/{}", endpoint.as_str().trim_end_matches('/'), embedded::BUCKET).parse()?;
    let presigner = S3Presigner {
        bucket: embedded::BUCKET.to_owned(),
        bucket_url: bucket_url.clone(),
        region: embedded::REGION.to_owned(),
        acl: config.upload.acl.clone(),
        credentials: Arc::new(account.clone()),
    };
    let parts = EmbeddedParts { disk: disk.clone(), account };
    Ok((Arc::new(disk), Arc::new(presigner), bucket_url, embedded::BUCKET.to_owned(), Some(parts)))
}

fn open_s3(config: &Config, bucket: &str) -> anyhow::Result<StoreParts> {
    let place =
        S3Config { bucket: bucket.to_owned(), endpoint: config.store_endpoint.clone(), region: config.region.clone() };
    let store = S3Store::new(&place).map_err(anyhow::Error::msg).context("cannot use the S3 store")?;
    let presigner = S3Presigner {
        bucket: bucket.to_owned(),
        bucket_url: place.bucket_url(),
        region: config.region.clone(),
        acl: config.upload.acl.clone(),
        credentials: store.credentials(),
    };
    Ok((Arc::new(store), Arc::new(presigner), place.bucket_url(), bucket.to_owned(), None))
}

/// A secret of this installation, made on first use and readable by its owner alone.
fn load_secret(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().len() == 64 && text.trim().bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(text.trim().to_owned())
        }
        // What a crash cut off is no secret.
        Ok(_) => bail!(
            "{} does not hold the 64 hex digits it was made with; restore it, or remove it to get a new one",
            path.display()
        ),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let secret = hex(&rand::rng().random::<[u8; 32]>());
            write_private(path, &secret)?;
            Ok(secret)
        }
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The embedded store's account, in the format of AWS's shared credentials file, so that S3 clients can use it.
fn load_account(path: &Path) -> anyhow::Result<Credential> {
    if !path.exists() {
        let mut rng = rand::rng();
        let id = hex(&rng.random::<[u8; 8]>()).to_uppercase();
        let secret = hex(&rng.random::<[u8; 20]>());
        write_private(path, &format!("[default]\naws_access_key_id = TT{id}\naws_secret_access_key = {secret}\n"))?;
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.map(|value| value.trim().to_owned()).with_context(|| format!("{} has no {name}", path.display()))
    };
    Ok(Credential { key_id: value("aws_access_key_id")?, secret: value("aws_secret_access_key")?, token: None })
}

/// Whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        // A temporary file is its owner's alone.
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        part.write_all(text.as_bytes())?;
        part.as_file().sync_all()?;
        part.persist_noclobber(path)?;
        Ok::<_, std::io::Error>(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Step 5 without a wire: what the embedded store tells its own service.
pub struct InProcess(pub Arc<App>);

#[async_trait]
impl Arrivals for InProcess {
    async fn arrived(&self, object: &ObjectMeta) -> Result<(), String> {
        let event =
            StorageEvent { bucket: None, key: object.key.clone(), size: Some(object.size), etag: object.etag.clone() };
        accept(&self.0, event).await.map(drop).map_err(|e| e.to_string())
    }
}

/// The longest that a credential of the configuration is good for.
pub fn longest_lifetime(config: &Config) -> Duration {
    config.upload.expires.max(Duration::from_secs(900))
}
