//! `tintype process`: the pipeline of the service, on files and folders.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use clap::Args;
use tintype::config::{Config, SandboxMode, Sources};
use tintype::error::Failure;
use tintype::key::Layout;
use tintype::manifest::Manifest;
use tintype::preset::Preset;
use tintype::process::{MemoryBudget, ProcessError, Processor, Renderer, Task, Turns};
use tintype::sandbox;
use tintype::store::file::FileStore;
use tintype_image::Limits;

use super::plan::{Input, check_writable, collisions, inputs};
use super::report::Report;
use super::{DONE, FAILED, USAGE, heap, load, start_log};

/// Most bytes of a file; larger ones are not read into memory.
const MAX_BYTES: u64 = 2 << 30;

/// Most clashes that are told one by one.
const SHOWN: usize = 5;

/// Make every variant of images in files and folders.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype process photo.jpg                    ./image/photo.jpg, ./image/photo_50x50.jpg, ...
  tintype process --out /srv/www photos/       keys keep the paths below photos/
  tintype process --json photos/ > done.jsonl  one manifest a line; failures too, with their code
  tintype process --preset avatar photo.jpg    the variants of [presets.avatar] in tintype.toml
  BLUR=false tintype process photo.jpg         settings as in `tintype config`

What DIR has already of the same file by the same preset is not made again, whatever limits say by now.

Exit code: 0 all done, 1 some failed (the others are done all the same), 2 wrong usage.
Files that are no images count as failed.")]
pub struct ProcessArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder to write in; variants go to its image/ folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Which variants to make
    #[arg(long, value_name = "NAME", default_value = "default")]
    preset: String,
    /// Write one manifest a line on stdout
    #[arg(long)]
    json: bool,
    /// Decode in processes that can do nothing else, as the service does: for files of strangers
    #[arg(long)]
    sandbox: bool,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs it; gives the exit code.
pub fn run(args: &ProcessArgs) -> u8 {
    let Some(config) = load(&Sources::of_process(args.config.clone(), Vec::new())) else {
        return USAGE;
    };
    start_log("warn", false);
    let Some(preset) = config.presets.get(&args.preset).cloned() else {
        eprintln!("tintype: there is no preset {:?}; there is {}", args.preset, config.presets.names());
        return USAGE;
    };
    let layout = Layout::for_files(config.layout.folder()).expect("a folder that a configuration was made of");
    let inputs = inputs(&args.paths, &args.out.join(layout.folder()));
    if inputs.is_empty() {
        eprintln!("tintype: nothing to do: there are no files but hidden ones, or only those of {}", layout.folder());
        return DONE;
    }
    if let Err(why) = check_writable(&inputs, &args.out, &layout) {
        eprintln!(
            "tintype: {why}. Nothing was done: make room there, or let it be written in, or give another folder with --out"
        );
        return USAGE;
    }
    let clashes = collisions(&inputs, &args.out, &layout, &preset);
    for clash in clashes.iter().take(SHOWN) {
        if clash.first == clash.second {
            eprintln!("tintype: {} would be written over by its own variant {}", clash.first, clash.key);
        } else {
            eprintln!("tintype: {} and {} would both write {}", clash.first, clash.second, clash.key);
        }
    }
    if !clashes.is_empty() {
        if clashes.len() > SHOWN {
            eprintln!("… and {} more", clashes.len() - SHOWN);
        }
        eprintln!("Nothing was done. Rename one of each pair, or give another --out folder.");
        return USAGE;
    }
    if !inputs.iter().any(is_large) {
        heap::prepare();
    }
    let renderer = match renderer(&config, args.sandbox) {
        Ok(renderer) => renderer,
        Err(why) => {
            eprintln!("tintype: {why}");
            return USAGE;
        }
    };
    let processor = processor(&config, layout, args, renderer);
    let report = Report::new(args.json, inputs.len());
    let workers = config.workers;
    if all(&processor, &preset, &inputs, &args.out, workers, report) { DONE } else { FAILED }
}

/// Whether a file is so large that what its work no longer needs had better be given back at once.
fn is_large(input: &Input) -> bool {
    const LARGE: u64 = 12 << 20;
    let path = input.key.as_ref().map(|key| input.root.join(key.as_str()));
    path.is_ok_and(|path| std::fs::metadata(path).is_ok_and(|data| data.len() > LARGE))
}

