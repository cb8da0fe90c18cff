//! Strangers take turns at the processors: of their requests as many are worked on at one instant as there are processors,
//! and the others wait in line. A caller with an API key waits in no line: the runtime has one thread more than strangers can keep
//! busy.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

/// The turns of all listeners of a process.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self::of(available_parallelism().map_or(1, usize::from))
    }
}

impl Turns {
    pub(super) fn of(processors: usize) -> Self {
        Self(Arc::new(Semaphore::new(processors)))
    }

    /// What to ask for a turn where there is a poll and no task.
    pub fn to_poll(&self) -> PollSemaphore {
        PollSemaphore::new(self.0.clone())
    }

    /// Does some work, each step of it in its turn. While the work waits for something, it is nobody's turn.
    pub async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let turn = self.0.acquire().await;
            let step = futures::poll!(work.as_mut());
            drop(turn);
            match step {
                Poll::Ready(done) => return done,
                Poll::Pending => futures::pending!(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn who_waits_for_something_holds_nobody_back() {
        let turns = Turns::of(1);
        let long = turns.take(sleep(Duration::from_secs(60)));
        let short = turns.take(async {
            sleep(Duration::from_millis(10)).await;
            7
        });
        let first = async {
            tokio::select! {
                () = long => 0,
                done = short => done,
            }
        };
        assert_eq!(timeout(Duration::from_secs(5), first).await, Ok(7));
        assert_eq!(turns.0.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_step_is_done_when_its_turn_comes() {
        let turns = Turns::of(1);
        let held = turns.0.acquire().await;
        let mut work = pin!(turns.take(async { 7 }));
        assert!(timeout(Duration::from_millis(50), work.as_mut()).await.is_err());
        drop(held);
        assert_eq!(timeout(Duration::from_secs(5), work).await, Ok(7));
    }
}
