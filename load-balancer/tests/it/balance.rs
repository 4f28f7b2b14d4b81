//! The balance cycle: from samples of nodes to a number in the records, and why.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, ReleaseNumber, SlotNumber};
use common::message::LoadBalancerCommand;
use common::name::{ContainerName, InstanceName};
use common::port::Nodes as _;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{Agent, Issuer};
use common::record::path;
use common::record::scale::Scaling;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::Instant;
use uuid::Uuid;

use crate::world::{Api, World, name, until, wanted};

const NODE: &str = "node-1";
/// A tenth of the usual, so that a story is told in less time.
pub(crate) const SCALING: Scaling = Scaling { cooldown_seconds: 3, ..Scaling::within(1, 4) };

/// A platform with one node, which follows the numbers as the deployment manager would.
pub(crate) struct Platform {
    pub(crate) world: World,
    agent: Agent,
}

impl Platform {
    pub(crate) fn of(scaling: Option<Scaling>) -> Self {
        let world = World::new();
        let agent = world.nodes.add(NODE);
        world.add_node(NODE, 1);
        world.nodes.offer_image(&image());
        let release = json!({
            "schema": 1,
            "app": "shop",
            "number": 1,
            "created_at": "2026-01-01T00:00:00Z",
            "source": { "kind": "image", "image": image() },
            "port": 8080,
            "health_path": null,
            "environment": {},
            "limits": Limits::default(),
            "read_only": false,
            "scaling": scaling,
        });
        world.write(&path::release(&"shop".parse().unwrap(), ReleaseNumber(1)), &release);
        Platform { world, agent }
    }

    /// So many replicas serve, and have done so for long.
    pub(crate) async fn serves(&self, replicas: u32) {
        let issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
        for number in 1..=replicas {
            self.world.nodes.ensure(&self.agent, issuer, &spec(number)).await.unwrap();
        }
        let slot = |number: u32| {
            json!({
                "number": number,
                "generation": 1,
                "placement_request": Uuid::from_u128(number.into()),
                "state": "routed",
                "since": "2020-01-01T00:00:00Z",
                "place": { "node": NODE, "ip": "192.0.2.1", "host_port": 19_999 + number },
            })
        };
        let record = json!({
            "schema": 1,
            "instance": "shop",
            "app": "shop",
            "release": 1,
            "generation": 1,
            "goal": "running",
            "state": "running",
            "request": Uuid::from_u128(77),
            "deadline": "2026-01-01T00:00:00Z",
            "serving": { "generation": 1, "release": 1, "image": image() },
            "slots": (1..=replicas).map(slot).collect::<Vec<_>>(),
            "updated_at": "2026-01-01T00:00:00Z",
        });
        self.world.write(&path::deployment(&name("shop")), &record);
    }

    /// One life of the load balancer, in which the app has its route.
    pub(crate) async fn live(&self, story: impl AsyncFnOnce()) {
        let told = async |api: Api| {
            assert_eq!(api.set(&wanted("shop", 1, &[20000])).await.status, 200);
            story().await;
        };
        self.world.live(told).await;
    }

    /// The same, where it has no replica.
    pub(crate) async fn live_resting(&self, story: impl AsyncFnOnce()) {
        let told = async |api: Api| {
            assert_eq!(api.set(&wanted("shop", 1, &[])).await.status, 200);
            story().await;
        };
        self.world.live(told).await;
    }

    pub(crate) fn load(&self, replica: u32, cpu: f64) {
        self.world.nodes.set_container_use(&self.agent.node, &container(replica), cpu, 20.0);
    }

    pub(crate) fn wanted(&self) -> Option<u64> {
        self.world.scale("shop").map(|scale| scale["replicas"].as_u64().unwrap())
    }

    pub(crate) fn decisions(&self) -> Vec<Value> {
        let scale = self.world.scale("shop");
        scale.map_or_else(Vec::new, |scale| scale["decisions"].as_array().unwrap().clone())
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let decisions = self.decisions();
        decisions.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
    }
}

fn image() -> ImageRef {
    ImageRef::new("registry.example.org/apps/shop", Digest::of(b"shop")).unwrap()
}

fn container(replica: u32) -> ContainerName {
    ContainerName::new(&"shop".parse::<InstanceName>().unwrap(), SlotNumber(replica))
}

