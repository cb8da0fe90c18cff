//! A ledger as text, one row a line, and the way back: a backup of one that is in use, and the way from SQLite to Postgres.
//!
//! A header, every row of every table as of one moment, and a last line with the counts, without which a file is cut off.

mod rows;

use std::collections::BTreeMap;
use std::io::{self, BufRead, ErrorKind, Read, Write};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfoKind};
use sqlx::{Any, AnyConnection, Column, Row, ValueRef};
use time::OffsetDateTime;

use super::{Dialect, SqlLedger, schema, sql};
use crate::ledger::LedgerError;
use crate::manifest::ENGINE;

/// Every table but that of the migrations, with the order of its rows.
const TABLES: [(&str, &str); 10] = [
    ("secrets", "name"),
    ("api_keys", "id"),
    ("uploads", "id"),
    ("idempotency", "key"),
    ("revoked", "key"),
    ("rechecks", "key"),
    ("jobs", "id"),
    ("job_attempts", "id"),
    ("deliveries", "id"),
    ("delivery_attempts", "delivery_id, at"),
];

/// Why a ledger was not written out or read in. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The rows.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file.
    #[error("the file: {0}")]
    Io(#[from] std::io::Error),
    /// It is none of ours, is cut off, or is of another version.
    #[error("{0}")]
    Unfit(String),
    /// There is something already.
    #[error("the ledger is not empty: `{0}` has rows. Import into a new one, before its first `tintype serve`")]
    NotEmpty(&'static str),
}

impl From<sqlx::Error> for DumpError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    /// The version of the tables.
    tintype_ledger: i64,
    engine: String,
    #[serde(with = "time::serde::rfc3339")]
    exported_at: OffsetDateTime,
}

/// What every export begins with.
pub const BEGIN: &str = "{\"tintype_ledger\":";

/// The longest line: rows hold manifests, and some of them names and metadata.
const LONGEST_LINE: u64 = 16 << 20;

/// Every line between the first and the last.
#[derive(Serialize, Deserialize)]
struct Line {
    table: String,
    row: Map<String, Value>,
}

/// The last line: how many rows each table has.
#[derive(Serialize, Deserialize)]
struct Footer {
    rows: Counts,
}

/// Rows by table.
pub type Counts = BTreeMap<String, u64>;

