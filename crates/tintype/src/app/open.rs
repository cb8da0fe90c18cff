//! Puts the parts together, from the configuration.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use url::Url;

use super::secrets::{load_account, load_secret};
use super::{Admission, App, Signals};
use crate::callback::SigningSecret;
use crate::config::{Config, StoreUrl};
use crate::ledger::SqliteLedger;
use crate::presign::s3::S3Presigner;
use crate::presign::{Credential, Presigner};
use crate::process::{MemoryBudget, Processor};
use crate::room::Room;
use crate::store::Store;
use crate::store::embedded::{self, DiskStore};
use crate::store::s3::S3Store;
use crate::token::Tokens;

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
        let processor = Processor::new(&config, store.clone(), &bucket_url, MemoryBudget::new(config.memory));
        let ledger = Arc::new(ledger);
        let signing = config.callback.as_ref().map(|callback| callback.signing_secret(config.aws_endpoint.as_ref()));
        let beside = config.ledger.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let room = Room::new([data.clone(), beside.to_owned()], config.front.min_free_disk);
        let app = Self {
            bucket,
            room: room.clone(),
            admission: Admission::new(room, ledger.clone(), &config.front),
            signing: Arc::new(signing.unwrap_or(SigningSecret::None)),
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
}

/// Refuses to share a data folder with another process, for as long as the file is held.
///
/// # Errors
/// When the folder cannot be made, or another process holds it.
pub fn lock(data: &Path) -> anyhow::Result<fs::File> {
    if data.exists() && !data.is_dir() {
        bail!("{} is a file; --data must name a folder", data.display());
    }
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
        None => format!("{}://{}", config.store_scheme(), config.store_listen).parse()?,
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
    let place = config.s3(bucket);
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
