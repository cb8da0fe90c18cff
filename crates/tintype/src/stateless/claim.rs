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

use crate::error::Failure;
use crate::key::Key;
use crate::process::{Fence, Processor};
use crate::store::{Pin, Precondition, PutOptions, Store, StoreError};

/// How long past the end of its work others leave a claim alone: clocks differ, and a write that was cut off may come late.
const MARGIN: Duration = Duration::from_secs(3);
/// Wait between looks at another's claim.
const PAUSE: Duration = Duration::from_millis(200);
/// Most bytes of a claim.
const MAX_BYTES: u64 = 64 << 10;
/// Originals of such names whose failures are kept beside that of the one at work: those that failed last.
const OTHERS: usize = 16;

/// What is in the object.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    owner: String,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// Given back, and there for what failed alone.
    #[serde(default)]
    ended: bool,
    /// The state that nothing could be made of: one that is older may still come, or the same once more.
    #[serde(default)]
    failed: Option<Pin>,
    /// Why.
    #[serde(default)]
    failure: Option<Failure>,
    /// What the outcome is called, where its original's state has no name of its own.
    #[serde(default)]
    seal: String,
    /// Which original that was; without it, the one whose claim it is.
    #[serde(default)]
    of: Option<Key>,
    /// Originals beside it whose outputs could be its own, and of which nothing could be made.
    #[serde(default)]
    others: Vec<Other>,
}

/// An original of such names of which nothing could be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Other {
    of: Key,
    failed: Failed,
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
    seal: String,
    failed_before: Option<Failed>,
    others: Vec<Other>,
    fails: Mutex<Option<Failed>>,
}

/// A state that nothing could be made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Failed {
    /// The state of the original.
    pub(super) state: Pin,
    /// Why; unknown of claims of an older version.
    pub(super) failure: Option<Failure>,
    seal: String,
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
            seal: uuid::Uuid::new_v4().simple().to_string(),
            failed_before: None,
            others: Vec::new(),
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
            (held.was_left, held.failed_before, held.others) = (false, None, Vec::new());
            condition = match held.read().await? {
                None => Precondition::Absent,
                // Ours, whose answer was lost; or over.
                Some((theirs, Some(etag)))
                    if theirs.owner == held.owner || theirs.until < OffsetDateTime::now_utc() =>
                {
                    held.was_left = !theirs.ended && theirs.owner != held.owner;
                    let is_ours = theirs.of.as_ref().is_none_or(|of| of == original);
                    if held.was_left && is_ours && !theirs.seal.is_empty() {
                        // It may have said so already.
                        held.seal.clone_from(&theirs.seal);
                    }
                    held.remember(theirs.failures(original));
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
    pub(super) fn failed(&self) -> Option<&Failed> {
        self.0.failed_before.as_ref()
    }

    /// What a set is called that is sealed under this claim.
    pub(super) fn seal(&self) -> &str {
        &self.0.seal
    }

    /// Nothing can be made of this state, which took the place of another that was told, or did not; gives what that outcome
    /// is called.
    pub(super) fn fails(&self, state: Pin, failure: &Failure, replaces: bool) -> String {
        let before = self.0.failed_before.as_ref().filter(|failed| failed.state == state);
        let seal = before.map_or(&self.0.seal, |failed| &failed.seal).clone();
        // Where states have an order and no versions, older ones cannot be read any more: one that was told may be told again.
        let is_kept =
            replaces || self.0.failed_before.is_some() || state.version.is_some() || state.sequencer.is_none();
        let failed = is_kept.then(|| Failed { state, failure: Some(failure.clone()), seal: seal.clone() });
        *self.0.fails.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        seal
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
        let keeps = !held.others.is_empty() || held.fails.lock().unwrap_or_else(PoisonError::into_inner).is_some();
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

impl Note {
    /// Each original of which nothing could be made, the last one last.
    fn failures(self, original: &Key) -> Vec<Other> {
        let Self { of, failed, failure, seal, mut others, .. } = self;
        let of = of.unwrap_or_else(|| original.clone());
        others.extend(failed.map(|state| Other { of, failed: Failed { state, failure, seal } }));
        others
    }
}

impl Held {
    /// Takes over what is known of originals of such names: its own failure, and the others'.
    fn remember(&mut self, failures: Vec<Other>) {
        let (own, mut others): (Vec<_>, Vec<_>) = failures.into_iter().partition(|one| one.of == self.original);
        self.failed_before = own.into_iter().next_back().map(|own| own.failed);
        others.drain(..others.len().saturating_sub(OTHERS));
        self.others = others;
    }

    fn note(&self, until: OffsetDateTime) -> Note {
        let of = Some(self.original.clone());
        let (failed, failure) = match &self.failed_before {
            Some(failed) => (Some(failed.state.clone()), failed.failure.clone()),
            None => (None, None),
        };
        let (owner, seal, others) = (self.owner.clone(), self.seal.clone(), self.others.clone());
        Note { owner, until, ended: false, failed, failure, seal, of, others }
    }

    async fn end_in(&self, wait: Duration, ended: bool) -> Result<(), StoreError> {
        let failed = self.fails.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut note = Note { ended, failed: None, failure: None, ..self.note(OffsetDateTime::now_utc() + wait) };
        if let Some(Failed { state, failure, seal }) = failed {
            (note.failed, note.failure, note.seal) = (Some(state), failure, seal);
        }
        self.put(note, self.etag.clone().map_or(Precondition::None, Precondition::Etag)).await.map(drop)
    }

    async fn put(&self, note: Note, condition: Precondition) -> Result<Option<String>, StoreError> {
        let json = serde_json::to_vec(&note).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let options = PutOptions { content_type: "application/json".into(), condition, ..Default::default() };
        Ok(self.store.put(&self.key, json.into(), &options).await?.etag)
    }

    /// What is there; what cannot be read is nobody's.
    async fn read(&self) -> Result<Option<(Note, Option<String>)>, StoreError> {
        let nobodys = || Note {
            owner: String::new(),
            until: OffsetDateTime::UNIX_EPOCH,
            ended: false,
            failed: None,
            failure: None,
            seal: String::new(),
            of: None,
            others: Vec::new(),
        };
        match self.store.get(&self.key, MAX_BYTES).await {
            Ok(stored) => {
                let note = serde_json::from_slice(&stored.bytes).unwrap_or_else(|_| nobodys());
                Ok(Some((note, stored.meta.etag)))
            }
            Err(StoreError::TooLarge { .. }) => Ok(Some((nobodys(), self.store.head(&self.key).await?.etag))),
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
