//! `tintype work`: hands for the jobs of a ledger that others serve from.

use std::path::PathBuf;

use clap::Args;
use tintype::config::Sources;

use super::{DONE, FAILED, USAGE, heap, load, runtime, start_log, stop_gently};

/// Develop originals and send callbacks, without an API: more hands beside `tintype serve`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  TINTYPE_LEDGER__URL=postgres://tintype:secret@db/tintype TINTYPE_STORE__URL=s3://my-bucket tintype work
  tintype work --config /etc/tintype.toml

Give it the configuration of `tintype serve`: ledger.url must be a Postgres and store.url a bucket that both reach.
SIGTERM or Ctrl-C finishes running work; what takes longer than server.drain is handed to another process.")]
pub struct WorkArgs {
    /// Configuration file [default: tintype.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Works until it is told to stop.
pub fn run(args: WorkArgs) -> u8 {
    let Some(config) = load(&Sources::of_process(args.config, Vec::new())) else {
        return USAGE;
    };
    start_log(&config.log_level, config.log_json);
    heap::prepare_to_serve();
    heap::give_back_in_time();
    match runtime().block_on(async { tintype::serve::work(config, stop_gently()).await }) {
        Ok(()) => DONE,
        Err(error) => {
            eprintln!("tintype: {error:#}");
            FAILED
        }
    }
}
