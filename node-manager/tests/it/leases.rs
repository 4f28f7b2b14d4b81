//! The end of leases.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, ReleaseNumber, RequestId, SlotNumber};
use common::message::NodeChoice;
use common::port::Nodes as _;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{Agent, Issuer, Removal};
use common::record::deployment::{Deployment, Goal, Place, Slot, SlotState, State};
use common::record::kept::Origin;
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{World, id, instance, name, until};

const ISSUER: Issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };

fn slot(request: RequestId, place: Option<&NodeChoice>) -> Slot {
    Slot {
        number: SlotNumber(1),
        generation: Generation(1),
        placement_request: request,
        state: if place.is_some() { SlotState::Placed } else { SlotState::Asked },
        place: place.map(|choice| Place {
            node: choice.name.clone(),
            ip: choice.ip,
            host_port: choice.port,
        }),
        since: Timestamp::UNIX_EPOCH,
        attempt: 0,
        images_missing: 0,
        container_id: None,
    }
}

fn deployment(world: &World, slots: Vec<Slot>) {
    let now = Timestamp::UNIX_EPOCH;
    let record = Deployment {
        schema: 1,
        instance: instance("shop"),
        app: "shop".parse().unwrap(),
        release: ReleaseNumber(1),
        generation: Generation(1),
        since: Generation(1),
        goal: Goal::Running,
        state: State::Starting,
        request: id(1),
        deadline: now,
        image: None,
        origin: Origin::default(),
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
        failure: None,
        taken: Vec::new(),
        updated_at: now,
        owed: Vec::new(),
    };
    world.write(&path::deployment(&record.instance), &record);
}

fn agent(world: &World, choice: &NodeChoice) -> Agent {
    let node = world.members.iter().find(|node| node.name == choice.name).unwrap();
    Agent { node: node.name.clone(), address: node.agent }
}

async fn start_container(world: &World, choice: &NodeChoice) -> ContainerSpec {
    let image = ImageRef::new("shop", Digest::of(b"shop")).unwrap();
    world.nodes.offer_image(&image);
    let spec = ContainerSpec {
        instance: "shop".parse().unwrap(),
        slot: SlotNumber(1),
        generation: Generation(1),
        image,
        container_port: 8080,
        host_port: choice.port,
        environment: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    };
    world.nodes.ensure(&agent(world, choice), ISSUER, &spec).await.unwrap();
    spec
}

async fn stop_container(world: &World, choice: &NodeChoice, spec: &ContainerSpec) {
    let removal = Removal { name: spec.name(), generation: spec.generation };
    world.nodes.remove(&agent(world, choice), ISSUER, &removal).await.unwrap();
}

async fn minutes(minutes: u64) {
    sleep(Duration::from_mins(minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn a_port_comes_back_after_its_container_is_gone_and_its_quarantine_is_over() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world
        .during(async {
            world.ask(1, "shop").await;
            let choice = world.choice(1).await;
            deployment(&world, vec![slot(id(1), Some(&choice))]);
            let spec = start_container(&world, &choice).await;
            minutes(10).await;
            assert_eq!(world.leases(&node)[0].1.released_at, None);
            // The slot goes, the container stays: it may still answer.
            deployment(&world, Vec::new());
            minutes(10).await;
            assert_eq!(world.leases(&node)[0].1.released_at, None);
            stop_container(&world, &choice, &spec).await;
            until(async || world.leases(&node)[0].1.released_at.is_some()).await;
            world.ask(2, "shop").await;
            assert_eq!(world.choice(2).await.port, 20_001);
            deployment(&world, vec![slot(id(2), None)]);
            until(async || world.leases(&node).len() == 1).await;
            world.ask(3, "shop").await;
            assert_eq!(world.choice(3).await.port, 20_000);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_while_a_slot_claims_it_even_before_it_knows_its_place() {
    let world = World::with_nodes(1);
    deployment(&world, vec![slot(id(1), None)]);
    world
        .during(async {
            world.ask(1, "shop").await;
            world.choice(1).await;
            minutes(60).await;
        })
        .await;
    assert_eq!(world.leases(&name("node-1"))[0].1.released_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_ever_claims_ends_after_a_moment_and_a_quarantine() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world
        .during(async {
            world.ask(1, "shop").await;
            world.choice(1).await;
            sleep(Duration::from_secs(5)).await;
            assert_eq!(world.leases(&node)[0].1.released_at, None);
            sleep(Duration::from_secs(11)).await;
            assert!(world.leases(&node)[0].1.released_at.is_some());
            sleep(Duration::from_secs(50)).await;
            assert_eq!(world.leases(&node).len(), 1);
            until(async || world.leases(&node).is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_a_dead_node_are_kept_until_it_comes_back_without_the_container() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world
        .during(async {
            world.ask(1, "shop").await;
            let choice = world.choice(1).await;
            let spec = start_container(&world, &choice).await;
            world.nodes.set_reach(&node, Reach::Partitioned).await;
            minutes(60).await;
            assert_eq!(world.leases(&node)[0].1.released_at, None);
            world.nodes.set_reach(&node, Reach::Up).await;
            minutes(2).await;
            assert_eq!(world.leases(&node)[0].1.released_at, None);
            stop_container(&world, &choice, &spec).await;
            until(async || world.leases(&node).is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_up_on_a_released_port_holds_it_again() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world
        .during(async {
            world.ask(1, "shop").await;
            let choice = world.choice(1).await;
            until(async || world.leases(&node)[0].1.released_at.is_some()).await;
            start_container(&world, &choice).await;
            until(async || world.leases(&node)[0].1.released_at.is_none()).await;
            minutes(10).await;
        })
        .await;
    assert_eq!(world.leases(&node).len(), 1);
}
