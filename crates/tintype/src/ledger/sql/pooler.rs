//! What stands between this process and Postgres, and shares sessions out: it must leave each connection its own.
//!
//! Statements are prepared once a connection, news come by `LISTEN`, and migrations hold a lock of their session. A pooler that
//! gives each transaction whatever session is free breaks all three, at some time after the start: it is found at the start.

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Row, SqlSafeStr};

use crate::ledger::LedgerError;

/// What to do about a pooler that shares sessions.
const SHARED: &str = "ledger.url leads to PgBouncer (or a pooler like it) in transaction mode, which gives the statements of one \
                      connection to several sessions of Postgres; Tintype prepares statements, listens and locks in a session. Set \
                      `pool_mode = session` for this database in pgbouncer.ini, or name Postgres's own address in ledger.url";
/// About one that refuses what every connection of this program's driver asks for.
const PARAMETER: &str = "ledger.url leads to PgBouncer, which refuses a parameter that this program's driver sends: set \
                         `ignore_startup_parameters = extra_float_digits` and `pool_mode = session` in pgbouncer.ini, or name \
                         Postgres's own address in ledger.url";

/// A failure to connect, with what to do where a pooler is behind it.
pub(super) fn explain(error: &sqlx::Error) -> LedgerError {
    let text = error.to_string();
    match text.contains("unsupported startup parameter") {
        true => LedgerError(format!("{text}. {PARAMETER}")),
        false => LedgerError(text),
    }
}

/// Refuses a pooler that gives two connections one session: while one is in a transaction, the other must be where it was.
pub(super) async fn must_keep_sessions(pool: &AnyPool) -> Result<(), LedgerError> {
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let first = session(&mut one).await?;
    run(&mut other, "BEGIN").await?;
    let taken = session(&mut other).await;
    let second = session(&mut one).await;
    run(&mut other, "ROLLBACK").await?;
    if first == second? && first != taken? { Ok(()) } else { Err(LedgerError(SHARED.to_owned())) }
}

/// In the simple protocol, which no pooler breaks.
async fn run(connection: &mut PoolConnection<Any>, statement: &'static str) -> Result<(), LedgerError> {
    sqlx::raw_sql(statement.into_sql_str()).execute(&mut **connection).await?;
    Ok(())
}

async fn session(connection: &mut PoolConnection<Any>) -> Result<String, LedgerError> {
    let statement = "SELECT CAST(pg_backend_pid() AS TEXT) AS pid";
    Ok(sqlx::raw_sql(statement.into_sql_str()).fetch_one(&mut **connection).await?.try_get("pid")?)
}
