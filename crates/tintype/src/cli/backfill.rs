//! `tintype backfill`: arguments in, exit code out. The work is `tintype::backfill`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tintype::backfill::checkpoint::{Checkpoint, CheckpointError, Header};
use tintype::backfill::place::Place;
use tintype::backfill::rate::{Pace, Rate};
use tintype::backfill::select::{Selection, Wanted};
use tintype::backfill::survey::{Surveyed, survey};
use tintype::backfill::tell::Callbacks;
use tintype::backfill::{Backfill, Ended};
use tintype::config::{Config, Sources};
use tintype::process::{MemoryBudget, Processor};
use tintype::sandbox;
use tintype::stateless::notify::Notifier;
use tintype::store::StoreError;
use tintype::store::s3::S3Store;
use tokio_util::sync::CancellationToken;

use super::backfill_report::{Progress, Report, print_survey};
use super::{DONE, FAILED, USAGE, load, runtime, start_log, stop_signal};

/// Most of an original's time goes by waiting for the store: so many a core keep it busy.
const WORKERS_A_CORE: usize = 4;

/// Make every variant of images that are in a bucket already.
///
/// Keys, presets and manifests are those of the service: variants go to variants.folder of the same bucket. What is done
/// already under the same version of its preset is found by its manifest and left alone.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype backfill s3://my-bucket/photos/ --dry-run   what there is to do, and what it costs
  tintype backfill s3://my-bucket/photos/
  tintype backfill s3://my-bucket --rate 20/s         the whole bucket, but not in a hurry
  tintype backfill s3://b/p/ --retry-failed           what failed before again
  CALLBACK_URL='https://example.com/{key}/' tintype backfill s3://b/p/ --callback
  tintype backfill s3://b/p/ --endpoint http://127.0.0.1:9000 --json > done.jsonl

Ctrl-C or SIGTERM finishes running work. The same command goes on from there, after kill -9 too.

Estimates are in S3 Standard list prices of us-east-1, November 2026: for 1000 requests
PUT and LIST $0.005, GET and HEAD $0.0004. Egress, if run outside the region, is told
apart: $0.09/GB. Storage and computing are not in it.

Credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile of ~/.aws, or the machine's role (docs/s3.md).
Exit code: 0 all done, 1 some failed or left, 2 wrong usage.")]
pub struct BackfillArgs {
    /// Where the objects are: s3://BUCKET, or s3://BUCKET/PREFIX for names that begin with PREFIX
    #[arg(value_name = "ADDRESS")]
    place: Place,
    /// Address of a store other than AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Region of the bucket [default: store.region]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Which variants to make [default: by the `paths` of presets; of keys that the API gave out, what the manifest names]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Say what there is to do and what it would cost; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Originals begun in a time, evenly: 20/s, 600/min, 5000/h [default: as fast as it goes]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Originals in work at once [default: 4 a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Where it is kept what is done [default: tintype-backfill-BUCKET-HASH.jsonl in this folder]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Try again what failed before by the checkpoint; what failed for the store's sake is tried again anyway
    #[arg(long)]
    retry_failed: bool,
    /// Call callback.url back with what comes of each, as the service does of uploads
    #[arg(long)]
    callback: bool,
    /// Read every object, also those whose extension no image has (.txt, .pdf, .mp4, ...)
    #[arg(long)]
    every_name: bool,
    /// Write one manifest a line on stdout; failures too, with their code
    #[arg(long)]
    json: bool,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs it; gives the exit code.
pub fn run(args: &BackfillArgs) -> u8 {
    let Some(config) = load(&Sources::of_process(args.config.clone(), flags(args))) else {
        return USAGE;
    };
    start_log("warn", false);
    let (backfill, header) = match prepare(args, &config) {
        Ok(prepared) => prepared,
        Err(why) => {
            eprintln!("tintype: {why}");
            return USAGE;
        }
    };
    let path = args.checkpoint.clone().unwrap_or_else(|| header.default_path());
    let runtime = runtime();
    let code = runtime.block_on(async {
        let stop = CancellationToken::new();
        let done = if args.dry_run {
            look(args, &backfill, &header, &path, &stop).await
        } else {
            work(args, backfill, &header, &path, &stop).await
        };
        done.unwrap_or_else(|error| {
            eprintln!("tintype: {error}");
            USAGE
        })
    });
    // A renderer that does not notice its deadline is not waited for.
    runtime.shutdown_background();
    code
}

fn flags(args: &BackfillArgs) -> Vec<(&'static str, String)> {
    let url = Some(format!("s3://{}", args.place.bucket));
    let flags = [("store.url", url), ("store.endpoint", args.endpoint.clone()), ("store.region", args.region.clone())];
    flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn prepare(args: &BackfillArgs, config: &Config) -> Result<(Arc<Backfill>, Header), String> {
    let layout = config.layout.clone();
    if args.place.prefix.starts_with(layout.folder()) {
        return Err(format!(
            "{} lies in {}, where variants go: they are never originals. Name another prefix, or set variants.folder",
            args.place,
            layout.folder()
        ));
    }
    let presets = match &args.preset {
        None => Wanted::ByFolder(config.presets.clone()),
        Some(name) => Wanted::One(
            config
                .presets
                .get(name)
                .cloned()
                .ok_or_else(|| format!("there is no preset {name:?}; there is {}", config.presets.names()))?,
        ),
    };
    let selection = Selection { layout, presets, every_name: args.every_name };
    let header = Header::new(config, &args.place, &selection);
    let place = config.s3(&args.place.bucket);
    let store = Arc::new(S3Store::impatient(&place)?);
    let mut processor = Processor::new(config, store, &place.bucket_url(), MemoryBudget::new(config.memory));
    if !args.dry_run {
        processor.renderer = sandbox::open(config.sandbox, config.workers)?;
    }
    let prefix = args.place.prefix.clone();
    let pace = Pace::new(args.rate);
    let workers = args.workers.map_or_else(default_workers, usize::from);
    let backfill = Backfill {
        processor,
        prefix,
        selection,
        pace,
        workers,
        retry_failed: args.retry_failed,
        callbacks: callbacks(args, config)?,
    };
    Ok((Arc::new(backfill), header))
}

fn callbacks(args: &BackfillArgs, config: &Config) -> Result<Option<Callbacks>, String> {
    let Some(notifier) = args.callback.then(|| Notifier::new(config)) else { return Ok(None) };
    let notifier = notifier.ok_or("--callback needs an address to call: set CALLBACK_URL or callback.url")?;
    Ok(Some(Callbacks { notifier, bucket: args.place.bucket.clone() }))
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * WORKERS_A_CORE
}

async fn look(
    args: &BackfillArgs,
    backfill: &Backfill,
    header: &Header,
    path: &Path,
    stop: &CancellationToken,
) -> Result<u8, CheckpointError> {
    let known = Checkpoint::peek(path, header)?;
    let progress = Progress::new();
    stop_on_signal(stop.clone(), progress.clone(), || eprintln!("stopping"));
    let surveyed = survey(backfill, &known, |objects, seen| progress.looked(objects, seen), stop).await;
    progress.clear();
    Ok(match surveyed {
        Surveyed::Whole(survey) => {
            let printed = print_survey(&survey, &args.place, header, backfill.processor.max_bytes, args.json);
            if printed { DONE } else { FAILED }
        }
        Surveyed::Stopped => FAILED,
        Surveyed::Broken(error) => {
            eprintln!("tintype: {}", cannot_list(args, &error));
            FAILED
        }
    })
}

async fn work(
    args: &BackfillArgs,
    backfill: Arc<Backfill>,
    header: &Header,
    path: &Path,
    stop: &CancellationToken,
) -> Result<u8, CheckpointError> {
    let mut checkpoint = Checkpoint::open(path, header)?;
    announce(args, &backfill, header, path, &checkpoint);
    let mut report = Report::new(args.json);
    stop_on_signal(stop.clone(), report.progress(), || {
        eprintln!(
            "stopping: what is in work is finished first; once more stops at once, which loses no more than that"
        );
    });
    let ended = backfill.run(&mut checkpoint, &mut report, stop).await;
    let ended = ended.map_err(|error| CheckpointError::Io(path.to_owned(), error));
    let lost = report.finish();
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            eprintln!("tintype: {error}. What is done is done: the same command finds it by its manifests");
            return Ok(FAILED);
        }
    };
    conclude(args, &ended, path);
    let Ended { summary, complete, .. } = ended;
    Ok(if complete && summary.failed + summary.failed_before == 0 && !lost { DONE } else { FAILED })
}

