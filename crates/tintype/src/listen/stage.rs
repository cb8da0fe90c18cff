//! Where a connection stands between one request and the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

/// Shared by the bytes of a connection and the requests that are made of them.
#[derive(Debug, Default)]
pub struct Stage {
    begun: AtomicU32,
    ended: AtomicU32,
    unread: AtomicBool,
    slow: AtomicBool,
    strangers: AtomicBool,
    /// Bytes of an answer's body that were given out to be sent, and are not.
    unsent: AtomicUsize,
    sent: AtomicWaker,
}

impl Stage {
    /// A request was read up to its body.
    pub fn begin(self: &Arc<Self>) -> Turn {
        self.begun.fetch_add(1, Relaxed);
        self.unread.store(false, Relaxed);
        self.slow.store(false, Relaxed);
        self.unsent.store(0, SeqCst);
        Turn(self.clone())
    }

    /// Requests that were answered, if none is being answered now.
    pub fn waiting(&self) -> Option<u32> {
        let ended = self.ended.load(Relaxed);
        (self.begun.load(Relaxed) == ended).then_some(ended)
    }

    /// Says whether the request is of somebody unknown, who waits for turns.
    pub fn set_strangers(&self, strangers: bool) {
        self.strangers.store(strangers, Relaxed);
    }

    /// Whether it is.
    pub fn is_strangers(&self) -> bool {
        self.strangers.load(Relaxed)
    }

    /// So many bytes of an answer's body are to be sent.
    pub fn give_out(&self, bytes: usize) {
        self.unsent.store(bytes, SeqCst);
    }

    /// So many bytes were sent, the answer's head among them.
    pub fn sent(&self, bytes: usize) {
        let left = self.unsent.load(SeqCst).saturating_sub(bytes);
        // One task polls a connection: nobody else writes this meanwhile.
        if self.unsent.swap(left, SeqCst) > 0 && left == 0 {
            self.sent.wake();
        }
    }

    /// Ready once what was given out is sent.
    pub fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sent.register(cx.waker());
        if self.unsent.load(SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
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
