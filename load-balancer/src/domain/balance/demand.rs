//! What visitors asked of one app lately, from what the edge has counted of it so far.

use std::collections::VecDeque;
use std::time::Duration;

use common::port::edge::{AppTraffic, Latency};

use super::Rules;

/// An app that was not heard of for so long is not known to have any visitors, or none: the edge counts more often.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Counts come twice a second and lag behind by as much: over less time than this they say little of how many come.
const LEAST_WINDOW: Duration = Duration::from_secs(5);
/// How long a sample of a replica's load is.
const SAMPLE: Duration = Duration::from_millis(100);
/// Of fewer requests than this the slowest twentieth says nothing.
const LEAST_REQUESTS: u64 = 20;
/// All but one of so many requests are looked at: the 95th percentile.
const SLOWEST_OF: u64 = 20;

/// What all replicas of an app are asked together, averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Demand {
    pub(crate) requests_per_second: f64,
    /// What all but the slowest twentieth of requests took at most; none of too few.
    pub(crate) latency_ms: Option<f64>,
}

/// What was counted within the window, the oldest first; the first is from before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(VecDeque<Count>);

#[derive(Debug, Clone)]
struct Count {
    at: Duration,
    requests: u64,
    latency: Latency,
}

impl Counts {
    /// The edge told; none where it does not, or does not know the app. Counts that are lower than before begin anew.
    pub(crate) fn push(&mut self, now: Duration, told: Option<&AppTraffic>, rules: &Rules) {
        let Some(told) = told else { return self.0.clear() };
        let latency = told.passed_on_latency.clone();
        let new = Count { at: now, requests: told.passed_on, latency };
        let follows = |last: &Count| {
            last.requests <= new.requests && now.saturating_sub(last.at) <= SILENT_AFTER
        };
        if !self.0.back().is_some_and(follows) {
            self.0.clear();
        }
        self.0.push_back(new);
        let begin = now.saturating_sub(window(rules));
        while self.0.get(1).is_some_and(|second| second.at <= begin) {
            self.0.pop_front();
        }
    }

    /// None before the window is full, and none of old counts.
    pub(crate) fn demand(&self, now: Duration, rules: &Rules) -> Option<Demand> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let time = last.at.saturating_sub(first.at);
        if now.saturating_sub(last.at) > SILENT_AFTER || time < window(rules) {
            return None;
        }
        let requests = last.requests.checked_sub(first.requests)?;
        let latency = last.latency.since(&first.latency);
        let slowest =
            latency.all_but_one_of(SLOWEST_OF).filter(|_| latency.count() >= LEAST_REQUESTS);
        Some(Demand {
            requests_per_second: number(requests) / time.as_secs_f64(),
            latency_ms: slowest.map(number),
        })
    }
}

fn window(rules: &Rules) -> Duration {
    let samples = u32::try_from(rules.samples).unwrap_or(u32::MAX);
    SAMPLE.saturating_mul(samples).max(LEAST_WINDOW)
}

#[expect(clippy::cast_precision_loss, reason = "what is above 2^53 is much, whatever it is")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { samples: 5, brake_after: 3, most: 20, place_within: Duration::from_mins(2) };

    /// An app to which so many requests came that took so long.
    fn asked(requests: u64, took_ms: u64) -> AppTraffic {
        let mut app = AppTraffic { passed_on: requests, ..AppTraffic::default() };
        for _ in 0..requests {
            app.passed_on_latency.add(Duration::from_millis(took_ms));
        }
        app
    }

    fn at(halves: u64) -> Duration {
        Duration::from_millis(halves * 500)
    }

    fn filled(requests_per_second: u64) -> Counts {
        let mut counts = Counts::default();
        for half in 0..=10 {
            counts.push(at(half), Some(&asked(half * requests_per_second / 2, 30)), &RULES);
        }
        counts
    }

    #[test]
    fn a_full_window_says_how_many_come_and_how_long_they_take() {
        let mut counts = filled(40);
        let found = counts.demand(at(10), &RULES).unwrap();
        assert!((found.requests_per_second - 40.0).abs() < 0.01, "{found:?}");
        assert!(found.latency_ms.is_some_and(|time| (25.0..=30.0).contains(&time)), "{found:?}");
        // Nobody comes any more.
        for half in 11..=21 {
            counts.push(at(half), Some(&asked(200, 30)), &RULES);
        }
        let nobody = Demand { requests_per_second: 0.0, latency_ms: None };
        assert_eq!(counts.demand(at(21), &RULES), Some(nobody));
        assert!(counts.0.len() <= 12, "{}", counts.0.len());
    }

    #[test]
    fn what_the_edge_refused_by_itself_is_no_demand() {
        let mut counts = Counts::default();
        for half in 0..=10 {
            let mut told = asked(half * 20, 30);
            // A flood over the app's limit, and visitors who waited for it in vain.
            told.answers = [0, half * 20, 0, half * 5000, half * 50];
            for _ in 0..half * 5050 {
                told.latency.add(Duration::from_mins(1));
            }
            counts.push(at(half), Some(&told), &RULES);
        }
        assert_eq!(counts.demand(at(10), &RULES), filled(40).demand(at(10), &RULES));
    }

    #[test]
    fn nothing_is_known_before_the_window_is_full() {
        let mut counts = Counts::default();
        for half in 0..10 {
            counts.push(at(half), Some(&asked(half * 20, 30)), &RULES);
            assert_eq!(counts.demand(at(half), &RULES), None);
        }
    }

    #[test]
    fn what_is_old_or_not_told_or_began_anew_says_nothing() {
        let counts = filled(40);
        assert!(counts.demand(at(14), &RULES).is_some());
        assert_eq!(counts.demand(at(15), &RULES), None);
        for told in [None, Some(asked(3, 30))] {
            let mut counts = filled(40);
            counts.push(at(11), told.as_ref(), &RULES);
            assert_eq!(counts.demand(at(11), &RULES), None, "{told:?}");
        }
        let mut counts = counts;
        counts.push(at(30), Some(&asked(900, 30)), &RULES);
        assert_eq!(counts.demand(at(30), &RULES), None);
    }

    #[test]
    fn few_requests_say_nothing_of_how_long_they_take() {
        let counts = filled(2);
        let demand = counts.demand(at(10), &RULES).unwrap();
        assert_eq!(demand.latency_ms, None);
    }
}
