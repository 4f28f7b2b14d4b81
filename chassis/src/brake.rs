//! The brake: too many of a kind look dead, or are said to be dead, at once. Then it is likelier that who looks is cut
//! off, or that one cause is behind all of it, than that each needs a restart. Counts only: what is done about it, and what
//! a kind is, its service says.

/// When the brake is put on and off.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Above this share of the known ones.
    pub percent: usize,
    /// After so many rounds in a row with fewer it is off again.
    pub rounds: usize,
}

/// One alone is never too many.
const AT_LEAST: usize = 2;

/// How many look dead, of those that were ever seen alive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub bad: usize,
    pub known: usize,
}

impl Count {
    pub fn is_too_many(self, percent: usize) -> bool {
        self.bad >= AT_LEAST && self.bad * 100 > self.known * percent
    }
}

/// The brake of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Brake {
    holds: bool,
    fine_rounds: usize,
    count: Count,
}

impl Brake {
    /// As it was left by who looked before.
    pub fn resumed(holds: bool) -> Self {
        Brake { holds, ..Brake::default() }
    }

    pub fn holds(&self) -> bool {
        self.holds
    }

    /// What put it on, or what was counted last.
    pub fn count(&self) -> Count {
        self.count
    }

    /// A round is over. One in which nothing is known says nothing.
    pub fn note(&mut self, count: Count, rule: &Rule) {
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
        for (bad, known, holds) in [
            (0, 10, false),
            (3, 10, false),
            (4, 10, true),
            (1, 1, false),
            (1, 2, false),
            (2, 2, true),
            (2, 6, true),
            (2, 7, false),
            (100, 100, true),
        ] {
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

    #[test]
    fn a_round_without_knowledge_changes_nothing() {
        for mut brake in [Brake::resumed(false), Brake::resumed(true)] {
            let before = brake.holds();
            for _ in 0..10 {
                brake.note(Count { bad: 0, known: 0 }, &RULE);
            }
            assert_eq!(brake.holds(), before);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_came_before_too_many_put_it_on(
            before in prop::collection::vec((0usize..10, 0usize..10), 0..20),
            known in 2usize..1000,
        ) {
            let mut brake = Brake::default();
            for (bad, more) in before {
                brake.note(Count { bad, known: bad + more }, &RULE);
            }
            brake.note(Count { bad: known, known }, &RULE);
            prop_assert!(brake.holds());
        }
    }
}
