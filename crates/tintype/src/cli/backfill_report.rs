//! What `tintype backfill` tells: manifests on stdout if asked for, progress and failures on stderr, a table for --dry-run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};
use serde_json::json;
use tintype::backfill::checkpoint::Header;
use tintype::backfill::cost::{
    EGRESS_PER_GB, PRICES, READ_PER_THOUSAND, Requests, WRITE_PER_THOUSAND, dollars, egress_dollars,
};
use tintype::backfill::place::Place;
use tintype::backfill::survey::{Amount, Survey};
use tintype::backfill::{Finished, Outcome, Seen, Summary, Watch};
use tintype::error::Failure;
use tintype::manifest::PresetRef;

use super::report::out;

/// Where there is no terminal, a line comes this often.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Most extensions that are told one by one.
const SHOWN: usize = 6;

/// A bar on a terminal, now and then a line elsewhere. Clones share it.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    last_line: Arc<Mutex<Instant>>,
}

impl Progress {
    /// Begins.
    pub fn new() -> Self {
        let bar = ProgressBar::new(1).with_prefix("+").with_message("listing ");
        let style =
            ProgressStyle::with_template("{bar:32} {human_pos}/{human_len}{prefix} {msg}{elapsed} (left {eta})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, began: Instant::now(), last_line: Arc::new(Mutex::new(Instant::now())) }
    }

    /// So many were looked at.
    pub fn looked(&self, objects: u64, seen: &Seen) {
        self.show(objects, seen, String::new());
    }

    fn developed(&self, summary: &Summary, seen: &Seen) {
        let a_second = summary.bytes_read as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let failed =
            if summary.failed > 0 { format!("{} failed, ", HumanCount(summary.failed)) } else { String::new() };
        self.show(summary.handled(), seen, format!("{failed}{}/s ", DecimalBytes(a_second as u64)));
    }

    fn show(&self, handled: u64, seen: &Seen, message: String) {
        // As long as there is more to list, that much at least is known.
        let more = if seen.is_complete() { "" } else { "+" };
        if self.bar.is_hidden() {
            return self.line(&format!("{handled} of {}{more} objects {message}", seen.objects()));
        }
        self.bar.set_length(seen.objects());
        self.bar.set_prefix(more);
        self.bar.set_position(handled);
        self.bar.set_message(message);
    }

    fn line(&self, line: &str) {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            eprintln!("{}", line.trim_end());
        }
    }

    /// Writes something that is not to be mixed up with the bar.
    pub fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        self.bar.suspend(say)
    }

    /// No more of it.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Tells outcomes as they come.
pub struct Report {
    json: bool,
    progress: Progress,
    /// Lines could not be written.
    lost: bool,
}

impl Report {
    /// Begins.
    pub fn new(json: bool) -> Self {
        Self { json, progress: Progress::new(), lost: false }
    }

    /// Its bar.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// No more of it; true if lines were lost.
    pub fn finish(self) -> bool {
        self.progress.clear();
        self.lost
    }

    fn line(&mut self, line: &str) {
        self.lost |= !self.progress.aside(|| out(line));
    }

    fn failed(&mut self, name: &str, failure: &Failure) {
        if self.json {
            self.line(&json!({"original": {"key": name}, "error": failure}).to_string());
        } else {
            self.progress.aside(|| eprintln!("{name}: {failure}"));
        }
    }
}

impl Watch for Report {
    fn finished(&mut self, finished: &Finished, so_far: &Summary, seen: &Seen) {
        match &finished.outcome {
            Outcome::Done(manifest) | Outcome::Already(manifest) if self.json => {
                self.line(&serde_json::to_string(manifest).unwrap_or_default());
            }
            Outcome::Failed(failure) | Outcome::Passing(failure) => self.failed(&finished.object.name, failure),
            _ => {}
        }
        self.progress.developed(so_far, seen);
    }
}

/// The last line of a run.
pub fn summary(summary: &Summary) -> String {
    let Summary { done, already, known, failed, failed_before, skipped_by_name, .. } = summary;
    let mut parts = vec![format!("{done} done")];
    if *done > 0 {
        let (files, written) = (summary.files_written, DecimalBytes(summary.bytes_written));
        parts[0] += &format!(" ({files} variants of {written} from {})", DecimalBytes(summary.bytes_read));
    }
    if already + known > 0 {
        parts.push(format!(
            "{} done already ({known} by the checkpoint, {already} by their manifests)",
            already + known
        ));
    }
    parts.push(format!("{failed} failed"));
    if *failed_before > 0 {
        parts.push(format!("{failed_before} failed before"));
    }
    if *skipped_by_name > 0 {
        parts.push(format!("{skipped_by_name} skipped by name"));
    }
    parts.join(", ")
}

