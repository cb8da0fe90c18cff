//! Puts the parts together, from the configuration.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use url::Url;

use super::secrets::{load_account, token_secret};
use super::{Admission, App, Bodies, Signals, Streams};
use crate::auth::Keyring;
use crate::config::{Config, StoreUrl};
use crate::event::auth::Gate;
use crate::ledger::{Ledger, LedgerUrl, SqlLedger, TOKEN_SECRET};
use crate::listen::Turns;
use crate::metrics;
use crate::presign::s3::S3Presigner;
use crate::presign::{Credential, Presigner};
use crate::process::{MemoryBudget, Processor, SlowPlaces};
use crate::room::Room;
use crate::sandbox;
use crate::store::Store;
use crate::store::counted::Counted;
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
        check_ledger_is_there(&config)?;
        let ledger = SqlLedger::open(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?;
        let ledger = ledger.with_layout(&config.layout);
        let tokens = Tokens::new(ledger.secret(TOKEN_SECRET, &token_secret(data)?).await?);
        let layout = config.layout.clone();
        let (store, presigner, bucket_url, bucket, embedded) = match &config.store {
            StoreUrl::Embedded => open_embedded(&config)?,
            StoreUrl::S3 { bucket } => open_s3(&config, bucket)?,
        };
        let store: Arc<dyn Store> = Arc::new(Counted(store));
        let mut processor = Processor::new(&config, store.clone(), &bucket_url, MemoryBudget::new(config.memory));
        processor.replaces = true;
        if !matches!(config.store, StoreUrl::Embedded) {
            // What a worker that died was writing has ended when its lease has.
            processor.longest_write = Some(config.lease * 2 / 3);
        }
        processor.renderer = sandbox::open(config.sandbox, config.workers).map_err(anyhow::Error::msg)?;
        let ledger = Arc::new(ledger);
        let signing = config.callback.as_ref().map(|callback| callback.signing_secret(config.aws_endpoint.as_ref()));
        let room = Room::new(folders(&config), config.front.min_free_disk);
        let gate = Gate::new(&config.events, config.aws_endpoint.as_ref());
        let gate = gate.map_err(anyhow::Error::msg).context("cannot set up the checks of pushed events")?;
        let signals = Signals::new();
        let app = Self {
            bucket,
            room: room.clone(),
            admission: Admission::new(room, ledger.clone(), &config.front),
            bodies: Bodies::new(config.front.body_memory),
            streams: Streams::new(&config.front),
            turns: Turns::default(),
            signing: Arc::new(signing.unwrap_or_default()),
            layout,
            queue: ledger.clone(),
            store,
            presigner,
            processor,
            tokens,
            keys: Keyring::new(config.keys.clone(), ledger.clone(), config.beyond_loopback().is_some()),
            gate,
            ledger,
            slow_places: SlowPlaces::new(config.workers, signals.jobs.clone()),
            signals,
            health: Arc::default(),
            config,
        };
        metrics::begin(app.config.presets.iter().map(|preset| preset.name.as_str()));
        Ok((app, embedded))
    }
}

/// Folders whose disk the service fills.
fn folders(config: &Config) -> Vec<PathBuf> {
    let objects = (config.store == StoreUrl::Embedded).then(|| config.data.clone());
    let rows = match &config.ledger {
        // Of a name alone, the folder is this one.
        LedgerUrl::Sqlite(file) => file.parent().map(|folder| Path::new(".").join(folder)),
        LedgerUrl::Postgres(_) => None,
    };
    objects.into_iter().chain(rows).collect()
}

