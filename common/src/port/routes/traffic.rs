//! How the replicas of one instance do with what visitors ask of them: what tells a good release from a bad one.

use std::iter::Sum;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The answer to `GET /api/v1/routes/{instance}/traffic`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTraffic {
    /// How much time it is of, at most; less of a replica that is younger.
    pub window_seconds: u32,
    /// Those that are served, and those that have just left.
    pub replicas: Vec<ReplicaShare>,
}

/// What one replica got of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaShare {
    pub ip: IpAddr,
    pub port: u16,
    /// Whether it is served. Of one that has left the port may be another one's by now. Load balancers of before this do not
    /// say.
    #[serde(default = "unsaid")]
    pub is_served: bool,
    pub requests: u64,
    /// Those of them that it did not answer, or with a status of the class `5xx`.
    pub errors: u64,
}

fn unsaid() -> bool {
    true
}

/// What visitors asked of one app lately, and how it went; an answer to `GET /api/v1/traffic` has it of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitors {
    /// How much time it is of.
    pub seconds: u32,
    pub requests: u64,
    /// Those of them that ended with a status of the class `5xx`.
    pub errors: u64,
    /// Under way now.
    pub in_flight: u64,
    /// How long half of them took at most; none without any.
    pub p50_ms: Option<u64>,
    /// How long all but one of a hundred took at most.
    pub p99_ms: Option<u64>,
}

/// What several replicas got, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub requests: u64,
    pub errors: u64,
}

impl Share {
    /// Fewer requests than this say nothing of a release.
    pub const LEAST_REQUESTS: u64 = 50;
    /// Fewer errors than this may be chance, or one visitor's.
    pub const LEAST_ERRORS: u64 = 10;
    /// Up to so many errors of a hundred are nobody's fault.
    pub const TOLERATED_PERCENT: u64 = 5;
    /// A release that fails so many times as often as the one before, or less, is not worse but for chance.
    pub const WORSE_TIMES: u64 = 3;
    /// With fewer requests than this the release before is nothing to compare with.
    pub const LEAST_BEFORE: u64 = 20;
    /// More errors of a hundred than this are a failure, whatever the release before did.
    pub const PLAIN_PERCENT: u64 = 50;

    /// Why a release that got this is worse than the one before, which got `old` in the same time, in one sentence with
    /// its numbers; none if it is not, or if that is not known.
    pub fn is_worse_than(self, old: Share) -> Option<String> {
        let is_known = self.requests >= Share::LEAST_REQUESTS && self.errors >= Share::LEAST_ERRORS;
        let is_compared = old.requests >= Share::LEAST_BEFORE;
        let tolerated = if is_compared { Share::TOLERATED_PERCENT } else { Share::PLAIN_PERCENT };
        let is_much =
            u128::from(self.errors) * 100 > u128::from(self.requests) * u128::from(tolerated);
        let product = |one: u64, other: u64| u128::from(one) * u128::from(other);
        let is_more = !is_compared
            || product(self.errors, old.requests)
                > product(old.errors, self.requests) * u128::from(Share::WORSE_TIMES);
        (is_known && is_much && is_more).then(|| {
            format!(
                "{} of its {} requests failed ({} %, more than {tolerated} %), and {} of {} of the release before",
                self.errors,
                self.requests,
                self.errors * 100 / self.requests,
                old.errors,
                old.requests
            )
        })
    }
}

impl From<&ReplicaShare> for Share {
    fn from(of: &ReplicaShare) -> Self {
        Share { requests: of.requests, errors: of.errors }
    }
}

impl Sum for Share {
    fn sum<I: Iterator<Item = Share>>(shares: I) -> Self {
        shares.fold(Share::default(), |sum, one| Share {
            requests: sum.requests + one.requests,
            errors: sum.errors + one.errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_worse_where_it_fails_often_and_much_more_often_than_the_one_before() {
        let share = |(requests, errors)| Share { requests, errors };
        for (new, old, is_worse) in [
            ((50, 10), (100, 0), true),
            // Too few say nothing, be it of requests or of errors.
            ((49, 49), (100, 0), false),
            ((50, 9), (100, 0), false),
            // A twentieth is tolerated.
            ((400, 20), (400, 0), false),
            ((400, 21), (400, 0), true),
            // What it depends on fails for both.
            ((100, 30), (100, 10), false),
            ((100, 31), (100, 10), true),
            // With nothing to compare with only what fails plainly does.
            ((100, 50), (0, 0), false),
            ((100, 51), (0, 0), true),
            ((100, 50), (19, 0), false),
            ((100, 51), (19, 19), true),
            ((100, 50), (20, 0), true),
            ((0, 0), (100, 100), false),
        ] {
            let worse = share(new).is_worse_than(share(old));
            assert_eq!(worse.is_some(), is_worse, "{new:?} after {old:?}");
        }
        let why = share((60, 15)).is_worse_than(share((200, 1))).unwrap();
        assert_eq!(
            why,
            "15 of its 60 requests failed (25 %, more than 5 %), and 1 of 200 of the release before"
        );
    }

    #[test]
    fn what_several_replicas_got_is_added_up() {
        let of = |port, requests, errors| ReplicaShare {
            ip: [192, 0, 2, 1].into(),
            port,
            is_served: true,
            requests,
            errors,
        };
        let sum: Share = [of(1, 10, 1), of(2, 5, 0)].iter().map(Share::from).sum();
        assert_eq!(sum, Share { requests: 15, errors: 1 });
    }
}
