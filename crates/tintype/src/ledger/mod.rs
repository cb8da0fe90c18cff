//! The port to the authoritative rows: uploads, deliveries, API keys, and what the installation's secrets are.
//!
//! A change of an upload's state, the job that caused it or is caused by it, and the callback it causes are one
//! transaction here.

#[cfg(all(test, feature = "server"))]
mod conformance;
#[cfg(feature = "server")]
pub mod sql;
#[cfg(all(test, feature = "server"))]
pub(crate) mod testing;
mod url;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

#[cfg(feature = "server")]
pub use sql::SqlLedger;
pub use url::LedgerUrl;

use crate::event::StorageEvent;
use crate::event::order::{Rule, Stale};
use crate::key::Key;
use crate::queue::JobEnd;
use crate::upload::{Outcome, Status, Upload, UploadId};

/// The name of the secret of tokens, the only one that the ledger keeps.
pub const TOKEN_SECRET: &str = "token";

/// Why the ledger did not do what it was asked: storage is full, locked or broken. Try again.
#[derive(Debug, thiserror::Error)]
#[error("the ledger failed: {0}")]
pub struct LedgerError(pub String);

impl LedgerError {
    /// What a command says that could not even open it.
    #[cfg(feature = "server")]
    pub fn at_opening(self, url: &LedgerUrl) -> anyhow::Error {
        let advice = sql::damage::found().map(|_| format!(". {}", sql::damage::ADVICE)).unwrap_or_default();
        anyhow::anyhow!("cannot open the ledger {url}: {}{advice}", self.0)
    }
}

#[cfg(feature = "server")]
impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        sql::damage::note(&error);
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for LedgerError {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("a row is not as this version writes it: {error}"))
    }
}

/// A client's promise that equal keys are equal requests.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Whose it is: an API key's id, or nothing while no keys are asked for.
    pub owner: Option<String>,
    /// The header's value.
    pub key: String,
    /// Hash of the request.
    pub request: String,
}

impl Idempotency {
    /// What a promise is kept under: no header can hold what stands between the two.
    #[cfg(feature = "server")]
    fn name(&self) -> String {
        self.owner.as_ref().map_or_else(|| self.key.clone(), |owner| format!("{owner}\n{}", self.key))
    }
}

/// What came of asking for new uploads.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// The rows are in.
    New,
    /// The same request was answered before, with these.
    Replayed(Vec<Upload>),
    /// The key was used for another request.
    Conflict,
}

/// Which uploads, or deliveries, to list; newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Only of this status.
    pub status: Option<String>,
    /// Only older than this row.
    pub before: Option<(OffsetDateTime, String)>,
    /// Most rows.
    pub limit: u32,
}

/// What a callback will say, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where to.
    pub url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// What it says.
    pub body: String,
}

/// A callback's message to one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The `webhook-id`: the same over every attempt.
    pub id: String,
    /// Whose outcome it tells.
    pub upload_id: UploadId,
    /// Where to.
    pub url: String,
    /// `PUT` or `POST`.
    pub method: String,
    /// Whose server that is: scheme, host and port of the address.
    pub endpoint: String,
    /// What it says.
    pub body: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next attempt is due.
    pub due_at: OffsetDateTime,
    /// HTTP status of the last attempt's answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// The trace that its upload was asked for in.
    pub traceparent: Option<String>,
    /// Proof of the claim, of one that is in hand.
    pub lease: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// An attempt is to come.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The status a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Dead].into_iter().find(|s| s.as_str() == word)
    }
}

/// How many deliveries were not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// They will be tried.
    pub pending: u64,
    /// They were given up.
    pub dead: u64,
}

/// One try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// The beginning of what the answer said, at most a KiB.
    pub response: Option<String>,
}

/// Which deliveries to take.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Most of them.
    pub most: u32,
    /// Most of one endpoint.
    pub most_each: u32,
    /// For how long nobody else gets them.
    pub lease: Duration,
    /// None of these endpoints, which are busy.
    pub except: &'a [String],
}

/// One try of a job that ended with a word, or what a remote processor told, which had no job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAttempt {
    /// The queue's name of the job.
    pub job: Option<i64>,
    /// Which try of it; what is missing between two was cut off by a crash.
    pub attempt: Option<u32>,
    /// When the job was added.
    pub queued_at: Option<OffsetDateTime>,
    /// When the try began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: OffsetDateTime,
    /// `completed`, `again`, or the code of the failure.
    pub outcome: String,
    /// Why it did not complete.
    pub error: Option<String>,
}

/// How many jobs ended in one minute, in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// Its beginning.
    pub at: OffsetDateTime,
    /// `completed`, or the code of the failure.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// What jobs came to of late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Oldest first; those in which nothing ended are left out.
    pub minutes: Vec<Minute>,
    /// Milliseconds from the storage event to the end, of those jobs that ended last.
    pub took: Vec<u64>,
}

