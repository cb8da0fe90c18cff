//! Steps 5 and 6 without a ledger, for functions in a cloud: the store's manifest is all the memory there is, and who
//! sent the event sends it again when this fails.
//!
//! `time` says how long each part may take, `claim` keeps other instances from the same original, `notify` calls back.

mod claim;
pub mod notify;
mod time;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tintype_image::{ErrorCode, MetadataPolicy};

use crate::config::{Config, StoreUrl};
use crate::error::Failure;
use crate::event::StorageEvent;
use crate::key::Key;
use crate::manifest::Manifest;
use crate::preset::Preset;
use crate::process::{Developed, FIRST, MemoryBudget, OLDER, Order, ProcessError, Processor, Step, Task, Turn, Watch};
use crate::store::s3::S3Store;
use crate::store::{ObjectMeta, Pin, StoreError};
use crate::upload::Outcome;

use claim::{Claim, NotClaimed};
use notify::{Metadata, Notifier, Subject};
pub use time::Time;

/// Time beside the pixels' that one original may take: reading, writing, calling back.
const BESIDE_PIXELS: Duration = Duration::from_secs(40);
/// Why an event of bytes that are not there any more is no work.
const REPLACED: &str =
    "the object's ETag is not the event's: its bytes were replaced, and the event of the new ones counts";

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
        Self { memory: MemoryBudget::new(memory), notifier, processors: Mutex::default(), config }
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
        let time = time.within(processor.deadline + BESIDE_PIXELS);
        let turn = tokio::time::timeout_at(time.pixels().into(), processor.turn(&event.key)).await;
        let turn = turn.map_err(|_| work("other events of such names took all the time"))?;
        let claim = Claim::take(&processor, &event.key, time.end, time.patience());
        let claim = tokio::time::timeout_at(time.pixels().into(), claim).await;
        let claim = match claim.map_err(|_| work("the store was too slow: no time is left"))? {
            Ok(claim) => claim,
            Err(NotClaimed::Busy) => return Err(work("another instance works on the same original")),
            Err(NotClaimed::Store(error)) => return Err(Unsettled::Work(error.to_string())),
        };
        let job = Job { of: self, processor, bucket, event, time, turn: turn.clone(), claim: claim.clone() };
        let settled = job.settle().await;
        // What was cut off ends before others begin.
        drop(job);
        let quiet = tokio::time::timeout_at(time.end.into(), turn.alone()).await;
        let cleanly = quiet.is_ok() && !matches!(settled, Err(Unsettled::Work(_)));
        if tokio::time::timeout_at(time.end.into(), claim.release(cleanly)).await.is_err() {
            tracing::warn!(key = %event.key, "no time was left to give the claim back: it ends by itself");
        }
        settled
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

    /// An upload that was asked for is its first bytes; a key of the owner's own is its newest.
    fn order(&self, key: &Key) -> Order {
        if self.config.layout.is_upload_key(key) && !self.config.replaceable { Order::First } else { Order::Newest }
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
}

fn work(why: &str) -> Unsettled {
    Unsettled::Work(why.to_owned())
}

/// One event whose key nobody else works on.
struct Job<'a> {
    of: &'a Stateless,
    processor: Processor,
    bucket: String,
    event: &'a StorageEvent,
    time: Time,
    turn: Turn,
    claim: Claim,
}

/// What the original was that was read.
#[derive(Default)]
struct Seen(Mutex<Option<ObjectMeta>>);

