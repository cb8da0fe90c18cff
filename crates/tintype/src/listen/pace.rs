//! How slow a peer may be: it may stall for so long, and each byte that moves earns it more time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest stall.
    pub stall: Duration,
    /// Bytes a second that must come in the long run; 0 for no such bound.
    pub rate: u64,
}

impl Patience {
    /// The stall that so many bytes make good again.
    fn earned(&self, bytes: usize) -> Duration {
        match self.rate {
            0 => self.stall,
            rate => Duration::from_secs_f64(bytes as f64 / rate as f64),
        }
    }
}

/// One direction of one peer. Only time in which it keeps us waiting counts.
pub struct Pace {
    allowed: Patience,
    left: Duration,
    /// Since when nothing moves, and when that is too long.
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    /// A peer that has not kept anyone waiting yet.
    pub fn new(allowed: Patience) -> Self {
        Self { allowed, left: allowed.stall, stalled: None }
    }

    /// So many bytes moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.stalled.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.left = (self.left + self.allowed.earned(bytes)).min(self.allowed.stall);
    }

    /// Nothing moves just now: ready once that has been so for too long.
    pub fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, timer) = self.stalled.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);
    const ALLOWED: Patience = Patience { stall: Duration::from_millis(200), rate: 1000 };

    /// How many ticks a peer lasts that sends so many bytes in each, forty at most.
    async fn lasts(allowed: Patience, bytes: usize) -> usize {
        let mut pace = Pace::new(allowed);
        for tick in 0..40 {
            let lost = std::future::poll_fn(|cx| pace.poll_lost(cx));
            if tokio::time::timeout(TICK, lost).await.is_ok() {
                return tick;
            }
            pace.moved(bytes);
        }
        40
    }

    #[tokio::test]
    async fn who_stalls_is_lost_and_who_trickles_a_little_later() {
        let stalls = lasts(ALLOWED, 0).await;
        let trickles = lasts(ALLOWED, 10).await;
        assert!(stalls <= 10, "{stalls}");
        assert!(stalls < trickles && trickles < 40, "half the rate lasts longer, not for ever: {trickles}");
        assert_eq!(lasts(ALLOWED, 60).await, 40, "enough is enough");
        assert_eq!(lasts(Patience { rate: 0, ..ALLOWED }, 1).await, 40, "without a rate, any byte will do");
    }

    #[tokio::test]
    async fn time_in_which_nobody_waits_does_not_count() {
        let mut pace = Pace::new(ALLOWED);
        tokio::time::sleep(ALLOWED.stall * 2).await;
        let lost = std::future::poll_fn(|cx| pace.poll_lost(cx));
        assert!(tokio::time::timeout(TICK, lost).await.is_err());
    }
}
