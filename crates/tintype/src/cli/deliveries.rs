//! `tintype deliveries`: the log of callbacks, and sending them again, beside a server that runs on the same ledger.

use clap::{Args, Subcommand};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tintype::callback::log::entry;
use tintype::callback::resend::{parse_since, resend_dead};
use tintype::config::without_secrets;
use tintype::ledger::{Attempt, Delivery, DeliveryStatus, Ledger, LedgerError, Page, SqlLedger};
use tintype::upload::UploadId;

use super::place::Place;
use super::report::out;
use super::table::plain;
use super::{DONE, FAILED, USAGE, runtime, start_log};

/// Rows read at a time.
const ROWS: u32 = 500;

/// Look into the log of callbacks, and send them again.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype deliveries list --status dead           callbacks that were never taken
  tintype deliveries show msg_7c9e6679742540de944be07fc1f90ae7_1
  tintype deliveries resend --dead --since 2d     once the endpoint is mended

It works beside a running server, with the same configuration and in the same folder: what is made
due here, the server sends within a second or two.

Exit code: 0 done, 1 no such delivery or no ledger, 2 wrong usage or configuration.")]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum What {
    /// List deliveries, newest first
    #[command(after_help = "\
Examples:
  tintype deliveries list --status dead --limit 0
  tintype deliveries list --upload 7c9e6679742540de944be07fc1f90ae7
  tintype deliveries list --json | jq -r 'select(.status == \"dead\").id'")]
    List {
        /// Only those that are pending, delivered or dead
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<DeliveryStatus>,
        /// Only those of one upload
        #[arg(long, value_name = "ID", value_parser = upload)]
        upload: Option<UploadId>,
        /// Most of them; 0: all
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// One JSON document a line, with every attempt
        #[arg(long)]
        json: bool,
    },
    /// Show a delivery: what it says, and every attempt
    #[command(after_help = "\
Examples:
  tintype deliveries show msg_7c9e6679742540de944be07fc1f90ae7_1
  tintype deliveries show --json msg_7c9e6679742540de944be07fc1f90ae7_1 | jq .attempts")]
    Show {
        /// Its id, which is its webhook-id
        id: String,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Send deliveries again, from the first attempt on
    #[command(after_help = "\
Examples:
  tintype deliveries resend msg_7c9e6679742540de944be07fc1f90ae7_1
  tintype deliveries resend --dead                             all that were never taken
  tintype deliveries resend --dead --since 2026-11-25T08:00:00Z")]
    Resend {
        /// One of them, whatever became of it
        #[arg(required_unless_present = "dead", conflicts_with = "dead")]
        id: Option<String>,
        /// All that are dead, but for those whose upload has a later outcome
        #[arg(long)]
        dead: bool,
        /// Of the dead, those that died since: a while ago, such as 2d, or a time, such as 2026-11-25T08:00:00Z
        #[arg(long, value_name = "SINCE", requires = "dead", value_parser = since)]
        since: Option<OffsetDateTime>,
    },
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    DeliveryStatus::parse(text).ok_or_else(|| "it is pending, delivered or dead".to_owned())
}

fn upload(text: &str) -> Result<UploadId, String> {
    UploadId::parse(text).ok_or_else(|| "an upload's id is 32 hex digits".to_owned())
}

fn since(text: &str) -> Result<OffsetDateTime, String> {
    parse_since(text, OffsetDateTime::now_utc())
}

/// Runs it; gives the exit code.
pub fn run(args: DeliveriesArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    start_log("error", false);
    let done = runtime().block_on(async {
        let ledger = SqlLedger::attach(&config.ledger).await?;
        match args.what {
            What::List { status, upload, limit, json } => list(&ledger, status, upload.as_ref(), limit, json).await,
            What::Show { id, json } => show(&ledger, &id, json).await,
            What::Resend { id: Some(id), .. } => resend(&ledger, &id).await,
            What::Resend { since, .. } => resend_all(&ledger, since).await,
        }
    });
    done.unwrap_or_else(|error: LedgerError| {
        eprintln!("tintype: the ledger {}: {}", config.ledger, error.0);
        FAILED
    })
}

