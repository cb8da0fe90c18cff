//! What became of jobs: one row for each try that ended with a word.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use time::OffsetDateTime;

use super::{SqlLedger, from_millis, millis, now, read_count, read_time, read_time_if, sql};
use crate::ledger::{Activity, JobAttempt, LedgerError, Minute};
use crate::queue::Leased;
use crate::upload::UploadId;

/// The outcome of a try that is followed by another.
pub const AGAIN: &str = "again";
/// Bytes came that do not count: one row for all of an upload, with their number as its attempt.
pub const IGNORED: &str = "ignored";
/// Nobody claimed the upload in time.
pub const UNCLAIMED: &str = "unclaimed";
/// Rows of these words are no ends of tries.
const NO_END: &str = "outcome NOT IN ('again', 'ignored', 'unclaimed')";
/// Of how many jobs, those that ended last, the latency is told.
const SAMPLE: i64 = 1000;

/// Records how a try ended; without a job, what a remote processor told.
pub(super) async fn add(
    tx: &mut AnyConnection,
    upload: &UploadId,
    job: Option<&Leased>,
    outcome: &str,
    error: Option<&str>,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO job_attempts (upload_id, job_id, attempt, queued_at, started_at, ended_at, outcome, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(upload.as_str())
    .bind(job.map(|job| job.id))
    .bind(job.map(|job| i64::from(job.attempt)))
    .bind(job.map(|job| millis(job.queued_at)))
    .bind(job.map(|job| millis(job.claimed_at)))
    .bind(now())
    // Postgres keeps no NUL in a text; a remote processor's code may be any.
    .bind(outcome.replace('\0', "\u{fffd}"))
    .bind(error.map(|text| text.replace('\0', "\u{fffd}")))
    .execute(tx)
    .await?;
    Ok(())
}

/// The same of a try that is followed by another.
pub(super) async fn again(tx: &mut AnyConnection, job: &Leased, why: &str) -> Result<(), LedgerError> {
    add(tx, &job.job.upload_id, Some(job), AGAIN, Some(why)).await
}

/// Notes that bytes came which do not count. However often: one row.
pub(super) async fn ignored(tx: &mut AnyConnection, upload: &UploadId, why: &str) -> Result<(), LedgerError> {
    let counted = sqlx::query(
        "UPDATE job_attempts SET attempt = attempt + 1, ended_at = $3, error = $4 WHERE upload_id = $1 AND outcome = $2",
    )
    .bind(upload.as_str())
    .bind(IGNORED)
    .bind(now())
    .bind(why)
    .execute(&mut *tx)
    .await?;
    if counted.rows_affected() == 0 {
        sqlx::query(
            "INSERT INTO job_attempts (upload_id, attempt, started_at, ended_at, outcome, error) VALUES ($1, 1, $2, $2, $3, $4)",
        )
        .bind(upload.as_str())
        .bind(now())
        .bind(IGNORED)
        .bind(why)
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Removes what is known of an upload's tries.
pub(super) async fn forget(tx: &mut AnyConnection, upload: &UploadId) -> Result<(), LedgerError> {
    sqlx::query("DELETE FROM job_attempts WHERE upload_id = $1").bind(upload.as_str()).execute(tx).await?;
    Ok(())
}

/// Those of one upload that ended last, oldest first.
pub(super) async fn of(ledger: &SqlLedger, upload: &UploadId, most: u32) -> Result<Vec<JobAttempt>, LedgerError> {
    let rows = sqlx::query(
        "SELECT job_id, attempt, queued_at, started_at, ended_at, outcome, error FROM job_attempts
         WHERE upload_id = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(upload.as_str())
    .bind(i64::from(most))
    .fetch_all(&ledger.readers)
    .await?;
    rows.iter().rev().map(read).collect()
}

/// What ended since a time.
pub(super) async fn activity(ledger: &SqlLedger, since: OffsetDateTime) -> Result<Activity, LedgerError> {
    let rows = sqlx::query(sql(format!(
        "SELECT ended_at / 60000 AS minute, outcome, count(*) AS n FROM job_attempts
         WHERE ended_at >= $1 AND {NO_END} GROUP BY 1, 2 ORDER BY 1, 2"
    )))
    .bind(millis(since))
    .fetch_all(&ledger.readers)
    .await?;
    let minutes = rows.iter().map(|row| {
        Ok(Minute {
            at: from_millis(row.try_get::<i64, _>("minute")? * 60_000),
            outcome: row.try_get("outcome")?,
            count: read_count(row, "n")?,
        })
    });
    let minutes = minutes.collect::<Result<_, LedgerError>>()?;
    let rows = sqlx::query(sql(format!(
        "SELECT ended_at - queued_at AS took FROM job_attempts
         WHERE ended_at >= $1 AND {NO_END} AND queued_at IS NOT NULL ORDER BY ended_at DESC LIMIT $2"
    )))
    .bind(millis(since))
    .bind(SAMPLE)
    .fetch_all(&ledger.readers)
    .await?;
    // A clock that was put back makes less than nothing.
    let took = rows.iter().map(|row| Ok(u64::try_from(row.try_get::<i64, _>("took")?).unwrap_or(0)));
    Ok(Activity { minutes, took: took.collect::<Result<_, LedgerError>>()? })
}

fn read(row: &AnyRow) -> Result<JobAttempt, LedgerError> {
    let number = |column: &str| row.try_get::<Option<i64>, _>(column);
    Ok(JobAttempt {
        job: number("job_id")?,
        attempt: number("attempt")?.and_then(|n| u32::try_from(n).ok()),
        queued_at: read_time_if(row, "queued_at")?,
        started_at: read_time_if(row, "started_at")?,
        ended_at: read_time(row, "ended_at")?,
        outcome: row.try_get("outcome")?,
        error: row.try_get("error")?,
    })
}
