//! The outbox of callbacks.

use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use time::OffsetDateTime;
use url::Url;

use super::{SqlLedger, cursor, millis, now, read_count, read_id, read_time, sql};
use crate::ledger::{Attempt, Claim, Delivery, DeliveryStatus, LedgerError, Next, Notice, Outstanding, Page};
use crate::upload::UploadId;

const COLUMNS: &str =
    "id, upload_id, url, endpoint, method, body, status, attempts, due_at, last_status, last_error, created_at, lease,
     (SELECT u.traceparent FROM uploads AS u WHERE u.id = deliveries.upload_id) AS traceparent";

/// Adds the delivery that tells an upload's outcome of this number; one that is there already is told again, with what
/// is to be said now.
pub(super) async fn add(
    tx: &mut AnyConnection,
    upload: &UploadId,
    outcome: i64,
    notice: &Notice,
) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO deliveries (id, upload_id, url, method, body, status, due_at, created_at, outcome, endpoint)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET status = 'pending', attempts = 0, due_at = excluded.due_at, url = excluded.url,
           leased = 0, lease = NULL, method = excluded.method, body = excluded.body, endpoint = excluded.endpoint
         WHERE deliveries.status <> 'pending'",
    )
    .bind(format!("msg_{upload}_{outcome}"))
    .bind(upload.as_str())
    .bind(&notice.url)
    .bind(&notice.method)
    .bind(&notice.body)
    .bind(now())
    .bind(outcome)
    .bind(endpoint(&notice.url))
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes every delivery of an upload, and what is known of its attempts.
pub(super) async fn forget(tx: &mut AnyConnection, upload: &UploadId) -> Result<(), LedgerError> {
    for statement in [
        "DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE upload_id = $1)",
        "DELETE FROM deliveries WHERE upload_id = $1",
    ] {
        sqlx::query(statement).bind(upload.as_str()).execute(&mut *tx).await?;
    }
    Ok(())
}

/// A claim moves the due time to the lease's end, so a worker that dies hands it on by itself. Each endpoint is asked for
/// its own, by an index: those that wait for one cost nothing to another, however many they are.
pub(super) async fn claim(ledger: &SqlLedger, claim: &Claim<'_>) -> Result<Vec<Delivery>, LedgerError> {
    let endpoints = waited_for(ledger).await?;
    let free: Vec<_> = endpoints.into_iter().filter(|endpoint| !claim.except.contains(endpoint)).collect();
    if free.is_empty() {
        return Ok(Vec::new());
    }
    // `+ 0` is the index by endpoint (migration 6 says why). Another process passes over what this one is taking.
    let statement = format!(
        "UPDATE deliveries SET due_at = $1, leased = 1, lease = $2 WHERE id IN
           (SELECT d.id FROM deliveries AS d WHERE d.status = 'pending' AND d.endpoint = $3 AND d.due_at + 0 <= $4
              AND NOT EXISTS
                (SELECT 1 FROM deliveries AS o WHERE o.upload_id = d.upload_id AND o.status = 'pending' AND o.id <> d.id
                   AND (o.outcome < d.outcome OR (o.leased = 1 AND o.due_at > $4)))
            ORDER BY d.due_at + 0, d.id LIMIT $5 {skip})
         RETURNING {COLUMNS}",
        skip = ledger.dialect.skip_locked(),
    );
    let (now, lease) = (now(), i64::try_from(claim.lease.as_millis()).unwrap_or(i64::MAX));
    let mut tx = ledger.begin().await?;
    let mut claimed = Vec::new();
    for endpoint in free {
        let room = i64::from(claim.most) - claimed.len() as i64;
        if room <= 0 {
            break;
        }
        let rows = sqlx::query(sql(statement.clone()))
            .bind(now.saturating_add(lease))
            .bind(uuid::Uuid::new_v4().simple().to_string())
            .bind(endpoint)
            .bind(now)
            .bind(room.min(i64::from(claim.most_each)))
            .fetch_all(&mut *tx)
            .await?;
        for row in &rows {
            claimed.push(read(row)?);
        }
    }
    tx.commit().await?;
    Ok(claimed)
}

/// The endpoints that something waits for, each found by a seek.
async fn waited_for(ledger: &SqlLedger) -> Result<Vec<String>, LedgerError> {
    let query = "WITH RECURSIVE found(endpoint) AS (
           SELECT min(endpoint) FROM deliveries WHERE status = 'pending'
           UNION ALL
           SELECT (SELECT min(d.endpoint) FROM deliveries AS d WHERE d.status = 'pending' AND d.endpoint > found.endpoint)
           FROM found WHERE found.endpoint IS NOT NULL)
         SELECT endpoint FROM found WHERE endpoint IS NOT NULL";
    let rows = sqlx::query(query).fetch_all(&ledger.readers).await?;
    Ok(rows.iter().map(|row| row.try_get("endpoint")).collect::<Result<_, _>>()?)
}

pub(super) async fn recover(ledger: &SqlLedger) -> Result<(), LedgerError> {
    sqlx::query("UPDATE deliveries SET due_at = $1, leased = 0, lease = NULL WHERE leased = 1 AND status = 'pending'")
        .bind(now())
        .execute(&ledger.writer)
        .await?;
    Ok(())
}

