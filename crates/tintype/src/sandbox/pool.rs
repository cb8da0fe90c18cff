//! The decoders of a service: as many as it has workers, each fresh or proven.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::Semaphore;

use super::child;
use super::decoder::{Decoder, Job};
use super::ending::Ending;
use super::report::Enforced;
use crate::aside::aside;
use crate::metrics;
use crate::process::Rendered;

/// Jobs after which a decoder is replaced: whatever an image did to it ends then.
const MOST_JOBS: u32 = 1000;
/// Bytes in memory after a job from which a decoder is replaced: its heap has come apart.
const MOST_RESIDENT: u64 = 192 << 20;

/// Decoders, idle and in hand.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<Vec<Decoder>>,
    /// As many as there may be decoders.
    turns: Arc<Semaphore>,
    enforced: Enforced,
    launcher: Launcher,
}

/// Why a job has no result. The reason may lie in the image or not.
#[derive(Debug)]
pub enum NotRendered {
    /// The decoder's word.
    Refused(tintype_image::Error),
    /// The decoder failed.
    Ended(Ending),
    /// There is no decoder to be had: try again.
    NoDecoder(io::Error),
}

impl Pool {
    /// Starts so many decoders, of this program: `/proc/self/exe`, but in tests.
    ///
    /// # Errors
    /// When they do not come up.
    pub fn open(program: PathBuf, count: usize) -> io::Result<Self> {
        let launcher = Launcher::new(program)?;
        // All are started before the first is waited for.
        let mut idle = (0..count.max(1)).map(|_| launcher.start()).collect::<io::Result<Vec<_>>>()?;
        let enforced = idle.iter_mut().map(Decoder::greet).collect::<io::Result<Vec<_>>>()?.swap_remove(0);
        let turns = Arc::new(Semaphore::new(idle.len()));
        Ok(Self { idle: Mutex::new(idle), turns, enforced, launcher })
    }

    /// What holds them.
    pub fn enforced(&self) -> &Enforced {
        &self.enforced
    }

    /// Has the next free decoder do a job. Who no longer waits does not stop it.
    ///
    /// # Errors
    /// [`NotRendered`].
    pub async fn render(self: &Arc<Self>, job: Job) -> Result<Rendered, NotRendered> {
        let turn = self.turns.clone().acquire_owned().await;
        let pool = self.clone();
        let work = move || {
            let _turn = turn;
            pool.work(&job)
        };
        let crashed = |_| Err(NotRendered::NoDecoder(io::Error::other("who waits for it crashed")));
        aside(work).await.unwrap_or_else(crashed)
    }

    fn work(&self, job: &Job) -> Result<Rendered, NotRendered> {
        let mut decoder = self.take().map_err(NotRendered::NoDecoder)?;
        match decoder.render(job) {
            Ok(made) => {
                let worn = decoder.jobs() >= MOST_JOBS || decoder.resident().is_some_and(|bytes| bytes > MOST_RESIDENT);
                if worn {
                    metrics::decoder_ended("worn");
                } else {
                    self.idle().push(decoder);
                }
                made.map_err(NotRendered::Refused)
            }
            Err(ending) => {
                decoder.kill();
                metrics::decoder_ended(ending.name());
                Err(NotRendered::Ended(ending))
            }
        }
    }

    /// One that is alive, or a fresh one.
    fn take(&self) -> io::Result<Decoder> {
        // The last one back is the warmest.
        let next = || self.idle().pop();
        while let Some(mut decoder) = next() {
            if decoder.is_alive() {
                return Ok(decoder);
            }
            metrics::decoder_ended("idle");
            tracing::warn!("a decoder ended while it had nothing to do; a fresh one takes its place");
        }
        let mut fresh = self.launcher.start()?;
        fresh.greet()?;
        Ok(fresh)
    }

    /// Ends them all: the idle ones gently, and what is in hand by a kill.
    pub fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
        self.launcher.stop();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Decoder>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that starts decoders. The kernel kills them when it ends, however that comes about.
#[derive(Debug)]
struct Launcher {
    orders: Mutex<Option<mpsc::Sender<Order>>>,
}

type Order = mpsc::SyncSender<io::Result<Decoder>>;

impl Launcher {
    fn new(program: PathBuf) -> io::Result<Self> {
        let (orders, taken) = mpsc::channel::<Order>();
        let run = move || {
            for order in taken {
                // Who asked may not wait any more: then it is dropped again.
                let _ = order.send(Decoder::start(&program, &[child::ARGUMENT]));
            }
        };
        std::thread::Builder::new().name("decoders".to_owned()).spawn(run)?;
        Ok(Self { orders: Mutex::new(Some(orders)) })
    }

    fn start(&self) -> io::Result<Decoder> {
        let (order, started) = mpsc::sync_channel(1);
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = orders.is_some_and(|orders| orders.send(order).is_ok());
        let stopped = || io::Error::other("the service is stopping");
        if sent { started.recv().unwrap_or_else(|_| Err(stopped())) } else { Err(stopped()) }
    }

    fn stop(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
