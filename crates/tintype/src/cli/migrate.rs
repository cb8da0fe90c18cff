//! `tintype migrate`: the ledger's tables, brought up to date before anything serves from them.

use clap::Args;
use tintype::config::Config;
use tintype::ledger::sql::schema::LATEST;
use tintype::ledger::{LedgerError, SqlLedger};

use super::place::Place;
use super::{DONE, FAILED, USAGE, report, runtime};

/// Bring the ledger's tables up to date.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype migrate
  tintype migrate --check        exit code 1 when there is something to do

`tintype serve` and `tintype work` do the same as they start; several at once wait for one of them.
A ledger that a newer version made is refused.")]
pub struct MigrateArgs {
    /// Only say which version there is
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
}

/// Migrates, or looks.
pub fn run(args: &MigrateArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    let done = runtime().block_on(async { if args.check { check(&config).await } else { migrate(&config).await } });
    match done {
        Ok((code, line)) if report::out(&line) => code,
        Ok(_) => FAILED,
        Err(error) => {
            eprintln!("tintype: the ledger {}: {}", config.ledger, error.0);
            FAILED
        }
    }
}

async fn migrate(config: &Config) -> Result<(u8, String), LedgerError> {
    let (ledger, before) = SqlLedger::migrate(&config.ledger).await?;
    ledger.close().await;
    Ok((
        DONE,
        match before {
            LATEST => format!("{}: version {LATEST}, nothing to do", config.ledger),
            0 => format!("{}: made, version {LATEST}", config.ledger),
            before => format!("{}: from version {before} to {LATEST}", config.ledger),
        },
    ))
}

async fn check(config: &Config) -> Result<(u8, String), LedgerError> {
    let ledger = SqlLedger::look(&config.ledger).await?;
    let there = ledger.schema_version().await?;
    ledger.close().await;
    let code = if there == LATEST { DONE } else { FAILED };
    Ok((code, format!("{}: version {there}, this program's is {LATEST}", config.ledger)))
}
