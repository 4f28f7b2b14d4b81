//! Nodes that die and come back, containers that nobody wants or that are missing.

use std::time::Duration;

use bytes::Bytes;
use common::id::{Epoch, Generation, SlotNumber};
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{Agent, Issuer, Probe};
use common::port::store::Op;
use common::port::{Containers as _, Nodes as _, Store as _};
use common::record::node::Verdict;
use common::record::path;
use common::record::restored::RestoredRecord;
use common::service::ServiceName;
use testkit::nodes::{Call, Reach};

use crate::ports::Stuck;
use crate::world::{World, image, name, node, until};

fn other(home: &str) -> &'static str {
    if home == "node-1" { "node-2" } else { "node-1" }
}

#[tokio::test(start_paused = true)]
async fn a_dead_nodes_replica_is_replaced_and_swept_when_the_node_returns() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let home = world.slots("shop")[0].place.clone().unwrap().node;
            world.nodes.set_reach(&home, Reach::Dead).await;
            world.set_verdict(home.as_str(), Verdict::Suspect);
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(world.slots("shop").len(), 1, "a suspect node keeps what it has");
            let began = tokio::time::Instant::now();
            world.set_verdict(home.as_str(), Verdict::Dead);
            let away = node(other(home.as_str()));
            until("it is replaced", || {
                let slots = world.slots("shop");
                slots.len() == 1 && slots[0].place.as_ref().is_some_and(|place| place.node == away)
            })
            .await;
            assert!(began.elapsed().as_secs() < 5);
            world.settled("shop").await;
            world.nodes.set_reach(&home, Reach::Up).await;
            world.set_verdict(home.as_str(), Verdict::Live);
            until("it is swept", || world.containers().len() == 1).await;
        })
        .await;
    world.assert_exact("shop", 1, "replaced");
    assert_eq!(world.deployment("shop").unwrap().generation.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_missing_is_made_again() {
    // Also one that no sweep has ever seen.
    for seen_for in [0, 6] {
        let world = World::new();
        world
            .live(async {
                // A sweep has just looked.
                tokio::time::sleep(Duration::from_secs(6)).await;
                world.deployed(1, "shop").await;
                tokio::time::sleep(Duration::from_secs(seen_for)).await;
                let (home, container) = world.containers().remove(0);
                let engine = world.nodes.engine(&home);
                common::port::Containers::ensure_absent(&engine, &container).await.unwrap();
                let began = tokio::time::Instant::now();
                until("it is there again", || world.containers().len() == 1).await;
                assert!(began.elapsed().as_secs() <= 10, "{seen_for}: {:?}", began.elapsed());
                world.settled("shop").await;
            })
            .await;
        world.assert_exact("shop", 1, "restored");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_swept_and_what_is_not_ours_to_judge_stays() {
    let world = World::new();
    let agent = agent(1);
    let stale = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(0) };
    for slot in 1..=3 {
        world.nodes.ensure(&agent, stale, &app("ghost", slot, 4)).await.unwrap();
    }
    *world.stuck.lock().unwrap() = Some(Stuck::Fails(app("ghost", 1, 4).name()));
    world
        .live(async {
            world.deployed(1, "shop").await;
            until("only the ghost that is stuck is left", || world.containers().len() == 2).await;
            *world.stuck.lock().unwrap() = None;
            until("the ghosts are gone", || world.containers().len() == 1).await;
        })
        .await;
    world.assert_exact("shop", 1, "swept");
}

#[tokio::test(start_paused = true)]
async fn what_a_node_would_make_again_and_nobody_wants_is_swept_too() {
    let world = World::new();
    let agent = agent(1);
    let spec = not_made(&world, &agent).await;
    let is_removed = || {
        let calls = world.nodes.calls();
        let is_it = |call: &Call| matches!(call, Call::Remove { removal, .. } if removal.name == spec.name());
        calls.iter().any(is_it)
    };
    world.live(until("it is removed", is_removed)).await;
    world.nodes.engine(&agent.node).free_port(spec.host_port);
    world.nodes.set_reach(&agent.node, Reach::Dead).await;
    world.nodes.set_reach(&agent.node, Reach::Up).await;
    assert!(world.containers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_hangs_of_what_is_not_made_keeps_nothing_else_of_its_node() {
    let world = World::new();
    // Where the first replica comes to.
    let agent = agent(2);
    let spec = not_made(&world, &agent).await;
    *world.stuck.lock().unwrap() = Some(Stuck::Hangs { name: spec.name(), asked: 0 });
    let is_asked = |times| matches!(*world.stuck.lock().unwrap(), Some(Stuck::Hangs { asked, .. }) if asked >= times);
    world
        .live(async {
            world.deployed(1, "shop").await;
            until("its removal hangs", || is_asked(1)).await;
            let (home, container) = world.containers().remove(0);
            assert_eq!(home, agent.node);
            world.nodes.engine(&home).ensure_absent(&container).await.unwrap();
            let began = tokio::time::Instant::now();
            until("it is there again", || world.containers().len() == 1).await;
            assert!(began.elapsed().as_secs() <= 15, "{:?}", began.elapsed());
            until("it is tried again", || is_asked(2)).await;
        })
        .await;
    world.assert_exact("shop", 1, "restored");
}

fn agent(number: u8) -> Agent {
    let address = format!("192.0.2.{number}:7443").parse().unwrap();
    Agent { node: node(&format!("node-{number}")), address }
}

/// A container that nobody wants, and that its node would make again were its port not taken.
async fn not_made(world: &World, agent: &Agent) -> ContainerSpec {
    let spec = app("ghost", 1, 4);
    let before = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(0) };
    world.nodes.ensure(agent, before, &spec).await.unwrap();
    let engine = world.nodes.engine(&agent.node);
    engine.occupy_port(spec.host_port);
    engine.ensure_absent(&spec.name()).await.unwrap();
    spec
}

fn app(instance: &str, slot: u32, generation: u64) -> ContainerSpec {
    ContainerSpec {
        instance: instance.parse().unwrap(),
        slot: SlotNumber(slot),
        generation: Generation(generation),
        image: image(1),
        container_port: 8080,
        host_port: 25_000 + u16::try_from(slot).unwrap(),
        environment: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_there_when_a_store_was_accepted_goes_on_until_its_instance_is_deployed_again() {
    let world = World::new();
    let agent = agent(1);
    let before = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(0) };
    for spec in [app("ghost", 1, 4), app("shop", 2, 5)] {
        world.nodes.ensure(&agent, before, &spec).await.unwrap();
    }
    let restored = RestoredRecord { schema: 1, epoch: Epoch(0), at: jiff::Timestamp::UNIX_EPOCH };
    world.store.seed(&path::restored(), common::record::encode(&restored));
    world
        .live(async {
            let began = tokio::time::Instant::now();
            until("it was swept many times", || began.elapsed() > Duration::from_mins(1)).await;
            assert_eq!(world.containers().len(), 2, "nobody judges what is not of this store");
            world.deployed(1, "shop").await;
            until("the new one took over", || world.containers().len() == 2).await;
            let names: Vec<String> =
                world.containers().iter().map(|(_, name)| name.to_string()).collect();
            assert!(names.contains(&"ghost_instance_1".to_owned()), "{names:?}");
            assert!(!names.contains(&"shop_instance_2".to_owned()), "{names:?}");

            let after = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
            world.nodes.ensure(&agent, after, &app("spook", 3, 1)).await.unwrap();
            until("what this store should know is swept", || world.containers().len() == 2).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_led_from_another_store_is_held_and_the_leader_stays() {
    let world = World::new();
    let agent = agent(1);
    let before = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(9) };
    world.nodes.ensure(&agent, before, &app("ghost", 1, 4)).await.unwrap();
    world
        .live(async {
            let began = tokio::time::Instant::now();
            // The story fails where the service ends: each new lead would come closer to what was heard.
            until("it was asked many times", || began.elapsed() > Duration::from_mins(1)).await;
            assert_eq!(world.containers().len(), 1, "what runs there goes on");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn document_001s_registry_says_who_is_served_whatever_others_write() {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    let at = |entry: &str| path::registry_app(&name("shop")).join(entry).unwrap();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let said = world.registry("shop");
            assert_eq!(said.len(), 2);
            for entry in ["instance1", "instance2"] {
                let version = world.store.get(&at(entry)).await.unwrap().unwrap().version;
                let gone = Op::Delete { path: at(entry), version };
                world.store.commit(vec![gone]).await.unwrap();
            }
            world.store.seed(&at("instance2"), Bytes::from_static(b"192.0.2.99:1"));
            world.store.seed(&at("instance7"), Bytes::from_static(b"192.0.2.99:2"));
            until("it says so again", || world.registry("shop") == said).await;
            let updated_at = world.deployment("shop").unwrap().updated_at;
            tokio::time::sleep(Duration::from_mins(5)).await;
            assert_eq!(world.deployment("shop").unwrap().updated_at, updated_at, "it is at rest");

            world.store.seed(&at("notes"), Bytes::from_static(b"of somebody else"));
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
        })
        .await;
    assert_eq!(world.registry("shop"), [("notes".to_owned(), "of somebody else".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_again_and_again_is_replaced_once_and_then_reported() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let exited = Probe::Exited { code: 1, out_of_memory: false, crash_loop: true };
            world.crash_loops.lock().unwrap().replace(exited);
            for round in 0..2 {
                tokio::time::sleep(Duration::from_mins(1)).await;
                let slots = world.slots("shop");
                assert_eq!(slots.len(), 1, "{slots:?}");
                let (home, container) = world.containers().remove(0);
                world.nodes.engine(&home).exit(&container, 1);
                if round == 0 {
                    until("it is replaced", || world.slots("shop")[0].number != slots[0].number)
                        .await;
                }
            }
            let number = world.slots("shop")[0].number;
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert_eq!(world.slots("shop")[0].number, number, "it is replaced once");
        })
        .await;
    let failure = world.deployment("shop").unwrap().failure.unwrap();
    assert_eq!(failure.code, common::failure::FailureCode::CrashLoop);
}

#[tokio::test(start_paused = true)]
async fn a_second_leader_ends_the_first() {
    let world = World::new();
    let service = deployment_manager::DeploymentManager::new(world.ports(), world.config.clone());
    let lifecycle = chassis::lifecycle::Lifecycle::new();
    let first = chassis::service::Service::run(&service, lifecycle);
    let second = async {
        until("the first leads", || world.nodes.calls().len() >= 2).await;
        world.live(world.deployed(1, "shop")).await;
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        biased;
        ended = first => ended,
        () = second => unreachable!("it waits for the first to end"),
    };
    assert_eq!(ended.unwrap_err().to_string(), "another deployment manager leads");
}

#[tokio::test(start_paused = true)]
async fn what_is_served_has_its_image_on_one_node_more_and_its_lack_harms_nobody() {
    let mut world = World::new();
    world.config.spare_images = true;
    let pulls = || -> Vec<Call> {
        let is_pull = |call: &Call| matches!(call, Call::Pull { .. });
        world.nodes.calls().into_iter().filter(is_pull).collect()
    };
    world
        .live(async {
            world.deployed(1, "shop").await;
            let home = world.slots("shop")[0].place.clone().unwrap().node;
            let away = node(other(home.as_str()));
            world.nodes.set_reach(&away, Reach::Partitioned).await;
            until("it is tried", || !pulls().is_empty()).await;
            assert_eq!(world.containers().len(), 1);
            world.nodes.set_reach(&away, Reach::Up).await;
            tokio::time::sleep(Duration::from_mins(5)).await;
            let asked = pulls();
            let to_the_other = |call: &Call| {
                matches!(call, Call::Pull { node, image: pulled, .. }
                    if *node == away && *pulled == image(2))
            };
            assert!(asked.iter().all(to_the_other), "{asked:?}");
            let spare = image(2);
            assert!(world.nodes.engine(&away).has_image(&spare).await.unwrap());
            let before = asked.len();
            tokio::time::sleep(Duration::from_mins(5)).await;
            assert_eq!(pulls().len(), before, "it is there");
        })
        .await;
}
