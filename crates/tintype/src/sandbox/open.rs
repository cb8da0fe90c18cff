//! From the setting to the decoders, and what is said of them at the start.

use std::path::PathBuf;
use std::sync::Arc;

use super::confine::Layers;
use super::pool::Pool;
use super::tries::holes;
use crate::config::SandboxMode;
use crate::process::Renderer;

/// This program, whatever has become of its file.
pub fn program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// So many decoders as the mode wants them, or threads of this process; the log says which.
///
/// # Errors
/// When the mode requires more than there is here.
pub fn open(mode: SandboxMode, count: usize) -> Result<Renderer, String> {
    match mode {
        SandboxMode::Off => {
            tracing::info!("decoders: in this process, sandbox.mode is \"off\"");
            Ok(Renderer::Thread)
        }
        SandboxMode::Auto => Ok(as_far_as_it_goes(count)),
        SandboxMode::Require => whole(count).map_err(|lacking| {
            format!(
                "sandbox.mode is \"require\", and {lacking}. Mend that (docs/sandbox.md), or set sandbox.mode to \"auto\""
            )
        }),
    }
}

fn as_far_as_it_goes(count: usize) -> Renderer {
    let pool = match Pool::open(program(), count) {
        Ok(pool) => pool,
        Err(error) => {
            tracing::warn!(%error, "decoders: in this process, since no box can be made; see docs/sandbox.md");
            return Renderer::Thread;
        }
    };
    let holds = pool.enforced().holds().unwrap_or_else(|| "nothing but a process of their own".to_owned());
    match pool.enforced().lacks() {
        None => tracing::info!("decoders: {count} boxed by {holds}"),
        Some(lacks) => tracing::warn!("decoders: {count} boxed by {holds}; without {lacks}"),
    }
    Renderer::Boxed(Arc::new(pool))
}

fn whole(count: usize) -> Result<Renderer, String> {
    let pool = Pool::open(program(), count).map_err(|error| format!("no decoder can be started: {error}"))?;
    if let Some(lacks) = pool.enforced().lacks() {
        return Err(format!("this system does not give {lacks}"));
    }
    let holes = holes(&program(), Layers::All).map_err(|error| format!("the box cannot be tried: {error}"))?;
    if !holes.is_empty() {
        return Err(format!("the box has holes: {}", holes.join(", ")));
    }
    let holds = pool.enforced().holds().unwrap_or_default();
    tracing::info!("decoders: {count} boxed by {holds}; every way out was tried and is closed");
    Ok(Renderer::Boxed(Arc::new(pool)))
}
