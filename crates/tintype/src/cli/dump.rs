//! `tintype export` and `tintype import`: a ledger as a file, and the way back.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use tintype::app::lock;
use tintype::config::Config;
use tintype::ledger::SqlLedger;
use tintype::ledger::sql::dump::{self, Counts};

use super::place::Place;
use super::{DONE, FAILED, USAGE, runtime};

/// Write every row of the ledger to a file, while it is in use.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype export ledger.jsonl
  tintype export - | zstd > ledger.jsonl.zst
  TINTYPE_LEDGER__URL=postgres://tintype@db/tintype tintype export ledger.jsonl

The rows are those of one moment, JSON, one a line.
They hold the secret that signs tokens: keep the file as you keep the ledger.
Objects are copied after it, by other means: docs/operations.md says how, and why in that order.")]
pub struct ExportArgs {
    /// File to write, or - for stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Read what `tintype export` wrote into a new ledger.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype import ledger.jsonl --data new-data
  TINTYPE_LEDGER__URL=postgres://tintype@db/tintype tintype import ledger.jsonl      from SQLite to Postgres
  zstdcat ledger.jsonl.zst | tintype import -

The ledger is made if need be and must be empty; all rows are read in, or none. Stop the server of the old ledger first
if the new one takes its place: both would do the same jobs and send the same callbacks.")]
pub struct ImportArgs {
    /// File to read, or - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Exports; gives the exit code.
pub fn export(args: &ExportArgs) -> u8 {
    let Some(config) = args.place.config() else { return USAGE };
    told(runtime().block_on(write(&config, &args.file)), "exported")
}

/// Imports; gives the exit code.
pub fn import(args: &ImportArgs) -> u8 {
    let Some(config) = args.place.config() else { return USAGE };
    told(runtime().block_on(read(&config, &args.file)), "imported")
}

fn told(done: anyhow::Result<Counts>, word: &str) -> u8 {
    match done {
        Ok(counts) => {
            let of = |table: &str| counts.get(table).copied().unwrap_or_default();
            let (uploads, jobs, deliveries) = (of("uploads"), of("jobs"), of("deliveries"));
            let all: u64 = counts.values().sum();
            eprintln!("{word}: {uploads} uploads, {jobs} jobs, {deliveries} deliveries, {all} rows in all");
            DONE
        }
        Err(error) => {
            eprintln!("tintype: {error:#}");
            FAILED
        }
    }
}

async fn write(config: &Config, file: &Path) -> anyhow::Result<Counts> {
    let ledger = SqlLedger::attach(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?;
    if file == Path::new("-") {
        let mut out = BufWriter::new(io::stdout());
        let counts = ledger.export(&mut out).await?;
        out.flush().context("cannot write to stdout")?;
        return Ok(counts);
    }
    may_replace(file)?;
    // Whole or not at all, and its owner's alone.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("cannot write {}", file.display());
    let mut out = BufWriter::new(tempfile::NamedTempFile::new_in(folder).with_context(cannot)?);
    let counts = ledger.export(&mut out).await?;
    let part = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
    part.as_file().sync_all().with_context(cannot)?;
    part.persist(file).map_err(|e| e.error).with_context(cannot)?;
    Ok(counts)
}

/// What is there already is replaced if it is an earlier export, or empty: nothing else is, and no device.
fn may_replace(file: &Path) -> anyhow::Result<()> {
    let Ok(there) = fs::metadata(file) else { return Ok(()) };
    let name = file.display();
    if !there.is_file() {
        bail!("{name} is no file: name one, or pipe the rows by `tintype export -`");
    }
    let mut begin = Vec::new();
    let read = fs::File::open(file).and_then(|file| file.take(dump::BEGIN.len() as u64).read_to_end(&mut begin));
    read.with_context(|| format!("cannot read {name}, which is there already"))?;
    if !begin.is_empty() && begin != dump::BEGIN.as_bytes() {
        bail!("{name} is there already and is no export: name another file, or remove it first");
    }
    Ok(())
}

async fn read(config: &Config, file: &Path) -> anyhow::Result<Counts> {
    let mut from: Box<dyn io::BufRead + Send> = match file == Path::new("-") {
        true => Box::new(BufReader::new(io::stdin())),
        false => {
            Box::new(BufReader::new(fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
        }
    };
    // No server may be on it.
    let _locks = lock(config)?;
    let ledger = SqlLedger::open(&config.ledger).await.map_err(|e| e.at_opening(&config.ledger))?;
    let counts = ledger.import(&mut *from).await?;
    ledger.close().await;
    Ok(counts)
}
