//! Uploads that a backend said it would claim: those it did, and those that lapsed.

use sqlx::Row;
use time::OffsetDateTime;

use super::uploads::{COLUMNS, read};
use super::{SqlLedger, deliveries, history, millis, read_time, rechecks, sql, written};
use crate::ledger::{LedgerError, Notice};
use crate::upload::{Upload, UploadId};

pub(super) async fn claim(
    ledger: &SqlLedger,
    id: &UploadId,
    at: OffsetDateTime,
) -> Result<Option<Upload>, LedgerError> {
    let query = format!(
        "UPDATE uploads SET claimed_at = COALESCE(claimed_at, $2)
         WHERE id = $1 AND deleted_at IS NULL AND status <> 'expired' RETURNING {COLUMNS}"
    );
    let query = sqlx::query(sql(query)).bind(id.as_str()).bind(millis(at));
    let row = written(query, &ledger.writer).await?;
    row.as_ref().map(read).transpose()
}

/// With each, when it was completed.
pub(super) async fn unclaimed(
    ledger: &SqlLedger,
    since: OffsetDateTime,
    most: u32,
) -> Result<Vec<(Upload, OffsetDateTime)>, LedgerError> {
    let query = format!(
        "SELECT {COLUMNS}, COALESCE((SELECT max(a.ended_at) FROM job_attempts AS a
             WHERE a.upload_id = uploads.id AND a.outcome = 'completed'), created_at) AS ended
         FROM uploads
         WHERE deleted_at IS NULL AND status = 'completed' AND created_at >= $1 AND claimed_at IS NULL
           AND policy LIKE '%\"claim_within\":%'
         ORDER BY created_at LIMIT $2"
    );
    let query = sqlx::query(sql(query)).bind(millis(since)).bind(i64::from(most));
    let rows = query.fetch_all(&ledger.readers).await?;
    rows.iter().map(|row| Ok((read(row)?, read_time(row, "ended")?))).collect()
}

pub(super) async fn lapse(ledger: &SqlLedger, id: &UploadId, notice: Option<&Notice>) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    // The pin says that an original had come: nothing may come after it.
    let row = sqlx::query(
        "UPDATE uploads SET status = 'expired', outcomes = outcomes + 1, pin = COALESCE(pin, '{}')
         WHERE id = $1 AND status = 'completed' AND claimed_at IS NULL AND deleted_at IS NULL RETURNING outcomes",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(false) };
    history::add(&mut tx, id, None, history::UNCLAIMED, None).await?;
    if let Some(notice) = notice {
        deliveries::add(&mut tx, id, row.try_get("outcomes")?, notice).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// What a row still names may still be there.
pub(super) async fn lapsed(ledger: &SqlLedger, most: u32) -> Result<Vec<Upload>, LedgerError> {
    let query = format!(
        "SELECT {COLUMNS} FROM uploads WHERE deleted_at IS NULL AND status = 'expired'
           AND (manifest IS NOT NULL OR processed_key IS NOT NULL) LIMIT $1"
    );
    let rows = sqlx::query(sql(query)).bind(i64::from(most)).fetch_all(&ledger.readers).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn cleared(ledger: &SqlLedger, id: &UploadId) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    let query = "UPDATE uploads SET manifest = NULL, processed_key = NULL WHERE id = $1 AND status = 'expired'";
    sqlx::query(query).bind(id.as_str()).execute(&mut *tx).await?;
    rechecks::add(&mut tx, id).await?;
    tx.commit().await?;
    Ok(())
}
