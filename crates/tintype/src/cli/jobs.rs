//! `tintype jobs`: what waits, what is in hand, and what was given up.

use clap::{Args, ValueEnum};
use tintype::ledger::SqlLedger;
use tintype::queue::{JobRow, JobState, Queue};
use tintype::upload::UploadId;

use super::place::{Place, upload_id};
use super::{DONE, FAILED, USAGE, report, runtime};

/// List jobs: those that wait, those in hand, and the dead, with the reason.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype jobs
  tintype jobs --state dead --json
  tintype jobs --upload 0c5f0b6e6a0e4d0c9a0f3f2e1d0c9b8a

A dead job's upload is `failed`. Mend the reason, then POST /v1/uploads/ID/retry: that makes a new job.")]
pub struct JobsArgs {
    /// Only those that are: waiting, leased or dead
    #[arg(long, value_name = "STATE")]
    state: Option<State>,
    /// Only those of one upload
    #[arg(long, value_name = "ID", value_parser = upload_id)]
    upload: Option<UploadId>,
    /// Most lines, newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Waiting,
    Leased,
    Dead,
}

/// Prints them.
pub fn run(args: &JobsArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    let state = args.state.map(|state| match state {
        State::Waiting => JobState::Waiting,
        State::Leased => JobState::Leased,
        State::Dead => JobState::Dead,
    });
    let read = async {
        let ledger = SqlLedger::attach(&config.ledger).await.map_err(|e| e.0)?;
        let rows = ledger.jobs(args.upload.as_ref(), state, args.limit).await.map_err(|e| e.0)?;
        Ok::<_, String>((rows, ledger.depth().await.map_err(|e| e.0)?))
    };
    match runtime().block_on(read) {
        Ok((rows, depth)) => {
            let printed = rows.iter().all(|row| report::out(&if args.json { json(row) } else { line(row) }));
            if !args.json {
                eprintln!("{} waiting, {} in hand, {} dead", depth.waiting, depth.leased, depth.dead);
            }
            if printed { DONE } else { FAILED }
        }
        Err(error) => {
            eprintln!("tintype: the ledger {}: {error}", config.ledger);
            FAILED
        }
    }
}

fn json(row: &JobRow) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn line(row: &JobRow) -> String {
    let state = format!("{:?}", row.state).to_lowercase();
    let due = row.due_at.replace_nanosecond(0).unwrap_or(row.due_at);
    let why = row.last_error.as_deref().unwrap_or_default();
    format!("{}  {state:<7}  {:>3} attempts  due {due}  {why}", row.upload_id, row.attempts)
}
