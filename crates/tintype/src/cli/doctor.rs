//! `tintype doctor`: asks the library what holds of a bucket, and prints it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tintype::config::{Config, Sources, parse_duration};
use tintype::doctor::fix::{self, Change, Notify, Step};
use tintype::doctor::{self, Exam, Finding, Options, State};
use url::{Origin, Url};

use super::report::out;
use super::table::{Table, plain};
use super::{DONE, FAILED, USAGE, load, runtime, start_log, stop_signal};

/// Look into a bucket: what holds of it, and how to mend what does not.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype doctor s3://my-bucket
  tintype doctor s3://my-bucket --origin https://app.example.com
  tintype doctor s3://my-bucket --fix --dry-run
  tintype doctor s3://my-bucket --fix --notify arn:aws:lambda:eu-west-1:123456789012:function:thumbs
  tintype doctor s3://photos --endpoint http://127.0.0.1:8333    a store other than AWS
  tintype doctor                                  the configured bucket, or a running `tintype serve`

First it says what this machine holds its decoders by, and tries to get out of their box.
It uploads a small image as a client would, and removes it and all that was made of it. No callback
is sent for it. --fix adds to the settings that are there; it takes nothing out and opens nothing
but what --origin asks for. docs/doctor.md tells of each check.

Exit code: 0 all holds, 1 something does not, 2 wrong usage or configuration.")]
pub struct DoctorArgs {
    /// The bucket [default: store.url of the configuration]
    #[arg(value_name = "s3://BUCKET")]
    bucket: Option<String>,
    /// Address of a store other than AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Page that uploads, to look whether it may (CORS)
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    origin: Option<String>,
    /// Longest time until the uploaded image is processed
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = wait)]
    wait: Duration,
    /// Mend what can be mended without guessing, then look
    #[arg(long)]
    fix: bool,
    /// Whom to tell of uploads: the ARN of a Lambda function, SQS queue or SNS topic, or `eventbridge`
    #[arg(long, value_name = "ARN", requires = "fix")]
    notify: Option<Notify>,
    /// Say what --fix would change, and do nothing
    #[arg(long, requires = "fix")]
    dry_run: bool,
    /// Write one JSON document on stdout
    #[arg(long)]
    json: bool,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs it; gives the exit code.
pub fn run(args: &DoctorArgs) -> u8 {
    let flags = [("store.url", &args.bucket), ("store.endpoint", &args.endpoint), ("store.region", &args.region)];
    let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
    let Some(config) = load(&Sources::of_process(args.config.clone(), flags)) else {
        return USAGE;
    };
    start_log("error", false);
    let bar = spinner();
    let teller = bar.clone();
    let options = Options {
        origin: args.origin.clone(),
        wait: args.wait,
        again: again(args),
        tell: Box::new(move |what| teller.set_message(what.to_owned())),
    };
    let exam = match Exam::new(&config, options) {
        Ok(exam) => exam,
        Err(error) => {
            if !args.json {
                out(&decoders_alone(&config));
            }
            eprintln!("tintype: {error:#}");
            return USAGE;
        }
    };
    runtime().block_on(visit(args, &exam, &bar))
}

/// What can be told without a bucket.
fn decoders_alone(config: &Config) -> String {
    let mut table = Table::new("this machine");
    runtime().block_on(doctor::decoders(config.sandbox)).iter().for_each(|finding| table.row(finding));
    table.end("", None, &[])
}

/// Mends, looks, removes what was written, and tells. An interruption ends the looking, and nothing else.
async fn visit(args: &DoctorArgs, exam: &Exam, bar: &ProgressBar) -> u8 {
    let mut told = Told { json: args.json, ..Told::default() };
    if args.fix && !mend(args, exam, bar, &mut told).await {
        return told.end(exam, FAILED);
    }
    if args.dry_run {
        return told.end(exam, DONE);
    }
    let found = tokio::select! {
        found = doctor::examine(exam) => Some(found),
        () = stop_signal() => None,
    };
    told.left = doctor::clean_up(exam).await;
    bar.finish_and_clear();
    let Some(found) = found else {
        eprintln!("tintype: interrupted; what was written is removed again");
        return FAILED;
    };
    told.findings = found;
    let holds = !told.failed && told.findings.iter().all(|finding| finding.state != State::Problem);
    told.end(exam, if holds { DONE } else { FAILED })
}

/// Mends what can be; false when the store cannot even be asked.
async fn mend(args: &DoctorArgs, exam: &Exam, bar: &ProgressBar, told: &mut Told) -> bool {
    bar.set_message("reading the settings");
    let steps = match fix::plan(exam, args.notify.as_ref()).await {
        Ok(steps) => steps,
        Err(trouble) => {
            told.failed = true;
            told.step(bar, "failed", &trouble.to_string());
            return false;
        }
    };
    for step in &steps {
        match step {
            Step::Change(change) if args.dry_run => told.step(bar, "would change", &change.what),
            Step::Change(change) => told.applied(bar, change, fix::apply(exam, change).await),
            Step::Leave(why) => told.step(bar, "left", why),
        }
    }
    if !steps.iter().any(|step| matches!(step, Step::Change(_))) {
        told.step(bar, "nothing to change", "");
    }
    true
}

