//! Work that blocks: files and headers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};

/// The work panicked.
#[derive(Debug, thiserror::Error)]
#[error("it crashed")]
pub struct Crashed;

/// Runs it where it keeps nobody waiting: on a thread of its own. A runtime of one thread has one task, so there it is
/// run in place: to wake another thread for each of a photo's ten files costs more than small files do.
///
/// # Errors
/// When it panics.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Crashed> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return catch_unwind(AssertUnwindSafe(work)).map_err(|_| Crashed);
    }
    // What it logs belongs to what it is part of.
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(|_| Crashed)
}
