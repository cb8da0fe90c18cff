//! The memory of request bodies: one budget for all. It is taken as bytes come, never by what a head promises; who finds
//! none left waits a while, and is refused then, which gives back what it had. So a slow body costs what it has sent, and
//! no two can wait for each other for ever. Of bodies whose sender has shown nothing yet, the one that has taken longest
//! makes room: a provider's comes in one go.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::listen::{add, count, take};

/// What is counted in.
const UNIT: usize = 1 << 10;
/// Where a body of unknown length begins. Of a caller that is known nothing smaller is counted: requests are, and so a
/// large body keeps no small one waiting.
const FIRST: usize = 16 * UNIT;
/// How long a body waits for memory before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);
/// From so many bytes on, a body is large: what is made of it takes many times as much.
const LARGE: usize = 256 * UNIT;
/// Large bodies that are worked on at once.
const LARGE_AT_ONCE: usize = 2;
/// Most values of one body, counted by what separates them: what is made of each takes some 100 bytes.
const MOST_VALUES: usize = 1 << 18;

/// Most bytes of a body whose sender is known by what it signed, in the body. SNS's messages have 256 KiB, escaped once.
const UNPROVEN: usize = 512 * UNIT;
/// How long such a body may take altogether: SNS gives up after as long.
const UNPROVEN_TIME: Duration = Duration::from_secs(15);
/// Most of them at once, and from one address.
const UNPROVEN_AT_ONCE: usize = 64;
const UNPROVEN_OF_ONE: usize = 8;

/// Why a body is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    /// It has more bytes than that.
    #[error("the body is larger than {}", shown(*.0))]
    TooLarge(usize),
    /// It has too many values.
    #[error("the body has more than {MOST_VALUES} values")]
    TooManyValues,
    /// There is no memory left for it.
    #[error("the memory for request bodies is taken (limits.body_memory)")]
    Overloaded,
    /// It took too long.
    #[error("the body came too slowly")]
    TooSlow,
    /// It ended early, or is no HTTP.
    #[error("the body cannot be read: {0}")]
    Broken(axum::Error),
}

