//! How many restarts may be asked for within a sliding window, of all targets together.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;
use super::target::Kind;

/// The bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) restarts: usize,
    pub(crate) within: Duration,
}

/// The restarts of the last window.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: Limit,
    /// When each of them leaves the window, in order.
    until: VecDeque<Moment>,
}

impl Budget {
    /// `ages`: how long ago the restarts of processes before this one were asked for.
    pub(crate) fn resumed(limit: Limit, ages: impl Iterator<Item = Duration>, now: Moment) -> Self {
        let left = ages.filter_map(|age| limit.within.checked_sub(age)).map(|left| now + left);
        let mut until: Vec<Moment> = left.collect();
        until.sort_unstable();
        Budget { limit, until: until.into() }
    }

    /// Whether one more restart of this kind may be asked for. Apps take at most half of it: whoever
    /// deploys apps that fail does not keep services from being restarted.
    pub(crate) fn has_room(&self, kind: Kind, now: Moment) -> bool {
        let share = match kind {
            Kind::Service | Kind::Node => self.limit.restarts,
            Kind::App => self.limit.restarts.div_ceil(2),
        };
        self.until.iter().filter(|until| **until > now).count() < share
    }

    pub(crate) fn spend(&mut self, now: Moment) {
        self.until.retain(|until| *until > now);
        self.until.push_back(now + self.limit.within);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Limit = Limit { restarts: 4, within: Duration::from_mins(10) };

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    #[test]
    fn apps_leave_half_of_it_to_the_platform() {
        let mut budget = Budget::resumed(LIMIT, std::iter::empty(), at(0));
        for _ in 0..2 {
            assert!(budget.has_room(Kind::App, at(0)));
            budget.spend(at(0));
        }
        assert!(!budget.has_room(Kind::App, at(599)));
        assert!(budget.has_room(Kind::Service, at(0)));
        assert!(budget.has_room(Kind::App, at(600)));
    }

    #[test]
    fn a_new_process_goes_on_with_what_is_left() {
        let ages = [700, 500, 100, 0].map(Duration::from_secs);
        let budget = Budget::resumed(LIMIT, ages.into_iter(), at(10));
        assert!(budget.has_room(Kind::Node, at(10)));
        let full =
            Budget::resumed(LIMIT, [0, 0, 0, 0].map(Duration::from_secs).into_iter(), at(10));
        assert!(!full.has_room(Kind::Node, at(609)));
        assert!(full.has_room(Kind::Node, at(610)));
    }

    proptest! {
        #[test]
        fn no_window_ever_has_more_than_the_limit(steps in prop::collection::vec(0u64..120, 1..300)) {
            let mut budget = Budget::resumed(LIMIT, std::iter::empty(), at(0));
            let mut now = at(0);
            let mut asked: Vec<Moment> = Vec::new();
            for step in steps {
                now += Duration::from_secs(step);
                if budget.has_room(Kind::Service, now) {
                    budget.spend(now);
                    asked.push(now);
                }
            }
            for window in asked.windows(LIMIT.restarts + 1) {
                prop_assert!(window[LIMIT.restarts] >= window[0] + LIMIT.within);
            }
        }
    }
}
