//! API keys, and the secrets that all processes share.

use sqlx::Row;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::{SqlLedger, millis, read_time, read_time_if, sql};
use crate::ledger::{ApiKey, LedgerError};

const COLUMNS: &str = "id, name, hash, scopes, created_at, expires_at, last_used_at, revoked_at";

pub(super) async fn add(ledger: &SqlLedger, key: &ApiKey) -> Result<(), LedgerError> {
    sqlx::query(sql(format!("INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")))
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.hash)
        .bind(&key.scopes)
        .bind(millis(key.created_at))
        .bind(key.expires_at.map(millis))
        .bind(key.last_used_at.map(millis))
        .bind(key.revoked_at.map(millis))
        .execute(&ledger.writer)
        .await?;
    Ok(())
}

pub(super) async fn list(ledger: &SqlLedger) -> Result<Vec<ApiKey>, LedgerError> {
    let query = format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_at DESC, id");
    sqlx::query(sql(query)).fetch_all(&ledger.readers).await?.iter().map(read).collect()
}

pub(super) async fn revoke(ledger: &SqlLedger, id: &str, at: OffsetDateTime) -> Result<bool, LedgerError> {
    let done = sqlx::query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1")
        .bind(id)
        .bind(millis(at))
        .execute(&ledger.writer)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn used(ledger: &SqlLedger, id: &str, at: OffsetDateTime) -> Result<(), LedgerError> {
    // A process that was stopped for a while puts no clock back.
    sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
        .bind(id)
        .bind(millis(at))
        .execute(&ledger.writer)
        .await?;
    Ok(())
}

pub(super) async fn secret(ledger: &SqlLedger, name: &str, offered: &str) -> Result<String, LedgerError> {
    sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(offered)
        .execute(&ledger.writer)
        .await?;
    let row = sqlx::query("SELECT value FROM secrets WHERE name = $1").bind(name).fetch_one(&ledger.writer).await?;
    Ok(row.try_get("value")?)
}

fn read(row: &AnyRow) -> Result<ApiKey, LedgerError> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        hash: row.try_get("hash")?,
        scopes: row.try_get("scopes")?,
        created_at: read_time(row, "created_at")?,
        expires_at: read_time_if(row, "expires_at")?,
        last_used_at: read_time_if(row, "last_used_at")?,
        revoked_at: read_time_if(row, "revoked_at")?,
    })
}
