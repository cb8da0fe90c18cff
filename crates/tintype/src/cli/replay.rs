//! `tintype replay`: what a worker did with an upload, done again here, step by step.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use tintype::app::Beside;
use tintype::config::Config;
use tintype::process::{Processor, Task};
use tintype::store::Store;
use tintype::store::file::FileStore;
use tintype::upload::{Upload, UploadId};

use super::place::{Place, upload_id};
use super::replay_report::{Past, Report};
use super::replay_source::Given;
use super::{DONE, FAILED, USAGE, runtime, start_log};

/// Develop an upload's original again, here, and say what each step came to.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype replay 0c5f0b6e6a0e4d0c9a0f3f2e1d0c9b8a
  tintype replay 0c5f0b6e6a0e4d0c9a0f3f2e1d0c9b8a --out /tmp/look
  tintype replay 0c5f0b6e6a0e4d0c9a0f3f2e1d0c9b8a --original photo.jpg    once the original is gone
  tintype replay 0c5f0b6e6a0e4d0c9a0f3f2e1d0c9b8a --json

The row comes from the ledger and the original from the store, beside a server that runs; nothing is
written to either. Variants go to --out and are held against the upload's manifest.

Exit code: 0 it completed, and as the manifest says, 1 it failed or differs, 2 wrong usage or configuration.")]
pub struct ReplayArgs {
    /// The upload
    #[arg(value_name = "ID", value_parser = upload_id)]
    id: UploadId,
    /// Use this file for the original [default: the object in the store]
    #[arg(long, value_name = "FILE")]
    original: Option<PathBuf>,
    /// Folder to write variants in [default: a new one among the temporary files]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write one JSON document on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs it; gives the exit code.
pub fn run(args: &ReplayArgs) -> u8 {
    let Some(config) = args.place.config() else {
        return USAGE;
    };
    start_log("warn", false);
    let runtime = runtime();
    let code = runtime.block_on(replay(args, config)).unwrap_or_else(|error| {
        eprintln!("tintype: {error:#}");
        USAGE
    });
    // A renderer that does not notice its deadline is not waited for.
    runtime.shutdown_background();
    code
}

async fn replay(args: &ReplayArgs, config: Config) -> anyhow::Result<u8> {
    let service = Beside::open(config).await?;
    let past = Past::read(&service, &args.id).await?;
    let out = folder(args)?;
    let task = task(&service.config, &past.upload)?;
    let report = Report::begin(args.json, &past, &task.preset, &out);
    let processor = Processor {
        source: source(args, &service, &past.upload)?,
        target: Arc::new(FileStore::new(&out)),
        ..service.processor.clone()
    };
    let ended = processor.develop_watched(&task, &report).await;
    Ok(if report.end(&past, ended) { DONE } else { FAILED })
}

fn folder(args: &ReplayArgs) -> anyhow::Result<PathBuf> {
    match &args.out {
        Some(out) if out.is_file() => Err(anyhow!("--out {} is a file, not a folder", out.display())),
        Some(out) => Ok(out.clone()),
        None => {
            let made = tempfile::Builder::new().prefix("tintype-replay-").tempdir();
            Ok(made.context("cannot make a folder among the temporary files; name one with --out")?.keep())
        }
    }
}

/// What the job's worker would set out to do. The work is done though a manifest be there.
fn task(config: &Config, upload: &Upload) -> anyhow::Result<Task> {
    let preset = config.presets.get(&upload.preset).cloned().with_context(|| {
        format!("its preset {:?} is not configured any more; there is {}", upload.preset, config.presets.names())
    })?;
    Ok(Task { extension: upload.extension.clone(), force: true, ..Task::new(upload.key.clone(), preset) })
}

fn source(args: &ReplayArgs, service: &Beside, upload: &Upload) -> anyhow::Result<Arc<dyn Store>> {
    match &args.original {
        None => Ok(service.store.clone()),
        Some(file) => Ok(Arc::new(given(file, upload, service.config.upload.max_bytes)?)),
    }
}

/// A byte more than an upload may have is enough for the steps to refuse it.
fn given(file: &Path, upload: &Upload, most: u64) -> anyhow::Result<Given> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Given::new(upload, bytes.into()))
}
