//! What the looks at a container's port found, and when one that runs is stopped for it, so that it is started again. One that
//! was never well is left: whoever deployed it waits for it, and gives it up.

use std::time::Duration;

use common::id::SlotNumber;

/// A look says nothing of more time than this: while the machine itself slept, nobody was ill.
const STRIDE: Duration = Duration::from_secs(5);
/// How many times as long as any other a run may fail that was not well yet: it may take long to start.
const START: u32 = 10;
/// How much longer each of an app's replicas may fail than the one before, on whatever node that is: so they are not stopped
/// all at once, and the one before had time to stop and to start.
const TURN: Duration = Duration::from_secs(30);
const MOST_TURNS: u32 = 60;

/// Looks that were made one after the other, about once a second: at the present run, but for what runs before it were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    failed: u32,
    /// How long they have failed, and when the last one did.
    lasting: Duration,
    last: Option<Duration>,
    ran_well: bool,
    /// Whether any run was well.
    was_well: bool,
    /// When a run was stopped, until one is well again.
    stopped: Option<Duration>,
}

impl Looks {
    pub(crate) fn found_well(&mut self) {
        *self = Looks { ran_well: true, was_well: true, ..Looks::default() };
    }

    pub(crate) fn failed(&mut self, now: Duration) {
        let passed = self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        self.lasting += passed.min(STRIDE);
        self.last = Some(now);
        self.failed = self.failed.saturating_add(1);
    }

    /// It is stopped for it.
    pub(crate) fn stopped(&mut self, now: Duration) {
        self.stopped = Some(now);
    }

    /// What is known of another run.
    pub(crate) fn of_next_run(self) -> Self {
        Looks { was_well: self.was_well, stopped: self.stopped, ..Looks::default() }
    }

    /// How many failed in a row.
    pub(crate) fn failed_in_a_row(self) -> u32 {
        self.failed
    }

    pub(crate) fn was_well(self) -> bool {
        self.was_well
    }

    /// Whether the replica of this number has failed for too long. Those of which none was well are never told to.
    pub(crate) fn are_too_long(self, after: Duration, number: SlotNumber) -> bool {
        let once = if self.ran_well { after } else { after * START };
        let turn = number.0.saturating_sub(1).min(MOST_TURNS);
        self.was_well && self.lasting >= once + TURN * turn
    }

    /// Whether it was stopped, and is not well again, so lately that it may yet be.
    pub(crate) fn is_coming_back(self, now: Duration, within: Duration) -> bool {
        self.stopped.is_some_and(|stopped| now.saturating_sub(stopped) < within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One that fails a look in each of these seconds.
    fn fails(mut looks: Looks, during: std::ops::RangeInclusive<u64>) -> Looks {
        for second in during {
            looks.failed(seconds(second));
        }
        looks
    }

    fn well() -> Looks {
        let mut looks = Looks::default();
        looks.found_well();
        looks
    }

    fn is_due(looks: Looks) -> bool {
        looks.are_too_long(AFTER, SlotNumber(1))
    }

    #[test]
    fn what_was_well_and_failed_for_half_a_minute_is_due() {
        assert!(!is_due(fails(well(), 1..=30)));
        assert!(is_due(fails(well(), 1..=31)));
        let mut once_well = fails(well(), 1..=30);
        once_well.found_well();
        assert_eq!(once_well.failed_in_a_row(), 0);
        assert!(!is_due(fails(once_well, 31..=60)));
    }

    #[test]
    fn what_was_never_well_is_waited_for_by_others() {
        assert!(!is_due(fails(Looks::default(), 1..=3600)));
    }

    #[test]
    fn a_later_run_may_take_its_time_to_start() {
        let next = fails(well(), 1..=31).of_next_run();
        assert_eq!(next.failed_in_a_row(), 0);
        assert!(!is_due(fails(next, 40..=339)));
        assert!(is_due(fails(next, 40..=340)));
    }

    #[test]
    fn replicas_of_an_app_are_due_one_after_the_other() {
        let due = |number| {
            let slot = SlotNumber(number);
            let mut looks = well();
            (1..=2000).find(|second| {
                looks.failed(seconds(*second));
                looks.are_too_long(AFTER, slot)
            })
        };
        assert_eq!([1, 2, 3, 20, 61].map(due), [31, 61, 91, 601, 1831].map(Some));
        assert_eq!(due(1000), Some(1831), "it is due some day");
    }

    #[test]
    fn while_the_machine_slept_nobody_was_ill() {
        let mut looks = well();
        looks.failed(seconds(1));
        looks.failed(seconds(7200));
        assert!(!is_due(looks));
    }

    #[test]
    fn what_was_stopped_is_coming_back_until_it_is_well_or_takes_too_long() {
        let mut looks = fails(well(), 1..=31);
        looks.stopped(seconds(31));
        let mut next = looks.of_next_run();
        assert!(next.is_coming_back(seconds(60), AFTER));
        assert!(!next.is_coming_back(seconds(61), AFTER));
        next.found_well();
        assert!(!next.is_coming_back(seconds(32), AFTER));
    }
}
