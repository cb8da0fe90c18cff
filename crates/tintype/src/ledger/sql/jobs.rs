//! Jobs: the rows behind [`Queue`].

use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use time::OffsetDateTime;

use super::{
    SqlLedger, damage, history, is_duplicate, now, read_count, read_id, read_time, read_time_if, rechecks, sql, turns,
    written,
};
use crate::event::StorageEvent;
use crate::key::{Key, Layout};
use crate::ledger::LedgerError;
use crate::queue::{Depth, Job, JobEnd, JobRow, JobState, Leased, Queue, QueueError};
use crate::upload::UploadId;

/// No pause and no lease is as long as this: a job that is due later was set by a clock that was wrong.
const IMPOSSIBLE: Duration = Duration::from_secs(4 * 3600);
/// How often a claim is tried again that another process came before.
const RACES: usize = 5;

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        damage::note(&error);
        Self(error.to_string())
    }
}

impl From<LedgerError> for QueueError {
    fn from(error: LedgerError) -> Self {
        Self(error.0)
    }
}

/// Adds a job, unless the upload has one that waits or is in hand: that one does the same. Its row is locked, so that no
/// other comes between.
pub(super) async fn add(
    tx: &mut AnyConnection,
    layout: &Layout,
    upload: &UploadId,
    event: &StorageEvent,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO jobs (upload_id, event, force, due_at, created_at, owner, names)
         SELECT $1, $2, 0, $3, $3, coalesce((SELECT u.owner FROM uploads AS u WHERE u.id = $1), ''), $4
         WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE upload_id = $1 AND dead_at IS NULL)",
    )
    .bind(upload.as_str())
    .bind(serde_json::to_string(event)?)
    .bind(now())
    .bind(layout.names(&event.key))
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds a job in place of those that wait: there is never more than one that does.
pub(super) async fn replace_waiting(
    tx: &mut AnyConnection,
    layout: &Layout,
    upload: &UploadId,
    event: &StorageEvent,
    force: bool,
) -> Result<(), LedgerError> {
    let waiting = "DELETE FROM jobs WHERE upload_id = $1 AND lease IS NULL AND dead_at IS NULL RETURNING force";
    let mut force = force;
    for row in sqlx::query(waiting).bind(upload.as_str()).fetch_all(&mut *tx).await? {
        force |= row.try_get::<i64, _>("force")? != 0;
    }
    sqlx::query(
        "INSERT INTO jobs (upload_id, event, force, due_at, created_at, owner, names)
         VALUES ($1, $2, $3, $4, $4, coalesce((SELECT u.owner FROM uploads AS u WHERE u.id = $1), ''), $5)",
    )
    .bind(upload.as_str())
    .bind(serde_json::to_string(event)?)
    .bind(i64::from(force))
    .bind(now())
    .bind(layout.names(&event.key))
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends a job. False when its lease was lost.
pub(super) async fn end(tx: &mut AnyConnection, end: JobEnd<'_>) -> Result<bool, LedgerError> {
    let done = match end {
        JobEnd::Done(leased) => {
            sqlx::query("DELETE FROM jobs WHERE id = $1 AND lease = $2")
                .bind(leased.id)
                .bind(&leased.lease)
                .execute(tx)
                .await?
        }
        JobEnd::Dead(leased, why) => {
            sqlx::query("UPDATE jobs SET lease = NULL, dead_at = $3, last_error = $4 WHERE id = $1 AND lease = $2")
                .bind(leased.id)
                .bind(&leased.lease)
                .bind(now())
                .bind(why)
                .execute(tx)
                .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

/// Removes every job of an upload; says whether one was in hand.
pub(super) async fn forget(tx: &mut AnyConnection, upload: &UploadId) -> Result<bool, LedgerError> {
    let query = sqlx::query("DELETE FROM jobs WHERE upload_id = $1 RETURNING lease").bind(upload.as_str());
    for row in query.fetch_all(tx).await? {
        if row.try_get::<Option<String>, _>("lease")?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the dead jobs of an upload.
pub(super) async fn forget_dead(tx: &mut AnyConnection, upload: &UploadId) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM jobs WHERE upload_id = $1 AND dead_at IS NOT NULL")
        .bind(upload.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

#[async_trait]
impl Queue for SqlLedger {
    async fn claim(&self, lease: Duration, slow_too: bool) -> Result<Option<Leased>, QueueError> {
        // No two jobs of one upload, or of such names, can be in hand, by indexes: who comes second looks again.
        for _ in 0..RACES {
            match self.try_claim(lease, slow_too).await {
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
                Ok(None) => return Ok(None),
                Ok(Some(row)) => match read_leased(&row) {
                    Ok(leased) => {
                        // Cut off before this, the job is taken over once more.
                        if leased.crashes > 0 {
                            let mut writer = self.writer.acquire().await.map_err(LedgerError::from)?;
                            rechecks::add(&mut writer, &leased.job.upload_id).await?;
                        }
                        return Ok(Some(leased));
                    }
                    // No worker can do it, and none behind it may wait: it is set aside, and its original taken up anew.
                    Err(error) => self.set_aside(&row, &error).await?,
                },
            }
        }
        Ok(None)
    }

    async fn extend(&self, leased: &Leased, lease: Duration) -> Result<bool, QueueError> {
        let done = sqlx::query("UPDATE jobs SET due_at = $3 WHERE id = $1 AND lease = $2")
            .bind(leased.id)
            .bind(&leased.lease)
            .bind(after(lease))
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn hold(&self, upload: &UploadId, key: &Key, lease: Duration) -> Result<Option<Leased>, QueueError> {
        let event =
            StorageEvent { bucket: None, key: key.clone(), size: None, etag: None, version: None, sequencer: None };
        // A job in hand whose upload is gone: should this process die, a worker drops it.
        let insert = sqlx::query(
            "INSERT INTO jobs (upload_id, event, force, due_at, created_at, owner, names, lease, attempts)
             VALUES ($1, $2, 0, $3, $4, '', $5, $6, 1) RETURNING id, upload_id, event, force, attempts, excused, lease,
               created_at, NULL AS traceparent",
        )
        .bind(upload.as_str())
        .bind(serde_json::to_string(&event).map_err(LedgerError::from)?)
        .bind(after(lease))
        .bind(now())
        .bind(self.layout.names(key))
        .bind(uuid::Uuid::new_v4().simple().to_string());
        match written(insert, &self.writer).await {
            Ok(row) => Ok(row.as_ref().map(read_leased).transpose()?),
            Err(error) if is_duplicate(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn drop_job(&self, leased: &Leased) -> Result<(), QueueError> {
        sqlx::query("DELETE FROM jobs WHERE id = $1 AND lease = $2")
            .bind(leased.id)
            .bind(&leased.lease)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn retry(&self, leased: &Leased, pause: Duration, why: &str) -> Result<bool, QueueError> {
        // Postgres keeps no NUL in a text.
        let why = why.replace('\0', "\u{fffd}");
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE jobs SET due_at = $3, lease = NULL, excused = excused + 1, last_error = $4
             WHERE id = $1 AND lease = $2",
        )
        .bind(leased.id)
        .bind(&leased.lease)
        .bind(after(pause))
        .bind(&why)
        .execute(&mut *tx)
        .await?;
        let is_ours = done.rows_affected() == 1;
        if is_ours {
            history::again(&mut tx, leased, &why).await?;
        }
        tx.commit().await?;
        Ok(is_ours)
    }

    async fn release(&self, leased: &Leased) -> Result<bool, QueueError> {
        self.put_back(leased, false).await
    }

    async fn set_back(&self, leased: &Leased) -> Result<bool, QueueError> {
        self.put_back(leased, true).await
    }

    async fn recover(&self) -> Result<(), QueueError> {
        sqlx::query("UPDATE jobs SET due_at = $1, lease = NULL WHERE lease IS NOT NULL")
            .bind(now())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn has(&self, upload: &UploadId) -> Result<bool, QueueError> {
        let row = sqlx::query("SELECT 1 AS one FROM jobs WHERE upload_id = $1 AND dead_at IS NULL LIMIT 1")
            .bind(upload.as_str())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.is_some())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let row = sqlx::query(
            "SELECT count(*) AS total, count(lease) AS leased, count(dead_at) AS dead,
                    min(CASE WHEN lease IS NULL AND dead_at IS NULL THEN created_at END) AS oldest FROM jobs",
        )
        .fetch_one(&self.readers)
        .await?;
        let (total, leased, dead): (u64, u64, u64) =
            (read_count(&row, "total")?, read_count(&row, "leased")?, read_count(&row, "dead")?);
        Ok(Depth { waiting: total - leased - dead, leased, dead, oldest: read_time_if(&row, "oldest")? })
    }

    async fn jobs(
        &self,
        upload: Option<&UploadId>,
        state: Option<JobState>,
        most: u32,
    ) -> Result<Vec<JobRow>, QueueError> {
        let of_state = match state {
            None => "1 = 1",
            Some(JobState::Waiting) => "lease IS NULL AND dead_at IS NULL",
            Some(JobState::Leased) => "lease IS NOT NULL",
            Some(JobState::Dead) => "dead_at IS NOT NULL",
        };
        let rows = sqlx::query(sql(format!(
            "SELECT id, upload_id, attempts, lease, last_error, due_at, dead_at, created_at FROM jobs
             WHERE ($1 IS NULL OR upload_id = $1) AND {of_state} ORDER BY id DESC LIMIT $2"
        )))
        .bind(upload.map(|id| id.as_str().to_owned()))
        .bind(i64::from(most))
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.iter().map(read_row).collect::<Result<_, _>>()?)
    }
}

impl SqlLedger {
    async fn try_claim(&self, lease: Duration, slow_too: bool) -> Result<Option<AnyRow>, sqlx::Error> {
        let last = self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let claim = sqlx::query(sql(turns::claim(self.dialect, slow_too)))
            .bind(uuid::Uuid::new_v4().simple().to_string())
            .bind(after(lease))
            .bind(now())
            .bind(after(IMPOSSIBLE))
            .bind(last);
        let claimed = written(claim, &self.writer).await?;
        if let Some(row) = &claimed {
            *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = row.try_get("owner")?;
        }
        Ok(claimed)
    }

    /// Takes a claim back, as if it had not been; what is known to be slow stays known.
    async fn put_back(&self, leased: &Leased, is_slow: bool) -> Result<bool, QueueError> {
        let done = sqlx::query(
            "UPDATE jobs SET due_at = $3, lease = NULL, attempts = attempts - 1,
               slow = CASE WHEN $4 = 1 THEN 1 ELSE slow END WHERE id = $1 AND lease = $2",
        )
        .bind(leased.id)
        .bind(&leased.lease)
        .bind(now())
        .bind(i64::from(is_slow))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives up a job whose row cannot be read.
    async fn set_aside(&self, row: &AnyRow, error: &LedgerError) -> Result<(), QueueError> {
        let id: i64 = row.try_get("id")?;
        tracing::error!(job = id, %error, "a job cannot be read and is given up");
        sqlx::query("UPDATE jobs SET lease = NULL, dead_at = $3, last_error = $4 WHERE id = $1 AND lease = $2")
            .bind(id)
            .bind(row.try_get::<String, _>("lease")?)
            .bind(now())
            .bind(error.to_string())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

fn after(pause: Duration) -> i64 {
    now().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}

fn read_leased(row: &AnyRow) -> Result<Leased, LedgerError> {
    let (attempt, excused): (u32, u32) = (read_count(row, "attempts")?, read_count(row, "excused")?);
    Ok(Leased {
        id: row.try_get("id")?,
        lease: row.try_get("lease")?,
        attempt,
        crashes: attempt.saturating_sub(1).saturating_sub(excused),
        queued_at: read_time(row, "created_at")?,
        claimed_at: OffsetDateTime::now_utc(),
        traceparent: row.try_get("traceparent")?,
        job: Job {
            upload_id: read_id(row, "upload_id")?,
            event: serde_json::from_str(&row.try_get::<String, _>("event")?)?,
            force: row.try_get::<i64, _>("force")? != 0,
        },
    })
}

fn read_row(row: &AnyRow) -> Result<JobRow, LedgerError> {
    let leased = row.try_get::<Option<String>, _>("lease")?.is_some();
    let state = match read_time_if(row, "dead_at")? {
        Some(_) => JobState::Dead,
        None if leased => JobState::Leased,
        None => JobState::Waiting,
    };
    Ok(JobRow {
        id: row.try_get("id")?,
        upload_id: read_id(row, "upload_id")?,
        state,
        attempts: read_count(row, "attempts")?,
        last_error: row.try_get("last_error")?,
        due_at: read_time(row, "due_at")?,
        created_at: read_time(row, "created_at")?,
    })
}