/// What is told, and how.
#[derive(Default)]
struct Told {
    json: bool,
    changes: Vec<(&'static str, String)>,
    /// A change that was to be made was not.
    failed: bool,
    findings: Vec<Finding>,
    /// What could not be removed.
    left: Vec<String>,
}

impl Told {
    fn step(&mut self, bar: &ProgressBar, what: &'static str, of: &str) {
        self.changes.push((what, of.to_owned()));
        if !self.json {
            let colon = if of.is_empty() { "" } else { ": " };
            bar.suspend(|| out(&plain(&format!("{what}{colon}{of}"))));
        }
    }

    fn applied(&mut self, bar: &ProgressBar, change: &Change, result: Result<(), doctor::Trouble>) {
        match result {
            Ok(()) => self.step(bar, "changed", &change.what),
            Err(trouble) => {
                self.failed = true;
                self.step(bar, "failed", &format!("{}: {trouble}", change.what));
            }
        }
    }

    /// Prints what is not printed yet; gives the exit code back, unless printing failed.
    fn end(&self, exam: &Exam, code: u8) -> u8 {
        let text = if self.json { self.document(exam, code == DONE).to_string() } else { self.table(exam) };
        if text.is_empty() || out(&text) { code } else { FAILED }
    }

    fn table(&self, exam: &Exam) -> String {
        if self.findings.is_empty() {
            return String::new();
        }
        let layout = exam.layout();
        let head = format!("{}: uploads in {}, variants in {}", exam.address(), layout.prefix(), layout.folder());
        let mut table = Table::new(&head);
        self.findings.iter().for_each(|finding| table.row(finding));
        table.end(&self.sum(), self.mend(), &self.notes(exam))
    }

    /// The longest of the commands with `--fix`: the others are parts of it.
    fn mend(&self) -> Option<&str> {
        let ours = self.findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.ours);
        ours.filter_map(|fix| fix.command.as_deref()).max_by_key(|command| command.len())
    }

    /// How many of each.
    fn sum(&self) -> String {
        let count = |state| self.findings.iter().filter(|finding| finding.state == state).count();
        let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let (problems, warnings) = (count(State::Problem), count(State::Warning));
        let counts = [format!("{} ok", count(State::Ok)), plural(problems, "problem"), plural(warnings, "warning")];
        format!("{}, {} skipped", counts.join(", "), count(State::Skipped))
    }

    fn notes(&self, exam: &Exam) -> Vec<String> {
        let mut notes = Vec::new();
        let originals = exam.originals();
        if !originals.is_empty() {
            notes.push(format!("No callback is sent for {}.", originals.join(", ")));
        }
        if !exam.wrote() {
            return notes;
        }
        notes.push(match self.left.is_empty() {
            true => "Everything that was written is removed again.".to_owned(),
            false => format!("This could not be removed again: {}.", self.left.join(", ")),
        });
        notes
    }

    fn document(&self, exam: &Exam, holds: bool) -> Value {
        let changes = self.changes.iter().filter(|(_, of)| !of.is_empty());
        let changes: Vec<_> = changes.map(|(what, of)| json!({"state": what, "what": of})).collect();
        json!({
            "bucket": exam.bucket_name(),
            "address": exam.address(),
            "holds": (!self.findings.is_empty()).then_some(holds),
            "changes": changes,
            "checks": self.findings,
            "uploaded": exam.originals(),
            "left": self.left,
        })
    }
}

/// Says what is being done, on a terminal alone.
fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}

/// The command that examines this bucket again.
fn again(args: &DoctorArgs) -> String {
    let mut words = vec!["tintype doctor".to_owned()];
    words.extend(args.bucket.clone());
    let config = args.config.as_ref().map(|path| path.display().to_string());
    for (flag, value) in
        [("--endpoint", &args.endpoint), ("--region", &args.region), ("--origin", &args.origin), ("--config", &config)]
    {
        words.extend(value.as_ref().map(|value| format!("{flag} {value}")));
    }
    words.join(" ")
}

fn wait(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// An origin as browsers write it: no path, no usual port.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || "write it as browsers do: https://app.example.com".to_owned();
    let url: Url = text.parse().map_err(|_| wrong())?;
    match url.origin() {
        Origin::Tuple(..) if url.path() == "/" && url.query().is_none() => Ok(url.origin().ascii_serialization()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (given, written) in [
            ("https://app.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("HTTP://LOCALHOST:3000", "http://localhost:3000"),
            ("https://a.example:443", "https://a.example"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(written), "{given}");
        }
        for bad in ["app.example.com", "https://a/b", "", "file:///a"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