fn spec(replica: u32) -> ContainerSpec {
    ContainerSpec {
        instance: "shop".parse().unwrap(),
        slot: SlotNumber(replica),
        generation: Generation(1),
        image: image(),
        container_port: 8080,
        host_port: 19_999 + u16::try_from(replica).unwrap(),
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

pub(crate) async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_app_is_given_a_replica_and_loses_it_when_the_load_is_gone() {
    let platform = Platform::of(Some(SCALING));
    platform.serves(1).await;
    let world = &platform.world;
    platform
        .live(async || {
            seconds(10).await;
            assert_eq!(platform.wanted(), None, "an idle app keeps its number");
            platform.load(1, 95.0);
            let started = Instant::now();
            until("a second replica is wanted", || platform.wanted() == Some(2)).await;
            assert!(started.elapsed() < Duration::from_millis(1100), "{:?}", started.elapsed());
            assert_eq!(world.told(1).await, ["done balance app$shop$2"]);
            let records = world.bus.records(Topic::FirstTopic);
            let details = records[0].record.header("details").unwrap();
            let details: Value = serde_json::from_slice(details).unwrap();
            let why = "the busiest of 1 replica took 95 % of its processor, more than 80 %";
            assert_eq!((&details["reason"], &details["from"]), (&json!(why), &json!(1)));
            assert_eq!(details["load"], json!({ "cpu_percent": 95, "memory_percent": 20 }));
            assert_eq!(platform.decisions(), [details]);
            platform.load(1, 10.0);
            platform.load(2, 10.0);
            platform.serves(2).await;
            seconds(25).await;
            assert_eq!(platform.wanted(), Some(2), "ten cooldowns have not gone by");
            until("one replica is wanted", || platform.wanted() == Some(1)).await;
            assert_eq!(platform.kinds(), ["processor", "idle"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_says_how_many_requests_a_replica_takes_is_balanced_by_them() {
    let by_requests = Scaling { requests_per_second: Some(10), ..SCALING };
    let platform = Platform::of(Some(by_requests));
    platform.serves(1).await;
    let edge = &platform.world.edge;
    platform
        .live(async || {
            platform.load(1, 5.0);
            let front_port = edge.row(&name("shop")).unwrap().front_port;
            for _ in 0..160 {
                let (_, address) = edge.begin_request(front_port).unwrap();
                edge.end_request(address);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            until("a second replica is wanted", || platform.wanted() == Some(2)).await;
            let decision = &platform.decisions()[0];
            let why = decision["reason"].as_str().unwrap();
            assert!(
                why.ends_with("requests a second came to each of 1 replica, more than 10"),
                "{why}"
            );
            let each = decision["load"]["requests_per_second"].as_u64().unwrap();
            assert!((15..=21).contains(&each), "{decision}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_while_what_was_decided_is_under_way() {
    let platform = Platform::of(Some(SCALING));
    platform.serves(1).await;
    platform
        .live(async || {
            platform.load(1, 99.0);
            until("a second replica is wanted", || platform.wanted() == Some(2)).await;
            seconds(100).await;
            assert_eq!(platform.wanted(), Some(2));
            platform.load(2, 99.0);
            platform.serves(2).await;
            until("a third replica is wanted", || platform.wanted() == Some(3)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_without_bounds_keeps_its_number() {
    let platform = Platform::of(None);
    platform.serves(1).await;
    platform
        .live(async || {
            platform.load(1, 100.0);
            seconds(600).await;
            assert_eq!(platform.wanted(), None);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_falls_silent_changes_nothing() {
    let platform = Platform::of(Some(SCALING));
    platform.serves(2).await;
    let world = &platform.world;
    // Its instance pins two, so that nothing has to be decided at first.
    world.write(&path::instance(&name("shop")), &instance(2));
    platform
        .live(async || {
            platform.load(1, 5.0);
            platform.load(2, 5.0);
            seconds(20).await;
            world.nodes.set_reach(&platform.agent.node, Reach::Partitioned).await;
            seconds(300).await;
            assert_eq!(platform.wanted(), None);
            world.nodes.set_reach(&platform.agent.node, Reach::Up).await;
            seconds(25).await;
            assert_eq!(platform.wanted(), None, "the wait begins anew");
            until("one replica is wanted", || platform.wanted() == Some(1)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_goes_on_where_the_former_stopped() {
    let platform = Platform::of(Some(Scaling { cooldown_seconds: 60, ..SCALING }));
    platform.serves(1).await;
    platform
        .live(async || {
            platform.load(1, 99.0);
            platform.load(2, 99.0);
            until("a second replica is wanted", || platform.wanted() == Some(2)).await;
            platform.serves(2).await;
            seconds(30).await;
        })
        .await;
    platform
        .live(async || {
            seconds(25).await;
            assert_eq!(platform.wanted(), Some(2), "the cooldown is not over");
            until("a third replica is wanted", || platform.wanted() == Some(3)).await;
            let decision = &platform.decisions()[1];
            assert_eq!(decision["fruitless"], 1, "{decision}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn replicas_that_do_not_help_are_no_longer_added_and_this_is_told() {
    let platform = Platform::of(Some(Scaling { max: 20, cooldown_seconds: 1, ..SCALING }));
    platform.serves(1).await;
    let world = &platform.world;
    for replica in 1..=20 {
        platform.load(1, 100.0);
        if replica > 1 {
            world.nodes.set_container_use(&platform.agent.node, &container(replica), 100.0, 20.0);
        }
    }
    platform
        .live(async || {
            for replicas in 2..=4_u32 {
                until("one more is wanted", || platform.wanted() == Some(replicas.into())).await;
                platform.serves(replicas).await;
            }
            until("it is told", || platform.kinds().last().is_some_and(|kind| kind == "brake"))
                .await;
            let told = world.told(4).await;
            let start = "not done balance app$shop$4 Error - more replicas do not lower the load";
            assert!(told[3].starts_with(start), "{told:?}");
            seconds(600).await;
            assert_eq!(platform.wanted(), Some(4));
            platform.load(1, 10.0);
            seconds(2).await;
            for replica in 2..=4 {
                platform.load(replica, 10.0);
            }
            until("fewer are wanted again", || platform.wanted() == Some(3)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_number_outside_of_the_bounds_is_refused_or_brought_back() {
    let platform = Platform::of(Some(Scaling::within(2, 3)));
    platform.serves(1).await;
    let world = &platform.world;
    platform
        .live(async || {
            until("the least is wanted", || platform.wanted() == Some(2)).await;
            assert_eq!(platform.kinds(), ["minimum"]);
            world.send(5, &LoadBalancerCommand::Scale { instance: name("shop"), replicas: 4 });
            let told = world.told(2).await;
            assert_eq!(
                told[1],
                "not done scale app$shop$4 Error - REPLICAS_OUT_OF_BOUNDS: the app's description allows from 2 to 3 replicas, not 4"
            );
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_asked_for_stands_among_the_decisions_and_is_not_overruled_at_once() {
    let platform = Platform::of(Some(SCALING));
    platform.serves(1).await;
    let world = &platform.world;
    platform
        .live(async || {
            seconds(10).await;
            world.send(5, &LoadBalancerCommand::Scale { instance: name("shop"), replicas: 3 });
            until("three are wanted", || platform.wanted() == Some(3)).await;
            platform.load(1, 99.0);
            seconds(60).await;
            assert_eq!(platform.kinds(), ["asked"], "nobody decides before it has ended");
            let request = Uuid::from_u128(5);
            let why = format!("3 replicas were asked for by request {request}");
            assert_eq!(platform.decisions()[0]["reason"], json!(why));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_outlives_a_store_that_is_away() {
    let platform = Platform::of(Some(SCALING));
    platform.serves(1).await;
    let world = &platform.world;
    platform
        .live(async || {
            seconds(5).await;
            world.store.go_down();
            platform.load(1, 99.0);
            seconds(2).await;
            world.store.come_back();
            until("a second replica is wanted", || platform.wanted() == Some(2)).await;
            assert_eq!(platform.decisions().len(), 1);
        })
        .await;
}

pub(crate) fn instance(replicas: u32) -> Value {
    json!({
        "schema": 1,
        "name": "shop",
        "app": "shop",
        "release": 1,
        "owner": "ada",
        "replicas": replicas,
        "created_at": "2026-01-01T00:00:00Z",
        "generation": 1,
        "state": "deployed",
        "request": Uuid::from_u128(77),
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