/// What came of recording an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is recorded.
    Recorded,
    /// There is no such upload (any more).
    Gone,
    /// The job is not the caller's any more: nothing was recorded, another does it.
    LeaseLost,
}

/// An event on its way into the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// What the store said.
    pub event: &'a StorageEvent,
    /// Which bytes count under its key.
    pub rule: Rule,
    /// The store said just now that this is the state of the object.
    pub is_current: bool,
}

/// What came of an arrival.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrived {
    /// There is a job for it.
    Queued(Upload),
    /// Nothing changed: its bytes do not count.
    Stale(Upload, Stale),
    /// Its upload was deleted, or has expired unclaimed: nothing may come under its key.
    Refused,
}

/// What a deletion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// No such upload: another deletes it, or it never was.
    Gone,
    /// Nobody works on it.
    Free,
    /// A worker has a job of it in hand, and may write until it learns that the job is gone.
    InHand,
}

/// An original under whose names a lost process may still write: one that was stopped, or whose writes were on their way,
/// when its job was taken over or its upload removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recheck {
    /// The original's key.
    pub key: Key,
    /// Since when it is looked at.
    pub since: OffsetDateTime,
}

/// A key that servers call with. Its secret half is kept as a hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public half.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the whole key, in hex.
    pub hash: String,
    /// What it may do: words with spaces between them.
    pub scopes: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends, if it does.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was last seen, to the minute or so.
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<OffsetDateTime>,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It was taken.
    Delivered,
    /// It is given up.
    Dead,
    /// Once more, after a while.
    RetryIn(Duration),
}

/// What uploads are looked for by: one of these is enough. Empty: all are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// What an id or a key begins with.
    pub beginnings: Vec<String>,
    /// What a file name holds, or a value of the metadata begins with; case does not count.
    pub text: Option<String>,
}

