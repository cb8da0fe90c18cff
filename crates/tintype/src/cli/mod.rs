//! The command line: arguments in, exit code out.
//!
//! Exit codes: 0 all done, 1 some failed, 2 wrong usage or configuration.

mod backfill;
mod backfill_report;
mod deliveries;
mod doctor;
mod dump;
mod health;
mod heap;
mod jobs;
mod keys;
mod manual;
mod migrate;
mod place;
mod plan;
mod process;
mod replay;
mod replay_report;
mod replay_source;
mod report;
mod table;
mod verify;
mod work;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tintype::auth::NoKey;
use tintype::config::{Config, DEFAULTS, Sources, reference};
use tracing_subscriber::EnvFilter;
#[cfg(feature = "otlp")]
use tracing_subscriber::{Layer, Registry, fmt::layer, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// Everything was done.
const DONE: u8 = 0;
/// Something failed.
const FAILED: u8 = 1;
/// The command or the configuration is wrong.
const USAGE: u8 = 2;

/// Libraries that say much.
const QUIET: &str = "sqlx=warn,hyper=warn,reqwest=warn,object_store=warn";
/// Libraries that write down requests as they come, with keys and signatures.
const NEVER: &str = "s3s=off";

const EXAMPLES: &str = "\
Examples:
  tintype serve                                   API on 127.0.0.1:8000, S3 store on 127.0.0.1:9000
  tintype process photo.jpg                       eight variants in ./image/
  tintype process --out /srv/www --json photos/   a folder, one manifest a line
  tintype backfill s3://my-bucket/photos/         what is in a bucket already
  tintype doctor s3://my-bucket                   what holds of a bucket, and how to mend the rest
  tintype verify                                  is all there that should be
  tintype replay ID                               what a worker did with an upload, step by step
  tintype keys create --name web --scope uploads:create --scope uploads:read
                                                  an API key, for servers that call
  tintype deliveries list --status dead           callbacks that were never taken
  tintype config > tintype.toml                   every setting with its default, to edit";

#[derive(Parser)]
#[command(name = "tintype", version, args_override_self = true, about = "Image uploads off your servers: presign, store, thumbnails and blurs, signed callback.", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(ServeArgs),
    Work(work::WorkArgs),
    Process(process::ProcessArgs),
    Backfill(Box<backfill::BackfillArgs>),
    Doctor(doctor::DoctorArgs),
    Health(health::HealthArgs),
    Migrate(migrate::MigrateArgs),
    Jobs(jobs::JobsArgs),
    Verify(verify::VerifyArgs),
    Replay(replay::ReplayArgs),
    Export(dump::ExportArgs),
    Import(dump::ImportArgs),
    Keys(keys::KeysArgs),
    Deliveries(deliveries::DeliveriesArgs),
    Config(ConfigArgs),
    /// Print the API's OpenAPI 3.1 document, which a server shows at /openapi.json.
    #[command(after_help = "\
Examples:
  tintype openapi > openapi.json
  tintype openapi | jq '.paths | keys'")]
    Openapi,
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Run the API, the store, the workers and the callbacks in one process.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype serve
  CALLBACK_URL='http://127.0.0.1:3000/images/{id}' tintype serve
  TINTYPE_STORE__URL=s3://my-bucket tintype serve --listen 127.0.0.1:8080

Every setting is in `tintype config`. SIGTERM or Ctrl-C finishes running work and ends.")]
struct ServeArgs {
    /// Where the API listens [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the embedded S3 store listens [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    store_listen: Option<String>,
    /// Folder for everything that is kept [default: tintype-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Print the annotated defaults, or check a configuration.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tintype config > tintype.toml
  tintype config --markdown > configuration.md
  tintype config --check
  tintype config --check --config staging.toml")]
struct ConfigArgs {
    /// Check the configuration in force and say what is wrong
    #[arg(long)]
    check: bool,
    /// Print the defaults as a page in Markdown
    #[arg(long, conflicts_with = "check")]
    markdown: bool,
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE", requires = "check")]
    config: Option<PathBuf>,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Serve(args) => serve(args),
        Command::Process(args) => process::run(&args),
        Command::Backfill(args) => backfill::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Work(args) => work::run(args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Jobs(args) => jobs::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Export(args) => dump::export(&args),
        Command::Import(args) => dump::import(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Deliveries(args) => deliveries::run(args),
        Command::Config(args) => config(&args),
        Command::Openapi => openapi(),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    #[cfg(feature = "otlp")]
    tintype::trace::flush();
    ExitCode::from(code)
}

fn serve(args: ServeArgs) -> u8 {
    let flags = [("server.listen", args.listen), ("store.listen", args.store_listen), ("server.data", args.data)];
    let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let Some(config) = load(&Sources::of_process(args.config, flags)) else {
        return USAGE;
    };
    start_log(&config.log_level, config.log_json);
    heap::prepare_to_serve();
    heap::give_back_in_time();
    let served = runtime().block_on(async { tintype::serve::serve(config, stop_gently()).await });
    match served {
        Ok(()) => DONE,
        Err(error) => {
            eprintln!("tintype: {error:#}");
            if error.is::<NoKey>() { USAGE } else { FAILED }
        }
    }
}

fn config(args: &ConfigArgs) -> u8 {
    if !args.check {
        let text = if args.markdown { reference() } else { DEFAULTS.to_owned() };
        return if report::out(text.trim_end()) { DONE } else { FAILED };
    }
    let sources = Sources::of_process(args.config.clone(), Vec::new());
    match load(&sources) {
        Some(_) => {
            let read =
                sources.file_in_use().map(|file| format!("it was read from {} and the environment", file.display()));
            let read =
                read.unwrap_or_else(|| "there is no file tintype.toml: the environment was read alone".to_owned());
            eprintln!("the configuration has no mistakes; {read}");
            DONE
        }
        None => USAGE,
    }
}

fn openapi() -> u8 {
    if report::out(tintype::api::openapi::text().trim_end()) { DONE } else { FAILED }
}

/// The configuration, or none with every mistake told.
fn load(sources: &Sources) -> Option<Config> {
    Config::load(sources).map_err(|mistakes| eprintln!("tintype: {mistakes}")).ok()
}

fn start_log(level: &str, json: bool) {
    // What comes later wins: an operator may ask for more of a library, but not for what shows secrets.
    let filter = EnvFilter::try_new(format!("{QUIET},{level},{NEVER}")).unwrap_or_else(|_| EnvFilter::new("info"));
    #[cfg(feature = "otlp")]
    match tintype::trace::layer() {
        Ok(None) => {}
        Ok(Some(traces)) => {
            let log = layer::<Registry>().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
            let log = if json { log.json().boxed() } else { log.with_target(false).boxed() };
            return registry().with(log.with_filter(filter)).with(traces).init();
        }
        Err(error) => eprintln!("tintype: no traces are told: {error}"),
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if json { log.json().init() } else { log.with_target(false).init() }
}

fn runtime() -> tokio::runtime::Runtime {
    // One thread more than strangers can keep busy (listen/turns.rs): it serves callers with a key.
    let threads = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().expect("threads can be started")
}

/// Done at the first SIGTERM or SIGINT; the next one ends the process at once.
async fn stop_gently() {
    stop_signal().await;
    tokio::spawn(async {
        stop_signal().await;
        eprintln!("tintype: ended at once; work that was in hand is done by the next start or another process");
        std::process::exit(i32::from(FAILED));
    });
}

/// Done at the first SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened to");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened to");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
