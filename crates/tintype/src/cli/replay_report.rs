//! What `tintype replay` tells: what became of an upload before, each step now, and whether it came to the same.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use tintype::app::Beside;
use tintype::error::Failure;
use tintype::ledger::{Delivery, Ledger, Page};
use tintype::manifest::{Manifest, Variant};
use tintype::preset::Preset;
use tintype::process::{Developed, ProcessError, Step, Watch};
use tintype::queue::{JobRow, Queue};
use tintype::upload::{Upload, UploadId};
use tintype_image::Limits;

use super::report::out;

/// Most jobs and deliveries of one upload that are told.
const SHOWN: u32 = 20;

/// What the ledger says of an upload.
pub struct Past {
    /// Its row.
    pub upload: Upload,
    jobs: Vec<JobRow>,
    deliveries: Vec<Delivery>,
}

impl Past {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such upload, or the ledger cannot be read.
    pub async fn read(service: &Beside, id: &UploadId) -> anyhow::Result<Self> {
        let ledger = &service.ledger;
        let upload =
            ledger.get(id).await?.with_context(|| format!("there is no upload {id} in {}", service.config.ledger))?;
        let jobs = ledger.jobs(Some(id), None, SHOWN).await.map_err(|e| anyhow!(e.0))?;
        let page = Page { limit: SHOWN, ..Page::default() };
        Ok(Self { upload, jobs, deliveries: ledger.deliveries(&page, Some(id)).await? })
    }

    fn tell(&self, preset: &Preset) {
        let Upload { id, status, key, .. } = &self.upload;
        say(&format!("upload    {id} {} ({key})", status.as_str()));
        let reference = preset.reference();
        let before = self.upload.manifest.as_ref().map(|manifest| &manifest.preset.version);
        let changed = match before {
            Some(version) if *version != reference.version => format!(", but it was developed by version {version}"),
            _ => String::new(),
        };
        say(&format!("preset    {} version {}{changed}", reference.name, reference.version));
        if let Some(error) = &self.upload.error {
            say(&format!("error     {error}"));
        }
        for job in &self.jobs {
            let why = job.last_error.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            say(&format!("job       {} {:?}, {} attempts{why}", job.id, job.state, job.attempts));
        }
        for delivery in &self.deliveries {
            let status = delivery.last_status.map(|status| format!(", last answer {status}")).unwrap_or_default();
            let error = delivery.last_error.as_deref().map(|why| format!(", {why}")).unwrap_or_default();
            let Delivery { id, attempts, .. } = delivery;
            say(&format!("delivery  {id} {}, {attempts} attempts{status}{error}", delivery.status.as_str()));
        }
    }

    fn json(&self) -> Value {
        let deliveries = self.deliveries.iter().map(|delivery| {
            json!({"id": delivery.id, "status": delivery.status, "attempts": delivery.attempts,
                   "last_status": delivery.last_status, "last_error": delivery.last_error})
        });
        json!({
            "id": self.upload.id, "key": self.upload.key, "status": self.upload.status, "error": self.upload.error,
            "preset": self.upload.preset, "jobs": self.jobs, "deliveries": deliveries.collect::<Vec<_>>(),
        })
    }
}

/// Tells each step as it is done.
pub struct Report {
    json: bool,
    out: String,
    preset: Arc<Preset>,
    steps: Mutex<Vec<Value>>,
}

impl Report {
    /// Tells what was before.
    pub fn begin(json: bool, past: &Past, preset: &Arc<Preset>, out: &Path) -> Self {
        if !json {
            past.tell(preset);
        }
        Self { json, out: out.display().to_string(), preset: preset.clone(), steps: Mutex::default() }
    }

    /// Tells what it came to; true when it completed, and as the manifest says.
    pub fn end(&self, past: &Past, ended: Result<Developed, ProcessError>) -> bool {
        let manifest = match ended {
            Ok(developed) => developed.manifest,
            Err(error) => {
                // Of a try that is not the last, the job would have been tried again.
                let passing = !matches!(error, ProcessError::Final(_));
                self.failed(past, &error.given_up(1), passing);
                return false;
            }
        };
        let compared = compare(past.upload.manifest.as_ref(), &manifest);
        let same = compared.iter().all(|compared| compared.verdict != "differs" && compared.verdict != "missing");
        if self.json {
            let variants: Vec<Value> = compared.iter().map(Compared::json).collect();
            return self.document(past, json!({"manifest": manifest, "variants": variants, "same": same})) && same;
        }
        for compared in &compared {
            let Variant { name, bytes, key, .. } = compared.variant;
            say(&format!("          {:<8} {name:<18} {bytes:>9} bytes  {key}", compared.verdict));
        }
        let count = |verdict| compared.iter().filter(|compared| compared.verdict == verdict).count();
        say(&match past.upload.manifest {
            Some(_) => format!("{} of {} variants are the same, in {}", count("same"), compared.len(), self.out),
            None => {
                format!("completed; there is no manifest to hold {} variants against, in {}", compared.len(), self.out)
            }
        });
        same
    }