impl Seen {
    fn original(&self) -> Option<ObjectMeta> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watch for Seen {
    fn read(&self, original: &ObjectMeta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(original.clone());
    }

    fn done(&self, _: Step<'_>, _: Duration) {}
}

impl Job<'_> {
    async fn settle(&self) -> Result<Settled, Unsettled> {
        let preset = self.of.config.presets.of_key(&self.event.key);
        if let Some(failed) = self.claim.failed() {
            // Of a newer state nothing could be made, so there is nothing sealed that would say so.
            let newer =
                self.in_time(self.processor.is_newer(&failed.state, &self.event.key, &self.event.pin())).await?;
            if newer.map_err(|e| Unsettled::Work(e.to_string()))? == Some(false) {
                return Ok(Settled::Ignored(OLDER));
            }
        }
        let seen = Seen::default();
        match self.develop(self.task(preset), &seen).await? {
            Ok(Developed { manifest, repeated }) => self.completed(Box::new(manifest), repeated).await,
            Err(ProcessError::Superseded { why, sealed }) => {
                self.heal(&sealed).await?;
                Ok(Settled::Ignored(why))
            }
            Err(ProcessError::Final(failure)) => self.failed(failure, seen.original()).await,
            Err(passing) => Err(Unsettled::Work(passing.to_string())),
        }
    }

    fn task(&self, preset: &Arc<Preset>) -> Task {
        let order = self.of.order(&self.event.key);
        Task {
            pin: self.event.pin(),
            until: Some(self.time.pixels()),
            saved_by: Some(self.time.saved()),
            again: self.claim.was_left(),
            // Who is called as an upload is may be none. Its manifest's place is looked at in any case, before anything is
            // written; where variants have formats of their own, others can be in their place.
            has_own_names: order == Order::First && preset.keeps_formats(),
            order,
            turn: Some(self.turn.clone()),
            fence: Some(self.claim.fence()),
            seal: Some(self.claim.seal().to_owned()),
            ..Task::new(self.event.key.clone(), preset.clone())
        }
    }

    /// Develops within the time there is.
    async fn develop(&self, task: Task, seen: &Seen) -> Result<Result<Developed, ProcessError>, Unsettled> {
        let began = Instant::now();
        if self.time.pixels() <= began {
            return Err(work("no time is left to begin"));
        }
        match self.in_time(self.processor.develop_watched(&task, seen)).await? {
            // Others took the time: alone it may do.
            Err(ProcessError::Final(failure))
                if failure.code == ErrorCode::Timeout.as_str()
                    && !self.time.was_fair(began, self.processor.deadline) =>
            {
                Err(Unsettled::Work(format!("{}, with little time left when it began", failure.message)))
            }
            done => Ok(done),
        }
    }

    /// Whatever asks the store ends before the time of the callback begins.
    async fn in_time<T>(&self, asked: impl Future<Output = T>) -> Result<T, Unsettled> {
        let answer = tokio::time::timeout_at(self.time.saved().into(), asked).await;
        answer.map_err(|_| work("the store was too slow: no time is left"))
    }

    /// An event that changes nothing: what stays is whole, or is made whole.
    async fn heal(&self, sealed: &Manifest) -> Result<(), Unsettled> {
        let is_whole = self.in_time(self.processor.is_whole(sealed)).await?;
        if is_whole.map_err(|e| Unsettled::Work(e.to_string()))? {
            return Ok(());
        }
        tracing::warn!(key = %self.event.key, "a sealed set is not whole: it is made again");
        let pin = sealed.original.pin();
        let preset = self.of.config.presets.of_key(&self.event.key);
        let task = Task { pin, again: true, ..self.task(preset) };
        match self.develop(task, &Seen::default()).await? {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(Unsettled::Work(format!("the sealed set is not whole, and could not be made again: {error}")))
            }
        }
    }

    async fn completed(&self, manifest: Box<Manifest>, repeated: bool) -> Result<Settled, Unsettled> {
        let metadata = Metadata::Known(manifest.metadata.clone());
        self.tell_completed(manifest, metadata, repeated).await
    }

    /// What is sealed is all there is: the original is gone, or is another by now.
    async fn completed_before(&self, sealed: &Manifest) -> Result<Settled, Unsettled> {
        let preset = self.of.config.presets.of_key(&self.event.key);
        let metadata = match preset.metadata {
            MetadataPolicy::None => Metadata::Unknown,
            _ => Metadata::Known(sealed.metadata.clone()),
        };
        self.tell_completed(Box::new(sealed.clone()), metadata, true).await
    }

    async fn tell_completed(
        &self,
        manifest: Box<Manifest>,
        metadata: Metadata,
        repeated: bool,
    ) -> Result<Settled, Unsettled> {
        self.claim.succeeds();
        self.tell(metadata, None, None, &Outcome::Completed(manifest.clone())).await?;
        Ok(if repeated { Settled::Repeated(manifest) } else { Settled::Completed(manifest) })
    }