/// Bytes, as people read them.
fn shown(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// The budget.
pub struct Bodies {
    all: Arc<Semaphore>,
    units: usize,
    /// Half of all for each key: of two, none can take the other's.
    by_key: Mutex<HashMap<String, Arc<Semaphore>>>,
    large: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    unproven_now: Mutex<UnprovenNow>,
    patience: Duration,
    unproven_time: Duration,
}

/// A body that was read, and the memory that it holds.
#[derive(Debug)]
pub struct ReadBody {
    bytes: Vec<u8>,
    _memory: [Option<OwnedSemaphorePermit>; 2],
    _large: Option<OwnedSemaphorePermit>,
}

impl Deref for ReadBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Arc<Self> {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(UNIT).min(u32::MAX as usize);
        Arc::new(Self::with(units, PATIENCE, UNPROVEN_TIME))
    }

    fn with(units: usize, patience: Duration, unproven_time: Duration) -> Self {
        Self {
            all: Arc::new(Semaphore::new(units)),
            units,
            by_key: Mutex::default(),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            unproven: Arc::new(Semaphore::new(units / 8)),
            unproven_now: Mutex::default(),
            patience,
            unproven_time,
        }
    }

    /// A body of a caller that may send it, by its key if it has one.
    ///
    /// # Errors
    /// [`NoBody`].
    pub async fn read(&self, body: Body, most: usize, key: Option<&str>) -> Result<ReadBody, NoBody> {
        let own = key.map(|key| {
            let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            by_key.entry(key.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.units / 2))).clone()
        });
        self.fill(body, most, FIRST, [own.as_ref(), Some(&self.all)]).await
    }

    /// A body whose sender has shown nothing yet: a smaller one, of a smaller budget, in less time; and another may need
    /// its room.
    ///
    /// # Errors
    /// [`NoBody`].
    pub async fn read_unproven(&self, body: Body, address: Option<IpAddr>) -> Result<ReadBody, NoBody> {
        let one = self.begin_unproven(address).ok_or(NoBody::Overloaded)?;
        let reading = self.fill(body, UNPROVEN, 0, [None, Some(&self.unproven)]);
        tokio::select! {
            read = timeout(self.unproven_time, reading) => read.map_err(|_| NoBody::TooSlow)?,
            () = one.lost.cancelled() => Err(NoBody::Overloaded),
        }
    }

    /// A place among them, for which the one that has taken longest may have to go: so slow bodies, of however many
    /// addresses, keep no quick one out.
    fn begin_unproven(&self, address: Option<IpAddr>) -> Option<Unproven<'_>> {
        let mut now = self.unproven_now();
        let of_one = address.map_or(0, |address| count(&now.by_address, &address));
        if of_one >= UNPROVEN_OF_ONE {
            return None;
        }
        let most_is_taken = self.unproven.available_permits() < self.units / 16;
        if now.since.len() >= UNPROVEN_AT_ONCE || most_is_taken {
            let longest = now.since.pop_first();
            longest.into_iter().for_each(|(_, longest)| longest.cancel());
        }
        now.next += 1;
        let (ticket, lost) = (now.next, CancellationToken::new());
        now.since.insert(ticket, lost.clone());
        address.into_iter().for_each(|address| add(&mut now.by_address, address));
        Some(Unproven { bodies: self, address, ticket, lost })
    }

    fn unproven_now(&self) -> MutexGuard<'_, UnprovenNow> {
        self.unproven_now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fill(
        &self,
        body: Body,
        most: usize,
        free: usize,
        of: [Option<&Arc<Semaphore>>; 2],
    ) -> Result<ReadBody, NoBody> {
        let promised = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        if promised.is_some_and(|bytes| bytes > most) {
            return Err(NoBody::TooLarge(most));
        }
        let end = promised.unwrap_or(most);
        let (mut bytes, mut memory) = (Vec::new(), [None, None]);
        let mut stream = body.into_data_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(NoBody::Broken)?;
            let needed = bytes.len() + chunk.len();
            if needed > most {
                return Err(NoBody::TooLarge(most));
            }
            if needed > bytes.capacity() {
                let capacity = needed.max(FIRST.max(bytes.capacity() * 2).min(end));
                self.reserve(&mut memory, of, capacity.saturating_sub(free)).await?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
        }
        drop(stream);
        let large = if bytes.len() > LARGE { Some(self.work_on_large(&bytes).await?) } else { None };
        Ok(ReadBody { bytes, _memory: memory, _large: large })
    }

    /// A turn for what is made of a large body.
    async fn work_on_large(&self, bytes: &[u8]) -> Result<OwnedSemaphorePermit, NoBody> {
        if bytes.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count() > MOST_VALUES {
            return Err(NoBody::TooManyValues);
        }
        self.take_of(&self.large, 1).await
    }

    /// Takes what is missing for so many bytes.
    async fn reserve(
        &self,
        memory: &mut [Option<OwnedSemaphorePermit>; 2],
        of: [Option<&Arc<Semaphore>>; 2],
        bytes: usize,
    ) -> Result<(), NoBody> {
        let units = bytes.div_ceil(UNIT);
        for (held, budget) in memory.iter_mut().zip(of) {
            let Some(budget) = budget else { continue };
            let more = units - held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let more = self.take_of(budget, more).await?;
            match held {
                Some(held) => held.merge(more),
                None => *held = Some(more),
            }
        }
        Ok(())
    }

    async fn take_of(&self, budget: &Arc<Semaphore>, units: usize) -> Result<OwnedSemaphorePermit, NoBody> {
        let units = u32::try_from(units).map_err(|_| NoBody::Overloaded)?;
        let taken = timeout(self.patience, budget.clone().acquire_many_owned(units)).await;
        taken.map_err(|_| NoBody::Overloaded)?.map_err(|_| NoBody::Overloaded)
    }
}

/// Bodies of people unknown that are being read.
#[derive(Default)]
struct UnprovenNow {
    by_address: HashMap<IpAddr, usize>,
    /// What ends each, in the order in which they began.
    since: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// One of them.
struct Unproven<'a> {
    bodies: &'a Bodies,
    address: Option<IpAddr>,
    ticket: u64,
    /// Cancelled once its room is another's.
    lost: CancellationToken,
}

