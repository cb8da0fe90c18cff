//! Steps 5 and 6 without a ledger, for functions in a cloud: the store's manifest is all the memory there is, and who
//! sent the event sends it again when this fails.
//!
//! `time` says how long each part may take, `notify` calls back.

pub mod notify;
mod time;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tintype_image::ErrorCode;

use crate::config::{Config, StoreUrl};
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::manifest::Manifest;
use crate::preset::Preset;
use crate::process::{Developed, MemoryBudget, ProcessError, Processor, Task};
use crate::store::s3::S3Store;
use crate::upload::Outcome;

use notify::{Notifier, Subject};
pub use time::Time;

/// Develops originals of any bucket and calls back.
pub struct Stateless {
    config: Config,
    memory: MemoryBudget,
    notifier: Option<Notifier>,
    /// By bucket, so that connections are used again.
    processors: Mutex<HashMap<String, Processor>>,
}

/// What came of one event.
#[derive(Debug)]
pub enum Settled {
    /// Every variant is in the store, and the backend knows.
    Completed(Box<Manifest>),
    /// The same, and it was there before.
    Repeated(Box<Manifest>),
    /// Nothing can come of it, and the backend knows.
    Rejected(Failure),
    /// It is none of ours, for this reason.
    Ignored(&'static str),
}

/// Why an event is not settled. It is to be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// The store failed, or there was no time left.
    #[error("{0}")]
    Work(String),
    /// All is done but the callback.
    #[error("the callback was not taken: {0}")]
    Callback(String),
}

impl Stateless {
    /// A processor by a configuration, with so many bytes of memory for pixels and no more.
    pub fn new(config: Config, memory: u64) -> Self {
        let notifier = Notifier::new(&config);
        Self { memory: MemoryBudget::strict(memory), notifier, processors: Mutex::default(), config }
    }

    /// Settles one event: develops its original and calls back. The same event again does no pixel work and calls back
    /// under the same `webhook-id`.
    ///
    /// # Errors
    /// [`Unsettled`]: have the event sent again.
    pub async fn settle(&self, event: &StorageEvent, time: Time) -> Result<Settled, Unsettled> {
        let bucket = match self.bucket(event) {
            Ok(bucket) => bucket,
            Err(why) => return Ok(Settled::Ignored(why)),
        };
        // Variants are objects too: without this they would be processed for ever.
        if self.config.layout.is_output(&event.key) {
            return Ok(Settled::Ignored("it is in the folder of variants"));
        }
        let processor = self.processor(&bucket)?;
        let preset = self.config.presets.of_key(&event.key);
        match self.develop(&processor, event, preset, time).await? {
            Ok(Developed { manifest, repeated }) => {
                let manifest = Box::new(manifest);
                let outcome = Outcome::Completed(manifest.clone());
                self.tell(&bucket, event, preset, &processor, &outcome, time).await?;
                Ok(if repeated { Settled::Repeated(manifest) } else { Settled::Completed(manifest) })
            }
            Err(failure) => {
                let outcome = Outcome::Failed(failure.clone());
                self.tell(&bucket, event, preset, &processor, &outcome, time).await?;
                Ok(Settled::Rejected(failure))
            }
        }
    }

    /// The bucket of an event, if it is one to work on.
    fn bucket(&self, event: &StorageEvent) -> Result<String, &'static str> {
        match (&self.config.store, &event.bucket) {
            (StoreUrl::S3 { bucket }, Some(other)) if bucket != other => Err("it is of another bucket"),
            (StoreUrl::S3 { bucket }, _) => Ok(bucket.clone()),
            (StoreUrl::Embedded, Some(bucket)) => Ok(bucket.clone()),
            (StoreUrl::Embedded, None) => Err("it names no bucket, and store.url is not set"),
        }
    }

    fn processor(&self, bucket: &str) -> Result<Processor, Unsettled> {
        let mut known = self.processors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(processor) = known.get(bucket) {
            return Ok(processor.clone());
        }
        let processor = self.open(bucket).map_err(Unsettled::Work)?;
        known.insert(bucket.to_owned(), processor.clone());
        Ok(processor)
    }

    fn open(&self, bucket: &str) -> Result<Processor, String> {
        let place = self.config.s3(bucket);
        let store = Arc::new(S3Store::new(&place)?);
        Ok(Processor::new(&self.config, store, &place.bucket_url(), self.memory.clone()))
    }

    /// Develops within the time there is. The inner result is final.
    async fn develop(
        &self,
        processor: &Processor,
        event: &StorageEvent,
        preset: &Arc<Preset>,
        time: Time,
    ) -> Result<Result<Developed, Failure>, Unsettled> {
        let began = Instant::now();
        if time.pixels() <= began {
            return Err(Unsettled::Work("no time is left to begin".to_owned()));
        }
        let task =
            Task { pin: event.pin(), until: Some(time.pixels()), ..Task::new(event.key.clone(), preset.clone()) };
        match tokio::time::timeout_at(time.saved().into(), processor.develop(&task)).await {
            Err(_) => Err(Unsettled::Work("the store was too slow: no time is left".to_owned())),
            Ok(Ok(developed)) => Ok(Ok(developed)),
            // Others took the time: alone it may do.
            Ok(Err(ProcessError::Final(failure)))
                if failure.code == ErrorCode::Timeout.as_str() && !time.was_fair(began, processor.deadline) =>
            {
                Err(Unsettled::Work(format!("{}, with little time left when it began", failure.message)))
            }
            Ok(Err(ProcessError::Final(failure))) => Ok(Err(failure)),
            Ok(Err(passing)) => Err(Unsettled::Work(passing.to_string())),
        }
    }

    async fn tell(
        &self,
        bucket: &str,
        event: &StorageEvent,
        preset: &Preset,
        processor: &Processor,
        outcome: &Outcome,
        time: Time,
    ) -> Result<(), Unsettled> {
        let Some(notifier) = &self.notifier else { return Ok(()) };
        let subject = Subject { bucket, event, preset };
        // The backend knows its upload by the metadata it gave; of a success the manifest tells it.
        let metadata = match outcome {
            Outcome::Failed(_) => processor.source.head(&event.key).await.map(|meta| meta.metadata).unwrap_or_default(),
            _ => Default::default(),
        };
        let told = tokio::time::timeout_at(time.end.into(), notifier.tell(&subject, metadata, outcome)).await;
        told.unwrap_or_else(|_| Err("no time is left".to_owned())).map_err(Unsettled::Callback)
    }
}
