//! What visitors asked of apps, and how it went: counted at the edge, only ever growing while an app, or a replica, is
//! known. How fast it grows is for who looks twice to say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::latency::Latency;
use super::{Table, Upstream};
use crate::name::LegacyName;

/// Of all apps that the edge serves, and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub apps: BTreeMap<LegacyName, AppTraffic>,
    pub replicas: BTreeMap<SocketAddr, ReplicaTraffic>,
}

/// Of one app, whichever replica it met, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppTraffic {
    /// By class of their status, `1xx` to `5xx`.
    pub answers: [u64; 5],
    /// Of whole requests, from their first byte to the answer's last one; without what became another protocol.
    pub latency: Latency,
    /// Those that were sent to a replica: what the edge refused, or held in vain, was no replica's work.
    pub passed_on: u64,
    /// Of these alone.
    pub passed_on_latency: Latency,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// Under way now.
    pub in_flight: u64,
}

/// Of one replica, since it was given to the edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaTraffic {
    pub instance: LegacyName,
    pub requests: u64,
    /// Those of them that it did not answer, or with a status of the class `5xx`.
    pub errors: u64,
    /// Whether it gets new requests.
    pub is_served: bool,
}

/// A request that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub took: Duration,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

const SWITCHING_PROTOCOLS: u16 = 101;

impl Answer {
    pub fn is_error(&self) -> bool {
        self.status >= 500
    }
}

impl AppTraffic {
    pub fn requests(&self) -> u64 {
        self.answers.iter().sum()
    }

    pub fn errors(&self) -> u64 {
        let [.., errors] = self.answers;
        errors
    }

    fn join(&mut self, other: &AppTraffic) {
        for (count, more) in self.answers.iter_mut().zip(other.answers) {
            *count += more;
        }
        self.latency.join(&other.latency);
        self.passed_on += other.passed_on;
        self.passed_on_latency.join(&other.passed_on_latency);
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.in_flight += other.in_flight;
    }

    fn add(&mut self, answer: &Answer, is_passed_on: bool) {
        // Without a status of the usual kind the visitor left before there was one.
        let class = match answer.status / 100 {
            class @ 1..=5 => usize::from(class),
            _ => 4,
        };
        if let Some(count) = self.answers.get_mut(class - 1) {
            *count += 1;
        }
        if answer.status != SWITCHING_PROTOCOLS {
            self.latency.add(answer.took);
        }
        if is_passed_on {
            self.passed_on += 1;
            if answer.status != SWITCHING_PROTOCOLS {
                self.passed_on_latency.add(answer.took);
            }
        }
        self.received_bytes += answer.received_bytes;
        self.sent_bytes += answer.sent_bytes;
    }
}

impl Traffic {
    /// The edge serves this table from now on. What is known of apps that it does not have is forgotten; a replica that
    /// comes into it begins with nothing; of one that left, what still comes is counted until [`Traffic::forget`].
    pub fn serves(&mut self, table: &Table) {
        let rows = || table.routes.iter();
        self.apps.retain(|instance, _| rows().any(|row| row.instance == *instance));
        let mut left: BTreeMap<SocketAddr, ReplicaTraffic> = std::mem::take(&mut self.replicas);
        for row in rows() {
            self.apps.entry(row.instance.clone()).or_default();
            for address in row.upstreams.iter().map(Upstream::address) {
                let known = left.remove(&address);
                let known = known.filter(|known| known.is_served && known.instance == row.instance);
                let new = || ReplicaTraffic {
                    instance: row.instance.clone(),
                    requests: 0,
                    errors: 0,
                    is_served: true,
                };
                self.replicas.insert(address, known.unwrap_or_else(new));
            }
        }
        for (address, mut replica) in left {
            if self.apps.contains_key(&replica.instance) {
                replica.is_served = false;
                self.replicas.insert(address, replica);
            }
        }
    }

    /// What is known of replicas that left is not needed any more.
    pub fn forget(&mut self, is_long_gone: impl Fn(&SocketAddr) -> bool) {
        self.replicas.retain(|address, replica| replica.is_served || !is_long_gone(address));
    }

    /// A request for an app is over: `tried` are the replicas that it was sent to, of which the last one answered it.
    pub fn ended(
        &mut self,
        instance: &LegacyName,
        answer: &Answer,
        tried: impl IntoIterator<Item = SocketAddr>,
    ) {
        let Some(app) = self.apps.get_mut(instance) else { return };
        let mut tried = tried.into_iter().peekable();
        app.add(answer, tried.peek().is_some());
        while let Some(address) = tried.next() {
            let is_last = tried.peek().is_none();
            if let Some(replica) = self.replicas.get_mut(&address) {
                replica.requests += 1;
                replica.errors += u64::from(!is_last || answer.is_error());
            }
        }
    }

    /// What another edge has counted, of the apps and replicas that are known here.
    pub fn join(&mut self, other: &Traffic) {
        for (instance, app) in &mut self.apps {
            if let Some(more) = other.apps.get(instance) {
                app.join(more);
            }
        }
        for (address, replica) in &mut self.replicas {
            let more = other.replicas.get(address);
            if let Some(more) = more.filter(|more| more.instance == replica.instance) {
                replica.requests += more.requests;
                replica.errors += more.errors;
            }
        }
    }

    /// So many requests are under way at these replicas.
    #[must_use]
    pub fn with_in_flight(&self, in_flight: &BTreeMap<SocketAddr, u64>) -> Traffic {
        let mut traffic = self.clone();
        for app in traffic.apps.values_mut() {
            app.in_flight = 0;
        }
        for (address, count) in in_flight {
            let of = self.replicas.get(address).map(|replica| &replica.instance);
            if let Some(app) = of.and_then(|instance| traffic.apps.get_mut(instance)) {
                app.in_flight += count;
            }
        }
        traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Epoch, Generation, SlotNumber};
    use crate::port::edge::{EdgeOptions, TableRoute, Weight};

