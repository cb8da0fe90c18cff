//! `queue.url = "ledger"`: jobs in the ledger's own file.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row;
use time::OffsetDateTime;

use super::{Job, Leased, Queue, QueueError};
use crate::ledger::sqlite::{millis, read_id};
use crate::ledger::{LedgerError, SqliteLedger};
use crate::upload::UploadId;

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<LedgerError> for QueueError {
    fn from(error: LedgerError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Queue for SqliteLedger {
    async fn push(&self, job: &Job) -> Result<(), QueueError> {
        let now = millis(OffsetDateTime::now_utc());
        sqlx::query("INSERT INTO jobs (upload_id, event, force, due_at, created_at) VALUES (?, ?, ?, ?, ?)")
            .bind(job.upload_id.as_str())
            .bind(serde_json::to_string(&job.event).map_err(LedgerError::from)?)
            .bind(job.force)
            .bind(now)
            .bind(now)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn claim(&self, lease: Duration) -> Result<Option<Leased>, QueueError> {
        let now = OffsetDateTime::now_utc();
        let row = sqlx::query(
            "UPDATE jobs SET lease = ?1, due_at = ?2, attempts = attempts + 1 WHERE id =
               (SELECT id FROM jobs WHERE due_at <= ?3 AND NOT EXISTS
                  (SELECT 1 FROM jobs AS other WHERE other.upload_id = jobs.upload_id AND other.id <> jobs.id
                     AND other.lease IS NOT NULL AND other.due_at > ?3)
                ORDER BY due_at, id LIMIT 1)
             RETURNING id, upload_id, event, force, attempts, lease",
        )
        .bind(uuid::Uuid::new_v4().simple().to_string())
        .bind(millis(now + lease))
        .bind(millis(now))
        .fetch_optional(&self.writer)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Leased {
            id: row.try_get("id")?,
            lease: row.try_get("lease")?,
            attempt: row.try_get("attempts")?,
            job: Job {
                upload_id: read_id(&row, "upload_id")?,
                event: serde_json::from_str(row.try_get("event")?).map_err(LedgerError::from)?,
                force: row.try_get("force")?,
            },
        }))
    }

    async fn ack(&self, leased: &Leased) -> Result<(), QueueError> {
        sqlx::query("DELETE FROM jobs WHERE id = ? AND lease = ?")
            .bind(leased.id)
            .bind(&leased.lease)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn retry(&self, leased: &Leased, after: Duration) -> Result<(), QueueError> {
        sqlx::query("UPDATE jobs SET due_at = ?, lease = NULL WHERE id = ? AND lease = ?")
            .bind(millis(OffsetDateTime::now_utc() + after))
            .bind(leased.id)
            .bind(&leased.lease)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn recover(&self) -> Result<(), QueueError> {
        sqlx::query("UPDATE jobs SET due_at = ?, lease = NULL WHERE lease IS NOT NULL")
            .bind(millis(OffsetDateTime::now_utc()))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn has(&self, upload: &UploadId) -> Result<bool, QueueError> {
        let row = sqlx::query("SELECT 1 FROM jobs WHERE upload_id = ? LIMIT 1")
            .bind(upload.as_str())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    async fn depth(&self) -> Result<u64, QueueError> {
        let row = sqlx::query("SELECT count(*) AS n FROM jobs").fetch_one(&self.readers).await?;
        Ok(row.try_get::<i64, _>("n")?.unsigned_abs())
    }
}
