//! Originals whose outputs may meet are one piece of work among all instances of a function: a small object beside the
//! variants says who has it.
//!
//! It is made where there is none, by a conditional write; it ends with its work, and whoever holds it does nothing past
//! the time it names. One that was left by an instance that died is taken over after that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::key::Key;
use crate::process::{Fence, Processor};
use crate::store::{Pin, Precondition, PutOptions, Store, StoreError};

/// How long past the end of its work others leave a claim alone: clocks differ, and a write that was cut off may come late.
const MARGIN: Duration = Duration::from_secs(3);
/// Wait between looks at another's claim.
const PAUSE: Duration = Duration::from_millis(200);
/// Most bytes of a claim.
const MAX_BYTES: u64 = 4096;

/// What is in the object.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    owner: String,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// Given back, and there for what failed alone.
    #[serde(default)]
    ended: bool,
    /// The state that nothing could be made of, in a bucket that keeps versions: an older one may still be told of.
    #[serde(default)]
    failed: Option<Pin>,
    /// Which original that was; without it, the one whose claim it is.
    #[serde(default)]
    of: Option<Key>,
}

/// A claim that is held.
#[derive(Debug, Clone)]
pub(super) struct Claim(Arc<Held>);

struct Held {
    store: Arc<dyn Store>,
    key: Key,
    original: Key,
    owner: String,
    /// When it ends by this machine's clock that never jumps, and that all others read.
    end: Instant,
    until: OffsetDateTime,
    etag: Option<String>,
    was_left: bool,
    failed_before: Option<Pin>,
    fails: Mutex<Option<Pin>>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("key", &self.key).field("until", &self.until).finish_non_exhaustive()
    }
}

