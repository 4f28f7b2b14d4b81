//! What every edge must do.

use std::net::SocketAddr;

use async_trait::async_trait;
use common::id::{Epoch, Generation, SlotNumber};
use common::name::LegacyName;
use common::port::Edge;
use common::port::edge::{EdgeOptions, Error, Table, TableRoute, Traffic, Upstream, Weight};

/// Starts apps that the edge can reach.
#[async_trait]
pub trait Apps: Send + Sync {
    /// Starts one that answers every request with this status; returns its IPv4 address.
    async fn start(&self, status: u16) -> SocketAddr;
}

/// Runs the whole contract on an edge that nobody else tells tables. Its epochs are used up to 3
/// above the one it serves.
pub async fn holds(edge: &dyn Edge, apps: &dyn Apps) {
    let status = edge.status().await.expect("status");
    let base = status.epoch.0 + 1;
    let mut open = status.ports.open();
    let first = open.next().expect("a front port is open");
    let second = open.next().expect("a second front port is open");
    let world = World { edge, apps, base, first, second };
    world.a_loaded_table_is_served_at_once().await;
    world.the_same_table_again_changes_nothing().await;
    world.an_older_table_is_refused().await;
    world.other_content_under_the_same_generation_is_refused().await;
    world.a_newer_epoch_begins_its_generations_again().await;
    world.a_table_that_names_a_port_or_host_twice_is_refused().await;
    world.a_front_port_leads_to_its_own_app_only().await;
    world.an_app_that_is_not_there_is_told().await;
    world.nothing_is_under_way_when_nobody_asks().await;
    world.requests_are_counted_for_their_app().await;
}

/// A table of routes `(instance, front port, upstreams)`.
pub fn table(epoch: u64, generation: u64, routes: &[(&str, u16, &[SocketAddr])]) -> Table {
    let row = |(instance, front_port, upstreams): &(&str, u16, &[SocketAddr])| {
        let instance: LegacyName = instance.parse().expect("a test names instances well");
        let upstream = |(address, slot): (&SocketAddr, u32)| Upstream {
            ip: address.ip(),
            port: address.port(),
            slot: SlotNumber(slot),
            weight: Weight::ONE,
        };
        TableRoute {
            host: instance.host_label(),
            instance,
            front_port: *front_port,
            upstreams: upstreams.iter().zip(1..).map(upstream).collect(),
            options: EdgeOptions::default(),
        }
    };
    Table {
        epoch: Epoch(epoch),
        generation: Generation(generation),
        routes: routes.iter().map(row).collect(),
    }
}

struct World<'a> {
    edge: &'a dyn Edge,
    apps: &'a dyn Apps,
    base: u64,
    first: u16,
    second: u16,
}

