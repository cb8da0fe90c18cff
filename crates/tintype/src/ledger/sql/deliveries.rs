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
    "id, upload_id, url, endpoint, method, body, status, attempts, due_at, last_status, last_error, created_at,
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
           method = excluded.method, body = excluded.body, endpoint = excluded.endpoint
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

/// A claim moves the due time to the lease's end, so a worker that dies hands it on by itself.
pub(super) async fn claim(ledger: &SqlLedger, claim: &Claim<'_>) -> Result<Vec<Delivery>, LedgerError> {
    let busy: String = (6..).take(claim.except.len()).map(|n| format!(", ${n}")).collect();
    // Endpoints are ranked first, since rows cannot be ranked and locked at once; what another took meanwhile is not due.
    let statement = format!(
        "UPDATE deliveries SET due_at = $1, leased = 1 WHERE id IN
           (SELECT d.id FROM deliveries AS d WHERE d.status = 'pending' AND d.due_at <= $2 AND d.id IN
              (SELECT id FROM
                 (SELECT p.id, row_number() OVER (PARTITION BY p.endpoint ORDER BY p.due_at, p.id) AS place
                  FROM deliveries AS p WHERE p.status = 'pending' AND p.due_at <= $2
                    AND p.endpoint NOT IN ($5{busy}) AND NOT EXISTS
                      (SELECT 1 FROM deliveries AS o WHERE o.upload_id = p.upload_id AND o.status = 'pending' AND o.id <> p.id
                         AND (o.outcome < p.outcome OR (o.leased = 1 AND o.due_at > $2)))) AS ranked
               WHERE place <= $4)
            ORDER BY d.due_at, d.id LIMIT $3 {skip})
         RETURNING {COLUMNS}",
        skip = ledger.dialect.skip_locked(),
    );
    let now = now();
    let lease = i64::try_from(claim.lease.as_millis()).unwrap_or(i64::MAX);
    let query = sqlx::query(sql(statement))
        .bind(now.saturating_add(lease))
        .bind(now)
        .bind(i64::from(claim.most))
        .bind(i64::from(claim.most_each))
        // A list must not be empty, and no endpoint is called this.
        .bind("-");
    let query = claim.except.iter().fold(query, |query, endpoint| query.bind(endpoint.clone()));
    query.fetch_all(&ledger.writer).await?.iter().map(read).collect()
}

pub(super) async fn recover(ledger: &SqlLedger) -> Result<(), LedgerError> {
    sqlx::query("UPDATE deliveries SET due_at = $1, leased = 0 WHERE leased = 1 AND status = 'pending'")
        .bind(now())
        .execute(&ledger.writer)
        .await?;
    Ok(())
}

pub(super) async fn settle(ledger: &SqlLedger, id: &str, attempt: &Attempt, next: Next) -> Result<(), LedgerError> {
    let (status, wait) = match next {
        Next::Delivered => (DeliveryStatus::Delivered, Duration::ZERO),
        Next::Dead => (DeliveryStatus::Dead, Duration::ZERO),
        Next::RetryIn(wait) => (DeliveryStatus::Pending, wait),
    };
    let mut tx = ledger.begin().await?;
    let there = sqlx::query(
        "UPDATE deliveries SET leased = 0, status = $1, attempts = attempts + 1, due_at = $2, last_status = $3,
           last_error = $4
         WHERE id = $5",
    )
    .bind(status.as_str())
    .bind(millis(OffsetDateTime::now_utc() + wait))
    .bind(attempt.status.map(i64::from))
    .bind(attempt.error.as_deref())
    .bind(id)
    .execute(&mut *tx)
    .await?;
    // Its upload may have been deleted while it was told.
    if there.rows_affected() == 1 {
        sqlx::query(
            "INSERT INTO delivery_attempts (delivery_id, at, status, error, millis, response)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id)
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
    Ok(())
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
    // One in hand is being sent just now.
    let done = sqlx::query(
        "UPDATE deliveries SET status = 'pending',
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
    })
}
