//! Whether the ledger is whole, takes what an upload needs, and has nothing in it that does not move.

use sqlx::Row;
use time::OffsetDateTime;

use super::{Dialect, SqlLedger, damage, jobs, millis, read_id, uploads};
use crate::event::StorageEvent;
use crate::ledger::LedgerError;
use crate::upload::{Upload, UploadId};

/// Reads every page and every index of SQLite's file, beside whatever reads and writes meanwhile. False once damage is known.
/// Postgres has its own: data checksums, whose failures are noted as they are met.
pub(super) async fn check(ledger: &SqlLedger) -> Result<bool, LedgerError> {
    if ledger.file.as_ref().is_some_and(|file| !file.check()) {
        return Ok(false);
    }
    if ledger.dialect == Dialect::Sqlite {
        // A few findings are enough: one decides.
        let rows = sqlx::query("PRAGMA integrity_check(5)").fetch_all(&ledger.readers).await?;
        let found = rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
        if found != ["ok"] {
            damage::report(&found.join("; "));
        }
    }
    Ok(damage::found().is_none())
}

/// Writes what the arrival of an upload writes, and takes it back.
pub(super) async fn rehearse(ledger: &SqlLedger, upload: &Upload, event: &StorageEvent) -> Result<(), LedgerError> {
    if let Some(file) = &ledger.file {
        file.check();
    }
    let mut tx = ledger.begin().await?;
    uploads::insert(&mut tx, upload, "").await?;
    jobs::add(&mut tx, &ledger.layout, &upload.id, event).await?;
    Ok(tx.rollback().await?)
}

/// Uploads that are `processing` without a job, or whose every job is from before a time; some of them, if there are many.
pub(super) async fn stuck(ledger: &SqlLedger, before: OffsetDateTime, most: u32) -> Result<Vec<UploadId>, LedgerError> {
    let query = sqlx::query(
        "SELECT u.id FROM uploads AS u WHERE u.status = 'processing' AND u.deleted_at IS NULL AND NOT EXISTS
           (SELECT 1 FROM jobs AS j WHERE j.upload_id = u.id AND j.dead_at IS NULL AND j.created_at >= $1)
         ORDER BY u.created_at DESC, u.id LIMIT $2",
    );
    let rows = query.bind(millis(before)).bind(i64::from(most)).fetch_all(&ledger.readers).await?;
    rows.iter().map(|row| read_id(row, "id")).collect()
}