/// The ledger alone, made if need be, beside whatever serves from it.
///
/// # Errors
/// When it cannot be opened.
pub async fn open_ledger(config: &Config) -> anyhow::Result<SqlLedger> {
    if !config.ledger.is_shared() {
        make_data(&config.data)?;
    }
    let ledger = SqlLedger::open(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?;
    Ok(ledger.with_layout(&config.layout))
}

/// What keeps other processes away, for as long as it is held.
#[derive(Debug)]
pub struct Locks(#[expect(dead_code, reason = "files are locked while they are open")] Vec<fs::File>);

/// Refuses to share with another process what only one can have: the embedded store, and a ledger in a file.
///
/// # Errors
/// When the data folder cannot be made, or another process is there already.
pub fn lock(config: &Config) -> anyhow::Result<Locks> {
    let mut locks = Vec::new();
    if config.store == StoreUrl::Embedded || !config.ledger.is_shared() {
        make_data(&config.data)?;
        locks.push(lock_file(
            &config.data.join("lock"),
            &config.data.display().to_string(),
            "its own folder with --data",
        )?);
    }
    if let LedgerUrl::Sqlite(file) = &config.ledger {
        let mut path = file.clone().into_os_string();
        path.push(".lock");
        locks.push(lock_file(
            Path::new(&path),
            &config.ledger.to_string(),
            "its own ledger, or share one in Postgres (ledger.url)",
        )?);
    }
    Ok(Locks(locks))
}

/// Refuses a data folder whose objects have lost their ledger: in a new one nobody would know the uploads, nor the API keys that
/// keep others out.
fn check_ledger_is_there(config: &Config) -> anyhow::Result<()> {
    let LedgerUrl::Sqlite(file) = &config.ledger else { return Ok(()) };
    let is_gone = fs::metadata(file).map_or(true, |found| found.len() == 0);
    let store = config.data.join("store");
    if is_gone && config.store == StoreUrl::Embedded && has_files(&store.join("index")) {
        bail!(
            "{} is missing or empty, though {} has objects, whose uploads and API keys it knew. Put it back, or read an export into \
             a new one (`tintype import`; docs/operations.md, Backup while running). To begin anew, move {} away",
            file.display(),
            store.display(),
            store.display()
        );
    }
    Ok(())
}

fn has_files(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else { return false };
    entries.any(|entry| entry.is_ok_and(|entry| !entry.path().is_dir() || has_files(&entry.path())))
}

fn make_data(data: &Path) -> anyhow::Result<()> {
    if data.exists() && !data.is_dir() {
        bail!("{} is a file; --data must name a folder", data.display());
    }
    // Secrets and rows: for the owner alone.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("cannot make the data folder {}", data.display()))
}

fn lock_file(path: &Path, of: &str, remedy: &str) -> anyhow::Result<fs::File> {
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another tintype is running on {of}; stop it, or give this one {remedy}")
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

type StoreParts = (Arc<dyn Store>, Arc<dyn Presigner>, Url, String, Option<EmbeddedParts>);

fn open_embedded(config: &Config) -> anyhow::Result<StoreParts> {
    let folder = config.data.join("store");
    let disk = DiskStore::open(&folder).with_context(|| format!("cannot open the store {}", folder.display()))?;
    let account = load_account(&config.data.join("store-credentials"))?;
    let bucket_url = embedded_url(config)?;
    let presigner = S3Presigner {
        bucket: embedded::BUCKET.to_owned(),
        bucket_url: bucket_url.clone(),
        region: embedded::REGION.to_owned(),
        acl: config.upload.acl.clone(),
        credentials: Arc::new(account.clone()),
        once: !config.replaceable,
    };
    let parts = EmbeddedParts { disk: disk.clone(), account };
    Ok((Arc::new(disk), Arc::new(presigner), bucket_url, embedded::BUCKET.to_owned(), Some(parts)))
}

/// The embedded store's bucket as clients reach it.
pub(super) fn embedded_url(config: &Config) -> anyhow::Result<Url> {
    let endpoint = match &config.store_endpoint {
        Some(endpoint) => endpoint.clone(),
        None => format!("{}://{}", config.store_scheme(), config.store_listen).parse()?,
    };
    Ok(format!("{}/{}", endpoint.as_str().trim_end_matches('/'), embedded::BUCKET).parse()?)
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
        once: !config.replaceable,
    };
    Ok((Arc::new(store), Arc::new(presigner), place.bucket_url(), bucket.to_owned(), None))
}
