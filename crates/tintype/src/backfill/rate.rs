//! `--rate`: originals begin one after the other at an even distance, with no catching up after a slow moment.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many in a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Time from one to the next.
    pub every: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate: write \"20/s\", \"600/min\" or \"5000/h\"");
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let unit = match unit.trim() {
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        let every = Duration::try_from_secs_f64(unit / number).map_err(|_| wrong())?;
        // Beyond either end somebody mistyped.
        if every.is_zero() || every > Duration::from_secs(24 * 3600) {
            return Err(wrong());
        }
        Ok(Self { every })
    }
}

/// Gives out turns.
#[derive(Debug)]
pub struct Pace {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// At a rate, or as they come.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { every: rate.map_or(Duration::ZERO, |rate| rate.every), next: Mutex::new(None) }
    }

    /// Waits for one's turn.
    pub async fn turn(&self) {
        if !self.every.is_zero() {
            sleep_until(self.take(Instant::now())).await;
        }
    }

    /// When the turn is of who asks now.
    fn take(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.every);
        at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn every(text: &str) -> Result<Duration, String> {
        text.parse::<Rate>().map(|rate| rate.every)
    }

    #[test]
    fn rates_as_people_write_them() {
        assert_eq!(every("20/s"), Ok(Duration::from_millis(50)));
        assert_eq!(every("600/min"), Ok(Duration::from_millis(100)));
        assert_eq!(every("0.5/s"), Ok(Duration::from_secs(2)));
        assert_eq!(every("3600/h"), Ok(Duration::from_secs(1)));
        for wrong in ["", "20", "/s", "20/", "20/week", "0/s", "-1/s", "nan/s", "inf/s", "1e300/s", "0.0001/h"] {
            assert!(every(wrong).unwrap_err().contains("20/s"), "{wrong}");
        }
    }

    /// When turns come, in milliseconds, of those who ask at these times.
    fn turns(asked: &[u64]) -> Vec<u128> {
        let (pace, began) = (Pace::new(Some("10/s".parse().unwrap())), Instant::now());
        let turn = |ms: &u64| pace.take(began + Duration::from_millis(*ms)) - began;
        asked.iter().map(|ms| turn(ms).as_millis()).collect()
    }

    #[test]
    fn turns_come_at_an_even_distance() {
        assert_eq!(turns(&[0, 0, 0, 0]), [0, 100, 200, 300], "to all who wait");
        assert_eq!(turns(&[0, 30, 150, 250]), [0, 100, 200, 300], "however they come");
    }

    #[test]
    fn a_slow_moment_is_not_caught_up_with() {
        assert_eq!(turns(&[0, 5000, 5000, 5000]), [0, 5000, 5100, 5200]);
    }

    #[tokio::test]
    async fn turns_are_waited_for_and_without_a_rate_nobody_waits() {
        let began = Instant::now();
        let pace = Pace::new(None);
        for _ in 0..1000 {
            pace.turn().await;
        }
        let free = began.elapsed();
        let pace = Pace::new(Some("20/s".parse().unwrap()));
        futures::future::join_all((0..4).map(|_| pace.turn())).await;
        assert!(began.elapsed() >= free + Duration::from_millis(150));
    }
}