/// What is about to begin.
fn announce(args: &BackfillArgs, backfill: &Backfill, header: &Header, path: &Path, checkpoint: &Checkpoint) {
    let at = header.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    let presets = header.presets.iter().map(|preset| format!("{} ({})", preset.name, preset.version));
    let presets = presets.collect::<Vec<_>>().join(", ");
    eprintln!("{}{at}: preset {presets}, {} at once", args.place, backfill.workers);
    let before = match checkpoint.known().counts() {
        (0, 0) => String::new(),
        (done, failed) => format!(": {done} done and {failed} failed before, going on from there"),
    };
    eprintln!("checkpoint {}{before}", path.display());
}

/// What is left to do, and how.
fn conclude(args: &BackfillArgs, ended: &Ended, path: &Path) {
    let Ended { summary, complete, gave_up, broken } = ended;
    eprintln!("{}", super::backfill_report::summary(summary));
    if summary.passing > 0 {
        eprintln!("{} of the failed may do the next time: run the same command again.", summary.passing);
    }
    if summary.failed + summary.failed_before > summary.passing {
        eprintln!("Why each failed is in {}; --retry-failed tries them again.", path.display());
    }
    if *gave_up {
        eprintln!("The store, or the backend that is called, failed too often in a row, so the rest was not begun.");
    }
    if let Some(error) = broken {
        eprintln!("{}", cannot_list(args, error));
    }
    if !complete {
        eprintln!("At least {} objects are left. The same command goes on from here.", summary.left);
    }
}

fn cannot_list(args: &BackfillArgs, error: &StoreError) -> String {
    let hint = match error {
        StoreError::Denied(_) => {
            ". Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role, with s3:ListBucket (docs/s3.md)"
        }
        StoreError::Unavailable(_) => ". Look at --endpoint and --region",
        _ => "",
    };
    format!("{} cannot be listed: {error}{hint}", args.place)
}

/// The first signal stops gently, the second at once.
fn stop_on_signal(stop: CancellationToken, progress: Progress, say: impl Fn() + Send + 'static) {
    tokio::spawn(async move {
        stop_signal().await;
        progress.aside(say);
        stop.cancel();
        stop_signal().await;
        std::process::exit(i32::from(FAILED));
    });
}