async fn list(
    ledger: &SqlLedger,
    status: Option<DeliveryStatus>,
    upload: Option<&UploadId>,
    limit: u32,
    json: bool,
) -> Result<u8, LedgerError> {
    let status = status.map(|status| status.as_str().to_owned());
    let (mut page, mut left) = (Page { status, before: None, limit: ROWS }, if limit == 0 { u32::MAX } else { limit });
    let mut written =
        json || out(&format!("{:<38}  {:<9}  {:>8}  {:<20}  LAST ATTEMPT", "ID", "STATUS", "ATTEMPTS", "MADE"));
    loop {
        page.limit = ROWS.min(left);
        let rows = ledger.deliveries(&page, upload).await?;
        for row in &rows {
            written &= match json {
                true => out(&json!(entry(row, ledger.attempts(&row.id).await?)).to_string()),
                false => out(&line(row)),
            };
        }
        left -= u32::try_from(rows.len()).unwrap_or(left);
        match rows.last() {
            Some(last) if written && left > 0 && rows.len() == page.limit as usize => {
                page.before = Some((last.created_at, last.id.clone()));
            }
            _ => return Ok(if written { DONE } else { FAILED }),
        }
    }
}

fn line(row: &Delivery) -> String {
    let last = match (&row.last_error, row.last_status) {
        (Some(error), _) => plain(error),
        (None, Some(status)) => status.to_string(),
        (None, None) => "none yet".to_owned(),
    };
    let (status, made) = (row.status.as_str(), time(row.created_at));
    format!("{:<38}  {status:<9}  {:>8}  {made:<20}  {last}", row.id, row.attempts)
}

async fn show(ledger: &SqlLedger, id: &str, json: bool) -> Result<u8, LedgerError> {
    let Some(row) = ledger.delivery(id).await? else {
        return Ok(missing(id));
    };
    let attempts = ledger.attempts(id).await?;
    let text = if json { json!(entry(&row, attempts)).to_string() } else { page(&row, &attempts) };
    Ok(if out(&text) { DONE } else { FAILED })
}

fn page(row: &Delivery, attempts: &[Attempt]) -> String {
    let mut text = format!("delivery   {}\nupload     {}\n", row.id, row.upload_id);
    text += &format!(
        "to         {} {}\nmade       {}\n",
        row.method,
        plain(&without_secrets(&row.url)),
        time(row.created_at)
    );
    text += &match row.status {
        DeliveryStatus::Pending => format!("status     pending; due {}\n", time(row.due_at)),
        status => format!("status     {}\n", status.as_str()),
    };
    for (attempt, number) in attempts.iter().zip(1..) {
        let answer = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        text += &format!("attempt {number:<2} {}  {answer}  {} ms\n", time(attempt.at), attempt.millis);
        text += &attempt.error.iter().map(|error| format!("           {}\n", plain(error))).collect::<String>();
        for line in attempt.response.iter().flat_map(|response| response.lines()) {
            text += &format!("           | {}\n", plain(line));
        }
    }
    text += &format!("body       {}\n", plain(&row.body));
    text.trim_end().to_owned()
}

async fn resend(ledger: &SqlLedger, id: &str) -> Result<u8, LedgerError> {
    if !ledger.resend(id).await? {
        return Ok(missing(id));
    }
    eprintln!("{id} is due now");
    Ok(DONE)
}

async fn resend_all(ledger: &SqlLedger, since: Option<OffsetDateTime>) -> Result<u8, LedgerError> {
    let done = resend_dead(ledger, since).await?;
    let superseded = match done.superseded {
        0 => String::new(),
        n => format!("; {n} stay dead, since their upload has a later outcome"),
    };
    eprintln!("{} due now{superseded}", done.resent);
    Ok(if out(&json!({"resent": done.resent, "superseded": done.superseded}).to_string()) { DONE } else { FAILED })
}

fn missing(id: &str) -> u8 {
    eprintln!("tintype: there is no delivery {id}; `tintype deliveries list` shows those there are");
    FAILED
}

/// To the second: what a person reads.
fn time(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}