    fn at(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn name(instance: &str) -> LegacyName {
        instance.parse().unwrap()
    }

    fn table(rows: &[(&str, &[u16])]) -> Table {
        let row = |(instance, ports): &(&str, &[u16])| TableRoute {
            instance: name(instance),
            front_port: 2000,
            host: name(instance).host_label(),
            upstreams: ports
                .iter()
                .map(|port| Upstream {
                    ip: at(*port).ip(),
                    port: *port,
                    slot: SlotNumber(1),
                    weight: Weight::ONE,
                })
                .collect(),
            options: EdgeOptions::default(),
        };
        let routes = rows.iter().map(row).collect();
        Table { epoch: Epoch(1), generation: Generation(1), routes }
    }

    fn answer(status: u16) -> Answer {
        Answer { status, took: Duration::from_millis(3), received_bytes: 10, sent_bytes: 20 }
    }

    fn of_replica(traffic: &Traffic, port: u16) -> (u64, u64) {
        traffic.replicas.get(&at(port)).map_or((0, 0), |replica| (replica.requests, replica.errors))
    }

    #[test]
    fn requests_are_counted_by_app_and_tries_by_replica() {
        let mut traffic = Traffic::default();
        traffic.serves(&table(&[("shop", &[1, 2]), ("other", &[3])]));
        traffic.ended(&name("shop"), &answer(200), [at(1)]);
        traffic.ended(&name("shop"), &answer(200), [at(1), at(2)]);
        traffic.ended(&name("shop"), &answer(502), [at(2)]);
        traffic.ended(&name("shop"), &answer(503), []);
        traffic.ended(&name("shop"), &answer(0), [at(2)]);
        traffic.ended(&name("shop"), &answer(101), [at(2)]);
        traffic.ended(&name("nobody"), &answer(200), []);
        let shop = &traffic.apps[&name("shop")];
        assert_eq!(shop.answers, [1, 2, 0, 1, 2]);
        assert_eq!((shop.requests(), shop.errors(), shop.latency.count()), (6, 2, 5));
        assert_eq!((shop.passed_on, shop.passed_on_latency.count()), (5, 4));
        assert_eq!((shop.received_bytes, shop.sent_bytes), (60, 120));
        assert_eq!((of_replica(&traffic, 1), of_replica(&traffic, 2)), ((2, 1), (4, 1)));
        assert_eq!(traffic.apps[&name("other")], AppTraffic::default());
        assert_eq!(traffic.apps.len(), 2);
    }

    #[test]
    fn what_is_served_no_more_is_forgotten_and_what_comes_again_begins_anew() {
        let mut traffic = Traffic::default();
        traffic.serves(&table(&[("shop", &[1, 2]), ("other", &[3])]));
        for port in [1, 2] {
            traffic.ended(&name("shop"), &answer(500), [at(port)]);
        }
        traffic.serves(&table(&[("shop", &[2])]));
        assert_eq!(traffic.apps.keys().collect::<Vec<_>>(), [&name("shop")]);
        // Its last requests end after it left.
        traffic.ended(&name("shop"), &answer(200), [at(1)]);
        assert_eq!((of_replica(&traffic, 1), of_replica(&traffic, 2)), ((2, 1), (1, 1)));
        traffic.serves(&table(&[("shop", &[1, 2])]));
        assert_eq!((of_replica(&traffic, 1), of_replica(&traffic, 2)), ((0, 0), (1, 1)));
        traffic.serves(&table(&[("shop", &[])]));
        traffic.forget(|address| *address == at(1));
        assert_eq!(traffic.replicas.keys().collect::<Vec<_>>(), [&at(2)]);
        traffic.serves(&table(&[]));
        assert_eq!(traffic, Traffic::default());
    }

    #[test]
    fn what_two_edges_count_is_one_count_and_survives_being_told() {
        let table = table(&[("shop", &[1, 2])]);
        let (mut here, mut there) = (Traffic::default(), Traffic::default());
        here.serves(&table);
        there.serves(&table);
        here.ended(&name("shop"), &answer(200), [at(1)]);
        there.ended(&name("shop"), &answer(500), [at(1)]);
        there.ended(&name("shop"), &answer(200), [at(2)]);
        let there = there.with_in_flight(&[(at(2), 4)].into());
        let told = serde_json::to_string(&there).unwrap();
        here.join(&serde_json::from_str(&told).unwrap());
        let shop = &here.apps[&name("shop")];
        assert_eq!((shop.answers, shop.in_flight), ([0, 2, 0, 0, 1], 4));
        assert_eq!((shop.latency.count(), shop.passed_on, shop.sent_bytes), (3, 3, 60));
        assert_eq!((of_replica(&here, 1), of_replica(&here, 2)), ((2, 1), (1, 0)));
    }

    #[test]
    fn what_is_under_way_is_the_apps_also_at_replicas_that_leave() {
        let mut traffic = Traffic::default();
        traffic.serves(&table(&[("shop", &[1, 2])]));
        traffic.serves(&table(&[("shop", &[2])]));
        let told = traffic.with_in_flight(&[(at(1), 2), (at(2), 3), (at(9), 5)].into());
        assert_eq!(told.apps[&name("shop")].in_flight, 5);
        assert_eq!(told.with_in_flight(&BTreeMap::new()).apps[&name("shop")].in_flight, 0);
    }
}