/// The lines of a file, none of which takes all memory there is.
fn lines(from: &mut (dyn BufRead + Send)) -> impl Iterator<Item = io::Result<String>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = from.take(LONGEST_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => None,
            Ok(_) if line.len() as u64 == LONGEST_LINE => {
                let why = format!("a line is longer than {} MiB", LONGEST_LINE >> 20);
                Some(Err(io::Error::new(ErrorKind::InvalidData, why)))
            }
            Ok(_) => {
                line.pop_if(|last| *last == b'\n');
                Some(String::from_utf8(line).map_err(|error| io::Error::new(ErrorKind::InvalidData, error)))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

impl SqlLedger {
    /// Writes every row as of one moment, while others read and write. Memory does not grow with the ledger.
    ///
    /// # Errors
    /// When rows cannot be read or the file cannot be written.
    pub async fn export(&self, out: &mut (dyn Write + Send)) -> Result<Counts, DumpError> {
        let header = Header {
            tintype_ledger: schema::LATEST,
            engine: ENGINE.to_owned(),
            exported_at: OffsetDateTime::now_utc(),
        };
        line(out, &header)?;
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        };
        let mut tx = self.readers.begin_with(begin).await?;
        let mut counts = Counts::new();
        for (table, order) in TABLES {
            let query = sql(format!("SELECT * FROM {table} ORDER BY {order}"));
            let mut rows = sqlx::query(query).fetch(&mut *tx);
            let mut count = 0;
            while let Some(row) = rows.try_next().await? {
                line(out, &Line { table: table.to_owned(), row: values(&row)? })?;
                count += 1;
            }
            counts.insert(table.to_owned(), count);
        }
        line(out, &Footer { rows: counts.clone() })?;
        Ok(counts)
    }

    /// Reads what [`SqlLedger::export`] wrote into an empty ledger: all of it or nothing. What was in hand is free.
    ///
    /// # Errors
    /// When the ledger is not empty, or the file is cut off or of another version.
    pub async fn import(&self, from: &mut (dyn BufRead + Send)) -> Result<Counts, DumpError> {
        let mut lines = lines(from);
        check_header(&lines.next().transpose()?.unwrap_or_default())?;
        let mut tx = self.begin().await?;
        for (table, _) in TABLES {
            let any =
                sqlx::query(sql(format!("SELECT 1 AS one FROM {table} LIMIT 1"))).fetch_optional(&mut *tx).await?;
            if any.is_some() {
                return Err(DumpError::NotEmpty(table));
            }
        }
        let columns = self.known_columns(&mut tx).await?;
        let mut counts: Counts = TABLES.iter().map(|(table, _)| ((*table).to_owned(), 0)).collect();
        let mut ended = None;
        for (number, text) in (2..).zip(lines) {
            let text = text?;
            if ended.is_some() {
                return Err(DumpError::Unfit(format!("line {number} comes after the last")));
            }
            match serde_json::from_str::<Line>(&text) {
                Ok(Line { table, row }) => {
                    rows::check(&table, &row).map_err(|why| DumpError::Unfit(format!("line {number}: {why}")))?;
                    insert(&mut tx, &columns, &table, free(&table, row)).await.map_err(|e| at(number, e))?;
                    *counts.entry(table).or_default() += 1;
                }
                Err(error) => match serde_json::from_str::<Footer>(&text) {
                    Ok(footer) => ended = Some(footer.rows),
                    Err(_) => return Err(DumpError::Unfit(format!("line {number} is no row: {error}"))),
                },
            }
        }
        match ended {
            None => Err(DumpError::Unfit("the file is cut off: its last line, with the counts, is missing".to_owned())),
            Some(told) if told != counts => {
                Err(DumpError::Unfit(format!("rows are missing: its last line tells of {told:?}, it has {counts:?}")))
            }
            Some(_) => {
                self.go_on_counting(&mut tx).await?;
                tx.commit().await?;
                Ok(counts)
            }
        }
    }

    /// The columns that each table has here.
    async fn known_columns(&self, tx: &mut AnyConnection) -> Result<BTreeMap<&'static str, Vec<String>>, DumpError> {
        let mut columns = BTreeMap::new();
        for (table, _) in TABLES {
            let (query, name) = match self.dialect {
                Dialect::Sqlite => ("SELECT name FROM pragma_table_info($1)", "name"),
                Dialect::Postgres => (
                    "SELECT CAST(column_name AS TEXT) AS name FROM information_schema.columns
                     WHERE table_name = $1 AND table_schema = current_schema()",
                    "name",
                ),
            };
            let rows = sqlx::query(query).bind(table).fetch_all(&mut *tx).await?;
            let names = rows.iter().map(|row| row.try_get(name)).collect::<Result<Vec<String>, _>>()?;
            columns.insert(table, names);
        }
        Ok(columns)
    }

    /// New rows come after those that were read in. SQLite sees to that itself.
    async fn go_on_counting(&self, tx: &mut AnyConnection) -> Result<(), DumpError> {
        if self.dialect == Dialect::Postgres {
            for table in ["jobs", "job_attempts"] {
                let last = format!("(SELECT COALESCE(max(id), 1) FROM {table})");
                let query = sql(format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})"));
                sqlx::query(query).execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}

fn line(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), DumpError> {
    let json = serde_json::to_string(value).map_err(LedgerError::from)?;
    Ok(writeln!(out, "{json}")?)
}

fn check_header(text: &str) -> Result<(), DumpError> {
    let header: Header = serde_json::from_str(text)
        .map_err(|_| DumpError::Unfit("it is no export of a ledger: its first line is no header".to_owned()))?;
    if header.tintype_ledger == schema::LATEST {
        return Ok(());
    }
    Err(DumpError::Unfit(format!(
        "it has tables of version {}, written by {}; this is {ENGINE}, with version {}. Import it with the tintype that wrote \
         it, then run `tintype migrate` of this one",
        header.tintype_ledger,
        header.engine,
        schema::LATEST
    )))
}

fn at(number: u64, error: DumpError) -> DumpError {
    match error {
        DumpError::Ledger(error) => DumpError::Unfit(format!("line {number}: {error}")),
        DumpError::Unfit(why) => DumpError::Unfit(format!("line {number}: {why}")),
        other => other,
    }
}

fn values(row: &AnyRow) -> Result<Map<String, Value>, DumpError> {
    let mut values = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let value = match raw.type_info().kind() {
            _ if raw.is_null() => Value::Null,
            AnyTypeInfoKind::Text => Value::String(row.try_get(index)?),
            AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
                Value::from(row.try_get::<i64, _>(index)?)
            }
            other => return Err(LedgerError(format!("a column {} of type {other:?}", column.name())).into()),
        };
        values.insert(column.name().to_owned(), value);
    }
    Ok(values)
}