    /// A failure counts unless what is sealed says otherwise.
    async fn failed(&self, mut failure: Failure, seen: Option<ObjectMeta>) -> Result<Settled, Unsettled> {
        let sets = self.in_time(self.processor.sets_of(&self.event.key)).await?;
        let sets = sets.map_err(|e| Unsettled::Work(e.to_string()))?;
        let mut gone = matches!(failure.code.as_ref(), "not_found" | "original_changed");
        let mut pin = self.event.pin();
        if let Some(seen) = &seen {
            (pin.etag, pin.version) = (seen.etag.clone(), pin.version.or_else(|| seen.version.clone()));
        }
        if let Some(before) = self.claim.failed()
            && let Some(found) = before.failure.clone().filter(|_| gone && before.state.is_same(&pin) == Some(true))
        {
            // What was found of these bytes stands when they are gone.
            (failure, gone) = (found, false);
        }
        for (_, sealed) in &sets {
            match self.stands(sealed, &pin, gone).await? {
                Stands::Done => return self.completed_before(sealed).await,
                Stands::Stays(why) => {
                    self.heal(sealed).await?;
                    return Ok(Settled::Ignored(why));
                }
                Stands::Not => {}
            }
        }
        if failure.code == "original_changed" {
            return Ok(Settled::Ignored(REPLACED));
        }
        let metadata = self.metadata(seen.as_ref()).await?;
        let seal = self.claim.fails(pin, &failure, !sets.is_empty());
        if !gone {
            // What is told and what the public can read are one thing.
            for (at, sealed) in &sets {
                let removed = self.in_time(self.processor.remove_set(at, sealed, None)).await?;
                removed.map_err(|e| Unsettled::Work(e.to_string()))?;
            }
        }
        self.tell(metadata, seen.as_ref(), Some(&seal), &Outcome::Failed(failure.clone())).await?;
        Ok(Settled::Rejected(failure))
    }

    /// What a sealed set is to an event whose original cannot be had, or is nothing.
    async fn stands(&self, sealed: &Manifest, pin: &Pin, gone: bool) -> Result<Stands, Unsettled> {
        let known = sealed.original.pin();
        let order = self.of.order(&self.event.key);
        let same =
            pin.is_same(&known).unwrap_or(order == Order::First || (pin.etag.is_none() && pin.version.is_none()));
        if gone && same {
            let whole = self.in_time(self.processor.is_whole(sealed)).await?;
            let whole = whole.map_err(|e| Unsettled::Work(e.to_string()))?;
            return Ok(if whole { Stands::Done } else { Stands::Not });
        }
        if order == Order::First {
            return Ok(if same { Stands::Not } else { Stands::Stays(FIRST) });
        }
        let newer = self.in_time(self.processor.is_newer(&known, &self.event.key, pin)).await?;
        match newer.map_err(|e| Unsettled::Work(e.to_string()))? {
            Some(false) => Ok(Stands::Stays(OLDER)),
            _ => Ok(Stands::Not),
        }
    }

    /// What the client gave along with the bytes that failed: the backend knows its upload by it.
    async fn metadata(&self, seen: Option<&ObjectMeta>) -> Result<Metadata, Unsettled> {
        if let Some(seen) = seen {
            return Ok(Metadata::Known(seen.metadata.clone()));
        }
        match self.in_time(self.processor.source.head_pinned(&self.event.key, &self.event.pin())).await? {
            Ok(found) => Ok(Metadata::Known(found.metadata)),
            Err(StoreError::NotFound(_) | StoreError::Changed(_) | StoreError::Invalid(_)) => Ok(Metadata::Unknown),
            Err(error) => Err(Unsettled::Work(error.to_string())),
        }
    }

    async fn tell(
        &self,
        metadata: Metadata,
        seen: Option<&ObjectMeta>,
        seal: Option<&str>,
        outcome: &Outcome,
    ) -> Result<(), Unsettled> {
        let Some(notifier) = &self.of.notifier else { return Ok(()) };
        let preset = self.of.config.presets.of_key(&self.event.key);
        let subject = Subject { bucket: &self.bucket, event: self.event, preset, seen, seal };
        let told = tokio::time::timeout_at(self.time.end.into(), notifier.tell(&subject, metadata, outcome)).await;
        told.unwrap_or_else(|_| Err("no time is left".to_owned())).map_err(Unsettled::Callback)
    }
}

/// What a sealed set is to an event that came to nothing.
enum Stands {
    /// It is what the event told of.
    Done,
    /// It stays, and the event changes nothing, for this reason.
    Stays(&'static str),
    /// It has nothing to do with it.
    Not,
}
