//! How long to wait between two attempts at the same target, and how many there may be of all targets together.
//!
//! Moments are those that records keep: the time of day. It may jump: what lies in the future counts as now.

use std::time::Duration;

use jiff::Timestamp;

/// The waits between attempts at one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// After the first; doubles with each.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    /// After so long without one, the next is the first again.
    pub(crate) calm: Duration,
}

impl Waits {
    /// The wait after the attempt of this number.
    pub(crate) fn after(&self, number: u32) -> Duration {
        let doublings = number.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.last)
    }

    /// How long until the next may come; zero if it may come now.
    pub(crate) fn left(&self, number: u32, last: Option<Timestamp>, now: Timestamp) -> Duration {
        let Some(last) = last.filter(|_| number > 0) else { return Duration::ZERO };
        self.after(number).saturating_sub(elapsed(last, now))
    }

    /// The number of the next attempt.
    pub(crate) fn next(&self, number: u32, last: Option<Timestamp>, now: Timestamp) -> u32 {
        let is_calm = last.is_none_or(|last| elapsed(last, now) >= self.calm + self.after(number));
        if is_calm { 1 } else { number.saturating_add(1) }
    }
}

/// How many attempts there may be within some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) attempts: usize,
    pub(crate) within: Duration,
}

impl Limit {
    pub(crate) fn has_room(&self, spent: &[Timestamp], now: Timestamp) -> bool {
        let recent = spent.iter().filter(|at| elapsed(**at, now) < self.within);
        recent.count() < self.attempts
    }

    /// Adds one, and forgets those that no longer count.
    pub(crate) fn spend(&self, spent: &mut Vec<Timestamp>, now: Timestamp) {
        spent.retain(|at| elapsed(*at, now) < self.within);
        spent.push(now);
    }
}

/// How long ago that was; nothing is ahead of us.
pub(crate) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const WAITS: Waits = Waits {
        first: Duration::from_secs(15),
        last: Duration::from_mins(15),
        calm: Duration::from_mins(10),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits: Vec<u64> = (1..=8).map(|number| WAITS.after(number).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(WAITS.left(0, None, at(0)), Duration::ZERO);
        assert_eq!(WAITS.left(2, Some(at(0)), at(10)), Duration::from_secs(20));
        assert_eq!(WAITS.left(2, Some(at(0)), at(30)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_hurry() {
        assert_eq!(WAITS.left(1, Some(at(5000)), at(0)), Duration::from_secs(15));
    }

    #[test]
    fn who_was_calm_begins_again() {
        assert_eq!(WAITS.next(0, None, at(0)), 1);
        assert_eq!(WAITS.next(3, Some(at(0)), at(100)), 4);
        assert_eq!(WAITS.next(3, Some(at(0)), at(661)), 1);
    }

    #[test]
    fn no_more_than_the_limit_fits_into_its_time() {
        let limit = Limit { attempts: 2, within: Duration::from_mins(1) };
        let mut spent = Vec::new();
        for second in [0, 1] {
            assert!(limit.has_room(&spent, at(second)));
            limit.spend(&mut spent, at(second));
        }
        assert!(!limit.has_room(&spent, at(59)));
        assert!(limit.has_room(&spent, at(60)));
        limit.spend(&mut spent, at(60));
        assert_eq!(spent, [at(1), at(60)]);
    }
}
