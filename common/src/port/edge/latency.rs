//! How long requests took: a histogram of fixed size.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The upper bounds of all buckets but the last, which has none, in milliseconds: at most a third apart, so that what
/// is read between two of them is not far off.
pub const LATENCY_BOUNDS_MS: [u64; 42] = [
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400,
    500, 600, 800, 1_000, 1_200, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000,
    15_000, 20_000, 30_000, 60_000,
];
const BUCKETS: usize = LATENCY_BOUNDS_MS.len() + 1;

/// How many requests took how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: [0; BUCKETS], sum: Duration::ZERO }
    }
}

/// The counts of all buckets, and the sum.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.counts.as_slice(), self.sum).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (counts, sum) = <(Vec<u64>, Duration)>::deserialize(deserializer)?;
        let counts =
            counts.try_into().map_err(|_| D::Error::custom("another number of buckets"))?;
        Ok(Latency { counts, sum })
    }
}

impl Latency {
    pub fn add(&mut self, took: Duration) {
        let bucket =
            LATENCY_BOUNDS_MS.partition_point(|bound| u128::from(*bound) < took.as_millis());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(took);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took at most so long; exact at the bounds of buckets.
    pub fn at_most(&self, milliseconds: u64) -> u64 {
        let buckets = LATENCY_BOUNDS_MS.partition_point(|bound| *bound <= milliseconds);
        self.counts.iter().take(buckets).sum()
    }

    /// Those of another edge as well.
    pub fn join(&mut self, other: &Latency) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// What was added after `earlier` was as this is.
    #[must_use]
    pub fn since(&self, earlier: &Latency) -> Latency {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Latency { counts, sum: self.sum.saturating_sub(earlier.sum) }
    }

    /// In milliseconds, how long all but one of so many requests took at most, read between the bounds of its bucket:
    /// 20 for the 95th percentile. Nothing of no request.
    pub fn all_but_one_of(&self, share: u64) -> Option<u64> {
        let count = self.count();
        let rank = count.checked_sub(count.checked_div(share)?).filter(|rank| *rank > 0)?;
        let mut below = 0;
        let bounds = LATENCY_BOUNDS_MS.iter().copied();
        // What took longer than the longest bound is told as that bound.
        let last = LATENCY_BOUNDS_MS.last().copied();
        let mut lower = 0;
        for (upper, in_bucket) in bounds.chain(last).zip(self.counts) {
            if below + in_bucket >= rank {
                let width = upper.saturating_sub(lower);
                return Some(lower + (width * (rank - below)).checked_div(in_bucket)?);
            }
            below += in_bucket;
            lower = upper;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[u64]) -> Latency {
        let mut latency = Latency::default();
        for time in times {
            latency.add(Duration::from_millis(*time));
        }
        latency
    }

    #[test]
    fn a_time_is_counted_at_its_bound_and_above() {
        let latency = of(&[0, 5, 6, 100, 3_600_000]);
        for (bound, count) in [(4, 1), (5, 2), (6, 3), (50, 3), (100, 4), (60_000, 4)] {
            assert_eq!(latency.at_most(bound), count, "{bound} ms");
        }
        assert_eq!((latency.count(), latency.sum().as_millis()), (5, 3_600_111));
    }

    #[test]
    fn the_slowest_twentieth_is_left_out_and_no_more() {
        let mut times = vec![10; 95];
        times.extend([900; 5]);
        assert_eq!(of(&times).all_but_one_of(20), Some(10));
        times.push(900);
        let slow = of(&times).all_but_one_of(20).unwrap();
        assert!((800..=1000).contains(&slow), "{slow}");
        assert_eq!(of(&[]).all_but_one_of(20), None);
        assert_eq!(of(&[3_600_000]).all_but_one_of(20), Some(60_000));
    }

    #[test]
    fn what_was_before_is_left_out() {
        let before = of(&[900; 50]);
        let mut latency = before.clone();
        assert_eq!(latency.since(&before), Latency::default());
        latency.add(Duration::from_millis(3));
        assert_eq!(latency.since(&before), of(&[3]));
    }
}
