//! What stands between this process and Postgres, and shares sessions out: it must leave each connection its own.
//!
//! Statements are prepared once a connection, news come by `LISTEN`, and migrations hold a lock of their session. A pooler that
//! gives each transaction whatever session is free breaks all three, at some time after the start: it is found at the start.

use sqlx::{AnyConnection, AnyPool, Executor, Row};

use super::sql;
use crate::ledger::LedgerError;

/// What to do about a pooler that shares sessions.
const SHARED: &str = "ledger.url leads to PgBouncer (or a pooler like it) in transaction or statement mode, which gives the statements of one \
                      connection to several sessions of Postgres; Tintype prepares statements, listens and locks in a session. Set \
                      `pool_mode = session` for this database in pgbouncer.ini, or name Postgres's own address in ledger.url";
/// About one that refuses what every connection of this program's driver asks for.
const PARAMETER: &str = "ledger.url leads to PgBouncer, which refuses a parameter that this program's driver sends: set \
                         `ignore_startup_parameters = extra_float_digits` and `pool_mode = session` in pgbouncer.ini, or name \
                         Postgres's own address in ledger.url";

/// A failure to connect, with what to do where a pooler is behind it.
pub(super) fn explain(error: &sqlx::Error) -> LedgerError {
    // In its own words alone: the driver adds a line of Postgres's source.
    let text = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    match text.contains("unsupported startup parameter") {
        true => LedgerError(format!("{text}. {PARAMETER}")),
        false => LedgerError(text),
    }
}

/// Refuses a pooler that gives two connections one session: while one is in a transaction, the other must be where it was.
pub(super) async fn must_keep_sessions(pool: &AnyPool) -> Result<(), LedgerError> {
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let first = session(&mut one).await?;
    if let Err(error) = other.execute(sql("BEGIN")).await {
        // PgBouncer gives each statement a session of its own, and says so.
        let shared = error.to_string().contains("pooling mode");
        return Err(if shared { LedgerError(SHARED.to_owned()) } else { error.into() });
    }
    let (taken, second) = (session(&mut other).await, session(&mut one).await);
    other.execute(sql("ROLLBACK")).await?;
    if first == second? && first != taken? { Ok(()) } else { Err(LedgerError(SHARED.to_owned())) }
}

/// Asked for in the simple protocol, which no pooler breaks.
async fn session(connection: &mut AnyConnection) -> Result<String, LedgerError> {
    let row = connection.fetch_one(sql("SELECT CAST(pg_backend_pid() AS TEXT) AS pid")).await?;
    Ok(row.try_get("pid")?)
}
