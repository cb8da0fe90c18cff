//! The `tintype` program.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A decoder is this program too, and has no command line.
    tintype::sandbox::run_if_asked().unwrap_or_else(cli::run)
}
