//! The tables, and how a ledger of an older version comes to have those of this one.

use std::borrow::Cow;

use sqlx::AnyPool;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Row, SqlSafeStr};

use super::{Dialect, damage};
use crate::ledger::LedgerError;

/// Name, and text in SQLite's and in Postgres's words. Once released, a text never changes.
const MIGRATIONS: [(&str, &str, &str); 8] = [
    (
        "ledger",
        include_str!("../../../migrations/sqlite/0001_ledger.sql"),
        include_str!("../../../migrations/postgres/0001_ledger.sql"),
    ),
    (
        "trust",
        include_str!("../../../migrations/sqlite/0002_trust.sql"),
        include_str!("../../../migrations/postgres/0002_trust.sql"),
    ),
    (
        "history",
        include_str!("../../../migrations/sqlite/0003_history.sql"),
        include_str!("../../../migrations/postgres/0003_history.sql"),
    ),
    (
        "trace",
        include_str!("../../../migrations/sqlite/0004_trace.sql"),
        include_str!("../../../migrations/postgres/0004_trace.sql"),
    ),
    (
        "first bytes",
        include_str!("../../../migrations/sqlite/0005_first_bytes.sql"),
        include_str!("../../../migrations/postgres/0005_first_bytes.sql"),
    ),
    (
        "fair",
        include_str!("../../../migrations/sqlite/0006_fair.sql"),
        include_str!("../../../migrations/postgres/0006_fair.sql"),
    ),
    (
        "rechecks",
        include_str!("../../../migrations/sqlite/0007_rechecks.sql"),
        include_str!("../../../migrations/postgres/0007_rechecks.sql"),
    ),
    (
        "in hand",
        include_str!("../../../migrations/sqlite/0008_in_hand.sql"),
        include_str!("../../../migrations/postgres/0008_in_hand.sql"),
    ),
];

/// The version of the tables that this program knows.
pub const LATEST: i64 = MIGRATIONS.len() as i64;

/// The version of the tables that are there; 0 for none.
pub(super) async fn version(pool: &AnyPool, dialect: Dialect) -> Result<i64, LedgerError> {
    let exists = match dialect {
        Dialect::Sqlite => "SELECT count(*) AS n FROM sqlite_master WHERE name = '_sqlx_migrations'",
        Dialect::Postgres => {
            "SELECT count(*) AS n FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = current_schema()"
        }
    };
    if sqlx::query(exists).fetch_one(pool).await?.try_get::<i64, _>("n")? == 0 {
        return Ok(0);
    }
    let row = sqlx::query("SELECT max(version) AS v FROM _sqlx_migrations").fetch_one(pool).await?;
    Ok(row.try_get::<Option<i64>, _>("v")?.unwrap_or(0))
}

/// Brings the tables up to date; several processes that start at once wait for one of them. Gives the version before.
///
/// # Errors
/// When a newer version of the program made the ledger, or the database refuses.
pub(super) async fn migrate(pool: &AnyPool, dialect: Dialect) -> Result<i64, LedgerError> {
    let before = version(pool, dialect).await?;
    not_newer(before)?;
    migrate_to(pool, dialect, MIGRATIONS.len()).await?;
    Ok(before)
}

/// The same, as far as a version.
pub(super) async fn migrate_to(pool: &AnyPool, dialect: Dialect, latest: usize) -> Result<(), LedgerError> {
    let migrations = MIGRATIONS[..latest].iter().zip(1..).map(|((name, sqlite, postgres), version)| {
        let text = if dialect == Dialect::Sqlite { *sqlite } else { *postgres };
        Migration::new(version, Cow::Borrowed(*name), MigrationType::Simple, text.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run(pool).await.map_err(|error| {
        if let MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) = &error {
            damage::note(cause);
        }
        LedgerError(format!("its tables cannot be brought up to date: {error}"))
    })
}

/// What a program that only looks in asks for.
pub(super) fn is_current(version: i64) -> Result<(), LedgerError> {
    not_newer(version)?;
    if version < LATEST {
        let why = format!(
            "its tables are of version {version}, this program's are {LATEST}: run `tintype migrate`, or start `tintype serve`"
        );
        return Err(LedgerError(why));
    }
    Ok(())
}

fn not_newer(version: i64) -> Result<(), LedgerError> {
    if version > LATEST {
        return Err(LedgerError(format!(
            "a newer tintype made it: its tables are of version {version}, this program knows {LATEST}. Run that tintype, or \
             restore the backup from before it"
        )));
    }
    Ok(())
}
