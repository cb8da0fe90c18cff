//! `tintype verify`: arguments in, findings out. The work is `tintype::verify`.

use std::time::Duration;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use tintype::app::Beside;
use tintype::ledger::Ledger;
use tintype::verify::{Action, Finding, Options, Summary, Tell, Verifier};

use super::place::Place;
use super::report::out;
use super::table::plain;
use super::{DONE, FAILED, USAGE, runtime, start_log, stop_signal};

/// Hold the store against the ledger: is all there that should be, and nothing else?
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype verify
  tintype verify --deep                     reads every object and compares its SHA-256
  tintype verify --deep --repair            develops again what is missing or damaged
  tintype verify --delete-orphans           removes what nobody knows, if it is a day old
  tintype verify --json > findings.jsonl

Run it beside a server: what is under way is not told. docs/operations.md says what each finding means.
Exit code: 0 all fits, 1 something does not (or did not, and has a new job now), 2 wrong usage or configuration.")]
pub struct VerifyArgs {
    /// Read every object and compare its SHA-256, not its size alone
    #[arg(long)]
    deep: bool,
    /// Develop again what is missing or damaged, while its original is there
    #[arg(long)]
    repair: bool,
    /// Remove objects where variants are that no upload and no manifest knows, once they are a day old
    #[arg(long)]
    delete_orphans: bool,
    /// Write one finding a line on stdout, and at the end how much was looked at
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs it; gives the exit code.
pub fn run(args: &VerifyArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    start_log("error", false);
    runtime().block_on(async {
        tokio::select! {
            code = verify(args, config) => code,
            () = stop_signal() => {
                eprintln!("tintype: interrupted; what was told until then holds");
                FAILED
            }
        }
    })
}

async fn verify(args: &VerifyArgs, config: tintype::config::Config) -> u8 {
    let service = match Beside::open(config).await {
        Ok(service) => service,
        Err(error) => {
            eprintln!("tintype: {error:#}");
            return USAGE;
        }
    };
    let options = Options { deep: args.deep, repair: args.repair, delete_orphans: args.delete_orphans };
    let rows = service.ledger.count().await.map_or(0, |counts| counts.iter().map(|(_, n)| n).sum());
    let mut told = Told::new(args.json, rows);
    let ended = Verifier::new(&service, options).run(&mut told).await;
    told.bar.finish_and_clear();
    match ended {
        Ok(summary) if told.end(&summary) && summary.holds() => DONE,
        Ok(_) => FAILED,
        Err(error) => {
            eprintln!("tintype: {error}. What was told until then holds");
            FAILED
        }
    }
}

/// Findings as they come, on stdout; how far it has come, on a terminal's stderr.
struct Told {
    json: bool,
    bar: ProgressBar,
    /// A line could not be written.
    lost: bool,
}

impl Told {
    fn new(json: bool, rows: u64) -> Self {
        let bar = ProgressBar::new(rows);
        let style = ProgressStyle::with_template("{bar:32} {human_pos}/{human_len} uploads, {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { json, bar, lost: false }
    }

    fn line(&mut self, line: &str) {
        self.lost |= !self.bar.suspend(|| out(line));
    }

    /// The last line; false when one was lost.
    fn end(&mut self, summary: &Summary) -> bool {
        if self.json {
            self.line(&json!({"checked": summary, "holds": summary.holds()}).to_string());
        } else {
            self.line(&sentence(summary));
        }
        !self.lost
    }
}

impl Tell for Told {
    fn found(&mut self, finding: &Finding) {
        let line = match self.json {
            true => serde_json::to_string(finding).unwrap_or_default(),
            false => row(finding),
        };
        self.line(&line);
    }

    fn looked(&mut self, at: &Summary) {
        self.bar.set_position(at.uploads);
        self.bar.set_message(format!("{} objects,", HumanCount(at.originals + at.objects)));
    }
}

fn row(finding: &Finding) -> String {
    let done = match &finding.action {
        Action::None => String::new(),
        Action::Enqueued => "  -> developed again".to_owned(),
        Action::Deleted => "  -> removed".to_owned(),
        Action::Impossible(why) => format!("  -> left: {why}"),
    };
    let key = finding.key.as_deref().unwrap_or_default();
    plain(&format!("{:<18} {key}  {}{done}", finding.kind.as_str(), finding.detail))
}

fn sentence(summary: &Summary) -> String {
    let looked = format!(
        "{} uploads, {} variants, {} objects and {} originals looked at",
        HumanCount(summary.uploads),
        HumanCount(summary.variants),
        HumanCount(summary.objects),
        HumanCount(summary.originals)
    );
    let young = match summary.in_flight {
        0 => String::new(),
        n => format!(" ({} so young that a job may be at them)", HumanCount(n)),
    };
    let found = match (summary.findings, summary.enqueued, summary.deleted) {
        (0, ..) => "all fits".to_owned(),
        (n, 0, 0) => format!("{} do not fit", HumanCount(n)),
        (n, enqueued, deleted) => format!(
            "{} did not fit: {} developed again, {} removed",
            HumanCount(n),
            HumanCount(enqueued),
            HumanCount(deleted)
        ),
    };
    format!("{looked}{young}: {found}")
}
