//! Originals under whose names a lost process may still write.

use std::time::Duration;

use sqlx::{AnyConnection, Row};
use time::OffsetDateTime;

use super::{SqlLedger, millis, now, read_time, sql};
use crate::key::Key;
use crate::ledger::{LedgerError, Recheck};
use crate::upload::UploadId;

/// The first look waits for what was on its way.
const FIRST: Duration = Duration::from_secs(60);

/// Has the names of an upload looked at again, from now on.
pub(super) async fn add(tx: &mut AnyConnection, id: &UploadId) -> Result<(), LedgerError> {
    sqlx::query(
        "INSERT INTO rechecks (key, since, due_at) SELECT key, $2, $3 FROM uploads WHERE id = $1
         ON CONFLICT (key) DO UPDATE SET since = excluded.since, due_at = excluded.due_at",
    )
    .bind(id.as_str())
    .bind(now())
    .bind(millis(OffsetDateTime::now_utc() + FIRST))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn due(ledger: &SqlLedger, at: OffsetDateTime, most: u32) -> Result<Vec<Recheck>, LedgerError> {
    let rows = sqlx::query("SELECT key, since FROM rechecks WHERE due_at <= $1 ORDER BY due_at, key LIMIT $2")
        .bind(millis(at))
        .bind(i64::from(most))
        .fetch_all(&ledger.readers)
        .await?;
    let read = |row: &_| {
        let key = Row::try_get::<String, _>(row, "key")?;
        let key = Key::new(key).map_err(|e| LedgerError(e.to_string()))?;
        Ok(Recheck { key, since: read_time(row, "since")? })
    };
    rows.iter().map(read).collect()
}

/// One that was begun anew meanwhile stays as it is.
pub(super) async fn done(
    ledger: &SqlLedger,
    recheck: &Recheck,
    next: Option<OffsetDateTime>,
) -> Result<(), LedgerError> {
    let change = match next {
        Some(_) => "UPDATE rechecks SET due_at = $3 WHERE key = $1 AND since = $2",
        None => "DELETE FROM rechecks WHERE key = $1 AND since = $2",
    };
    let query = sqlx::query(sql(change)).bind(recheck.key.as_str()).bind(millis(recheck.since));
    let query = next.into_iter().fold(query, |query, next| query.bind(millis(next)));
    query.execute(&ledger.writer).await?;
    Ok(())
}
