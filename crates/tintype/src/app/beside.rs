//! Ledger, store and processor of a service, for a command that runs beside the processes that serve it.

use std::sync::Arc;

use anyhow::Context;
use url::Url;

use super::open::embedded_url;
use crate::config::{Config, StoreUrl};
use crate::ledger::SqlLedger;
use crate::process::{MemoryBudget, Processor};
use crate::store::Store;
use crate::store::embedded::DiskStore;
use crate::store::s3::S3Store;

/// What a command works on. Opening it neither sweeps the store nor migrates the ledger.
pub struct Beside {
    /// What the operator decided.
    pub config: Config,
    /// The rows, and the jobs.
    pub ledger: Arc<SqlLedger>,
    /// The objects.
    pub store: Arc<dyn Store>,
    /// What develops originals.
    pub processor: Processor,
}

impl Beside {
    /// Opens what is there.
    ///
    /// # Errors
    /// When there is none, or it is of another version; the text says what to do.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        let ledger = SqlLedger::attach(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?;
        let ledger = ledger.with_layout(&config.layout);
        let (store, bucket_url) = match &config.store {
            StoreUrl::Embedded => beside_server(&config)?,
            StoreUrl::S3 { bucket } => {
                let place = config.s3(bucket);
                let store =
                    S3Store::impatient(&place).map_err(anyhow::Error::msg).context("cannot use the S3 store")?;
                (Arc::new(store) as Arc<dyn Store>, place.bucket_url())
            }
        };
        let processor = Processor::new(&config, store.clone(), &bucket_url, MemoryBudget::new(config.memory));
        Ok(Self { ledger: Arc::new(ledger), store, processor, config })
    }
}

fn beside_server(config: &Config) -> anyhow::Result<(Arc<dyn Store>, Url)> {
    let folder = config.data.join("store");
    let disk = DiskStore::beside(&folder).with_context(|| format!("there is no store in {}", folder.display()))?;
    Ok((Arc::new(disk), embedded_url(config)?))
}
