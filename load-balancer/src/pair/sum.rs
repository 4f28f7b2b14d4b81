//! [`Sum`]: what two edges count as one count, which does not fall when the other edge's counting begins anew.

use std::collections::BTreeMap;

use common::port::edge::{AppTraffic, ReplicaTraffic, Traffic};

/// What was heard of both.
#[derive(Debug, Default)]
pub(super) struct Sum {
    own: Traffic,
    /// What the other one counted last, of each app and replica.
    others: Traffic,
    /// What it had counted before it began anew.
    base: Traffic,
}

impl Sum {
    /// The sum; of what the other one does not tell, what it counted last stays counted.
    pub(super) fn of(&mut self, own: Traffic, others: Option<Traffic>) -> Traffic {
        let mut kept = std::mem::take(&mut self.others).with_in_flight(&BTreeMap::new());
        self.forget(&own, &mut kept);
        if let Some(mut others) = others {
            // Until the other one knows the table, it tells of who had the address before.
            others.replicas.retain(|address, other| {
                let is_served = own.replicas.get(address).is_some_and(|own| own.is_served);
                other.is_served || !is_served || kept.replicas.contains_key(address)
            });
            let lost = fallen(&kept, &others);
            for instance in lost.apps.keys() {
                self.base.apps.entry(instance.clone()).or_default();
            }
            for (address, replica) in &lost.replicas {
                let nothing = || ReplicaTraffic { requests: 0, errors: 0, ..replica.clone() };
                self.base.replicas.entry(*address).or_insert_with(nothing);
            }
            self.base.join(&lost);
            kept.apps.extend(others.apps);
            kept.replicas.extend(others.replicas);
        }
        let mut sum = own.clone();
        sum.join(&self.base);
        sum.join(&kept);
        self.own = own;
        self.others = kept;
        sum
    }

    /// What the own edge does not know, or counts anew, is another's by now.
    fn forget(&mut self, own: &Traffic, kept: &mut Traffic) {
        let before = &self.own;
        for known in [kept, &mut self.base] {
            known.apps.retain(|instance, _| {
                let now = own.apps.get(instance);
                let before = before.apps.get(instance);
                now.is_some_and(|now| before.is_none_or(|before| !has_fallen(before, now)))
            });
            known.replicas.retain(|address, _| {
                let now = own.replicas.get(address);
                let before = before.replicas.get(address);
                let comes_back = |before: &ReplicaTraffic, now: &ReplicaTraffic| {
                    now.is_served && !before.is_served
                };
                now.is_some_and(|now| {
                    before.is_none_or(|before| !is_another(before, now) && !comes_back(before, now))
                })
            });
        }
    }
}

/// What counted more before than now.
fn fallen(before: &Traffic, now: &Traffic) -> Traffic {
    let apps = before.apps.iter().filter(|(instance, before)| {
        now.apps.get(*instance).is_some_and(|now| has_fallen(before, now))
    });
    let replicas = before.replicas.iter().filter(|(address, before)| {
        now.replicas.get(*address).is_some_and(|now| is_another(before, now))
    });
    Traffic {
        apps: apps.map(|(instance, app)| (instance.clone(), app.clone())).collect(),
        replicas: replicas.map(|(address, replica)| (*address, replica.clone())).collect(),
    }
}

fn has_fallen(before: &AppTraffic, now: &AppTraffic) -> bool {
    before.answers.iter().zip(now.answers).any(|(before, now)| *before > now)
}

fn is_another(before: &ReplicaTraffic, now: &ReplicaTraffic) -> bool {
    before.instance != now.instance || before.requests > now.requests || before.errors > now.errors
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One app with one replica was asked so often.
    fn asked(count: u64) -> Traffic {
        let app =
            AppTraffic { answers: [0, count, 0, 0, 0], in_flight: 1, ..AppTraffic::default() };
        let (instance, address) = ("shop".parse().unwrap(), ([192, 0, 2, 1], 20000).into());
        let replica = ReplicaTraffic { instance, requests: count, errors: 0, is_served: true };
        let apps = [(replica.instance.clone(), app)].into();
        Traffic { apps, replicas: [(address, replica)].into() }
    }

    /// What is told of the app and the replica, and what is under way.
    fn told(sum: &mut Sum, own: u64, others: Option<Traffic>) -> (u64, u64, u64) {
        let told = sum.of(asked(own), others);
        let replica = told.replicas.values().next().unwrap().requests;
        let app = told.apps.values().next().unwrap();
        (app.requests(), replica, app.in_flight)
    }

    #[test]
    fn the_sum_does_not_fall_when_the_other_edge_counts_anew() {
        let mut sum = Sum::default();
        assert_eq!(told(&mut sum, 10, Some(asked(5))), (15, 15, 2));
        // It does not know its table yet.
        assert_eq!(told(&mut sum, 10, Some(Traffic::default())), (15, 15, 1));
        assert_eq!(told(&mut sum, 10, Some(asked(1))), (16, 16, 2));
        assert_eq!(told(&mut sum, 11, Some(asked(2))), (18, 18, 2));
        assert_eq!(told(&mut sum, 11, None), (18, 18, 1));
        assert_eq!(told(&mut sum, 11, Some(asked(0))), (18, 18, 2));
        assert_eq!(told(&mut sum, 11, Some(asked(3))), (21, 21, 2));
    }

    #[test]
    fn who_comes_to_an_address_begins_with_nothing_whichever_edge_serves_it_first() {
        let left = |count| {
            let mut traffic = asked(count);
            traffic.replicas.values_mut().for_each(|replica| replica.is_served = false);
            traffic
        };
        for others in [[left(5), asked(0)], [asked(0), asked(0)]] {
            let mut sum = Sum::default();
            // Visitors came to the other edge alone.
            sum.of(asked(0), Some(asked(5)));
            let told = sum.of(left(0), Some(left(5)));
            assert_eq!(told.replicas.values().next().unwrap().requests, 5);
            for others in others {
                let told = sum.of(asked(0), Some(others));
                assert_eq!(told.replicas.values().next().unwrap().requests, 0);
            }
        }
        // The other edge serves it first.
        let mut sum = Sum::default();
        sum.of(left(0), Some(left(5)));
        sum.of(left(0), Some(asked(0)));
        let told = sum.of(asked(0), Some(asked(1)));
        assert_eq!(told.replicas.values().next().unwrap().requests, 1);
        // It leaves there first, and is the same.
        let told = sum.of(asked(0), Some(left(2)));
        assert_eq!(told.replicas.values().next().unwrap().requests, 2);
    }

    #[test]
    fn what_both_count_anew_begins_with_nothing() {
        let mut sum = Sum::default();
        assert_eq!(told(&mut sum, 10, Some(asked(5))), (15, 15, 2));
        assert_eq!(told(&mut sum, 0, Some(asked(0))), (0, 0, 2));
    }
}