impl Drop for Unproven<'_> {
    fn drop(&mut self) {
        let mut now = self.bodies.unproven_now();
        now.since.remove(&self.ticket);
        self.address.iter().for_each(|address| take(&mut now.by_address, address));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Bytes;
    use futures::stream;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A body that sends so many bytes, and then nothing for long.
    fn slow(bytes: usize) -> Body {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))]);
        Body::from_stream(first.chain(stream::once(async {
            sleep(Duration::from_secs(3600)).await;
            Ok(Bytes::new())
        })))
    }

    /// A budget of a MiB, and little patience.
    fn small() -> Arc<Bodies> {
        Arc::new(Bodies::with(1024, Duration::from_millis(400), Duration::from_millis(600)))
    }

    fn spaces(bytes: usize) -> Body {
        Body::from(vec![b' '; bytes])
    }

    #[tokio::test]
    async fn a_slow_body_holds_what_it_has_sent_and_no_more() {
        let bodies = small();
        let slow: Vec<_> = (0..32)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read(slow(20 * UNIT), 4 << 20, None).await.map(drop) })
            })
            .collect();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(bodies.all.available_permits(), 1024 - 32 * 4);
        assert_eq!(bodies.read(spaces(100_000), 4 << 20, None).await.unwrap().len(), 100_000);
        slow.iter().for_each(|body| body.abort());
        for body in slow {
            assert!(body.await.unwrap_err().is_cancelled());
        }
        assert_eq!(bodies.all.available_permits(), 1024);
    }

    #[tokio::test]
    async fn who_finds_no_memory_waits_and_is_refused() {
        let bodies = small();
        let held = bodies.read(spaces((1 << 20) + FIRST), 4 << 20, None).await.unwrap();
        assert_eq!(bodies.read(spaces(FIRST), 4 << 20, None).await.unwrap().len(), FIRST, "small ones pass");
        let began = Instant::now();
        let refused = bodies.read(spaces(20_000), 4 << 20, None).await.unwrap_err();
        assert!(matches!(refused, NoBody::Overloaded) && began.elapsed() >= bodies.patience);
        let waits = tokio::spawn({
            let bodies = bodies.clone();
            async move { bodies.read(spaces(20_000), 4 << 20, None).await.map(|body| body.len()) }
        });
        sleep(Duration::from_millis(50)).await;
        drop(held);
        assert_eq!(waits.await.unwrap().unwrap(), 20_000);
        assert_eq!(bodies.all.available_permits(), 1024);
    }

    #[tokio::test]
    async fn one_key_leaves_half_to_others() {
        let bodies = small();
        let _held = bodies.read(spaces(500_000), 4 << 20, Some("a")).await.unwrap();
        let more = bodies.read(spaces(100_000), 4 << 20, Some("a")).await;
        assert!(matches!(more, Err(NoBody::Overloaded)));
        bodies.read(spaces(100_000), 4 << 20, Some("b")).await.unwrap();
    }

    #[tokio::test]
    async fn who_has_shown_nothing_sends_little_in_little_time() {
        let bodies = Arc::new(Bodies::with(16 << 10, Duration::from_millis(400), Duration::from_millis(600)));
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let large = bodies.read_unproven(spaces(UNPROVEN + 1), Some(here)).await;
        assert!(matches!(large, Err(NoBody::TooLarge(UNPROVEN))));
        let slow: Vec<_> = (0..UNPROVEN_OF_ONE)
            .map(|_| {
                let bodies = bodies.clone();
                tokio::spawn(async move { bodies.read_unproven(slow(1), Some(here)).await.map(drop) })
            })
            .collect();
        sleep(Duration::from_millis(50)).await;
        assert!(matches!(bodies.read_unproven(Body::from("x"), Some(here)).await, Err(NoBody::Overloaded)));
        for body in slow {
            assert!(matches!(body.await.unwrap(), Err(NoBody::TooSlow | NoBody::Overloaded)));
        }
        assert_eq!(bodies.read_unproven(Body::from("x"), Some(here)).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn slow_bodies_of_many_addresses_keep_no_quick_one_out() {
        all_places_are_taken(16 << 10, UNPROVEN_AT_ONCE).await;
        // Eight of these would take all of the memory.
        all_places_are_taken(1024, 8).await;
    }

    async fn all_places_are_taken(units: usize, many: usize) {
        let bodies = Arc::new(Bodies::with(units, Duration::from_secs(1), Duration::from_secs(60)));
        let address = |n: usize| Some(IpAddr::from([192, 0, 2, n as u8]));
        let read = |body, n| {
            let bodies = bodies.clone();
            tokio::spawn(async move { bodies.read_unproven(body, address(n)).await.map(drop) })
        };
        let held: Vec<_> = (0..many).map(|n| read(slow(1), n / UNPROVEN_OF_ONE)).collect();
        sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        bodies.read_unproven(Body::from("x"), address(100)).await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        sleep(Duration::from_millis(50)).await;
        assert!(held[0].is_finished() && !held[many - 1].is_finished(), "who had taken longest went");
        held.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_body_of_too_many_values_is_refused_before_it_is_parsed() {
        let bodies = Bodies::new(64 << 20);
        let much = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert!(matches!(bodies.read(Body::from(much), 4 << 20, None).await, Err(NoBody::TooManyValues)));
        let text = format!("[{:?}]", "x".repeat(3 << 20));
        assert_eq!(bodies.read(Body::from(text.clone()), 4 << 20, None).await.unwrap().len(), text.len());
    }
}
