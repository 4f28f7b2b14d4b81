//! What replicas and apps were asked lately: what the edge has counted now, without what it had counted a minute ago.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use common::name::LegacyName;
use common::port::edge::{AppTraffic, Latency, ReplicaTraffic, Traffic};
use common::port::routes::{ReplicaShare, RouteTraffic, Visitors};

/// How long ago a request may have ended to be told.
const WINDOW: Duration = Duration::from_mins(1);
/// How far apart what is kept is; the window is so much longer, or shorter.
const STEP: Duration = Duration::from_secs(5);

/// What is kept of what was heard.
#[derive(Debug, Clone, Default)]
struct Counts {
    replicas: BTreeMap<SocketAddr, ReplicaTraffic>,
    apps: BTreeMap<LegacyName, AppCounts>,
}

#[derive(Debug, Clone, Default)]
struct AppCounts {
    /// By class of their status.
    answers: [u64; 5],
    latency: Latency,
    in_flight: u64,
}

/// What was heard of replicas and apps last, and within the window.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// None while the edge does not tell.
    now: Option<(Duration, Counts)>,
    /// The oldest first, at least [`STEP`] apart.
    kept: VecDeque<(Duration, Counts)>,
}

impl From<Traffic> for Counts {
    fn from(traffic: Traffic) -> Self {
        let of = |app: AppTraffic| AppCounts {
            answers: app.answers,
            latency: app.latency,
            in_flight: app.in_flight,
        };
        let apps = traffic.apps.into_iter().map(|(instance, app)| (instance, of(app)));
        Counts { replicas: traffic.replicas, apps: apps.collect() }
    }
}

impl AppCounts {
    fn requests(&self) -> u64 {
        self.answers.iter().sum()
    }

    fn errors(&self) -> u64 {
        self.answers.last().copied().unwrap_or_default()
    }

    /// What came since; counts that are lower than before have begun anew.
    fn since(&self, before: Option<&AppCounts>, seconds: u32) -> Visitors {
        let is_grown = |before: &&AppCounts| {
            before.answers.iter().zip(self.answers).all(|(before, now)| *before <= now)
        };
        let nothing = AppCounts::default();
        let before = before.filter(is_grown).unwrap_or(&nothing);
        let latency = self.latency.since(&before.latency);
        Visitors {
            seconds,
            requests: self.requests() - before.requests(),
            errors: self.errors() - before.errors(),
            in_flight: self.in_flight,
            p50_ms: latency.all_but_one_of(2),
            p99_ms: latency.all_but_one_of(100),
        }
    }
}

impl Lately {
    /// The edge told; none where it did not.
    pub(crate) fn heard(&mut self, traffic: Option<Traffic>, now: Duration) {
        let counts = traffic.map(Counts::from);
        if let Some(counts) = &counts {
            self.forget_others(counts);
            let is_due = self.kept.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP);
            if is_due {
                self.kept.push_back((now, counts.clone()));
            }
            while self.kept.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW) {
                self.kept.pop_front();
            }
        }
        self.now = counts.map(|counts| (now, counts));
    }

    /// What is kept of an address is forgotten once it is another replica's, or its counts have begun anew.
    fn forget_others(&mut self, counts: &Counts) {
        let heard = self.now.as_ref().or_else(|| self.kept.back()).map(|(_, counts)| counts);
        let Some(heard) = heard else { return };
        let known = |address: &SocketAddr| heard.replicas.get(address);
        let others = counts.replicas.iter().filter(|(at, now)| is_another(known(at), now));
        let others: Vec<SocketAddr> = others.map(|(address, _)| *address).collect();
        for (_, counts) in &mut self.kept {
            counts.replicas.retain(|address, _| !others.contains(address));
        }
    }

    /// What visitors asked of each app within the window; none while the edge does not tell.
    pub(crate) fn of_apps(&self) -> Option<BTreeMap<LegacyName, Visitors>> {
        let (at, now) = self.now.as_ref()?;
        let (since, before) = self.kept.front()?;
        let seconds = u32::try_from(at.saturating_sub(*since).as_secs()).unwrap_or(u32::MAX);
        let of = |(instance, app): (&LegacyName, &AppCounts)| {
            (instance.clone(), app.since(before.apps.get(instance), seconds))
        };
        Some(now.apps.iter().map(of).collect())
    }

    /// What each replica of an instance was asked within the window; none while the edge does not tell.
    pub(crate) fn of(&self, instance: &LegacyName) -> Option<RouteTraffic> {
        let replicas = self.now.as_ref()?.1.replicas.iter();
        let ours = replicas.filter(|(_, replica)| replica.instance == *instance);
        let shares = ours.filter_map(|(address, now)| {
            let before = self.kept.front().and_then(|(_, counts)| counts.replicas.get(address));
            let (requests, errors) =
                before.map_or((0, 0), |before| (before.requests, before.errors));
            let share = ReplicaShare {
                ip: address.ip(),
                port: address.port(),
                is_served: now.is_served,
                requests: now.requests - requests,
                errors: now.errors - errors,
            };
            (now.is_served || share.requests > 0).then_some(share)
        });
        let window_seconds = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
        Some(RouteTraffic { window_seconds, replicas: shares.collect() })
    }
}

