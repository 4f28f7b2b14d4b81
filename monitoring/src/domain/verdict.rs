//! From looks to a verdict: so many bad ones of the last few before down, so many good ones in a row before up.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Moment;

/// What monitoring says of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Not enough was seen yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Verdict {
    pub(crate) const ALL: [Verdict; 3] = [Verdict::Unknown, Verdict::Up, Verdict::Down];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Unknown => "unknown",
            Verdict::Up => "up",
            Verdict::Down => "down",
        }
    }
}

/// When looks become a verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// How many of the last looks count.
    pub(crate) window: usize,
    /// So many bad ones of them: down.
    pub(crate) bad: usize,
    /// So many good ones in a row: up.
    pub(crate) good: usize,
    /// For so long a target that was never up may take to come up.
    pub(crate) grace: Duration,
}

/// The last looks at one target, and what follows from them.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Whether each was good, the latest last.
    looks: VecDeque<bool>,
    verdict: Verdict,
    watched_since: Moment,
    /// Since when the verdict is what it is, as far as this process knows.
    since: Moment,
}

impl History {
    pub(crate) fn new(verdict: Verdict, now: Moment) -> Self {
        History { looks: VecDeque::new(), verdict, watched_since: now, since: now }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How long the verdict has been what it is.
    pub(crate) fn lasting(&self, now: Moment) -> Duration {
        now.saturating_sub(self.since)
    }

    pub(crate) fn bad(&self) -> usize {
        self.looks.iter().filter(|good| !**good).count()
    }

    pub(crate) fn note(&mut self, good: bool, rule: &Rule, now: Moment) {
        if self.looks.len() >= rule.window {
            self.looks.pop_front();
        }
        self.looks.push_back(good);
        let verdict = self.judged(rule, now);
        if verdict != self.verdict {
            self.verdict = verdict;
            self.since = now;
            // What led to a verdict does not lead back from it.
            if verdict == Verdict::Up {
                self.looks.clear();
            }
        }
    }

    fn judged(&self, rule: &Rule, now: Moment) -> Verdict {
        let good_in_a_row = self.looks.iter().rev().take_while(|good| **good).count();
        let is_bad = self.looks.back() == Some(&false);
        let still_starting =
            self.verdict == Verdict::Unknown && now.saturating_sub(self.watched_since) < rule.grace;
        if self.verdict != Verdict::Up && good_in_a_row >= rule.good {
            Verdict::Up
        } else if self.verdict != Verdict::Down
            && is_bad
            && self.bad() >= rule.bad
            && !still_starting
        {
            Verdict::Down
        } else {
            self.verdict
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: Rule = Rule { window: 5, bad: 3, good: 2, grace: Duration::from_mins(1) };

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    /// The verdict after each look, a second apart.
    fn verdicts(before: Verdict, looks: &[bool]) -> Vec<Verdict> {
        let mut history = History::new(before, at(0));
        let noted = (1..).zip(looks).map(|(second, good)| {
            history.note(*good, &RULE, at(second));
            history.verdict()
        });
        noted.collect()
    }

    #[test]
    fn three_bad_of_five_are_down_and_two_good_in_a_row_are_up() {
        use Verdict::{Down, Up};
        let looks = [true, false, false, true, false, true, false, true, true, false, false];
        let expected = [Up, Up, Up, Up, Down, Down, Down, Down, Up, Up, Up];
        assert_eq!(verdicts(Up, &looks), expected);
    }

    #[test]
    fn what_was_never_up_is_not_down_before_its_grace_is_over() {
        assert!(
            verdicts(Verdict::Unknown, &[false; 59]).iter().all(|one| *one == Verdict::Unknown)
        );
        assert_eq!(verdicts(Verdict::Unknown, &[false; 60]).last(), Some(&Verdict::Down));
        assert_eq!(verdicts(Verdict::Unknown, &[true, true]), [Verdict::Unknown, Verdict::Up]);
        // What was up once has had its grace.
        assert_eq!(verdicts(Verdict::Up, &[false; 3]).last(), Some(&Verdict::Down));
    }

    proptest! {
        #[test]
        fn no_verdict_changes_without_what_its_rule_asks_for(
            looks in prop::collection::vec(any::<bool>(), 1..60),
            before in prop::sample::select(&Verdict::ALL[..]),
        ) {
            let found = verdicts(before, &looks);
            let mut last = before;
            for (place, verdict) in found.into_iter().enumerate() {
                let so_far = &looks[..=place];
                if verdict == Verdict::Down && last != Verdict::Down {
                    let recent = so_far.iter().rev().take(RULE.window);
                    prop_assert!(recent.filter(|good| !**good).count() >= RULE.bad);
                    prop_assert!(!so_far[place]);
                }
                if verdict == Verdict::Up && last != Verdict::Up {
                    prop_assert!(so_far.iter().rev().take(RULE.good).all(|good| *good));
                    prop_assert!(so_far.len() >= RULE.good);
                }
                prop_assert!(verdict != Verdict::Unknown || last == Verdict::Unknown);
                last = verdict;
            }
        }

        #[test]
        fn fewer_bad_looks_than_the_rule_asks_for_never_bring_a_target_down(
            spacing in 2usize..10,
            length in 1usize..100,
        ) {
            // At most two of any five in a row are bad.
            let looks: Vec<bool> = (0..length).map(|place| place % spacing.max(3) != 0).collect();
            prop_assert!(verdicts(Verdict::Up, &looks).iter().all(|one| *one == Verdict::Up));
        }
    }
}
