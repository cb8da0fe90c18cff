//! How often what may pass is tried again, and how long to wait in between.

use std::time::Duration;

use rand::RngExt;

/// Tries in all.
pub const TRIES: u32 = 4;
/// Wait after the first.
const FIRST: Duration = Duration::from_secs(1);

/// The wait after so many tries: twice as long each time. Less by up to half, so that those that failed together do not
/// come back together.
pub fn pause(tries: u32) -> Duration {
    shortened(tries, rand::rng().random_range(0.5..1.0))
}

fn shortened(tries: u32, to: f64) -> Duration {
    (FIRST * 2u32.saturating_pow(tries.saturating_sub(1).min(6))).mul_f64(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before() {
        let waits: Vec<_> = (1..=4).map(|tries| shortened(tries, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(shortened(u32::MAX, 1.0).as_secs(), 64);
        assert!((1..50).all(|_| pause(1) >= FIRST / 2 && pause(1) <= FIRST));
    }
}