/// Whether these counts are of another replica than those that were heard before, or have begun anew.
fn is_another(before: Option<&ReplicaTraffic>, now: &ReplicaTraffic) -> bool {
    before.is_none_or(|before| {
        let comes_back = now.is_served && !before.is_served;
        let is_lower = before.requests > now.requests || before.errors > now.errors;
        before.instance != now.instance || comes_back || is_lower
    })
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
    fn what_was_asked_of_who_had_an_address_before_is_not_its_replicas() {
        let mut lately = Lately::default();
        lately.heard(Some(traffic(&[(1, 150, 0, true)])), Duration::ZERO);
        lately.heard(Some(traffic(&[(1, 300, 99, false)])), STEP);
        let told = |lately: &Lately| {
            let told = lately.of(&"shop".parse().unwrap()).unwrap().replicas;
            told.iter().map(|one| (one.is_served, one.requests, one.errors)).collect::<Vec<_>>()
        };
        assert_eq!(told(&lately), [(false, 150, 99)], "who asks knows that it has left");
        lately.heard(Some(traffic(&[(1, 0, 0, true)])), 2 * STEP);
        assert_eq!(told(&lately), [(true, 0, 0)]);
        // As many as the one before had, and a few of them failed.
        lately.heard(Some(traffic(&[(1, 200, 10, true)])), 3 * STEP);
        assert_eq!(told(&lately), [(true, 200, 10)]);
    }

    #[test]
    fn while_the_edge_does_not_tell_nothing_is_known() {
        let mut lately = Lately::default();
        lately.heard(Some(traffic(&[(1, 5, 0, true)])), Duration::ZERO);
        lately.heard(None, STEP);
        assert_eq!(lately.of(&"shop".parse().unwrap()), None);
    }

    /// So many requests of each class, which took so many milliseconds each.
    fn asked(answers: [u64; 5], took: u64) -> Traffic {
        let mut app = AppTraffic { answers, in_flight: 2, ..AppTraffic::default() };
        for _ in 0..app.requests() {
            app.latency.add(Duration::from_millis(took));
        }
        let apps = BTreeMap::from([("shop".parse().unwrap(), app)]);
        Traffic { apps, ..Traffic::default() }
    }

    fn visitors(lately: &Lately) -> Visitors {
        lately.of_apps().unwrap()[&"shop".parse::<LegacyName>().unwrap()]
    }

    #[test]
    fn what_visitors_asked_is_told_of_the_window_and_of_no_longer() {
        let mut lately = Lately::default();
        lately.heard(Some(asked([0, 100, 0, 0, 50], 900)), Duration::ZERO);
        let nothing = Visitors { in_flight: 2, ..Visitors::default() };
        assert_eq!(visitors(&lately), nothing, "nobody knows when those came");
        let mut both = asked([0, 100, 0, 0, 50], 900);
        let more = asked([0, 98, 0, 0, 2], 10);
        both.join(&more);
        lately.heard(Some(both.clone()), STEP);
        let told = visitors(&lately);
        assert_eq!((told.seconds, told.requests, told.errors, told.in_flight), (5, 100, 2, 4));
        let (p50, p99) = (told.p50_ms.unwrap(), told.p99_ms.unwrap());
        assert!(p50 <= p99 && (6..=10).contains(&p99), "{told:?}");
        lately.heard(Some(both), WINDOW + 2 * STEP);
        assert_eq!(visitors(&lately).requests, 0);
        // An edge that has lost its counts begins with nothing.
        lately.heard(Some(asked([0, 3, 0, 0, 0], 10)), WINDOW + 3 * STEP);
        assert_eq!(visitors(&lately).requests, 3);
        lately.heard(None, WINDOW + 4 * STEP);
        assert_eq!(lately.of_apps(), None);
    }
}
