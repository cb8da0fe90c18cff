//! The `tintype` program.

mod cli;

use std::process::ExitCode;

/// Keeps memory that one step of an image frees for the next one: fresh pages are a good part of a small job's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