/// Nothing under a lease that was lost: what the one who has it finds out counts, or what it has found out already.
pub(super) async fn settle(
    ledger: &SqlLedger,
    claimed: &Delivery,
    attempt: &Attempt,
    next: Next,
) -> Result<bool, LedgerError> {
    let (status, wait) = match next {
        Next::Delivered => (DeliveryStatus::Delivered, Duration::ZERO),
        Next::Dead => (DeliveryStatus::Dead, Duration::ZERO),
        Next::RetryIn(wait) => (DeliveryStatus::Pending, wait),
    };
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(
        "UPDATE deliveries SET leased = 0, lease = NULL, status = $1, attempts = attempts + 1, due_at = $2, last_status = $3,
           last_error = $4
         WHERE id = $5 AND lease = $6",
    )
    .bind(status.as_str())
    .bind(millis(OffsetDateTime::now_utc() + wait))
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error.as_deref())
    .bind(&claimed.id)
    .bind(claimed.lease.as_deref())
    .execute(&mut *tx)
    .await?;
    let held = done.rows_affected() == 1;
    if held {
        sqlx::query(
            "INSERT INTO delivery_attempts (delivery_id, at, status, error, millis, response)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&claimed.id)
        .bind(millis(attempt.at))
        .bind(attempt.status.map(i64::from))
        .bind(attempt.error.as_deref())
        .bind(i64::try_from(attempt.millis).unwrap_or(i64::MAX))
        // Postgres keeps no NUL in a text.
        .bind(attempt.response.as_ref().map(|text| text.replace('\0', "\u{fffd}")))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(held)
}

pub(super) async fn get(ledger: &SqlLedger, id: &str) -> Result<Option<Delivery>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM deliveries WHERE id = $1");
    let row = sqlx::query(sql(query)).bind(id).fetch_optional(&ledger.readers).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn outstanding(ledger: &SqlLedger) -> Result<Outstanding, LedgerError> {
    // Each by an index of its own: most deliveries were taken, and are not counted.
    let query = "SELECT (SELECT count(*) FROM deliveries WHERE status = 'pending') AS pending,
                        (SELECT count(*) FROM deliveries WHERE status = 'dead') AS dead";
    let row = sqlx::query(query).fetch_one(&ledger.readers).await?;
    Ok(Outstanding { pending: read_count(&row, "pending")?, dead: read_count(&row, "dead")? })
}

pub(super) async fn list(
    ledger: &SqlLedger,
    page: &Page,
    upload: Option<&UploadId>,
) -> Result<Vec<Delivery>, LedgerError> {
    let (before, id) = cursor(page);
    let rows = sqlx::query(sql(format!(
        "SELECT {COLUMNS} FROM deliveries WHERE ($1 IS NULL OR status = $1) AND ($2 IS NULL OR upload_id = $2)
           AND (created_at < $3 OR (created_at = $3 AND id > $4))
         ORDER BY created_at DESC, id LIMIT $5"
    )))
    .bind(page.status.clone())
    .bind(upload.map(|id| id.as_str().to_owned()))
    .bind(before)
    .bind(id)
    .bind(i64::from(page.limit))
    .fetch_all(&ledger.readers)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn attempts(ledger: &SqlLedger, id: &str) -> Result<Vec<Attempt>, LedgerError> {
    let query = "SELECT at, status, error, millis, response FROM delivery_attempts WHERE delivery_id = $1 ORDER BY at";
    let rows = sqlx::query(query).bind(id).fetch_all(&ledger.readers).await?;
    let attempts = rows.iter().map(|row| {
        Ok(Attempt {
            at: read_time(row, "at")?,
            status: read_http_status(row, "status")?,
            error: row.try_get("error")?,
            millis: read_count(row, "millis")?,
            response: row.try_get("response")?,
        })
    });
    attempts.collect()
}

pub(super) async fn resend(ledger: &SqlLedger, id: &str) -> Result<bool, LedgerError> {
    // One in hand is being sent just now. Of any other an attempt that is late changes nothing any more.
    let done = sqlx::query(
        "UPDATE deliveries SET status = 'pending',
           lease = CASE WHEN status = 'pending' AND leased = 1 AND due_at > $1 THEN lease END,
           leased = CASE WHEN status = 'pending' AND leased = 1 AND due_at > $1 THEN 1 ELSE 0 END,
           attempts = CASE WHEN status = 'pending' AND leased = 1 AND due_at > $1 THEN attempts ELSE 0 END,
           due_at = CASE WHEN status = 'pending' AND leased = 1 AND due_at > $1 THEN due_at ELSE $1 END
         WHERE id = $2",
    )
    .bind(now())
    .bind(id)
    .execute(&ledger.writer)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Scheme, host and port: what is slow or down together.
fn endpoint(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

fn read_http_status(row: &AnyRow, column: &str) -> Result<Option<u16>, LedgerError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|status| u16::try_from(status).ok()))
}

fn read_status(row: &AnyRow) -> Result<DeliveryStatus, LedgerError> {
    let word: String = row.try_get("status")?;
    DeliveryStatus::parse(&word).ok_or_else(|| LedgerError(format!("{word:?} is no delivery status")))
}

fn read(row: &AnyRow) -> Result<Delivery, LedgerError> {
    Ok(Delivery {
        id: row.try_get("id")?,
        upload_id: read_id(row, "upload_id")?,
        url: row.try_get("url")?,
        endpoint: row.try_get("endpoint")?,
        method: row.try_get("method")?,
        body: row.try_get("body")?,
        status: read_status(row)?,
        attempts: read_count(row, "attempts")?,
        due_at: read_time(row, "due_at")?,
        last_status: read_http_status(row, "last_status")?,
        last_error: row.try_get("last_error")?,
        created_at: read_time(row, "created_at")?,
        traceparent: row.try_get("traceparent")?,
        lease: row.try_get("lease")?,
    })
}
