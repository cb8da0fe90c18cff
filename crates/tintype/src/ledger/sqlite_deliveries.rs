//! The outbox of callbacks, in SQLite.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use time::OffsetDateTime;

use super::sqlite::{SqliteLedger, cursor, from_millis, millis, read_id, sql};
use super::{Attempt, Delivery, DeliveryStatus, LedgerError, Next, Notice, Page};
use crate::upload::UploadId;

const COLUMNS: &str = "id, upload_id, url, method, body, status, attempts, due_at, last_status, last_error, created_at";

/// Adds a delivery; one that is there already is told again, with what is to be said now.
pub(super) async fn enqueue(
    tx: &mut SqliteConnection,
    id: &str,
    upload: &UploadId,
    notice: &Notice,
) -> Result<(), LedgerError> {
    let now = millis(OffsetDateTime::now_utc());
    sqlx::query(
        "INSERT INTO deliveries (id, upload_id, url, method, body, status, due_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?6)
         ON CONFLICT (id) DO UPDATE SET status = 'pending', attempts = 0, due_at = ?6, url = ?3, method = ?4, body = ?5
         WHERE status <> 'pending'",
    )
    .bind(id)
    .bind(upload.as_str())
    .bind(&notice.url)
    .bind(&notice.method)
    .bind(&notice.body)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// A claim moves the due time to the lease's end, so a worker that dies hands it on by itself.
pub(super) async fn claim(ledger: &SqliteLedger, most: u32, lease: Duration) -> Result<Vec<Delivery>, LedgerError> {
    let now = OffsetDateTime::now_utc();
    let rows = sqlx::query(sql(&format!(
        "UPDATE deliveries SET due_at = ?1, leased = 1 WHERE id IN
           (SELECT id FROM deliveries WHERE status = 'pending' AND due_at <= ?2 ORDER BY due_at LIMIT ?3)
         RETURNING {COLUMNS}"
    )))
    .bind(millis(now + lease))
    .bind(millis(now))
    .bind(most)
    .fetch_all(&ledger.writer)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn recover(ledger: &SqliteLedger) -> Result<(), LedgerError> {
    sqlx::query("UPDATE deliveries SET due_at = ?, leased = 0 WHERE leased = 1 AND status = 'pending'")
        .bind(millis(OffsetDateTime::now_utc()))
        .execute(&ledger.writer)
        .await?;
    Ok(())
}

pub(super) async fn settle(ledger: &SqliteLedger, id: &str, attempt: &Attempt, next: Next) -> Result<(), LedgerError> {
    let (status, wait) = match next {
        Next::Delivered => (DeliveryStatus::Delivered, Duration::ZERO),
        Next::Dead => (DeliveryStatus::Dead, Duration::ZERO),
        Next::RetryIn(wait) => (DeliveryStatus::Pending, wait),
    };
    let mut tx = ledger.writer.begin().await?;
    sqlx::query(
        "UPDATE deliveries SET leased = 0, status = ?, attempts = attempts + 1, due_at = ?, last_status = ?, last_error = ?
         WHERE id = ?",
    )
    .bind(status.as_str())
    .bind(millis(OffsetDateTime::now_utc() + wait))
    .bind(attempt.status)
    .bind(attempt.error.as_deref())
    .bind(id)
    .execute(&mut *tx)
    .await?;
    sqlx::query("INSERT INTO delivery_attempts (delivery_id, at, status, error, millis) VALUES (?, ?, ?, ?, ?)")
        .bind(id)
        .bind(millis(attempt.at))
        .bind(attempt.status)
        .bind(attempt.error.as_deref())
        .bind(i64::try_from(attempt.millis).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn list(
    ledger: &SqliteLedger,
    page: &Page,
    upload: Option<&UploadId>,
) -> Result<Vec<Delivery>, LedgerError> {
    let (before, id) = cursor(page);
    let rows = sqlx::query(sql(&format!(
        "SELECT {COLUMNS} FROM deliveries WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR upload_id = ?2)
           AND (created_at < ?3 OR (created_at = ?3 AND id > ?4))
         ORDER BY created_at DESC, id LIMIT ?5"
    )))
    .bind(page.status.as_deref())
    .bind(upload.map(UploadId::as_str))
    .bind(before)
    .bind(id)
    .bind(page.limit)
    .fetch_all(&ledger.readers)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn attempts(ledger: &SqliteLedger, id: &str) -> Result<Vec<Attempt>, LedgerError> {
    let rows = sqlx::query("SELECT at, status, error, millis FROM delivery_attempts WHERE delivery_id = ? ORDER BY at")
        .bind(id)
        .fetch_all(&ledger.readers)
        .await?;
    let attempts = rows.iter().map(|row| {
        Ok(Attempt {
            at: from_millis(row.try_get("at")?),
            status: row.try_get("status")?,
            error: row.try_get("error")?,
            millis: row.try_get::<i64, _>("millis")?.unsigned_abs(),
        })
    });
    attempts.collect()
}

pub(super) async fn resend(ledger: &SqliteLedger, id: &str) -> Result<bool, LedgerError> {
    let done = sqlx::query("UPDATE deliveries SET status = 'pending', attempts = 0, due_at = ? WHERE id = ?")
        .bind(millis(OffsetDateTime::now_utc()))
        .bind(id)
        .execute(&ledger.writer)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &SqliteRow) -> Result<Delivery, LedgerError> {
    let word: String = row.try_get("status")?;
    Ok(Delivery {
        id: row.try_get("id")?,
        upload_id: read_id(row, "upload_id")?,
        url: row.try_get("url")?,
        method: row.try_get("method")?,
        body: row.try_get("body")?,
        status: DeliveryStatus::parse(&word).ok_or_else(|| LedgerError(format!("{word:?} is no delivery status")))?,
        attempts: row.try_get("attempts")?,
        due_at: from_millis(row.try_get("due_at")?),
        last_status: row.try_get("last_status")?,
        last_error: row.try_get("last_error")?,
        created_at: from_millis(row.try_get("created_at")?),
    })
}
