//! Where there is no box: systems other than Linux.

use std::process::ExitCode;

use crate::config::SandboxMode;
use crate::process::Renderer;

/// No process is ever started to be a decoder.
pub fn run_if_asked() -> Option<ExitCode> {
    None
}

/// Threads of this process.
///
/// # Errors
/// When the mode requires a box.
pub fn open(mode: SandboxMode, _count: usize) -> Result<Renderer, String> {
    match mode {
        SandboxMode::Require => {
            Err("sandbox.mode is \"require\", and only Linux can box decoders: set it to \"auto\"".to_owned())
        }
        SandboxMode::Auto => {
            tracing::warn!("decoders: in this process, since only Linux can box them");
            Ok(Renderer::Thread)
        }
        SandboxMode::Off => Ok(Renderer::Thread),
    }
}