/// A row less what a process had in hand, which is another's now.
fn free(table: &str, mut row: Map<String, Value>) -> Map<String, Value> {
    match table {
        "jobs" => row.insert("lease".to_owned(), Value::Null),
        "deliveries" => {
            row.insert("lease".to_owned(), Value::Null);
            row.insert("leased".to_owned(), Value::from(0))
        }
        _ => None,
    };
    row
}

async fn insert(
    tx: &mut AnyConnection,
    columns: &BTreeMap<&'static str, Vec<String>>,
    table: &str,
    row: Map<String, Value>,
) -> Result<(), DumpError> {
    let known = columns.get(table).ok_or_else(|| DumpError::Unfit(format!("there is no table {table:?}")))?;
    // Names become part of the statement, so only those of this ledger do.
    if let Some(strange) = row.keys().find(|name| !known.contains(name)) {
        return Err(DumpError::Unfit(format!("the table {table} has no column {strange:?}")));
    }
    // What is null is so by default, whatever its type.
    let given: Vec<_> = row.iter().filter(|(_, value)| !value.is_null()).collect();
    let names: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    let text = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
    let mut query = sqlx::query(sql(text));
    for (name, value) in given {
        query = bind(query, value).ok_or_else(|| DumpError::Unfit(format!("{name} is neither text nor number")))?;
    }
    query.execute(tx).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

fn bind<'q>(query: Query<'q>, value: &Value) -> Option<Query<'q>> {
    Some(match value {
        Value::String(text) => query.bind(text.clone()),
        Value::Number(number) => query.bind(number.as_i64()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ledger::testing::{Postgres, sqlite};

    const UPLOAD: &str = "0123456789abcdef0123456789abcdef";

    /// One row of each table, with all there can be in text, and nothing where nothing may be.
    async fn fill(ledger: &SqlLedger) {
        let odd = "{\"a\": \"line\\nü ' \\\" $1 \u{1F5BC}\"}";
        let policy = r#"{"method": "POST", "content_type": "image/*", "max_bytes": 1, "metadata": {}}"#;
        let event = r#"{"bucket": null, "key": "temp/ü ' $1.jpg", "size": 3, "etag": "e", "version": null}"#;
        for (statement, text) in [
            ("INSERT INTO secrets (name, value) VALUES ('token', $1)", odd),
            (
                "INSERT INTO api_keys (id, name, hash, scopes, created_at) VALUES
                 ('k', $1, '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 'metrics', 1)",
                odd,
            ),
            (
                "INSERT INTO uploads (id, key, status, policy, preset, filename, created_at, expires_at)
                 VALUES ('@', 'temp/u', 'pending', $1, 'default', 'é', 1700000000123, 1700000000999)",
                policy,
            ),
            ("INSERT INTO idempotency (key, request, upload_ids, created_at) VALUES ('i', $1, '[]', 1)", odd),
            ("INSERT INTO revoked (key, until) VALUES ($1, 5)", odd),
            ("INSERT INTO rechecks (key, since, due_at) VALUES ($1, 5, 6)", odd),
            (
                "INSERT INTO jobs (id, upload_id, event, force, due_at, lease, created_at)
                 VALUES (41, '@', $1, 1, 1, 'held', 1)",
                event,
            ),
            (
                "INSERT INTO job_attempts (upload_id, job_id, ended_at, outcome, error) VALUES ('@', 41, 2, 'again', $1)",
                odd,
            ),
            (
                "INSERT INTO deliveries (id, upload_id, url, method, body, status, due_at, leased, lease, outcome, endpoint, created_at)
                 VALUES ('msg_@_1', '@', 'http://h/', 'PUT', $1, 'pending', 1, 1, 'held', 1, 'http://h', 1)",
                odd,
            ),
            (
                "INSERT INTO delivery_attempts (delivery_id, at, error, millis) VALUES ('msg_@_1', 1, $1, 9007199254740993)",
                odd,
            ),
        ] {
            let statement = statement.replace('@', UPLOAD);
            sqlx::query(sql(statement)).bind(text).execute(&ledger.writer).await.unwrap();
        }
    }

    async fn exported(ledger: &SqlLedger) -> Vec<String> {
        let mut out = Vec::new();
        ledger.export(&mut out).await.unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    async fn imported(lines: &[String]) -> (tempfile::TempDir, SqlLedger) {
        let (dir, ledger) = sqlite().await;
        let counts = ledger.import(&mut lines.join("\n").as_bytes()).await.unwrap();
        assert!(counts.values().all(|n| *n == 1), "{counts:?}");
        (dir, ledger)
    }

    #[tokio::test]
    async fn every_table_is_in_it() {
        let (_dir, ledger) = sqlite().await;
        let tables = ledger.columns().await.into_iter().map(|(place, _)| place.split('.').next().unwrap().to_owned());
        let tables: std::collections::BTreeSet<String> = tables.collect();
        assert_eq!(tables, TABLES.iter().map(|(table, _)| (*table).to_owned()).collect());
    }

    #[tokio::test]
    async fn rows_come_back_as_they_were_and_leases_are_free() {
        let (_dir, ledger) = sqlite().await;
        fill(&ledger).await;
        let lines = exported(&ledger).await;
        let (_other_dir, other) = imported(&lines).await;
        let again = exported(&other).await;
        for (before, after) in lines.iter().zip(&again).skip(1) {
            let free = before.replace("\"lease\":\"held\"", "\"lease\":null").replace("\"leased\":1", "\"leased\":0");
            assert_eq!(*after, free);
        }
        let full = other.import(&mut lines.join("\n").as_bytes()).await.unwrap_err();
        assert!(matches!(full, DumpError::NotEmpty("secrets")), "{full}");
    }

    #[tokio::test]
    async fn a_row_that_no_program_writes_is_refused_with_its_line_and_nothing_is_read_in() {
        let (_dir, ledger) = sqlite().await;
        fill(&ledger).await;
        let lines = exported(&ledger).await;
        for (good, bad, why) in [
            (format!("\"id\":\"{UPLOAD}\""), "\"id\":\"../x\"".to_owned(), "upload id"),
            ("\"status\":\"pending\",\"policy\"".into(), "\"status\":\"gone\",\"policy\"".into(), "status"),
            ("\"key\":\"temp/u\"".into(), "\"key\":\"temp//u\"".into(), "uploads.key"),
            ("1700000000123".into(), "\"soon\"".into(), "uploads.created_at"),
        ] {
            let at = lines.iter().position(|line| line.contains(&good) && line.contains("\"uploads\"")).unwrap();
            let mut broken = lines.clone();
            broken[at] = broken[at].replace(&good, &bad);
            assert_ne!(broken[at], lines[at]);
            let (_other, other) = sqlite().await;
            let error = other.import(&mut broken.join("\n").as_bytes()).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {}: ", at + 1)) && error.contains(why), "{error}");
            other.import(&mut lines.join("\n").as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn from_sqlite_to_postgres_and_back() {
        let Some(server) = Postgres::start() else { return };
        let (_dir, ledger) = sqlite().await;
        fill(&ledger).await;
        let lines = exported(&ledger).await;
        let postgres = server.ledger().await;
        postgres.import(&mut lines.join("\n").as_bytes()).await.unwrap();
        let there = exported(&postgres).await;
        let next =
            "INSERT INTO jobs (upload_id, event, force, due_at, created_at) VALUES ('v', '', 0, 1, 1) RETURNING id";
        let next: i64 = sqlx::query(next).fetch_one(&postgres.writer).await.unwrap().get("id");
        assert_eq!(next, 42, "new jobs come after those that were read in");
        let tried = "INSERT INTO job_attempts (upload_id, ended_at, outcome) VALUES ('u', 3, 'completed') RETURNING id";
        let tried: i64 = sqlx::query(tried).fetch_one(&postgres.writer).await.unwrap().get("id");
        assert_eq!(tried, 2, "and so do their tries");
        sqlx::query("DELETE FROM job_attempts WHERE id = 2").execute(&postgres.writer).await.unwrap();
        let (_back_dir, back) = imported(&there).await;
        let (_straight_dir, straight) = imported(&lines).await;
        assert_eq!(exported(&back).await[1..], exported(&straight).await[1..]);
        postgres.close().await;
    }
}
