//! How the time of one invocation is shared out.

use std::time::{Duration, Instant};

/// Most time that is kept for the callback.
const FOR_CALLBACK: Duration = Duration::from_secs(5);
/// Most time that is kept for writing variants.
const FOR_SAVING: Duration = Duration::from_secs(3);

/// How long there is.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// When it began.
    pub start: Instant,
    /// When it ends, done or not.
    pub end: Instant,
}

impl Time {
    fn whole(&self) -> Duration {
        self.end.saturating_duration_since(self.start)
    }

    /// The same, but no longer than so much from now.
    pub fn within(&self, longest: Duration) -> Self {
        Self { start: self.start, end: self.end.min(Instant::now() + longest) }
    }

    /// Until when to wait for others that work on the same original: the other half is for the work.
    pub fn patience(&self) -> Instant {
        self.start + self.whole() / 2
    }

    /// When everything must be in the store: what is left then is for the callback.
    pub fn saved(&self) -> Instant {
        self.end - FOR_CALLBACK.min(self.whole() / 4)
    }

    /// When pixels must be done.
    pub fn pixels(&self) -> Instant {
        self.saved() - FOR_SAVING.min(self.whole() / 8)
    }

    /// Whether work that began then had all the time it could ever get: its deadline, or half of what there is.
    pub fn was_fair(&self, began: Instant, deadline: Duration) -> bool {
        let had = self.pixels().saturating_duration_since(began);
        had >= deadline.min(self.pixels().saturating_duration_since(self.start) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u64) -> Time {
        let start = Instant::now();
        Time { start, end: start + Duration::from_secs(seconds) }
    }

    #[test]
    fn pixels_come_before_saving_and_saving_before_the_callback() {
        for seconds in [1, 3, 30, 900] {
            let time = time(seconds);
            assert!(time.start < time.pixels() && time.pixels() < time.saved() && time.saved() < time.end, "{seconds}");
        }
        let long = time(900);
        assert_eq!(long.end - long.pixels(), FOR_CALLBACK + FOR_SAVING);
    }

    #[test]
    fn who_began_late_had_no_fair_share() {
        let (time, deadline) = (time(30), Duration::from_secs(30));
        assert!(time.was_fair(time.start, deadline));
        assert!(!time.was_fair(time.start + Duration::from_secs(20), deadline));
        assert!(time.was_fair(time.start + Duration::from_secs(20), Duration::from_secs(1)));
    }
}
