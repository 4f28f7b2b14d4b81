//! Keeping what was reached, while machines and instances come and go.

use std::time::Duration;

use chassis::lifecycle::Lifecycle as Process;
use chassis::service::Service as _;
use common::message::PlatformOutcome;
use common::port::store::{Op, Path};
use common::port::{Clock as _, Store as _};
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::path;
use common::record::platform::{InstanceState, RunningService};
use common::service::ServiceName;
use jiff::Timestamp;
use platform_initializer::config::Documents;
use serde_json::json;
use tokio::time::sleep;

use crate::lifecycle::Conduct;
use crate::starting::assert_running;
use crate::world::{World, legacy, listeners, name, until};

async fn forget(world: &World, at: Path) {
    let entry = world.store.get(&at).await.unwrap().unwrap();
    world.store.commit(vec![Op::Delete { path: at, version: entry.version }]).await.unwrap();
}

async fn started(world: &World) {
    assert!(matches!(world.start(1).await, PlatformOutcome::Yes { .. }));
}

fn machine(node: &str, state: MachineState, since: Timestamp) -> MachineRecord {
    let record = json!({
        "schema": 1, "name": node, "shape": { "kind": "given" }, "goal": "node", "generation": 1,
        "user": "root", "credential": { "key_file": "/keys/machine" }, "state": "ready",
        "reason": "", "since": since,
    });
    let mut record: MachineRecord =
        serde_json::from_value(record).unwrap_or_else(|err| panic!("{err}"));
    record.goal = MachineGoal::Node;
    record.state = state;
    record
}

#[tokio::test(start_paused = true)]
async fn only_what_a_machine_had_is_placed_again_when_it_is_gone() {
    let world = World::with_nodes(4);
    world
        .during(async {
            started(&world).await;
            let before = world.placement();
            forget(&world, path::node(&name("node-4"))).await;
            until(async || {
                world.placement().values().flatten().all(|node| node.as_str() != "node-4")
            })
            .await;
            for (service, nodes) in &world.placement() {
                let kept = before[service].iter().filter(|node| node.as_str() != "node-4");
                assert!(kept.clone().all(|node| nodes.contains(node)), "{service}");
                assert_eq!(nodes.len(), before[service].len());
            }
            until(async || {
                world
                    .routes
                    .memory
                    .upstreams(&legacy("application_manager"))
                    .iter()
                    .all(|one| one.ip.to_string() != "192.0.2.4")
            })
            .await;
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_silent_for_long_loses_what_it_had_and_one_that_is_for_a_while_does_not()
{
    let world = World::with_nodes(4);
    world
        .during(async {
            started(&world).await;
            let before = world.placement();
            let now = world.clock.now();
            for node in ["node-1", "node-2", "node-3"] {
                world.write(&path::machine(&name(node)), &machine(node, MachineState::Ready, now));
            }
            let silent = machine("node-4", MachineState::Silent, now);
            world.write(&path::machine(&name("node-4")), &silent);
            sleep(Duration::from_secs(290)).await;
            assert_eq!(world.placement(), before);
            sleep(Duration::from_mins(1)).await;
            assert!(world.placement().values().flatten().all(|node| node.as_str() != "node-4"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn where_most_machines_look_lost_nothing_is_moved() {
    let world = World::with_nodes(3);
    world
        .during(async {
            started(&world).await;
            let before = world.placement();
            for node in ["node-2", "node-3"] {
                let lost = machine(node, MachineState::Silent, Timestamp::UNIX_EPOCH);
                world.write(&path::machine(&name(node)), &lost);
            }
            sleep(Duration::from_mins(2)).await;
            assert_eq!(world.placement(), before);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_somebody_removed_comes_back() {
    let world = World::with_nodes(2);
    world
        .during(async {
            started(&world).await;
            for service in ["node_manager", "application_manager"] {
                let at = format!("/services/{service}/instance1").parse().unwrap();
                forget(&world, at).await;
                until(async || world.registry().contains_key(service)).await;
            }
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn an_entry_follows_the_instance_that_is_ready() {
    let world = World::with_nodes(2);
    world
        .during(async {
            started(&world).await;
            let before = world.registry()["monitoring"].clone();
            world.lifecycle.set(ServiceName::Monitoring, Conduct::Lost);
            let at = path::running_service(ServiceName::Monitoring);
            let mut running: RunningService = world.read(&at).unwrap();
            running.instances[0].state = InstanceState::Silent;
            world.write(&at, &running);
            until(async || world.registry()["monitoring"] != before).await;
            assert_eq!(world.registry()["monitoring"], running.instances[1].address.to_string());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_twin_takes_over_what_the_other_began() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Works(Duration::from_secs(30)));
    world.say(1, "start platform").await;
    world.during(sleep(Duration::from_secs(10))).await;
    assert_eq!(world.wished().len(), 3);
    world
        .during(async {
            assert!(matches!(world.outcome(1).await, PlatformOutcome::Yes { .. }));
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn each_twin_keeps_the_file_on_its_own_machine() {
    let world = World::with_nodes(2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("platform_status.json");
    // Of a time when it was another one that led.
    std::fs::write(&file, r#"{"timestamp":"2025-01-01 00:00:00","status":"stopped"}"#).unwrap();
    let mut raw = world.raw.clone();
    raw.platform.status_file = file.display().to_string();
    let mut elsewhere = listeners();
    elsewhere.advertised = "127.0.0.1:9051".to_owned();
    let twin = world.service_with(raw.resolve(&elsewhere, &Documents::default()).unwrap());
    let says = |status: &str| {
        let said = std::fs::read_to_string(&file).ok();
        said == world.status_file() && said.is_some_and(|said| said.contains(status))
    };
    let story = async {
        started(&world).await;
        let followed = async {
            until(async || says("running")).await;
            world.stop(2).await;
            until(async || says("stopped")).await;
        };
        tokio::select! {
            biased;
            () = followed => {}
            ended = twin.run(Process::new()) => panic!("the twin ended: {ended:?}"),
        }
    };
    world.during(story).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_of_a_platform_that_was_never_started() {
    let world = World::with_nodes(2);
    let before = r#"{"timestamp":"2025-01-01 00:00:00","status":"running"}"#;
    std::fs::write(&world.raw.platform.status_file, before).unwrap();
    world.during(until(async || world.status_file().is_none())).await;
}
