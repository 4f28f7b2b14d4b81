//! [`ManualClock`]: the time of day as a test wants it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::port::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that only a test moves; [`ManualClock::ticking`] moves along with tokio's time as well.
#[derive(Debug)]
pub struct ManualClock {
    set_to: Mutex<Timestamp>,
    ticking_since: Option<Instant>,
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new("2026-01-01T00:00:00Z".parse().expect("it is a time"))
    }
}

impl ManualClock {
    /// Stands still at `now`.
    pub fn new(now: Timestamp) -> Self {
        ManualClock { set_to: Mutex::new(now), ticking_since: None }
    }

    /// Starts like [`ManualClock::default`] and advances as tokio's time does, paused or not.
    pub fn ticking() -> Self {
        ManualClock { ticking_since: Some(Instant::now()), ..ManualClock::default() }
    }

    /// Jumps; backwards if the span is negative.
    pub fn advance(&self, by: SignedDuration) {
        let mut set_to = self.lock();
        *set_to += by;
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.set_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let ticked = self.ticking_since.map(|since| since.elapsed()).unwrap_or_default();
        *self.lock() + ticked
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_moves_only_when_told() {
        let clock = ManualClock::default();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(SignedDuration::from_secs(5));
        clock.advance(SignedDuration::from_secs(-2));
        assert_eq!(clock.now().duration_since(before), SignedDuration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticking_clock_follows_paused_time() {
        let clock = ManualClock::ticking();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(clock.now().duration_since(before), SignedDuration::from_secs(7));
    }
}
