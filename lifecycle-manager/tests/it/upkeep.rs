//! The lifecycle manager for who speaks for people in the same process.

use std::sync::Arc;
use std::time::Duration;

use common::id::RequestId;
use common::port::Upkeep;
use common::port::upkeep::{Addition, Error, Pin, Target};
use common::record::machine::{MachineRecord, MachineState};
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use lifecycle_manager::ports::NeverChanged;
use lifecycle_manager::{Backends, Ports, Service};
use testkit::SeededEntropy;
use testkit::contract::upkeep::{holds, pin};
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{World, id, name, run, until};

/// One that no platform was described to, as in a platform of one process.
fn alone(world: &World) -> Service {
    let ports = Ports {
        bus: Arc::new(world.bus.clone()),
        store: Arc::new(world.store.session()),
        nodes: Arc::new(world.nodes.clone()),
        parts: Arc::new(world.parts.clone()),
        backends: Backends::default().with("local", Arc::new(world.machines.clone())),
        enrolment: Arc::new(world.enrolment.clone()),
        credentials: Arc::new(NeverChanged),
        vault: None,
        clock: world.clock.clone(),
        entropy: Arc::new(SeededEntropy::new(2)),
    };
    let mut config = world.config(8080);
    config.platform = None;
    Service::new(ports, config)
}

fn service(name: &str) -> Target {
    Target::of("services", name).unwrap().unwrap()
}

/// Status and code of a refusal.
fn told<T: std::fmt::Debug>(answer: Result<T, Error>) -> (u16, String) {
    let Err(Error::Refused(problem)) = answer else { return (0, format!("{answer:?}")) };
    (problem.status, problem.code)
}

/// How a request of this kind ended, once it has.
async fn ended(world: &World, request: RequestId, kind: &str) -> Outcome {
    let at = path::operation(request, ServiceName::LifecycleManager, kind);
    let outcome = || world.read::<Operation>(&at).and_then(|operation| operation.outcome);
    until(async || outcome().is_some()).await;
    outcome().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    let world = World::new();
    let service = world.service();
    let upkeep = service.local_upkeep();
    run(&service, async {
        world.with_service().await;
        quarantine(&world, upkeep.as_ref(), "node-4").await;
        holds(upkeep.as_ref(), &name("node-1"), &name("node-4")).await;
    })
    .await;
}

/// It shows the host key of the contract, and is known by another one.
async fn quarantine(world: &World, upkeep: &dyn Upkeep, node: &str) {
    let other = format!("ssh-ed25519 SHA256:{}", "B".repeat(43)).parse().unwrap();
    upkeep.pin(&name(node), &Pin { host_key: other }).await.unwrap();
    world.machines.show(&name(node), pin().host_key);
    world.set_reach(node, Reach::Hung).await;
    world.until_state(node, MachineState::Quarantined).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_asks_for_is_done_for_a_person() {
    let world = World::new();
    let manager = world.service();
    let upkeep = manager.local_upkeep();
    run(&manager, async {
        let refused = told(upkeep.restart(id(7), &service("node_manager")).await);
        assert!(
            refused.0 == 503 && refused.1.starts_with("NOT_"),
            "it has not looked: {refused:?}"
        );
        world.with_service().await;
        upkeep.restart(id(7), &service("node_manager")).await.unwrap();
        let Outcome::Succeeded { details } = ended(&world, id(7), "restart-service").await else {
            panic!("it failed")
        };
        assert_eq!(details.unwrap()["restarted"], serde_json::json!(["node-2", "node-3"]));
    })
    .await;
    assert!(world.answers(7).is_empty(), "no program asked");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_machine_by_name_is_told_of_that_machine_and_nobody_waits_for_the_programs_pause()
 {
    let world = World { max_machines: 8, ..World::new() };
    let manager = world.service();
    let upkeep = manager.local_upkeep();
    let wanted = |asked: Option<&str>| Addition { name: asked.map(name), reason: String::new() };
    run(&manager, async {
        world.until_calm().await;
        for (number, asked) in [(1, "extra-1"), (2, "extra-2"), (3, "node-4"), (4, "extra-1")] {
            upkeep.add(id(number), &wanted(Some(asked))).await.unwrap();
        }
        for (number, made) in [(1, "extra-1"), (4, "extra-1"), (2, "extra-2")] {
            let ended = ended(&world, id(number), "need-node").await;
            let details = Some(serde_json::json!({ "machine": made }));
            assert_eq!(ended, Outcome::Succeeded { details }, "{number}");
            assert_eq!(world.state(made), Some(MachineState::Ready));
        }
        let Outcome::Failed { failure, .. } = ended(&world, id(3), "need-node").await else {
            panic!("it was there")
        };
        assert_eq!(failure.message, "there is a machine node-4 already");
        world.say(5, "need node$no node has room");
        assert!(world.answer(5).await.contains("a machine was added a moment ago"));
        upkeep.add(id(6), &wanted(None)).await.unwrap();
        let details = Some(serde_json::json!({ "machine": "added-1" }));
        assert_eq!(ended(&world, id(6), "need-node").await, Outcome::Succeeded { details });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_host_key_is_pinned_though_the_machines_record_changes_meanwhile() {
    let world = World::new();
    let store = world.store.session();
    let manager = world.service_on(store.clone(), 8080);
    let upkeep = manager.local_upkeep();
    let at = path::machine(&name("node-4"));
    run(&manager, async {
        world.until_calm().await;
        sleep(Duration::from_mins(1)).await;
        store.freeze_reads();
        let record = world.read::<MachineRecord>(&at).unwrap();
        world.write(&at, &MachineRecord { user: "somebody".to_owned(), ..record });
        upkeep.pin(&name("node-4"), &pin()).await.unwrap();
        store.thaw_reads();
    })
    .await;
    let record = world.read::<MachineRecord>(&at).unwrap();
    assert_eq!((record.host_key, record.user.as_str()), (Some(pin().host_key), "somebody"));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_host_key_ends_a_quarantine_and_its_machine_is_looked_after_and_not_restarted() {
    let world = World::new();
    let manager = world.service();
    let upkeep = manager.local_upkeep();
    let node = name("node-4");
    run(&manager, async {
        world.until_calm().await;
        quarantine(&world, upkeep.as_ref(), "node-4").await;
        upkeep.pin(&node, &pin()).await.unwrap();
        world.until_state("node-4", MachineState::Ready).await;
    })
    .await;
    let record = world.read::<MachineRecord>(&path::machine(&node)).unwrap();
    assert_eq!(record.host_key, Some(pin().host_key));
    assert_eq!(record.id, None, "it may be the former machine's");
    assert_eq!(world.enrolment.asked(), [node.clone(), node]);
    assert!(world.machines.restarted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_machine_of_one_process_is_nobodys_to_add_to_or_to_take_away() {
    let world = World::new();
    // Who has described the machines is away by now.
    world.during(world.until_calm()).await;
    let service = alone(&world);
    let upkeep = service.local_upkeep();
    run(&service, async {
        let wanted = Addition { name: None, reason: "more room".to_owned() };
        until(async || told(upkeep.add(id(1), &wanted).await).1 == "SINGLE_PROCESS").await;
        let single = (409, "SINGLE_PROCESS".to_owned());
        assert_eq!(told(upkeep.remove(&name("node-4")).await), single);
        assert_eq!(told(upkeep.pin(&name("node-4"), &pin()).await), single);
        assert_eq!(upkeep.machines().await.unwrap().len(), 4);
    })
    .await;
    assert_eq!(world.state("node-4"), Some(MachineState::Ready));
}
