//! What replicas were asked lately: what the edge has counted now, without what it had counted a minute ago.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use common::name::LegacyName;
use common::port::edge::{ReplicaTraffic, Traffic};
use common::port::routes::{ReplicaShare, RouteTraffic};

/// How long ago a request may have ended to be told.
const WINDOW: Duration = Duration::from_mins(1);
/// How far apart what is kept is; the window is so much longer, or shorter.
const STEP: Duration = Duration::from_secs(5);

type Replicas = BTreeMap<SocketAddr, ReplicaTraffic>;

/// What was heard of replicas last, and within the window.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// None while the edge does not tell.
    now: Option<Replicas>,
    /// The oldest first, at least [`STEP`] apart.
    kept: VecDeque<(Duration, Replicas)>,
}

impl Lately {
    /// The edge told; none where it did not.
    pub(crate) fn heard(&mut self, traffic: Option<Traffic>, now: Duration) {
        let replicas = traffic.map(|traffic| traffic.replicas);
        if let Some(replicas) = &replicas {
            let is_due = self.kept.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP);
            if is_due {
                self.kept.push_back((now, replicas.clone()));
            }
            while self.kept.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW) {
                self.kept.pop_front();
            }
        }
        self.now = replicas;
    }

    /// What each replica of an instance was asked within the window; none while the edge does not tell.
    pub(crate) fn of(&self, instance: &LegacyName) -> Option<RouteTraffic> {
        let replicas = self.now.as_ref()?.iter();
        let ours = replicas.filter(|(_, replica)| replica.instance == *instance);
        let shares = ours.filter_map(|(address, now)| {
            let before = self.kept.front().and_then(|(_, replicas)| replicas.get(address));
            // Counts that are lower than before have begun anew.
            let before = before.filter(|before| {
                before.instance == now.instance
                    && before.requests <= now.requests
                    && before.errors <= now.errors
            });
            let (requests, errors) =
                before.map_or((0, 0), |before| (before.requests, before.errors));
            let share = ReplicaShare {
                ip: address.ip(),
                port: address.port(),
                requests: now.requests - requests,
                errors: now.errors - errors,
            };
            (now.is_served || share.requests > 0).then_some(share)
        });
        let window_seconds = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
        Some(RouteTraffic { window_seconds, replicas: shares.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn traffic(replicas: &[(u16, u64, u64, bool)]) -> Traffic {
        let replica = |(port, requests, errors, is_served): &(u16, u64, u64, bool)| {
            let instance = "shop".parse().unwrap();
            let (requests, errors, is_served) = (*requests, *errors, *is_served);
            (at(*port), ReplicaTraffic { instance, requests, errors, is_served })
        };
        Traffic { replicas: replicas.iter().map(replica).collect(), ..Traffic::default() }
    }

    fn told(lately: &Lately) -> Vec<(u16, u64, u64)> {
        let told = lately.of(&"shop".parse().unwrap()).unwrap();
        told.replicas.iter().map(|share| (share.port, share.requests, share.errors)).collect()
    }

    #[test]
    fn what_is_longer_ago_than_the_window_is_left_out() {
        let mut lately = Lately::default();
        for second in 0..=200 {
            // Ten requests a second; a failure in each second after the hundredth.
            let failed = u64::saturating_sub(second, 100);
            let now = Duration::from_secs(second);
            lately.heard(Some(traffic(&[(1, second * 10, failed, true)])), now);
            if second == 30 {
                assert_eq!(told(&lately), [(1, 300, 0)]);
            }
            if second == 100 {
                assert_eq!(told(&lately), [(1, 600, 0)]);
            }
        }
        assert_eq!(told(&lately), [(1, 600, 60)]);
        assert!(lately.kept.len() <= 13, "{}", lately.kept.len());
        assert!(lately.of(&"other".parse().unwrap()).unwrap().replicas.is_empty());
    }

    #[test]
    fn a_replica_that_began_anew_is_told_from_its_beginning() {
        let mut lately = Lately::default();
        lately.heard(Some(traffic(&[(1, 500, 50, true)])), Duration::ZERO);
        lately.heard(Some(traffic(&[(1, 7, 1, true), (2, 3, 3, true)])), STEP);
        assert_eq!(told(&lately), [(1, 7, 1), (2, 3, 3)]);
    }

    #[test]
    fn a_replica_that_left_is_told_while_the_window_has_requests_of_it() {
        let mut lately = Lately::default();
        lately.heard(Some(traffic(&[(1, 5, 0, true), (2, 0, 0, true)])), Duration::ZERO);
        lately.heard(Some(traffic(&[(1, 9, 0, false), (2, 0, 0, true)])), STEP);
        assert_eq!(told(&lately), [(1, 4, 0), (2, 0, 0)]);
        for second in [30, 66, 71, 76] {
            let traffic = traffic(&[(1, 9, 0, false), (2, 0, 0, true)]);
            lately.heard(Some(traffic), Duration::from_secs(second));
        }
        assert_eq!(told(&lately), [(2, 0, 0)]);
    }

    #[test]
    fn while_the_edge_does_not_tell_nothing_is_known() {
        let mut lately = Lately::default();
        lately.heard(Some(traffic(&[(1, 5, 0, true)])), Duration::ZERO);
        lately.heard(None, STEP);
        assert_eq!(lately.of(&"shop".parse().unwrap()), None);
    }
}
