//! A pair of edges: each is told by the load balancer beside it, one of the two leads, and both edges count.

mod epochs;
mod silent;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::id::Generation;
use common::name::{LegacyName, NodeName};
use common::port::edge::{Error, TakenRoutes, Traffic, Visits};
use common::port::{OtherEdge, Routes};
use common::record::leader::Advertised;
use common::record::path;
use common::service::ServiceName;
use load_balancer::{Config, LoadBalancer, Ports};
use serde_json::json;
use testkit::edge::Health;
use testkit::{MemoryAuthority, MemoryEdge, MemoryStore};
use tokio::time::{Instant, sleep, timeout};

use crate::orders::sealed;
use crate::world::{DRAIN_WITHIN, World, name, replica, until, wanted};

/// The way from one load balancer to the other; cut, it is as a machine without power: nothing comes back.
#[derive(Debug, Clone, Default)]
struct Wire {
    end: Arc<Mutex<Option<Arc<dyn OtherEdge>>>>,
    /// Whoever is there reads no records.
    is_blind: Arc<AtomicBool>,
}

impl Wire {
    fn lead_to(&self, end: &LoadBalancer) {
        *self.end.lock().unwrap() = Some(end.local_edge());
    }

    fn cut(&self) {
        *self.end.lock().unwrap() = None;
    }

    async fn end(&self) -> Arc<dyn OtherEdge> {
        let end = self.end.lock().unwrap().clone();
        match end {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl OtherEdge for Wire {
    async fn take_routes(&self) -> Result<TakenRoutes, Error> {
        if self.is_blind.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("no records".into()));
        }
        self.end().await.take_routes().await
    }

    async fn take_certificates(&self) -> Result<(), Error> {
        self.end().await.take_certificates().await
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        self.end().await.in_flight().await
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        self.end().await.traffic().await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        self.end().await.visits().await
    }
}

/// A load balancer, its edge, and its way to the other one.
struct Beside {
    service: LoadBalancer,
    session: MemoryStore,
    edge: MemoryEdge,
    wire: Wire,
}

impl Beside {
    fn new(world: &World, number: u8, edge: MemoryEdge) -> Self {
        let (session, wire) = (world.store.session(), Wire::default());
        let ports = Ports {
            store: Arc::new(session.clone()),
            edge: Arc::new(edge.clone()),
            certificates: Arc::new(edge.clone()),
            other: Some(Arc::new(wire.clone())),
            ..world.ports()
        };
        let advertised = Advertised::plain(format!("192.0.2.{number}:8050"));
        let other = Some(([192, 0, 2, 23 - number], 8443).into());
        let config = Config { advertised, other, ..world.config.clone() };
        Beside { service: LoadBalancer::new(ports, config), session, edge, wire }
    }

    fn routes(&self) -> Arc<dyn Routes> {
        self.service.local_routes()
    }

    fn serves(&self, instance: &str, port: u16) -> bool {
        let row = self.edge.row(&name(instance));
        row.is_some_and(|row| row.upstreams.iter().any(|one| one.port == port))
    }

    async fn run(&self) {
        let ended = self.service.run(Lifecycle::new()).await;
        panic!("the service ended: {ended:?}");
    }
}

/// Of two load balancers the first leads, and the second follows it.
struct Pair {
    world: World,
    leader: Beside,
    follower: Beside,
}

impl Pair {
    fn new() -> Self {
        Pair::of(World::new(), MemoryEdge::default())
    }

    fn of(world: World, edge: MemoryEdge) -> Self {
        world.add_node("node-11", 11);
        world.add_node("node-12", 12);
        let leader = Beside::new(&world, 11, world.edge.clone());
        let follower = Beside::new(&world, 12, edge);
        leader.wire.lead_to(&follower.service);
        follower.wire.lead_to(&leader.service);
        Pair { world, leader, follower }
    }

    /// The node manager's verdict on the machine of who follows.
    fn is_judged(&self, verdict: &str) {
        self.judge("node-12", verdict);
    }

