//! SQLite: one file, one writer, many readers (WAL).

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, SqlSafeStr, SqliteConnection};
use time::OffsetDateTime;

use super::{Attempt, Created, Delivery, Idempotency, Ledger, LedgerError, Next, Notice, Page, sqlite_deliveries};
use crate::key::Key;
use crate::upload::{Outcome, Status, Upload, UploadId};

const UPLOAD_COLUMNS: &str =
    "id, key, status, policy, extension, preset, processed_key, manifest, error, created_at, expires_at";

/// A ledger in one file.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    /// The only connection that writes: SQLite has one writer, so it is queued for here and never busy.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl SqliteLedger {
    /// Opens or makes the file and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be written, or a newer version of this program made it.
    pub async fn open(file: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An upload that was answered for must outlive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrations().run(&writer).await.map_err(|e| LedgerError(format!("{}: {e}", file.display())))?;
        let readers = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn migrations() -> Migrator {
    let ledger = include_str!("../../migrations/sqlite/0001_ledger.sql");
    Migrator::with_migrations(vec![Migration::new(
        1,
        "ledger".into(),
        MigrationType::Simple,
        ledger.into_sql_str(),
        false,
    )])
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn create(&self, uploads: &[Upload], idempotency: Option<&Idempotency>) -> Result<Created, LedgerError> {
        let mut tx = self.writer.begin().await?;
        if let Some(idempotency) = idempotency
            && let Some(before) = replay(&mut tx, idempotency).await?
        {
            return Ok(before);
        }
        for upload in uploads {
            insert(&mut tx, upload).await?;
        }
        if let Some(idempotency) = idempotency {
            let ids: Vec<_> = uploads.iter().map(|upload| &upload.id).collect();
            sqlx::query("INSERT INTO idempotency (key, request, upload_ids, created_at) VALUES (?, ?, ?, ?)")
                .bind(&idempotency.key)
                .bind(&idempotency.request)
                .bind(serde_json::to_string(&ids)?)
                .bind(millis(OffsetDateTime::now_utc()))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(Created::New)
    }

    async fn arrived(&self, upload: &Upload) -> Result<Option<Upload>, LedgerError> {
        let mut tx = self.writer.begin().await?;
        let revoked = sqlx::query("SELECT 1 FROM revoked WHERE key = ? AND until > ?")
            .bind(upload.key.as_str())
            .bind(millis(OffsetDateTime::now_utc()))
            .fetch_optional(&mut *tx)
            .await?;
        if revoked.is_some() {
            return Ok(None);
        }
        let row = sqlx::query(sql(&format!(
            "UPDATE uploads SET status = CASE status WHEN 'completed' THEN status ELSE 'processing' END
             WHERE key = ? RETURNING {UPLOAD_COLUMNS}"
        )))
        .bind(upload.key.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let row = match row {
            Some(row) => read_upload(&row)?,
            None => {
                let row = Upload { status: Status::Processing, ..upload.clone() };
                insert(&mut tx, &row).await?;
                row
            }
        };
        tx.commit().await?;
        Ok(Some(row))
    }

    async fn get(&self, id: &UploadId) -> Result<Option<Upload>, LedgerError> {
        let row = sqlx::query(sql(&format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ?")))
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read_upload).transpose()
    }

    async fn find(&self, key: &Key) -> Result<Option<Upload>, LedgerError> {
        let row = sqlx::query(sql(&format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE key = ?")))
            .bind(key.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(read_upload).transpose()
    }

    async fn list(&self, page: &Page) -> Result<Vec<Upload>, LedgerError> {
        let (before, id) = cursor(page);
        let rows = sqlx::query(sql(&format!(
            "SELECT {UPLOAD_COLUMNS} FROM uploads WHERE (?1 IS NULL OR status = ?1)
               AND (created_at < ?2 OR (created_at = ?2 AND id > ?3))
             ORDER BY created_at DESC, id LIMIT ?4"
        )))
        .bind(page.status.as_deref())
        .bind(before)
        .bind(id)
        .bind(page.limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(read_upload).collect()
    }

    async fn reopen(&self, id: &UploadId) -> Result<(), LedgerError> {
        sqlx::query("UPDATE uploads SET status = 'processing' WHERE id = ?")
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn finish(&self, id: &UploadId, outcome: &Outcome, notice: Option<&Notice>) -> Result<bool, LedgerError> {
        let (status, processed_key, manifest, error) = match outcome {
            Outcome::Completed(manifest) => {
                (Status::Completed, manifest.processed_key(), Some(serde_json::to_string(manifest)?), None)
            }
            Outcome::Processed(key) => (Status::Completed, Some(key), None, None),
            Outcome::Failed(failure) => (Status::Failed, None, None, Some(serde_json::to_string(failure)?)),
        };
        let mut tx = self.writer.begin().await?;
        let row = sqlx::query(
            "UPDATE uploads SET
               outcomes = outcomes + (outcomes = 0 OR processed_key IS NOT ?2 OR manifest IS NOT ?3 OR error IS NOT ?4),
               status = ?1, processed_key = ?2, manifest = ?3, error = ?4
             WHERE id = ?5 RETURNING outcomes",
        )
        .bind(status.as_str())
        .bind(processed_key.map(Key::as_str))
        .bind(manifest)
        .bind(error)
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(false) };
        if let Some(notice) = notice {
            let delivery = format!("msg_{id}_{}", row.try_get::<i64, _>("outcomes")?);
            sqlite_deliveries::enqueue(&mut tx, &delivery, id, notice).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn expire(&self, now: OffsetDateTime) -> Result<Vec<UploadId>, LedgerError> {
        let rows = sqlx::query(
            "UPDATE uploads SET status = 'expired' WHERE status = 'pending' AND expires_at <= ? RETURNING id",
        )
        .bind(millis(now))
        .fetch_all(&self.writer)
        .await?;
        rows.iter().map(|row| read_id(row, "id")).collect()
    }

    async fn forget(&self, before: OffsetDateTime) -> Result<(), LedgerError> {
        for statement in ["DELETE FROM idempotency WHERE created_at < ?", "DELETE FROM revoked WHERE until < ?"] {
            sqlx::query(statement).bind(millis(before)).execute(&self.writer).await?;
        }
        Ok(())
    }

    async fn remove(&self, upload: &Upload) -> Result<(), LedgerError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO revoked (key, until) VALUES (?, ?)")
            .bind(upload.key.as_str())
            .bind(millis(upload.expires_at))
            .execute(&mut *tx)
            .await?;
        for statement in [
            "DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE upload_id = ?)",
            "DELETE FROM deliveries WHERE upload_id = ?",
            "DELETE FROM jobs WHERE upload_id = ?",
            "DELETE FROM uploads WHERE id = ?",
        ] {
            sqlx::query(statement).bind(upload.id.as_str()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn count(&self) -> Result<Vec<(Status, u64)>, LedgerError> {
        let rows =
            sqlx::query("SELECT status, count(*) AS n FROM uploads GROUP BY status").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((read_status(row)?, row.try_get::<i64, _>("n")?.unsigned_abs()))).collect()
    }

    async fn claim_deliveries(&self, most: u32, lease: Duration) -> Result<Vec<Delivery>, LedgerError> {
        sqlite_deliveries::claim(self, most, lease).await
    }

    async fn recover(&self) -> Result<(), LedgerError> {
        sqlite_deliveries::recover(self).await
    }

    async fn settle_delivery(&self, id: &str, attempt: &Attempt, next: Next) -> Result<(), LedgerError> {
        sqlite_deliveries::settle(self, id, attempt, next).await
    }

    async fn deliveries(&self, page: &Page, upload: Option<&UploadId>) -> Result<Vec<Delivery>, LedgerError> {
        sqlite_deliveries::list(self, page, upload).await
    }

    async fn attempts(&self, id: &str) -> Result<Vec<Attempt>, LedgerError> {
        sqlite_deliveries::attempts(self, id).await
    }

    async fn resend(&self, id: &str) -> Result<bool, LedgerError> {
        sqlite_deliveries::resend(self, id).await
    }
}

/// Statements here are built of constants only; values are always bound.
pub(super) fn sql(text: &str) -> sqlx::SqlStr {
    sqlx::AssertSqlSafe(text.to_owned()).into_sql_str()
}

async fn insert(tx: &mut SqliteConnection, upload: &Upload) -> Result<(), LedgerError> {
    sqlx::query(sql(&format!("INSERT INTO uploads ({UPLOAD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")))
        .bind(upload.id.as_str())
        .bind(upload.key.as_str())
        .bind(upload.status.as_str())
        .bind(serde_json::to_string(&upload.policy)?)
        .bind(upload.extension.as_deref())
        .bind(&upload.preset)
        .bind(upload.processed_key.as_ref().map(Key::as_str))
        .bind(upload.manifest.as_ref().map(serde_json::to_string).transpose()?)
        .bind(upload.error.as_ref().map(serde_json::to_string).transpose()?)
        .bind(millis(upload.created_at))
        .bind(millis(upload.expires_at))
        .execute(tx)
        .await?;
    Ok(())
}

async fn replay(tx: &mut SqliteConnection, asked: &Idempotency) -> Result<Option<Created>, LedgerError> {
    let row = sqlx::query("SELECT request, upload_ids FROM idempotency WHERE key = ?")
        .bind(&asked.key)
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<String, _>("request")? != asked.request {
        return Ok(Some(Created::Conflict));
    }
    let ids: Vec<UploadId> = serde_json::from_str(row.try_get("upload_ids")?)?;
    let mut uploads = Vec::new();
    for id in &ids {
        let row = sqlx::query(sql(&format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ?")))
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        uploads.extend(row.as_ref().map(read_upload).transpose()?);
    }
    Ok(Some(Created::Replayed(uploads)))
}

fn read_upload(row: &SqliteRow) -> Result<Upload, LedgerError> {
    let json = |column: &str| row.try_get::<Option<String>, _>(column);
    Ok(Upload {
        id: read_id(row, "id")?,
        key: Key::new(row.try_get::<String, _>("key")?).map_err(|e| LedgerError(e.to_string()))?,
        status: read_status(row)?,
        policy: serde_json::from_str(row.try_get("policy")?)?,
        extension: row.try_get("extension")?,
        preset: row.try_get("preset")?,
        processed_key: json("processed_key")?.map(Key::new).transpose().map_err(|e| LedgerError(e.to_string()))?,
        manifest: json("manifest")?.as_deref().map(serde_json::from_str).transpose()?,
        error: json("error")?.as_deref().map(serde_json::from_str).transpose()?,
        created_at: from_millis(row.try_get("created_at")?),
        expires_at: from_millis(row.try_get("expires_at")?),
    })
}

pub(crate) fn read_id(row: &SqliteRow, column: &str) -> Result<UploadId, LedgerError> {
    let text: String = row.try_get(column)?;
    UploadId::parse(&text).ok_or_else(|| LedgerError(format!("{text:?} is no upload id")))
}

fn read_status(row: &SqliteRow) -> Result<Status, LedgerError> {
    let word: String = row.try_get("status")?;
    Status::parse(&word).ok_or_else(|| LedgerError(format!("{word:?} is no status")))
}

/// Where a listing goes on: strictly older than the cursor.
pub(super) fn cursor(page: &Page) -> (i64, String) {
    page.before.as_ref().map_or((i64::MAX, String::new()), |(at, id)| (millis(*at), id.clone()))
}

pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

pub(super) fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
