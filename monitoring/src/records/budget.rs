//! The restarts that were asked for lately, of all targets.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `monitoring/budget`: written with each restart that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BudgetRecord {
    pub(crate) schema: u32,
    /// When each was asked for, at most as many as the budget has.
    pub(crate) asked: Vec<Timestamp>,
}

impl BudgetRecord {
    /// How long ago each of them was. A clock that went back makes none of them older.
    pub(crate) fn ages(&self, now: Timestamp) -> impl Iterator<Item = Duration> {
        let age = move |at: &Timestamp| now.duration_since(*at);
        self.asked.iter().map(age).map(|age| Duration::try_from(age).unwrap_or_default())
    }

    /// One more, of which the last `limit` are kept.
    pub(crate) fn spend(&mut self, now: Timestamp, limit: usize) {
        self.schema = 1;
        self.asked.push(now);
        let surplus = self.asked.len().saturating_sub(limit);
        self.asked.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_are_kept_and_a_clock_that_went_back_makes_none_older() {
        let mut record = BudgetRecord::default();
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        for second in [10, 20, 30] {
            record.spend(at(second), 2);
        }
        assert_eq!(record.asked, [at(20), at(30)]);
        let ages: Vec<u64> = record.ages(at(25)).map(|age| age.as_secs()).collect();
        assert_eq!(ages, [5, 0]);
    }
}