    fn failed(&self, past: &Past, failure: &Failure, passing: bool) {
        if self.json {
            self.document(past, json!({"error": failure, "would_be_tried_again": passing}));
            return;
        }
        let again = if passing { " (a job would be tried again)" } else { "" };
        say(&format!("failed    {failure}{again}"));
    }

    fn document(&self, past: &Past, outcome: Value) -> bool {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        out(&json!({"upload": past.json(), "steps": steps, "out": self.out, "outcome": outcome}).to_string())
    }
}

impl Watch for Report {
    fn done(&self, step: Step<'_>, took: Duration) {
        let (name, facts) = told(&step, &self.preset);
        if self.json {
            let millis = (took.as_secs_f64() * 1e5).round() / 100.0;
            let line = json!({"step": name, "ms": millis, "facts": facts});
            self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        } else {
            say(&format!("{name:<9} {:>8.1} ms  {}", took.as_secs_f64() * 1e3, in_words(&facts)));
        }
    }
}

/// The name of a step, and what it came to.
fn told(step: &Step<'_>, preset: &Preset) -> (&'static str, Value) {
    match step {
        Step::Loaded(original) => {
            let meta = &original.object.meta;
            let needed =
                tintype_image::estimate(&original.object.bytes, &preset.variants, preset.metadata, &Limits::default());
            let memory = needed.ok().map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20)));
            let facts = json!({"bytes": meta.size, "format": original.format.name(), "declared": meta.content_type,
                               "etag": meta.etag, "sha256": original.sha256, "memory_estimate": memory});
            ("load", facts)
        }
        Step::Repeated(manifest) => ("repeated", json!({"variants": manifest.variants.len()})),
        Step::Analyzed(probe) => {
            let facts = json!({"width": probe.width, "height": probe.height, "orientation": probe.orientation,
                               "frames": probe.frames, "has_alpha": probe.has_alpha});
            ("analyze", facts)
        }
        Step::Rendered(rendered) => {
            let bytes: usize = rendered.files.iter().map(|file| file.bytes.len()).sum();
            let facts = &rendered.facts;
            let facts = json!({"variants": rendered.files.len(), "bytes": bytes, "thumbhash": facts.thumbhash,
                               "dominant_color": facts.dominant_color});
            ("render", facts)
        }
        Step::Saved(manifest) => ("save", json!({"objects": manifest.variants.len() + 1})),
    }
}

fn in_words(facts: &Value) -> String {
    let pairs = facts.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let words = pairs.map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name} {text}"),
        None => format!("{name} {value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A variant, and whether it is that of the manifest.
struct Compared<'a> {
    variant: &'a Variant,
    expected: Option<&'a str>,
    verdict: &'static str,
}

impl Compared<'_> {
    fn json(&self) -> Value {
        json!({"name": self.variant.name, "key": self.variant.key, "verdict": self.verdict,
               "sha256": self.variant.sha256, "expected": self.expected})
    }
}

fn compare<'a>(before: Option<&'a Manifest>, now: &'a Manifest) -> Vec<Compared<'a>> {
    let of =
        |manifest: Option<&'a Manifest>, name: &str| manifest?.variants.iter().find(|variant| variant.name == name);
    let mut compared: Vec<_> = now
        .variants
        .iter()
        .map(|variant| {
            let expected = of(before, &variant.name).map(|before| before.sha256.as_str());
            let verdict = match expected {
                Some(sha256) if sha256 == variant.sha256 => "same",
                Some(_) => "differs",
                None => "new",
            };
            Compared { variant, expected, verdict }
        })
        .collect();
    let lost = before.iter().flat_map(|before| &before.variants).filter(|v| of(Some(now), &v.name).is_none());
    compared.extend(lost.map(|variant| Compared { variant, expected: Some(&variant.sha256), verdict: "missing" }));
    compared
}

/// A reader that has gone away wants no more, and misses nothing but words.
fn say(line: &str) {
    let _ = out(&super::table::plain(line));
}
