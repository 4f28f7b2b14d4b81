//! The brake: too many of a kind look dead, or are said to be dead, at once. Then it is likelier that who looks is cut
//! off, or that one cause is behind all of it, than that each needs a restart.

use serde::{Deserialize, Serialize};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Machines,
    /// Instances of services on machines that answer.
    Services,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Machines, Kind::Services];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Machines => "machines",
            Kind::Services => "services",
        }
    }
}

/// When the brake is put on and off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Above this share of the known ones.
    pub(crate) percent: usize,
    /// After so many rounds in a row with fewer it is off again.
    pub(crate) rounds: usize,
}

/// One alone is never too many.
const AT_LEAST: usize = 2;

/// How many look dead, of those that were ever seen alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) bad: usize,
    pub(crate) known: usize,
}

impl Count {
    pub(crate) fn is_too_many(self, percent: usize) -> bool {
        self.bad >= AT_LEAST && self.bad * 100 > self.known * percent
    }
}

/// The brake of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Brake {
    holds: bool,
    fine_rounds: usize,
    count: Count,
}

impl Brake {
    pub(crate) fn resumed(holds: bool) -> Self {
        Brake { holds, ..Brake::default() }
    }

    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// What put it on, or what was counted last.
    pub(crate) fn count(&self) -> Count {
        self.count
    }

    /// A round is over. One in which nothing is known says nothing.
    pub(crate) fn note(&mut self, count: Count, rule: &Rule) {
        if count.known == 0 {
            return;
        }
        if count.is_too_many(rule.percent) {
            *self = Brake { holds: true, fine_rounds: 0, count };
            return;
        }
        self.count = count;
        self.fine_rounds += 1;
        if self.fine_rounds >= rule.rounds {
            self.holds = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule { percent: 30, rounds: 3 };

    #[test]
    fn more_than_thirty_percent_put_it_on_at_once_but_never_one_alone() {
        for (bad, known, holds) in
            [(0, 4, false), (1, 1, false), (1, 3, false), (2, 4, true), (2, 7, false), (3, 9, true)]
        {
            let mut brake = Brake::default();
            brake.note(Count { bad, known }, &RULE);
            assert_eq!(brake.holds(), holds, "{bad} of {known}");
        }
    }

    #[test]
    fn it_is_off_after_rounds_in_a_row_with_fewer() {
        let (many, few) = (Count { bad: 2, known: 4 }, Count { bad: 1, known: 4 });
        let mut brake = Brake::resumed(true);
        for (count, holds) in
            [(few, true), (few, true), (many, true), (few, true), (few, true), (few, false)]
        {
            brake.note(count, &RULE);
            assert_eq!(brake.holds(), holds);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_was_before_too_many_put_it_on(
            before in prop::collection::vec((0usize..6, 0usize..12), 0..20),
            bad in 2usize..10,
        ) {
            let mut brake = Brake::default();
            for (bad, known) in before {
                brake.note(Count { bad: bad.min(known), known }, &RULE);
            }
            brake.note(Count { bad, known: 10.max(bad) }, &RULE);
            prop_assert!(brake.holds() || bad <= 3);
        }
    }
}