/// Why there is no claim.
#[derive(Debug)]
pub(super) enum NotClaimed {
    /// Another instance works on it.
    Busy,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for NotClaimed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Claim {
    /// Takes a key until `end`; waits until `patience` for another that has it.
    pub(super) async fn take(
        processor: &Processor,
        original: &Key,
        end: Instant,
        patience: Instant,
    ) -> Result<Self, NotClaimed> {
        let store = processor.target.clone();
        let key = processor.layout.claim_key(original).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let owner = uuid::Uuid::new_v4().simple().to_string();
        let until = OffsetDateTime::now_utc() + end.saturating_duration_since(Instant::now()) + MARGIN;
        let mut held = Held {
            store,
            key,
            original: original.clone(),
            owner,
            end,
            until,
            etag: None,
            was_left: false,
            failed_before: None,
            fails: Mutex::default(),
        };
        let mut condition = Precondition::Absent;
        loop {
            match held.put(held.note(until), condition).await {
                Ok(etag) => {
                    held.etag = etag;
                    held.fails = Mutex::new(held.failed_before.clone());
                    return Ok(Self(Arc::new(held)));
                }
                Err(StoreError::Precondition(_)) => {}
                Err(StoreError::Unavailable(why)) => {
                    // It may have been done, and the answer lost.
                    let Some((_, etag)) = held.read().await?.filter(|(note, _)| note.owner == held.owner) else {
                        return Err(StoreError::Unavailable(why).into());
                    };
                    tokio::time::sleep(PAUSE).await;
                    condition = etag.map_or(Precondition::None, Precondition::Etag);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            (held.was_left, held.failed_before) = (false, None);
            condition = match held.read().await? {
                None => Precondition::Absent,
                // Ours, whose answer was lost; or over.
                Some((theirs, Some(etag)))
                    if theirs.owner == held.owner || theirs.until < OffsetDateTime::now_utc() =>
                {
                    held.was_left = !theirs.ended && theirs.owner != held.owner;
                    let is_ours = theirs.of.is_none_or(|of| of == *original);
                    held.failed_before = theirs.failed.filter(|_| is_ours);
                    if held.was_left {
                        tracing::warn!(key = %held.key, "an instance left its work: it is taken over");
                    }
                    Precondition::Etag(etag)
                }
                Some(_) if Instant::now() >= patience => return Err(NotClaimed::Busy),
                Some(_) => {
                    let jitter = rand::rng().random_range(0.5..1.5);
                    tokio::time::sleep(PAUSE.mul_f64(jitter)).await;
                    Precondition::Absent
                }
            };
        }
    }

    /// Whether it was left by another, whose writes may be on their way still.
    pub(super) fn was_left(&self) -> bool {
        self.0.was_left
    }

    /// The state of the original that nothing could be made of, and that is told.
    pub(super) fn failed(&self) -> Option<&Pin> {
        self.0.failed_before.as_ref()
    }

    /// Nothing can be made of this state.
    pub(super) fn fails(&self, state: Pin) {
        // Without versions an older state cannot be read any more.
        let failed = state.version.is_some().then_some(state);
        *self.0.fails.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    /// What failed before is history.
    pub(super) fn succeeds(&self) {
        *self.0.fails.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets others have it: at once, or after the margin where a write of ours may come late. Past its time it is left as
    /// it is, for it may be another's.
    pub(super) async fn release(self, cleanly: bool) {
        let held = &self.0;
        if Instant::now() >= held.end {
            return;
        }
        let keeps = held.fails.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let done = match cleanly {
            true if keeps => held.end_in(Duration::ZERO, true).await,
            // Who may not remove it says that it is over.
            true => match held.store.delete(&held.key).await {
                Err(StoreError::Denied(_)) => held.end_in(Duration::ZERO, true).await,
                removed => removed,
            },
            false => held.end_in(MARGIN, false).await,
        };
        if let Err(error) = done {
            tracing::warn!(key = %held.key, %error, "a claim could not be given back: it ends by itself");
        }
    }

    /// What the steps ask before each write.
    pub(super) fn fence(&self) -> Arc<dyn Fence> {
        self.0.clone()
    }
}

impl Held {
    fn note(&self, until: OffsetDateTime) -> Note {
        let of = Some(self.original.clone());
        Note { owner: self.owner.clone(), until, ended: false, failed: self.failed_before.clone(), of }
    }

    async fn end_in(&self, wait: Duration, ended: bool) -> Result<(), StoreError> {
        let failed = self.fails.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let note = Note { ended, failed, ..self.note(OffsetDateTime::now_utc() + wait) };
        self.put(note, self.etag.clone().map_or(Precondition::None, Precondition::Etag)).await.map(drop)
    }

    async fn put(&self, note: Note, condition: Precondition) -> Result<Option<String>, StoreError> {
        let json = serde_json::to_vec(&note).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let options = PutOptions { content_type: "application/json".into(), condition, ..Default::default() };
        Ok(self.store.put(&self.key, json.into(), &options).await?.etag)
    }

    /// What is there; what cannot be read is nobody's.
    async fn read(&self) -> Result<Option<(Note, Option<String>)>, StoreError> {
        match self.store.get(&self.key, MAX_BYTES).await {
            Ok(stored) => {
                let until = OffsetDateTime::UNIX_EPOCH;
                let nobody = || Note { owner: String::new(), until, ended: false, failed: None, of: None };
                let note = serde_json::from_slice(&stored.bytes).unwrap_or_else(|_| nobody());
                Ok(Some((note, stored.meta.etag)))
            }
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Fence for Held {
    /// Others leave it alone until its time is over; only where a store ignores conditions there is more to ask.
    async fn holds(&self) -> Result<bool, StoreError> {
        if Instant::now() >= self.end || OffsetDateTime::now_utc() >= self.until {
            return Ok(false);
        }
        Ok(self.read().await?.is_some_and(|(note, _)| note.owner == self.owner))
    }

    async fn may_write(&self) -> Result<bool, StoreError> {
        Ok(Instant::now() < self.end && OffsetDateTime::now_utc() < self.until)
    }
}
