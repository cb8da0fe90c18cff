//! Connections.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, AnyPool};
use sqlx::{Connection, Executor, SqlStr};
use url::Url;

use super::file::LedgerFile;
use super::{Dialect, SqlLedger, damage, pooler, schema, sql, whole};
use crate::key::Layout;
use crate::ledger::{LedgerError, LedgerUrl};

/// Connections that read a SQLite file: four, and one more while it is checked.
const SQLITE_READERS: u32 = 5;
/// Connections of one process to Postgres.
const POSTGRES_CONNECTIONS: u32 = 16;
/// Longest wait for a connection: a request is told to come again rather than kept.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of each connection that writes SQLite: an upload that was answered for must outlive a power cut, and other programs
/// (a backup, a command beside the server) may hold the file for a while.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;";
/// Of each that reads it.
const READER: &str = "PRAGMA busy_timeout = 10000;";

impl SqlLedger {
    /// Opens a ledger, made if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// When the database cannot be reached or written, or a newer version of this program made it.
    pub async fn open(url: &LedgerUrl) -> Result<Self, LedgerError> {
        let (ledger, _) = Self::migrate(url).await?;
        Ok(ledger)
    }

    /// The same ledger, which knows by the folders of the bucket which originals may write to the same keys.
    #[must_use]
    pub fn with_layout(self, layout: &Layout) -> Self {
        Self { layout: layout.clone(), ..self }
    }

    /// The same, and says which version its tables had before.
    ///
    /// # Errors
    /// As [`SqlLedger::open`].
    pub async fn migrate(url: &LedgerUrl) -> Result<(Self, i64), LedgerError> {
        let ledger = Self::connect(url, true).await?;
        match schema::migrate(&ledger.writer, ledger.dialect).await {
            Ok(before) => Ok((ledger, before)),
            Err(error) => {
                // Rows that make no sense may be those of a damaged page: then it is said.
                let _ = whole::check(&ledger).await;
                Err(error)
            }
        }
    }

    /// Opens a ledger that is there and up to date, beside the processes that serve from it.
    ///
    /// # Errors
    /// When there is none, or it is of another version.
    pub async fn attach(url: &LedgerUrl) -> Result<Self, LedgerError> {
        Self::is_there(url)?;
        let ledger = Self::connect(url, false).await?;
        schema::is_current(schema::version(&ledger.readers, ledger.dialect).await?)?;
        Ok(ledger)
    }

    /// The version of its tables; 0 for none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn schema_version(&self) -> Result<i64, LedgerError> {
        schema::version(&self.readers, self.dialect).await
    }

    /// Opens a ledger as it is: to ask for its version.
    ///
    /// # Errors
    /// When there is none, or the database cannot be reached.
    pub async fn look(url: &LedgerUrl) -> Result<Self, LedgerError> {
        Self::is_there(url)?;
        Self::connect(url, false).await
    }

    /// A file that is missing is said so, and where to look: SQLite only knows that it cannot be opened.
    fn is_there(url: &LedgerUrl) -> Result<(), LedgerError> {
        match url {
            LedgerUrl::Sqlite(file) if !file.exists() => Err(LedgerError(format!(
                "there is no file {}: name the folder that `tintype serve` runs with by --data",
                file.display()
            ))),
            _ => Ok(()),
        }
    }

    async fn connect(url: &LedgerUrl, make: bool) -> Result<Self, LedgerError> {
        install_default_drivers();
        match url {
            LedgerUrl::Sqlite(file) => {
                let writer = sqlite(file, if make { "rwc" } else { "rw" }, 1, WRITER).await?;
                let readers = sqlite(file, "ro", SQLITE_READERS, READER).await?;
                Ok(Self {
                    writer,
                    readers,
                    dialect: Dialect::Sqlite,
                    turn: Arc::default(),
                    layout: Layout::default(),
                    file: Some(Arc::new(LedgerFile::new(file))),
                })
            }
            LedgerUrl::Postgres(url) => {
                let pool = postgres(url).await?;
                Ok(Self {
                    writer: pool.clone(),
                    readers: pool,
                    dialect: Dialect::Postgres,
                    turn: Arc::default(),
                    layout: Layout::default(),
                    file: None,
                })
            }
        }
    }
}

async fn sqlite(file: &Path, mode: &str, connections: u32, pragmas: &'static str) -> Result<AnyPool, LedgerError> {
    let path = utf8_percent_encode(&file.to_string_lossy(), NON_ALPHANUMERIC).to_string();
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE * 2)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(pragma(pragmas)).await.map(drop) })
        })
        // On a full disk SQLite rolls back by itself. The roll-back that follows then fails, and the connection
        // believes in its transaction for ever: it is closed, and another one opened.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }));
    let url = format!("sqlite:{path}?mode={mode}");
    let error = match options.connect(&url).await {
        Err(sqlx::Error::PoolTimedOut) => alone(&url, pragmas).await.unwrap_or(sqlx::Error::PoolTimedOut),
        Err(error) => error,
        Ok(pool) => return Ok(pool),
    };
    damage::note(&error);
    Err(LedgerError(format!("{}: {error}", file.display())))
}

/// What a connection outside of the pool fails by, if it does: the pool tries again until its time is over, and says no more than that.
async fn alone(url: &str, pragmas: &'static str) -> Option<sqlx::Error> {
    let tried = async { AnyConnection::connect(url).await?.execute(pragma(pragmas)).await };
    tried.await.err()
}

fn pragma(text: &'static str) -> SqlStr {
    sql(text)
}

async fn postgres(url: &Url) -> Result<AnyPool, LedgerError> {
    let options = AnyPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(PATIENCE);
    let pool = match options.connect(url.as_str()).await {
        Err(sqlx::Error::PoolTimedOut) => return Err(out_of_reach(url).await),
        connected => connected.map_err(|error| pooler::explain(&error))?,
    };
    pooler::must_keep_sessions(&pool).await?;
    Ok(pool)
}

/// The pool tries again and again, and keeps to itself what each try came to.
async fn out_of_reach(url: &Url) -> LedgerError {
    let tried = tokio::time::timeout(PATIENCE, AnyConnection::connect(url.as_str())).await;
    let why = match tried {
        Ok(Err(error)) => pooler::explain(&error).0,
        Ok(Ok(_)) => "it took until now to take a connection; try again".to_owned(),
        Err(_) => "no answer".to_owned(),
    };
    LedgerError(format!(
        "no connection could be had: {why}. See that Postgres runs, and that ledger.url names the host and port where this machine reaches it"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::ledger::Ledger;
    use crate::ledger::testing::sqlite;

    #[tokio::test]
    async fn writes_go_on_after_a_full_disk() {
        let (_folder, ledger) = sqlite().await;
        // No page more than there are: of this connection alone, so the one that takes its place has room.
        sqlx::query("PRAGMA max_page_count = 1").execute(&ledger.writer).await.unwrap();
        let insert = "INSERT INTO secrets (name, value) VALUES ($1, $2)";
        let mut tx = ledger.begin().await.unwrap();
        let full = sqlx::query(insert).bind("large").bind("x".repeat(1 << 20)).execute(&mut *tx).await.unwrap_err();
        assert!(full.to_string().contains("full"), "{full}");
        drop(tx);
        let mut tx = ledger.begin().await.unwrap();
        sqlx::query(insert).bind("small").bind("kept").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(ledger.secret("small", "another").await.unwrap(), "kept");
    }
}
