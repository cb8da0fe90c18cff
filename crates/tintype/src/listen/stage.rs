//! Where a connection stands between one request and the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Shared by the bytes of a connection and the requests that are made of them.
#[derive(Debug, Default)]
pub struct Stage {
    begun: AtomicU32,
    ended: AtomicU32,
    unread: AtomicBool,
    slow: AtomicBool,
}

impl Stage {
    /// A request was read up to its body.
    pub fn begin(self: &Arc<Self>) -> Turn {
        self.begun.fetch_add(1, Relaxed);
        self.unread.store(false, Relaxed);
        self.slow.store(false, Relaxed);
        Turn(self.clone())
    }

    /// Requests that were answered, if none is being answered now.
    pub fn waiting(&self) -> Option<u32> {
        let ended = self.ended.load(Relaxed);
        (self.begun.load(Relaxed) == ended).then_some(ended)
    }

    /// The last request's body was given up before its end.
    pub fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether it was.
    pub fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The last request's body came too slowly.
    pub fn too_slow(&self) {
        self.slow.store(true, Relaxed);
    }

    /// Whether it did.
    pub fn was_too_slow(&self) -> bool {
        self.slow.load(Relaxed)
    }
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct Turn(Arc<Stage>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Relaxed);
    }
}
