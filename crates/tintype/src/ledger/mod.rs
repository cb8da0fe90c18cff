//! The port to the authoritative rows: uploads and deliveries.
//!
//! A change of an upload's state and the callback it causes are one transaction here.

#[cfg(all(test, feature = "server"))]
mod conformance;
#[cfg(feature = "server")]
pub(crate) mod sqlite;
#[cfg(feature = "server")]
mod sqlite_deliveries;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use time::OffsetDateTime;

#[cfg(feature = "server")]
pub use sqlite::SqliteLedger;

use crate::key::Key;
use crate::upload::{Outcome, Status, Upload, UploadId};

/// Why the ledger did not do what it was asked: storage is full, locked or broken. Try again.
#[derive(Debug, thiserror::Error)]
#[error("the ledger failed: {0}")]
pub struct LedgerError(pub String);

#[cfg(feature = "server")]
impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
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
    /// The header's value.
    pub key: String,
    /// Hash of the request.
    pub request: String,
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

/// The rows.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records new uploads, all or none.
    async fn create(&self, uploads: &[Upload], idempotency: Option<&Idempotency>) -> Result<Created, LedgerError>;

    /// Says that an original has arrived: the row of its key, or else this one, is `processing` (or stays
    /// `completed`). None when the upload was deleted while its credential is still good.
    async fn arrived(&self, upload: &Upload) -> Result<Option<Upload>, LedgerError>;

    /// One upload.
    async fn get(&self, id: &UploadId) -> Result<Option<Upload>, LedgerError>;

    /// The upload of an original.
    async fn find(&self, key: &Key) -> Result<Option<Upload>, LedgerError>;

    /// Uploads, newest first.
    async fn list(&self, page: &Page) -> Result<Vec<Upload>, LedgerError>;

    /// Says that an upload is to be developed again.
    async fn reopen(&self, id: &UploadId) -> Result<(), LedgerError>;

    /// Records how an upload ended, and the callback that tells it, in one transaction. The same outcome found
    /// out again is told again under its id, another under another. False when there is no such upload (any more).
    async fn finish(&self, id: &UploadId, outcome: &Outcome, notice: Option<&Notice>) -> Result<bool, LedgerError>;

    /// Marks as expired what is still pending at `now`; gives the ids.
    async fn expire(&self, now: OffsetDateTime) -> Result<Vec<UploadId>, LedgerError>;

    /// Forgets the Idempotency-Keys from before a time, and revoked keys whose credential has run out by then.
    async fn forget(&self, before: OffsetDateTime) -> Result<(), LedgerError>;

    /// Forgets an upload, its jobs and its deliveries; while its credential is good, its key is revoked.
    async fn remove(&self, upload: &Upload) -> Result<(), LedgerError>;

    /// How many uploads have each status.
    async fn count(&self) -> Result<Vec<(Status, u64)>, LedgerError>;

    /// Takes up to `most` deliveries that are due, for a while: nobody else gets them until the lease runs out.
    async fn claim_deliveries(&self, most: u32, lease: Duration) -> Result<Vec<Delivery>, LedgerError>;

    /// Makes every claimed delivery due: for the only process on this ledger, as it starts.
    async fn recover(&self) -> Result<(), LedgerError>;

    /// Records an attempt and what follows it.
    async fn settle_delivery(&self, id: &str, attempt: &Attempt, next: Next) -> Result<(), LedgerError>;

    /// Deliveries, newest first.
    async fn deliveries(&self, page: &Page, upload: Option<&UploadId>) -> Result<Vec<Delivery>, LedgerError>;

    /// The attempts of a delivery, oldest first.
    async fn attempts(&self, id: &str) -> Result<Vec<Attempt>, LedgerError>;

    /// Makes a delivery due now, whatever became of it. False when there is none.
    async fn resend(&self, id: &str) -> Result<bool, LedgerError>;
}