/// What a dry run found, on stdout; false when that could not be written.
pub fn print_survey(survey: &Survey, place: &Place, header: &Header, max_bytes: u64, json: bool) -> bool {
    let lines =
        if json { vec![survey_json(survey, place, header)] } else { survey_table(survey, place, header, max_bytes) };
    lines.iter().all(|line| out(line))
}

fn survey_json(survey: &Survey, place: &Place, header: &Header) -> String {
    let dollars = json!({
        "requests": survey.requests.dollars(), "own_requests": survey.own_requests.dollars(),
        "egress_outside_the_region": egress_dollars(survey.to_do.bytes), "prices": PRICES,
    });
    let mut value = json!({"dry_run": place.to_string(), "presets": header.presets});
    if let (Some(object), Ok(serde_json::Value::Object(found))) = (value.as_object_mut(), serde_json::to_value(survey))
    {
        object.extend(found);
        object.insert("dollars".to_owned(), dollars);
    }
    value.to_string()
}

fn survey_table(survey: &Survey, place: &Place, header: &Header, max_bytes: u64) -> Vec<String> {
    let presets: Vec<String> = header.presets.iter().map(named).collect();
    let mut lines = vec![format!("{place} under preset {}", presets.join(", ")), String::new()];
    let mut row = |name: &str, amount: Amount, note: String, always: bool| {
        if amount.objects > 0 || always {
            let (objects, bytes) = (HumanCount(amount.objects).to_string(), DecimalBytes(amount.bytes).to_string());
            lines.push(format!("  {name:<20}{objects:>12} objects {bytes:>11}   {note}").trim_end().to_owned());
        }
    };
    row("listed", survey.listed, format!("without the folder {}", header.variants_folder), true);
    row("done already", survey.done_by_checkpoint, "by the checkpoint".to_owned(), false);
    let none = survey.done_by_checkpoint.objects == 0;
    row("done already", survey.done_by_manifest, "by their manifests, all variants there".to_owned(), none);
    row("failed before", survey.failed_before, "--retry-failed tries them again".to_owned(), false);
    let by_name = survey.skipped_by_name.values().fold(Amount::default(), |sum, amount| sum + *amount);
    row("skipped by name", by_name, format!("{}; --every-name reads them too", extensions(survey)), false);
    row("no originals", survey.not_originals, "folders' marks and manifests".to_owned(), false);
    row(
        "refused",
        survey.refused,
        "no usable key, named as variants are, or another original has their keys".to_owned(),
        false,
    );
    row("to do", survey.to_do, format!("{} files to write", HumanCount(survey.to_write)), true);
    let limit = DecimalBytes(max_bytes);
    row(
        "  too large",
        survey.too_large,
        format!("of those to do, over upload.max_bytes ({limit}): they will fail"),
        false,
    );
    row("  not known", survey.unknown, "of those to do: the store failed to say".to_owned(), false);
    lines.extend(cost_lines(survey));
    lines
}

fn cost_lines(survey: &Survey) -> Vec<String> {
    let row = |name: &str, requests: &Requests| {
        let counts = [requests.list, requests.get, requests.head, requests.put];
        let counts: String = counts.iter().map(|n| format!("{:>12}", HumanCount(*n).to_string())).collect();
        format!("  {name:<20}{counts}   {}", dollars(requests.dollars()))
    };
    let egress = dollars(egress_dollars(survey.to_do.bytes));
    let bytes = DecimalBytes(survey.to_do.bytes);
    vec![
        String::new(),
        format!("  {:<20}{:>12}{:>12}{:>12}{:>12}", "requests", "LIST", "GET", "HEAD", "PUT"),
        row("of the run", &survey.requests),
        row("of this dry run", &survey.own_requests),
        String::new(),
        format!("{PRICES}: for 1000 requests, PUT and LIST ${WRITE_PER_THOUSAND}, GET and HEAD ${READ_PER_THOUSAND}."),
        format!("If run outside the region: egress of {bytes} at ${EGRESS_PER_GB}/GB, {egress}."),
        "Not in it: storage of the variants, computing, KMS, retrieval from colder classes, requests that are tried again."
            .to_owned(),
        "Bytes decide what is an image: some of those to do may turn out to be none. Nothing was written.".to_owned(),
    ]
}

fn named(preset: &PresetRef) -> String {
    format!("{} ({})", preset.name, preset.version)
}

/// The most frequent ones: `.txt 12, .pdf 3`.
fn extensions(survey: &Survey) -> String {
    let mut found: Vec<_> = survey.skipped_by_name.iter().map(|(name, amount)| (amount.objects, name)).collect();
    found.sort_by(|a, b| b.cmp(a));
    let more = if found.len() > SHOWN { ", ..." } else { "" };
    let texts: Vec<_> = found.iter().take(SHOWN).map(|(objects, name)| format!(".{name} {objects}")).collect();
    texts.join(", ") + more
}