/// The rows.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records new uploads, all or none.
    async fn create(&self, uploads: &[Upload], idempotency: Option<&Idempotency>) -> Result<Created, LedgerError>;

    /// Says that an original has arrived: the row of its key, or else this one, is pinned to its state and `processing`
    /// (or stays `completed`, if it is the same state), and there is one job for it, which waits or is in hand. Refused when
    /// the upload was deleted, until a day after its credential ran out.
    async fn arrive(&self, upload: &Upload, arrival: Arrival<'_>) -> Result<Arrived, LedgerError>;

    /// Notes that bytes came which do not count, where no event is to be taken in.
    async fn note_stale(&self, id: &UploadId, why: Stale) -> Result<(), LedgerError>;

    /// Says that the backend keeps an upload; the first time counts. None when there is no such upload (any more).
    async fn claim_upload(&self, id: &UploadId, at: OffsetDateTime) -> Result<Option<Upload>, LedgerError>;

    /// Completed uploads that are to be claimed in time and are not, and when each was completed: those alone that were
    /// asked for since a time, the oldest first.
    async fn unclaimed(&self, since: OffsetDateTime, most: u32) -> Result<Vec<(Upload, OffsetDateTime)>, LedgerError>;

    /// Marks a completed upload that nobody claimed as expired, with the callback that tells it, in one transaction. False
    /// when it was claimed meanwhile, or is not completed any more.
    async fn lapse(&self, id: &UploadId, notice: Option<&Notice>) -> Result<bool, LedgerError>;

    /// Uploads that lapsed and whose objects may still be there.
    async fn lapsed(&self, most: u32) -> Result<Vec<Upload>, LedgerError>;

    /// Says that the objects of a lapsed upload are gone. There is a [`Recheck`] from now on.
    async fn cleared(&self, id: &UploadId) -> Result<(), LedgerError>;

    /// One upload.
    async fn get(&self, id: &UploadId) -> Result<Option<Upload>, LedgerError>;

    /// How some uploads stand; those that are gone are left out.
    async fn statuses(&self, ids: &[UploadId]) -> Result<Vec<(UploadId, Status)>, LedgerError>;

    /// The upload of an original.
    async fn find(&self, key: &Key) -> Result<Option<Upload>, LedgerError>;

    /// Uploads, newest first; if anything is looked for, those alone that have it.
    async fn list(&self, page: &Page, search: &Search) -> Result<Vec<Upload>, LedgerError>;

    /// The tries of an upload's jobs that ended last, oldest first.
    async fn history(&self, id: &UploadId, most: u32) -> Result<Vec<JobAttempt>, LedgerError>;

    /// What jobs came to since a time.
    async fn activity(&self, since: OffsetDateTime) -> Result<Activity, LedgerError>;

    /// Says that an upload is to be developed again from the state that the event names, whatever its manifest says. There
    /// is one job for that. Bytes that are known to be those of that state stay known. False when there is no such upload
    /// (any more).
    async fn reopen(&self, id: &UploadId, event: &StorageEvent) -> Result<bool, LedgerError>;

    /// Says what the bytes of an upload's pinned state were found to be, by their SHA-256; gives the one that is known, which
    /// is the first that was said.
    async fn first_read(&self, id: &UploadId, sha256: &str) -> Result<String, LedgerError>;

    /// Records how an upload ended, the callback that tells it, and the end of the job that found it out, in one
    /// transaction. The same outcome found out again is told again under its id, another under another.
    async fn finish(
        &self,
        id: &UploadId,
        outcome: &Outcome,
        notice: Option<&Notice>,
        job: Option<JobEnd<'_>>,
    ) -> Result<Finished, LedgerError>;

    /// Marks as expired what is still pending at `now`; gives the ids.
    async fn expire(&self, now: OffsetDateTime) -> Result<Vec<UploadId>, LedgerError>;

    /// Forgets the Idempotency-Keys from before a time, revoked keys whose credential had run out by then, and tries of
    /// jobs that ended a month before that.
    async fn forget(&self, before: OffsetDateTime) -> Result<(), LedgerError>;

    /// The first half of a deletion: nobody sees the upload any more, its jobs and deliveries are gone, and what still
    /// comes under its key is refused.
    async fn mark_deleted(&self, id: &UploadId) -> Result<Marked, LedgerError>;

    /// Uploads whose deletion was begun before a time and not ended: their objects may still be there.
    async fn deleting(&self, before: OffsetDateTime, most: u32) -> Result<Vec<Upload>, LedgerError>;

    /// The second half: forgets the upload. If there was a credential for it, its key is revoked until it is forgotten, a day
    /// from now at the earliest. There is a [`Recheck`] from now on.
    async fn remove(&self, upload: &Upload) -> Result<(), LedgerError>;

    /// Names that are to be looked at by a time, those first that are due longest.
    async fn rechecks(&self, due: OffsetDateTime, most: u32) -> Result<Vec<Recheck>, LedgerError>;

    /// Says that one was looked at, and when that is to be done again, if it is.
    async fn rechecked(&self, recheck: &Recheck, next: Option<OffsetDateTime>) -> Result<(), LedgerError>;

    /// Reads all of the ledger. False when it is known to be damaged, now or from before.
    async fn check(&self) -> Result<bool, LedgerError>;

    /// Writes what the arrival of an upload writes, and takes it back.
    async fn rehearse(&self, upload: &Upload, event: &StorageEvent) -> Result<(), LedgerError>;

    /// Uploads that are `processing` though they have no job, or only jobs that were added before a time.
    async fn stuck(&self, before: OffsetDateTime, most: u32) -> Result<Vec<UploadId>, LedgerError>;

    /// How many uploads have each status.
    async fn count(&self) -> Result<Vec<(Status, u64)>, LedgerError>;

    /// Takes deliveries that are due, those first that are due longest; never one of an upload that has an earlier
    /// outcome still to tell.
    async fn claim_deliveries(&self, claim: &Claim<'_>) -> Result<Vec<Delivery>, LedgerError>;

    /// Makes jobs and deliveries that wait for their time due now: for when the clock that set it was wrong.
    async fn hasten(&self) -> Result<(), LedgerError>;

    /// Makes every claimed delivery due: for the only process on this ledger, as it starts.
    async fn recover(&self) -> Result<(), LedgerError>;

    /// Records an attempt at a claimed delivery and what follows it. False, and nothing is recorded, when the claim is
    /// not the caller's any more: another sends it, or has.
    async fn settle_delivery(&self, claimed: &Delivery, attempt: &Attempt, next: Next) -> Result<bool, LedgerError>;

    /// One delivery.
    async fn delivery(&self, id: &str) -> Result<Option<Delivery>, LedgerError>;

    /// How many deliveries were not taken.
    async fn outstanding(&self) -> Result<Outstanding, LedgerError>;

    /// Deliveries, newest first.
    async fn deliveries(&self, page: &Page, upload: Option<&UploadId>) -> Result<Vec<Delivery>, LedgerError>;

    /// The attempts of a delivery, oldest first.
    async fn attempts(&self, id: &str) -> Result<Vec<Attempt>, LedgerError>;

    /// Makes a delivery due now, whatever became of it. False when there is none.
    async fn resend(&self, id: &str) -> Result<bool, LedgerError>;

    /// Adds a key.
    async fn add_key(&self, key: &ApiKey) -> Result<(), LedgerError>;

    /// Every key, newest first, revoked ones too.
    async fn keys(&self) -> Result<Vec<ApiKey>, LedgerError>;

    /// Revokes a key; one that is revoked already stays so from then. False when there is none.
    async fn revoke_key(&self, id: &str, at: OffsetDateTime) -> Result<bool, LedgerError>;

    /// Notes that a key was used.
    async fn key_used(&self, id: &str, at: OffsetDateTime) -> Result<(), LedgerError>;

    /// A secret that all processes on this ledger share: the one of this name, or else the one offered, which is kept.
    async fn secret(&self, name: &str, offered: &str) -> Result<String, LedgerError>;
}