impl World<'_> {
    async fn load(&self, table: &Table) {
        self.edge.load(table).await.expect("the table is taken");
        assert_eq!(self.serves().await, (table.epoch, table.generation));
    }

    async fn serves(&self) -> (Epoch, Generation) {
        let status = self.edge.status().await.expect("status");
        (status.epoch, status.generation)
    }

    async fn probe(&self, port: u16) -> Option<u16> {
        self.edge.probe(port, "/").await.expect("probe")
    }

    async fn refusal(&self, table: &Table) -> Error {
        let before = self.serves().await;
        let err = self.edge.load(table).await.expect_err("the table is refused");
        assert_eq!(self.serves().await, before);
        err
    }

    async fn a_loaded_table_is_served_at_once(&self) {
        let app = self.apps.start(204).await;
        self.load(&table(self.base, 5, &[("contract-a", self.first, &[app])])).await;
        assert_eq!(self.probe(self.first).await, Some(204));
    }

    async fn the_same_table_again_changes_nothing(&self) {
        let app = self.apps.start(200).await;
        let same = table(self.base, 6, &[("contract-a", self.first, &[app])]);
        self.load(&same).await;
        self.load(&same).await;
    }

    async fn an_older_table_is_refused(&self) {
        for (epoch, generation) in [(self.base, 5), (self.base - 1, 99)] {
            let err = self.refusal(&table(epoch, generation, &[])).await;
            let Error::Stale { epoch, generation } = err else { panic!("{err:?}") };
            assert_eq!((epoch.0, generation.0), (self.base, 6));
        }
    }

    async fn other_content_under_the_same_generation_is_refused(&self) {
        let err = self.refusal(&table(self.base, 6, &[])).await;
        assert!(matches!(err, Error::Refused { .. }), "{err:?}");
    }

    async fn a_newer_epoch_begins_its_generations_again(&self) {
        self.load(&table(self.base + 1, 1, &[])).await;
        assert_eq!(self.probe(self.first).await, Some(404));
    }

    async fn a_table_that_names_a_port_or_host_twice_is_refused(&self) {
        let port_twice = [("contract-a", self.first, &[][..]), ("contract-b", self.first, &[][..])];
        let err = self.refusal(&table(self.base + 1, 2, &port_twice)).await;
        assert!(matches!(err, Error::Refused { .. }), "{err:?}");
        let host_twice =
            [("contract-a", self.first, &[][..]), ("contract_a", self.second, &[][..])];
        let err = self.refusal(&table(self.base + 1, 2, &host_twice)).await;
        assert!(matches!(err, Error::Refused { .. }), "{err:?}");
        let two = [("contract-a", self.first, &[][..]), ("contract-b", self.second, &[][..])];
        let mut name_twice = table(self.base + 1, 2, &two);
        for route in &mut name_twice.routes {
            route.options.hosts = vec!["contract.example.org".parse().expect("a host name")];
        }
        let err = self.refusal(&name_twice).await;
        assert!(matches!(err, Error::Refused { .. }), "{err:?}");
    }

    async fn a_front_port_leads_to_its_own_app_only(&self) {
        let (one, other) = (self.apps.start(201).await, self.apps.start(202).await);
        let routes =
            [("contract-a", self.first, &[one][..]), ("contract-b", self.second, &[other][..])];
        self.load(&table(self.base + 1, 3, &routes)).await;
        for _ in 0..10 {
            assert_eq!(self.probe(self.first).await, Some(201));
            assert_eq!(self.probe(self.second).await, Some(202));
        }
    }

    async fn an_app_that_is_not_there_is_told(&self) {
        self.load(&table(self.base + 1, 4, &[("contract-a", self.first, &[])])).await;
        assert_eq!(self.probe(self.first).await, Some(503));
        assert_eq!(self.probe(self.second).await, Some(404));
    }

    async fn nothing_is_under_way_when_nobody_asks(&self) {
        let app = self.apps.start(200).await;
        self.load(&table(self.base + 2, 1, &[("contract-a", self.first, &[app])])).await;
        assert_eq!(self.probe(self.first).await, Some(200));
        // The count may lag behind; it never stays behind.
        for _ in 0..40 {
            let counts = self.edge.in_flight().await.expect("counts");
            if counts.get(&app).is_none_or(|count| *count == 0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("a request that has ended is still counted");
    }

    async fn requests_are_counted_for_their_app(&self) {
        let (good, bad) = (self.apps.start(200).await, self.apps.start(503).await);
        let (first, second) = (self.first, self.second);
        let both = [("contract-c", first, &[good][..]), ("contract-d", second, &[bad][..])];
        self.load(&table(self.base + 2, 2, &both)).await;
        for port in [first, first, second, first, second] {
            self.probe(port).await;
        }
        let of = |traffic: &Traffic, instance: &str| {
            let instance: LegacyName = instance.parse().expect("a test names instances well");
            traffic.apps.get(&instance).cloned().unwrap_or_default()
        };
        let counted = |traffic: &Traffic| {
            let [c, d] = ["contract-c", "contract-d"].map(|name| of(traffic, name).requests());
            c + d >= 5
        };
        let traffic = self.traffic_until(counted).await;
        let of = |instance: &str| of(&traffic, instance);
        assert_eq!(of("contract-c").answers, [0, 3, 0, 0, 0]);
        assert_eq!(of("contract-d").answers, [0, 0, 0, 0, 2]);
        assert_eq!(of("contract-c").latency.count(), 3);
        assert!(of("contract-c").received_bytes >= 3 * 20, "{traffic:?}");
        assert!(of("contract-c").sent_bytes >= 3 * 20, "{traffic:?}");
        let replica = |address| {
            let replica = traffic.replicas.get(&address).expect("the replica is known");
            (replica.instance.to_string(), replica.requests, replica.errors)
        };
        assert_eq!(replica(good), ("contract-c".to_owned(), 3, 0));
        assert_eq!(replica(bad), ("contract-d".to_owned(), 2, 2));
        self.load(&table(self.base + 2, 3, &[("contract-d", second, &[bad])])).await;
        let is_gone = |traffic: &Traffic| !traffic.replicas.contains_key(&good);
        let traffic = self.traffic_until(is_gone).await;
        let left: Vec<_> = traffic.apps.keys().map(ToString::to_string).collect();
        assert_eq!(left, ["contract-d"]);
        assert_eq!(traffic.replicas.keys().collect::<Vec<_>>(), [&bad]);
    }

    /// What is told may lag behind.
    async fn traffic_until(&self, is_told: impl Fn(&Traffic) -> bool) -> Traffic {
        let mut told = self.edge.traffic().await;
        for _ in 0..40 {
            if told.as_ref().is_ok_and(&is_told) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            told = self.edge.traffic().await;
        }
        let told = told.expect("traffic");
        assert!(is_told(&told), "{told:?}");
        told
    }
}
