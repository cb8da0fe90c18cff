//! One ledger in SQL, for SQLite and for Postgres: the same tables, the same statements.
//!
//! SQLite is one file with one writer and many readers (WAL), Postgres a server that many processes share. Where the two
//! differ, `Dialect` says how.

mod arrivals;
mod claims;
pub mod damage;
mod deliveries;
pub mod dump;
mod file;
mod hear;
mod history;
mod jobs;
mod keys;
mod open;
mod pooler;
mod rechecks;
pub mod schema;
#[cfg(test)]
mod testing;
mod turns;
mod uploads;
mod whole;

use std::sync::{Arc, Mutex};

pub use hear::{News, hear};
use sqlx::AnyPool;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row, SqlSafeStr, SqlStr, Transaction};
use time::OffsetDateTime;

use file::LedgerFile;

use super::{LedgerError, Page};
use crate::key::Layout;
use crate::upload::UploadId;

/// Rows in SQLite or Postgres. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqlLedger {
    /// What writes. In SQLite the only connection that does: there is one writer, so it is queued for here, and never
    /// busy but for other programs.
    writer: AnyPool,
    readers: AnyPool,
    dialect: Dialect,
    /// The owner whose job this process claimed last: the next one's turn comes after.
    turn: Arc<Mutex<String>>,
    /// Which originals may write to the same keys.
    layout: Layout,
    /// The file of a SQLite ledger, which may be removed while it is open.
    file: Option<Arc<LedgerFile>>,
}

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Begins a transaction that writes. SQLite's takes the lock at once, so that it need not fail halfway.
    const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What follows a `SELECT` of a row that is changed by what is seen of it. SQLite has one writer.
    const fn locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    /// The texts of a list in JSON, as rows: one statement serves lists of any length.
    fn any_of(self, list: &str) -> String {
        match self {
            Self::Sqlite => format!("SELECT value FROM json_each({list})"),
            Self::Postgres => format!("SELECT jsonb_array_elements_text(CAST({list} AS jsonb))"),
        }
    }

    /// What follows a `SELECT` of rows to claim: others pass over those that one is taking. SQLite has one writer.
    const fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}

impl SqlLedger {
    async fn begin(&self) -> Result<Transaction<'static, Any>, LedgerError> {
        if self.file.as_ref().is_some_and(|file| file.is_lost()) {
            return Err(LedgerError("the file of the ledger was removed or replaced: nothing is written".to_owned()));
        }
        Ok(self.writer.begin_with(self.dialect.begin()).await?)
    }

    /// Waits for what is under way and lets go of the connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Statements here are built of constants only; values are always bound.
fn sql(text: impl Into<String>) -> SqlStr {
    AssertSqlSafe(text.into()).into_sql_str()
}

/// The row that a statement gives back of what it wrote. SQLite commits behind the last row, and only who asks for more of them
/// is told that this failed: of a full disk, say.
async fn written<'q>(query: Query<'q, Any, AnyArguments>, pool: &AnyPool) -> Result<Option<AnyRow>, sqlx::Error> {
    Ok(query.fetch_all(pool).await?.pop())
}

/// Whether a statement failed because a row like it is there already.
fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

fn read_id(row: &AnyRow, column: &str) -> Result<UploadId, LedgerError> {
    let text: String = row.try_get(column)?;
    UploadId::parse(&text).ok_or_else(|| LedgerError(format!("{text:?} is no upload id")))
}

/// A number that cannot be negative.
fn read_count<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Result<T, LedgerError> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| LedgerError(format!("{number} is no {column}")))
}

fn read_time(row: &AnyRow, column: &str) -> Result<OffsetDateTime, LedgerError> {
    Ok(from_millis(row.try_get(column)?))
}

fn read_time_if(row: &AnyRow, column: &str) -> Result<Option<OffsetDateTime>, LedgerError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(from_millis))
}

/// Where a listing goes on: strictly older than the cursor.
fn cursor(page: &Page) -> (i64, String) {
    page.before.as_ref().map_or((i64::MAX, String::new()), |(at, id)| (millis(*at), id.clone()))
}

fn now() -> i64 {
    millis(OffsetDateTime::now_utc())
}

fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
