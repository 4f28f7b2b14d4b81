//! What apps print.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::failure::{Failure, FailureCode};
use common::id::{Epoch, Generation, ReleaseNumber, RequestId, SlotNumber};
use common::name::ContainerName;
use common::port::Nodes as _;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{Agent, Issuer};
use common::record::deployment::{Deployment, Goal, Place, Slot, SlotState, State};
use common::record::kept::Origin;
use common::record::node::Node;
use common::record::path;
use common::service::ServiceName;
use futures::StreamExt as _;
use reqwest::Method;
use testkit::nodes::Reach;
use tokio::time::timeout;

use crate::world::{Api, World, dev};

pub(crate) fn image() -> ImageRef {
    ImageRef::new("registry:5000/apps/shop", Digest::of(b"image")).unwrap()
}

/// Runs a replica on each node, as the deployment manager would.
pub(crate) async fn with_replicas(world: &World, nodes: &[&str]) -> Vec<Agent> {
    world.nodes.offer_image(&image());
    let mut slots = Vec::new();
    let mut agents = Vec::new();
    for (number, node) in (1..).zip(nodes) {
        let agent = world.nodes.add(node);
        let spec = ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(number),
            generation: Generation(1),
            image: image(),
            container_port: 8080,
            host_port: 20_000,
            environment: std::collections::BTreeMap::new(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        };
        let issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
        world.nodes.ensure(&agent, issuer, &spec).await.unwrap();
        let record = Node {
            schema: 1,
            name: agent.node.clone(),
            ip: agent.address.ip(),
            agent: agent.address,
            os: "Debian 13".to_owned(),
            leaves: false,
        };
        world.write(&path::node(&agent.node), &record);
        slots.push(Slot {
            number: SlotNumber(number),
            generation: Generation(1),
            placement_request: RequestId(uuid::Uuid::nil()),
            state: SlotState::Routed,
            since: "2026-01-01T00:00:00Z".parse().unwrap(),
            attempt: 0,
            images_missing: 0,
            place: Some(Place {
                node: agent.node.clone(),
                ip: agent.address.ip(),
                host_port: 20_000,
            }),
            container_id: None,
        });
        agents.push(agent);
    }
    world.write(&path::deployment(&"shop".parse().unwrap()), &deployment(slots, None));
    agents
}

pub(crate) fn deployment(slots: Vec<Slot>, failure: Option<Failure>) -> Deployment {
    Deployment {
        schema: 1,
        instance: "shop".parse().unwrap(),
        app: "shop".parse().unwrap(),
        release: ReleaseNumber(1),
        generation: Generation(1),
        since: Generation(1),
        goal: Goal::Running,
        state: State::Running,
        request: RequestId(uuid::Uuid::nil()),
        origin: Origin::default(),
        deadline: "2026-01-01T01:00:00Z".parse().unwrap(),
        image: None,
        serving: None,
        adopted: None,
        canary: None,
        moving: None,
        stays: None,
        decisions: Vec::new(),
        releases: Vec::new(),
        slots,
        placements: 0,
        endpoint: None,
        failure,
        taken: Vec::new(),
        updated_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        owed: Vec::new(),
    }
}

fn print(world: &World, agent: &Agent, slot: u32, line: &str) {
    let name = ContainerName::new(&"shop".parse().unwrap(), SlotNumber(slot));
    world.nodes.engine(&agent.node).print(&name, line);
}

async fn text(api: &Api, query: &str) -> String {
    let path = format!("/api/v1/instances/shop/logs{query}");
    let response = api.request(Method::GET, &path, &dev()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    response.text().await.unwrap()
}

#[tokio::test]
async fn each_replicas_lines_carry_its_number() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let agents = with_replicas(&world, &["node-1", "node-2"]).await;
            print(&world, &agents[0], 1, "one");
            print(&world, &agents[1], 2, "two");
            print(&world, &agents[1], 2, "\u{1b}[31m<script>three");
            let shown = text(&api, "").await;
            assert_eq!(shown, "[1] one\n[2] two\n[2] \\u001b[31m<script>three\n");
            assert_eq!(text(&api, "?tail=1").await, "[1] one\n[2] \\u001b[31m<script>three\n");
            world.nodes.set_reach(&agents[0].node, Reach::Partitioned).await;
            let shown = text(&api, "?tail=1").await;
            assert!(shown.starts_with("[1] (no output: ") && shown.contains("[2] "), "{shown}");
            let wrong = api.get("/api/v1/instances/shop/logs?name=../../etc/passwd", &dev()).await;
            assert_eq!(wrong.told(), (422, "QUERY_INVALID"));
            let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(shown["replicas"][1]["node"], "node-2");
            assert_eq!(shown["replicas"][1]["state"], "ready");
        })
        .await;
}

#[tokio::test]
async fn following_shows_all_replicas_at_once_and_does_not_end() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let agents = with_replicas(&world, &["node-1", "node-2"]).await;
            print(&world, &agents[0], 1, "one");
            print(&world, &agents[1], 2, "two");
            let path = "/api/v1/instances/shop/logs?follow=true";
            let response = api.request(Method::GET, path, &dev()).send().await.unwrap();
            let mut pieces = response.bytes_stream();
            let mut seen = String::new();
            while !(seen.contains("[1] one\n") && seen.contains("[2] two\n")) {
                let piece = timeout(Duration::from_secs(20), pieces.next()).await.unwrap();
                seen.push_str(&String::from_utf8_lossy(&piece.unwrap().unwrap()));
            }
            let more = timeout(Duration::from_millis(200), pieces.next()).await;
            assert!(more.is_err(), "{more:?}");
        })
        .await;
}

#[tokio::test]
async fn without_replicas_the_apps_last_words_are_shown() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            assert_eq!(text(&api, "").await, "");
            let mut failure = Failure::new(FailureCode::AppExited, "it ended");
            failure.output = vec!["Traceback".to_owned(), "boom".to_owned()];
            let record = deployment(Vec::new(), Some(failure));
            world.write(&path::deployment(&"shop".parse().unwrap()), &record);
            assert_eq!(text(&api, "").await, "Traceback\nboom\n");
            let request = world.instance("shop").request.to_string();
            world.say(&request, "App shop not deployed. Error - APP_EXITED: it ended").await;
            let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(shown["failure"]["output"], serde_json::json!(["Traceback", "boom"]));
            assert_eq!(text(&api, "").await, "Traceback\nboom\n");
        })
        .await;
}
