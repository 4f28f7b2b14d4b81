//! How long to wait after a restart was asked for, before the next one of the same target.

use std::time::Duration;

use super::Moment;

/// The waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// After the first restart; doubles with each.
    pub(crate) first: Duration,
    pub(crate) last: Duration,
    /// A target that was up for so long begins at the first again.
    pub(crate) calm: Duration,
}

impl Waits {
    /// The wait after the restart of this number.
    pub(crate) fn after(&self, number: u32) -> Duration {
        let doublings = number.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.last)
    }
}

/// The restarts of one target that were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Restarts {
    /// How many, since it was last calm.
    pub(crate) number: u32,
    /// Not before this moment again.
    not_before: Option<Moment>,
}

impl Restarts {
    /// As a process before this one left it. Nobody knows how long ago that was, as the time of day may
    /// jump: so the whole wait begins again.
    pub(crate) fn resumed(number: u32, waits: &Waits, now: Moment) -> Self {
        Restarts { number, not_before: (number > 0).then(|| now + waits.after(number)) }
    }

    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.not_before.is_none_or(|moment| now >= moment)
    }

    /// One was asked for.
    pub(crate) fn asked(&mut self, number: u32, waits: &Waits, now: Moment) {
        self.number = number;
        self.put_off(waits, now);
    }

    /// The wait after the last one begins at this moment, or has begun later.
    pub(crate) fn put_off(&mut self, waits: &Waits, at: Moment) {
        self.not_before = self.not_before.max(Some(at + waits.after(self.number)));
    }

    pub(crate) fn calmed(&mut self) {
        *self = Restarts::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAITS: Waits = Waits {
        first: Duration::from_secs(15),
        last: Duration::from_mins(15),
        calm: Duration::from_mins(10),
    };

    #[test]
    fn waits_double_from_fifteen_seconds_to_a_bound() {
        let waits: Vec<u64> = (1..=9).map(|number| WAITS.after(number).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(WAITS.after(u32::MAX), WAITS.last);
    }

    #[test]
    fn a_new_process_waits_the_whole_wait_again() {
        let now = Duration::from_secs(5);
        let resumed = Restarts::resumed(3, &WAITS, now);
        assert!(!resumed.is_due(now + Duration::from_secs(59)));
        assert!(resumed.is_due(now + Duration::from_mins(1)));
        assert!(Restarts::resumed(0, &WAITS, now).is_due(now));
    }

    proptest! {
        #[test]
        fn no_two_restarts_are_closer_than_the_wait_between_them(
            steps in prop::collection::vec(1u64..40, 1..200),
        ) {
            let mut restarts = Restarts::default();
            let mut now = Duration::ZERO;
            let mut asked: Vec<Moment> = Vec::new();
            for step in steps {
                now += Duration::from_secs(step);
                if restarts.is_due(now) {
                    restarts.asked(restarts.number + 1, &WAITS, now);
                    asked.push(now);
                }
            }
            for (number, pair) in (1..).zip(asked.windows(2)) {
                prop_assert!(pair[1] >= pair[0] + WAITS.after(number));
            }
        }
    }
}
