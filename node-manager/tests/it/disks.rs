//! What is on the nodes' disks, and what they are told to keep.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::port::Nodes as _;
use common::port::disk::{Disk, Item, Kind, Space};
use common::port::nodes::{Agent, Issuer};
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{World, id, instance, name, run, until};

fn image(release: &str) -> ImageRef {
    ImageRef::new("registry.example.org:5000/apps/shop", Digest::of(release.as_bytes())).unwrap()
}

pub(crate) fn disk(free_bytes: u64) -> Disk {
    let item = Item {
        kind: Kind::Image,
        digest: Digest::of(b"id"),
        names: vec![image("one")],
        bytes: 300,
        own_bytes: 200,
        created: Timestamp::UNIX_EPOCH,
        references: Vec::new(),
    };
    let space = Space { total_bytes: 1000, free_bytes };
    let (at, bundles) = (Timestamp::UNIX_EPOCH, Vec::new());
    Disk { at, space, images: vec![item], bundles, bundle_space: None }
}

/// A deployment as its record says it: what it runs, what it served last, and what it may go back to.
fn deployment(world: &World, generation: u32, newest: &str, serving: &str) {
    let record = json!({
        "schema": 1, "instance": "shop", "app": "shop", "release": 2, "generation": generation,
        "goal": "running", "state": "running", "request": uuid::Uuid::nil(),
        "deadline": "2026-01-01T00:00:00Z", "image": image(newest),
        "serving": { "generation": 1, "release": 1, "image": image(serving) },
        "slots": [], "updated_at": "2026-01-01T00:00:00Z",
    });
    world.write(&path::deployment(&instance("shop")), &record);
}

fn kept(world: &World, node: &str) -> Vec<ImageRef> {
    world.nodes.pins(&name(node)).into_iter().map(|pin| pin.image).collect()
}

fn sorted(releases: &[&str]) -> Vec<ImageRef> {
    let mut images: Vec<ImageRef> = releases.iter().map(|release| image(release)).collect();
    images.sort();
    images
}

#[tokio::test(start_paused = true)]
async fn nodes_are_told_to_keep_what_deployments_refer_to_and_told_anew_when_that_changes() {
    let world = World::with_nodes(3);
    world.nodes.set_disk(&name("node-1"), disk(100));
    world.nodes.set_disk(&name("node-2"), disk(100));
    deployment(&world, 1, "two", "one");
    let service = world.service();
    run(&service, async {
        until(async || kept(&world, "node-2") == sorted(&["one", "two"])).await;
        assert_eq!(world.nodes.pins(&name("node-2"))[0].by, "kept for shop");
        assert!(kept(&world, "node-3").is_empty(), "it says nothing of its disk");
        deployment(&world, 2, "three", "two");
        until(async || kept(&world, "node-1") == sorted(&["two", "three"])).await;
        // One that was away is told when it is back.
        world.nodes.set_reach(&name("node-1"), Reach::Partitioned).await;
        deployment(&world, 3, "four", "three");
        until(async || kept(&world, "node-2") == sorted(&["three", "four"])).await;
        assert_eq!(kept(&world, "node-1"), sorted(&["two", "three"]));
        world.nodes.set_reach(&name("node-1"), Reach::Up).await;
        until(async || kept(&world, "node-1") == sorted(&["three", "four"])).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_more_is_kept_than_fits_an_order_a_node_is_told_of_the_apps_that_it_has() {
    let world = World::with_nodes(2);
    world.nodes.set_disk(&name("node-1"), disk(100));
    world.nodes.set_disk(&name("node-2"), Disk { images: Vec::new(), ..disk(100) });
    deployment(&world, 1, "two", "one");
    for app in 0..15 {
        let app = format!("app-{app}");
        let release = |number: u32| {
            let digest = Digest::of(format!("{app} {number}").as_bytes());
            let image = ImageRef::new("registry.example.org:5000/apps/other", digest).unwrap();
            json!({
                "number": number, "image": image, "generation": 1, "request": uuid::Uuid::nil(),
                "since": "2026-01-01T00:00:00Z",
            })
        };
        let releases: Vec<Value> = (1..=1000).map(release).collect();
        let record = json!({
            "schema": 1, "instance": app, "app": app, "release": 1, "generation": 1,
            "goal": "running", "state": "running", "request": uuid::Uuid::nil(),
            "deadline": "2026-01-01T00:00:00Z", "releases": releases, "slots": [],
            "updated_at": "2026-01-01T00:00:00Z",
        });
        world.write(&path::deployment(&instance(&app)), &record);
    }
    let service = world.service();
    run(&service, async {
        until(async || !kept(&world, "node-1").is_empty()).await;
        assert_eq!(kept(&world, "node-1"), sorted(&["one", "two"]));
        assert!(kept(&world, "node-2").is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_makes_nothing_unkept() {
    let world = World::with_nodes(1);
    world.nodes.set_disk(&name("node-1"), disk(100));
    deployment(&world, 1, "two", "one");
    let service = world.service();
    run(&service, async {
        until(async || kept(&world, "node-1").len() == 2).await;
        world.write(&path::deployment(&instance("shop")), &json!({ "schema": 1 }));
        sleep(Duration::from_mins(11)).await;
        assert_eq!(kept(&world, "node-1"), sorted(&["one", "two"]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_what_it_was_told_is_told_again() {
    let world = World::with_nodes(1);
    world.nodes.set_disk(&name("node-1"), disk(100));
    deployment(&world, 1, "two", "one");
    let service = world.service();
    run(&service, async {
        until(async || kept(&world, "node-1").len() == 2).await;
        let agent = Agent { node: name("node-1"), address: world.members[0].agent };
        let epoch = world.nodes.seen_epoch(&agent.node, ServiceName::NodeManager).unwrap();
        let issuer = Issuer { service: ServiceName::NodeManager, epoch };
        world.nodes.pin(&agent, issuer, &[]).await.unwrap();
        sleep(Duration::from_mins(11)).await;
        assert_eq!(kept(&world, "node-1").len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_could_not_be_started_is_placed_again_where_its_image_is() {
    for (attempt, chosen) in [(0, "node-1"), (1, "node-2")] {
        let world = World::with_nodes(2);
        let room = disk(10_000_000_000);
        world.nodes.set_disk(&name("node-1"), Disk { images: Vec::new(), ..room.clone() });
        world.nodes.set_disk(&name("node-2"), room);
        let slot = json!({
            "number": 1, "generation": 1, "placement_request": id(1), "state": "asked",
            "since": "2026-01-01T00:00:00Z", "attempt": attempt, "place": null, "container_id": null,
        });
        let record = json!({
            "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 1,
            "goal": "running", "state": "placing", "request": id(1),
            "deadline": "2026-01-01T00:10:00Z", "image": image("one"), "slots": [slot],
            "updated_at": "2026-01-01T00:00:00Z",
        });
        world.write(&path::deployment(&instance("shop")), &record);
        world
            .during(async {
                let is_known = |node| !world.nodes.pins(&name(node)).is_empty();
                until(async || is_known("node-1") && is_known("node-2")).await;
                world.ask(1, "shop").await;
                assert_eq!(world.choice(1).await.name.as_str(), chosen, "attempt {attempt}");
            })
            .await;
    }
}