    fn judge(&self, node: &str, verdict: &str) {
        let node: NodeName = node.parse().unwrap();
        let since = "2026-01-01T00:00:00Z";
        let alive = json!({
            "schema": 1, "node": node, "verdict": verdict, "reason": "why", "since": since,
        });
        self.world.write(&path::alive(&node), &alive);
    }

    fn leaving_of(&self, instance: &str) -> usize {
        let routes = self.world.routes();
        routes.iter().find(|one| one.instance == name(instance)).unwrap().leaving.len()
    }

    fn gauge(&self, name: &str) -> f64 {
        let families = self.leader.service.metrics().gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    }

    /// Both live for as long as the story lasts.
    async fn live(&self, story: impl AsyncFnOnce(&dyn Routes)) {
        let told = async {
            until("one leads", || self.leader.edge.table().is_some()).await;
            until("the other follows", || self.follower.edge.table().is_some()).await;
            story(&*self.leader.routes()).await;
        };
        let follows = async {
            until("one leads", || self.leader.edge.table().is_some()).await;
            self.follower.run().await;
        };
        tokio::select! {
            biased;
            () = told => {}
            () = self.leader.run() => {}
            () = follows => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_is_told_to_be_served_once_both_edges_serve_it() {
    let pair = Pair::new();
    pair.live(async |routes| {
        pair.follower.edge.set_load_takes(Duration::from_secs(2));
        let began = Instant::now();
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(2));
        assert!(pair.leader.serves("shop", 20000) && pair.follower.serves("shop", 20000));
        let (first, second) =
            (pair.leader.edge.table().unwrap(), pair.follower.edge.table().unwrap());
        assert_eq!((first.epoch, first.routes), (second.epoch, second.routes));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_is_drained_once_no_edge_has_a_request_at_it() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        pair.follower.edge.begin_request(2000).unwrap();
        let began = Instant::now();
        let ends = async {
            sleep(Duration::from_secs(4)).await;
            pair.follower.edge.end_request(replica(20000));
        };
        let changed = wanted("shop", 2, &[20001]);
        let (set, ()) = tokio::join!(routes.set(&changed), ends);
        set.unwrap();
        let took = began.elapsed();
        assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&took), "{took:?}");
        assert_eq!(pair.world.routes()[0].leaving, []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_the_other_edge_keeps_out_is_counted_by_who_leads() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        let refused = "load_balancer_other_edge_refused_routes";
        assert!(pair.gauge(refused) < 0.5);
        pair.follower.edge.restart_with_port_taken(2000);
        sleep(Duration::from_secs(3)).await;
        routes.set(&wanted("blog", 1, &[20010])).await.unwrap();
        assert!((pair.gauge(refused) - 1.0).abs() < 0.5);
        // The own edge answers for it still.
        assert!(pair.leader.serves("shop", 20000));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_follows_reads_the_records_also_where_nobody_reaches_it() {
    let pair = Pair::new();
    pair.live(async |routes| {
        pair.leader.wire.cut();
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        let served = until("the other serves it, too", || pair.follower.serves("shop", 20000));
        timeout(Duration::from_secs(40), served).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_other_leads_when_the_leader_ends_and_tells_the_edge_of_that_one_again_later() {
    let pair = Pair::new();
    pair.live(async |routes| drop(routes.set(&wanted("shop", 1, &[20000])).await.unwrap())).await;
    // Its machine has lost power; the follower is another one by now, with the same edge.
    pair.leader.session.expire();
    pair.judge("node-11", "dead");
    pair.follower.session.expire();
    let second = Beside::new(&pair.world, 12, pair.follower.edge.clone());
    let first = Beside::new(&pair.world, 11, pair.leader.edge.clone());
    let comes_back = async {
        until("it leads", || second.edge.table().unwrap().epoch.0 == 2).await;
        assert!(second.serves("shop", 20000));
        second.routes().set(&wanted("shop", 2, &[20001])).await.unwrap();
        assert!(!first.serves("shop", 20001));
        second.wire.lead_to(&first.service);
        let follows = async {
            until("it follows", || first.serves("shop", 20001)).await;
            second.routes().set(&wanted("shop", 3, &[20002])).await.unwrap();
            assert!(first.serves("shop", 20002) && second.serves("shop", 20002));
        };
        tokio::select! {
            () = follows => {}
            () = first.run() => {}
        }
    };
    tokio::select! {
        biased;
        () = comes_back => {}
        () = second.run() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn who_follows_and_is_started_again_goes_on_with_its_edge() {
    let pair = Pair::new();
    let again = Beside::new(&pair.world, 12, pair.follower.edge.clone());
    let story = async {
        until("one leads", || pair.leader.edge.table().is_some()).await;
        let routes = pair.leader.routes();
        let shop = wanted("shop", 1, &[20000]);
        tokio::select! {
            () = pair.follower.run() => {}
            set = routes.set(&shop) => drop(set.unwrap()),
        }
        pair.leader.wire.lead_to(&again.service);
        let follows = async {
            // It has nothing to tell its edge but what it knows already.
            sleep(Duration::from_secs(3)).await;
            routes.set(&wanted("shop", 2, &[20001])).await.unwrap();
            assert!(again.serves("shop", 20001));
        };
        tokio::select! {
            () = follows => {}
            () = again.run() => {}
        }
    };
    tokio::select! {
        biased;
        () = story => {}
        () = pair.leader.run() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_over_both_edges() {
    let pair = Pair::new();
    pair.live(async |routes| {
        routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        for (edge, status) in [(&pair.leader.edge, 200), (&pair.follower.edge, 500)] {
            edge.begin_request(2000).unwrap();
            edge.end_request_with(replica(20000), status, Duration::ZERO);
        }
        let mut told = Vec::new();
        for _ in 0..100 {
            sleep(Duration::from_millis(100)).await;
            let traffic = routes.traffic(&name("shop")).await.unwrap();
            told = traffic.replicas.iter().map(|one| (one.requests, one.errors)).collect();
            if told == [(2, 1)] {
                return;
            }
        }
        panic!("{told:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_front_port_that_one_edge_could_not_open_is_given_to_nobody() {
    let pair = Pair::new();
    pair.follower.edge.restart_with_port_taken(2000);
    pair.live(async |routes| {
        let routed = routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        assert_eq!(routed.front_port, 2001);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_leads_takes_nothing_from_another() {
    let pair = Pair::new();
    pair.live(async |_| {
        let own = pair.leader.service.local_edge();
        assert!(own.take_routes().await.is_err() && own.take_certificates().await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_authority_is_let_ask_once_both_edges_answer_also_where_one_was_silent() {
    let mut world = World::new();
    let _folder = sealed(&mut world);
    let edge = MemoryEdge::default();
    let others = edge.clone();
    // It meets the edge beside which nobody leads.
    let authority = MemoryAuthority::new(world.clock.clone(), move |_, token| {
        let challenges = others.certificates()?.challenges;
        challenges.into_iter().find(|one| one.token == token).map(|one| one.answer)
    });
    world.authority = Some(authority.clone());
    let pair = Pair::of(world, edge);
    pair.live(async |routes| {
        pair.leader.wire.cut();
        sleep(Duration::from_secs(4)).await;
        let mut shop = wanted("shop", 1, &[20000]);
        shop.edge.hosts = vec!["shop.example.org".parse().unwrap()];
        routes.set(&shop).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        assert_eq!((authority.ordered().len(), authority.worked()), (1, (0, 0)));
        pair.leader.wire.lead_to(&pair.follower.service);
        let shows =
            |edge: &MemoryEdge| edge.certificates().is_some_and(|set| !set.certificates.is_empty());
        until("both show one", || shows(&pair.leader.edge) && shows(&pair.follower.edge)).await;
        assert_eq!((authority.ordered().len(), authority.worked()), (1, (1, 1)));
    })
    .await;
}
