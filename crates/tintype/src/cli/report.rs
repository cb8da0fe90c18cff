//! What `tintype process` tells: manifests or sentences on stdout, progress on stderr.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tintype::error::Failure;
use tintype::key::Key;
use tintype::manifest::Manifest;

use super::plan::Input;

/// Writes a line to stdout; false when it is lost. A reader that has gone away (`| head`) wants no more.
pub fn out(line: &str) -> bool {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("tintype: cannot write to stdout: {error}");
            false
        }
        _ => true,
    }
}

/// Tells results as they come.
pub struct Report {
    json: bool,
    bar: ProgressBar,
    done: usize,
    failed: usize,
    /// Lines that could not be written.
    lost: bool,
}

impl Report {
    /// A report on so many inputs. The bar shows on a terminal alone.
    pub fn new(json: bool, inputs: usize) -> Self {
        let bar = ProgressBar::new(inputs as u64);
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {elapsed} (left {eta})");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { json, bar, done: 0, failed: 0, lost: false }
    }

    /// One original is done.
    pub fn done(&mut self, name: &str, manifest: &Manifest) {
        self.done += 1;
        let line = if self.json {
            serde_json::to_string(manifest).unwrap_or_default()
        } else {
            let (original, image) = (&manifest.original, &manifest.image);
            let written: u64 = manifest.variants.iter().map(|variant| variant.bytes).sum();
            let damaged = manifest.damaged.as_ref().map_or_else(String::new, |damaged| {
                format!("; damaged: {} ({:.1} % of its rows are there)", damaged.why, damaged.rows * 100.0)
            });
            format!(
                "{name}: {} {}x{}, {} variants, {written} bytes{damaged}",
                image.format,
                original.width,
                original.height,
                manifest.variants.len()
            )
        };
        self.line(&line);
    }

    /// One original came to nothing.
    pub fn failed(&mut self, input: &Input, failure: &Failure) {
        self.failed += 1;
        if self.json {
            let key = input.key.as_ref().map_or(input.name.as_str(), Key::as_str);
            self.line(&json!({"original": {"key": key}, "error": failure}).to_string());
        } else {
            self.bar.suspend(|| eprintln!("{}: {failure}", input.name));
            self.step();
        }
    }

    fn line(&mut self, line: &str) {
        self.lost |= !self.bar.suspend(|| out(line));
        self.step();
    }

    fn step(&self) {
        self.bar.set_position((self.done + self.failed) as u64);
        if self.failed > 0 {
            self.bar.set_message(format!("{} failed", self.failed));
        }
    }

    /// The last line; true when nothing failed or was lost.
    pub fn finish(self) -> bool {
        self.bar.finish_and_clear();
        eprintln!("{} done, {} failed", self.done, self.failed);
        self.failed == 0 && !self.lost
    }
}
