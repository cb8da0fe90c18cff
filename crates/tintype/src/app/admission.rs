//! Who may ask for a new upload just now: while there is room, while the queue is bounded, within a caller's quota.
//! What was uploaded is never refused for these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::FrontConfig;
use crate::queue::{Queue, QueueError};
use crate::room::Room;

/// How long a depth of the queue is good for: counting jobs is not for every request.
const FRESH: Duration = Duration::from_secs(1);

/// What new uploads are held to.
pub struct Admission {
    room: Room,
    queue: Arc<dyn Queue>,
    max_queue: u64,
    depth: tokio::sync::Mutex<Option<(Instant, u64)>>,
    quotas: Quotas,
}

/// Why nobody, or this caller, may ask for an upload just now.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The disk is nearly full.
    #[error("there is too little room on the disk for new uploads (limits.min_free_disk)")]
    NoRoom,
    /// More jobs wait than may.
    #[error("{0} originals wait to be developed, which is as many as may (limits.max_queue)")]
    QueueFull(u64),
    /// The caller has asked for its share; in so long it may ask again.
    #[error("this caller has asked for {0} uploads in a minute, which is its quota (limits.uploads_per_minute)")]
    Quota(u32, Duration),
    /// Try again.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Admission {
    /// What the configuration allows.
    pub fn new(room: Room, queue: Arc<dyn Queue>, config: &FrontConfig) -> Self {
        let quotas = Quotas::new(config.uploads_per_minute);
        Self { room, queue, max_queue: config.max_queue, depth: Default::default(), quotas }
    }

    /// Lets a caller ask for so many uploads, and counts them.
    ///
    /// # Errors
    /// Why not, and when to try again.
    pub async fn admit(&self, caller: &str, uploads: usize) -> Result<(), NotAdmitted> {
        self.room.for_upload().map_err(|_| NotAdmitted::NoRoom)?;
        let waiting = self.waiting().await?;
        if self.max_queue > 0 && waiting >= self.max_queue {
            return Err(NotAdmitted::QueueFull(waiting));
        }
        self.quotas.take(caller, uploads, Instant::now()).map_err(|wait| NotAdmitted::Quota(self.quotas.a_minute, wait))
    }

    /// Jobs that wait, as of at most a second ago.
    async fn waiting(&self) -> Result<u64, QueueError> {
        if self.max_queue == 0 {
            return Ok(0);
        }
        let mut known = self.depth.lock().await;
        if let Some((_, depth)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(depth);
        }
        let depth = self.queue.depth().await?.waiting;
        *known = Some((Instant::now(), depth));
        Ok(depth)
    }
}

/// A bucket of tokens for each caller, full with a minute's worth, filling evenly.
struct Quotas {
    a_minute: u32,
    /// By caller: tokens left, and when that was. Callers are known: there are as many as API keys.
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Quotas {
    fn new(a_minute: u32) -> Self {
        Self { a_minute, buckets: Mutex::default() }
    }

    /// Takes so many tokens, or says how long until that may be. A list larger than the bucket takes a full one, and
    /// the time to fill it up again from below nothing.
    fn take(&self, caller: &str, tokens: usize, now: Instant) -> Result<(), Duration> {
        if self.a_minute == 0 {
            return Ok(());
        }
        let full = f64::from(self.a_minute);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = buckets.entry(caller.to_owned()).or_insert((full, now));
        let a_second = full / 60.0;
        *left = (*left + now.duration_since(*at).as_secs_f64() * a_second).min(full);
        *at = now;
        let short = (tokens as f64).min(full) - *left;
        if short > 1e-9 {
            return Err(Duration::from_secs_f64(short / a_second));
        }
        *left -= tokens as f64;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_callers_own_and_comes_back_evenly() {
        let (quotas, start) = (Quotas::new(60), Instant::now());
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        quotas.take("a", 60, start).unwrap();
        assert_eq!(quotas.take("a", 1, start).unwrap_err().as_millis(), 1000);
        quotas.take("b", 1, start).unwrap();
        quotas.take("a", 1, after(1.0)).unwrap();
        assert_eq!(quotas.take("a", 30, after(11.0)).unwrap_err().as_millis(), 20_000, "waiting costs nothing");
        quotas.take("a", 30, after(31.0)).unwrap();
        quotas.take("a", 60, after(1000.0)).unwrap();
        quotas.take("a", 1, after(1000.0)).unwrap_err();
    }

    #[test]
    fn a_list_larger_than_the_quota_is_paid_for_later() {
        let (quotas, start) = (Quotas::new(60), Instant::now());
        quotas.take("a", 100, start).unwrap();
        assert_eq!(quotas.take("a", 1, start).unwrap_err().as_millis(), 41_000);
        Quotas::new(0).take("a", 1_000_000, start).unwrap();
    }
}