/// One's own files need no box; where one is asked for, it is as the configuration wants it, but not off.
fn renderer(config: &Config, boxed: bool) -> Result<Renderer, String> {
    match config.sandbox {
        _ if !boxed => Ok(Renderer::Thread),
        SandboxMode::Require => sandbox::open(SandboxMode::Require, config.workers),
        SandboxMode::Auto | SandboxMode::Off => sandbox::open(SandboxMode::Auto, config.workers),
    }
}

fn processor(config: &Config, layout: Layout, args: &ProcessArgs, renderer: Renderer) -> Processor {
    let target = Arc::new(FileStore::new(&args.out));
    Processor {
        source: target.clone(),
        target,
        layout,
        limits: Limits {
            max_pixels: config.max_pixels,
            max_frames: config.max_frames,
            damaged: config.damaged,
            deadline: None,
        },
        memory: MemoryBudget::new(config.memory),
        renderer,
        deadline: config.deadline,
        max_bytes: MAX_BYTES,
        strict_type: false,
        replaces: false,
        suffixes: None,
        cache_control: String::new(),
        public_url: None,
        longest_write: None,
        turns: Turns::default(),
    }
}

/// Develops every input, as many at once as there are workers, and tells them in order.
fn all(
    processor: &Processor,
    preset: &Arc<Preset>,
    inputs: &[Input],
    out: &Path,
    workers: usize,
    mut report: Report,
) -> bool {
    let mut tell = |i: usize, result: Result<Manifest, Failure>| match result {
        Ok(manifest) => report.done(&inputs[i].name, &manifest),
        Err(failure) => report.failed(&inputs[i], &failure),
    };
    let next = AtomicUsize::new(0);
    let work = |tell: &mut dyn FnMut(usize, Result<Manifest, Failure>)| {
        let runtime = own_runtime();
        while let Some((i, input)) = take(&next, inputs) {
            let work = AssertUnwindSafe(|| runtime.block_on(develop(processor, preset, input, out)));
            let crashed = || Failure::new("internal", "the work on this file crashed");
            tell(i, catch_unwind(work).unwrap_or_else(|_| Err(crashed())));
        }
        // A renderer that does not notice its deadline is not waited for.
        runtime.shutdown_background();
    };
    let workers = workers.min(inputs.len());
    if workers == 1 {
        work(&mut tell);
    } else {
        let (results, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let results = results.clone();
                // Nobody listens only if telling crashed.
                scope.spawn(|| work(&mut move |i, result| results.send((i, result)).unwrap_or_default()));
            }
            drop(results);
            in_order(told, &mut tell);
        });
    }
    report.finish()
}

/// A runtime for one worker, whose thread does the files' work itself.
fn own_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a clock can be had")
}

fn take<'a>(next: &AtomicUsize, inputs: &'a [Input]) -> Option<(usize, &'a Input)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    Some((i, inputs.get(i)?))
}

/// Hands results on in the order of their numbers, each as soon as those before it are there.
fn in_order<T>(results: mpsc::Receiver<(usize, T)>, tell: &mut impl FnMut(usize, T)) {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (i, result) in results {
        early.insert(i, result);
        while let Some(result) = early.remove(&next) {
            tell(next, result);
            next += 1;
        }
    }
}

async fn develop(processor: &Processor, preset: &Arc<Preset>, input: &Input, out: &Path) -> Result<Manifest, Failure> {
    let processor = Processor { source: Arc::new(FileStore::new(&input.root)), ..processor.clone() };
    let task = Task::new(input.key.clone()?, preset.clone());
    let developed = processor.develop(&task).await;
    developed.map(|developed| developed.manifest).map_err(|error| match error {
        ProcessError::Final(failure) => failure,
        ProcessError::NoDecoder(why) => Failure::new("internal", why),
        ProcessError::Full(_) => {
            let folder = if out == Path::new(".") { "this folder".to_owned() } else { out.display().to_string() };
            let why =
                format!("the disk is full that {folder} is on. Make room there, or give another folder with --out");
            Failure::new("store_unavailable", why)
        }
        disk => Failure::new("store_unavailable", format!("cannot read or write: {disk}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_in_order() {
        let (results, told) = mpsc::channel();
        for i in [2, 0, 3, 1] {
            results.send((i, i * 10)).expect("a listener");
        }
        drop(results);
        let mut seen = Vec::new();
        in_order(told, &mut |i, result| seen.push((i, result)));
        assert_eq!(seen, [(0, 0), (1, 10), (2, 20), (3, 30)]);
    }
}
