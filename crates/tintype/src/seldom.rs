//! What may happen a thousand times a second is told once in a while, with how often it was.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often to tell.
const EVERY: Duration = Duration::from_secs(10);

/// Counts something between two lines of the log.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<(u64, Option<Instant>)>);

impl Seldom {
    /// One that has counted nothing.
    pub const fn new() -> Self {
        Self(Mutex::new((0, None)))
    }

    /// It happened; gives how often since the last line, if it is time for one.
    pub fn again(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, told) = &mut *state;
        *count += 1;
        if told.is_some_and(|at| at.elapsed() < EVERY) {
            return None;
        }
        *told = Some(Instant::now());
        Some(std::mem::take(count))
    }
}
