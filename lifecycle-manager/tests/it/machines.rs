//! Machines: what does not answer is looked after, within bounds.

use std::time::Duration;

use common::port::Clock as _;
use common::port::host::HostKey;
use common::port::store::Path;
use common::port::upkeep::Addition;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{NODES, Outcome, World, id, name, run, until};

#[tokio::test(start_paused = true)]
async fn the_description_becomes_records_once_and_the_records_are_the_truth() {
    let world = World::new();
    world.during(world.until_calm()).await;
    let node: Node = world.read(&path::node(&name("node-1"))).unwrap();
    assert_eq!(node.agent, "192.0.2.1:7443".parse().unwrap());
    let at = path::machine(&name("node-4"));
    let mut machine: MachineRecord = world.read(&at).unwrap();
    machine.user = "somebody".to_owned();
    world.write(&at, &machine);
    world.during(sleep(Duration::from_secs(30))).await;
    assert_eq!(world.read::<MachineRecord>(&at).unwrap().user, "somebody");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lost_its_power_is_enrolled_again() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-2", Reach::Dead).await;
            world.until_state("node-2", MachineState::Silent).await;
            world.until_state("node-2", MachineState::Ready).await;
        })
        .await;
    assert_eq!(world.enrolment.asked(), [name("node-2")]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_enrolling_does_not_help_is_restarted_but_not_for_ever() {
    let world = World::new();
    world.enrolment.comes_to(Outcome::DoesNotHelp);
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-4", Reach::Hung).await;
            until(async || !world.machines.restarted().is_empty()).await;
            world.until_state("node-4", MachineState::Ready).await;
        })
        .await;
    assert_eq!(world.machines.restarted(), [name("node-4")]);
    let machine: MachineRecord = world.read(&path::machine(&name("node-4"))).unwrap();
    assert_eq!(machine.restarts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_machine_whose_member_may_be_needed_is_restarted_once_another_is_well_or_later() {
    let kafka = "kafka".parse().unwrap();
    for is_cured in [true, false] {
        let world = World::new();
        world.enrolment.comes_to(Outcome::DoesNotHelp);
        world
            .during(async {
                world.until_calm().await;
                world.parts.set_healthy(&name("node-2"), &kafka, false);
                world.set_reach("node-3", Reach::Hung).await;
                sleep(Duration::from_mins(2)).await;
                world.say(1, "restart node$node-3");
                let answer = world.answer(1).await;
                assert!(answer.contains("RESTART_HELD: kafka on node-2 is not ready"), "{answer}");
                sleep(Duration::from_mins(2)).await;
                assert!(world.machines.restarted().is_empty());
                let failure = world.read::<Value>(&repairs("node-3")).unwrap()["failure"].clone();
                assert_eq!(failure["code"], "RESTART_HELD", "{failure}");
                if is_cured {
                    world.parts.set_healthy(&name("node-2"), &kafka, true);
                    sleep(Duration::from_secs(30)).await;
                } else {
                    sleep(Duration::from_mins(2)).await;
                }
                assert_eq!(world.machines.restarted(), [name("node-3")], "{is_cured}");
                world.until_state("node-3", MachineState::Ready).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_machine_is_not_left_alone_for_longer_where_another_begins_to_lead() {
    let world = World::new();
    world.enrolment.comes_to(Outcome::DoesNotHelp);
    world
        .during(async {
            world.until_calm().await;
            world.parts.set_healthy(&name("node-2"), &"kafka".parse().unwrap(), false);
            world.set_reach("node-3", Reach::Hung).await;
            sleep(Duration::from_mins(4)).await;
        })
        .await;
    assert!(world.machines.restarted().is_empty());
    world
        .during(async {
            sleep(Duration::from_mins(3)).await;
            assert_eq!(world.machines.restarted(), [name("node-3")]);
            world.until_state("node-3", MachineState::Ready).await;
        })
        .await;
}

fn repairs(machine: &str) -> Path {
    path::folder(&format!("lifecycle/repairs/{machine}"))
}

#[tokio::test(start_paused = true)]
async fn another_host_key_is_a_quarantine_that_nothing_touches() {
    let world = World::new();
    world.enrolment.comes_to(Outcome::KeyChanged);
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-4", Reach::Dead).await;
            world.until_state("node-4", MachineState::Quarantined).await;
            sleep(Duration::from_mins(20)).await;
        })
        .await;
    assert_eq!(world.enrolment.asked().len(), 1);
    assert!(world.machines.restarted().is_empty());
    assert_eq!(world.state("node-4"), Some(MachineState::Quarantined));
}

pub(crate) fn key(letter: &str) -> HostKey {
    format!("ssh-ed25519 SHA256:{}", letter.repeat(43)).parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_made_anew_is_let_in_under_its_own_key_also_by_the_next_attempt() {
    let world = World::new();
    let at = path::machine(&name("node-4"));
    let record = || world.read::<MachineRecord>(&at).unwrap();
    world
        .during(async {
            world.until_calm().await;
            world.write(&at, &MachineRecord { host_key: Some(key("a")), ..record() });
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.machines.vanish(&name("node-4"), key("b")).await;
            until(async || !world.enrolment.asked().is_empty()).await;
            world.enrolment.comes_to(Outcome::Helps);
            until(async || world.enrolment.asked().len() == 2).await;
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    assert_eq!(record().state, MachineState::Ready, "{}", record().reason);
    let known = (Some(key("b")), Some(world.machines.id(&name("node-4"))));
    assert_eq!((record().host_key, record().id), known);
    assert!(world.machines.restarted().is_empty(), "it never answered before");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_changes_its_key_while_it_becomes_a_node_is_found_out() {
    found_out(&World::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_told_by_what_the_machine_comes_from_is_held_to_as_well() {
    let world = World::new();
    world.enrolment.is_told_keys();
    found_out(&world).await;
}

async fn found_out(world: &World) {
    let at = path::machine(&name("node-4"));
    let record = || world.read::<MachineRecord>(&at).unwrap();
    world
        .during(async {
            world.until_calm().await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.machines.vanish(&name("node-4"), key("b")).await;
            until(async || !world.enrolment.asked().is_empty()).await;
            // It never became a node, and is held to what it has shown all the same.
            until(async || record().host_key == Some(key("b"))).await;
            world.machines.show(&name("node-4"), key("c"));
            world.until_state("node-4", MachineState::Quarantined).await;
            sleep(Duration::from_mins(20)).await;
        })
        .await;
    assert_eq!((record().host_key, world.enrolment.asked().len()), (Some(key("b")), 2));
}

#[tokio::test(start_paused = true)]
async fn who_has_just_begun_to_lead_only_looks() {
    let world = World::new();
    world.during(world.until_calm()).await;
    world.set_reach("node-2", Reach::Dead).await;
    world
        .during(async {
            sleep(Duration::from_secs(4)).await;
            assert_eq!(
                world.state("node-2"),
                Some(MachineState::Ready),
                "nobody has looked enough"
            );
            world.until_state("node-2", MachineState::Silent).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn another_machine_is_made_only_within_the_bounds() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.say(1, "need node$no node has room");
            let answer = world.answer(1).await;
            assert!(
                answer.starts_with(
                    "not done need node$no node has room Error - MACHINES_EXHAUSTED: "
                ),
                "{answer}"
            );
        })
        .await;
    let world = World { max_machines: 5, ..World::new() };
    world
        .during(async {
            world.until_calm().await;
            world.say(1, "need node$no node has room");
            world.say(2, "need node$no node has room either");
            assert_eq!(world.answer(1).await, "done need node$added-1");
            assert_eq!(world.answer(2).await, "done need node$added-1");
            world.say(3, "need node$again");
            assert!(world.answer(3).await.contains("MACHINES_EXHAUSTED"));
        })
        .await;
    assert_eq!(world.state("added-1"), Some(MachineState::Ready));
    let node: Node = world.read(&path::node(&name("added-1"))).unwrap();
    assert_eq!(node.ip.to_string(), "192.0.2.5");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_added_for_apps_is_given_back_when_none_needs_it() {
    let world = World { max_machines: 5, ..World::new() };
    world
        .during(async {
            world.until_calm().await;
            world.say(1, "need node$no node has room");
            assert_eq!(world.answer(1).await, "done need node$added-1");
            sleep(Duration::from_mins(20)).await;
            world.say(2, "need node$again");
            assert!(world.answer(2).await.contains("MACHINES_EXHAUSTED"));
            sleep(Duration::from_mins(25)).await;
            assert_eq!(world.state("added-1"), Some(MachineState::Ready), "it was asked for");
            until(async || world.state("added-1").is_none()).await;
        })
        .await;
    assert!(world.read::<Node>(&path::node(&name("added-1"))).is_none());
    for node in NODES {
        assert_eq!(world.state(node), Some(MachineState::Ready), "{node} is described");
    }
}

fn lease(released: Option<&str>) -> Value {
    json!({
        "schema": 1, "instance": "shop", "request": id(9),
        "leased_at": "2026-01-01T00:00:00Z", "released_at": released,
    })
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_an_app_is_on_or_that_a_person_asked_for_is_not_given_back() {
    let world = World { max_machines: 6, ..World::new() };
    let service = world.service();
    let upkeep = service.local_upkeep();
    run(&service, async {
        world.until_calm().await;
        let wanted = Addition { name: Some(name("extra")), reason: "a feast".to_owned() };
        upkeep.add(id(1), &wanted).await.unwrap();
        world.until_state("extra", MachineState::Ready).await;
        sleep(Duration::from_mins(6)).await;
        world.say(2, "need node$no node has room");
        assert_eq!(world.answer(2).await, "done need node$added-1");
        let port = path::node_port(&name("added-1"), 20_000);
        world.write(&port, &lease(None));
        sleep(Duration::from_mins(40)).await;
        assert_eq!(world.state("added-1"), Some(MachineState::Ready), "an app is on it");
        world.write(&port, &lease(Some("2026-01-01T00:00:00Z")));
        sleep(Duration::from_mins(25)).await;
        assert_eq!(world.state("added-1"), Some(MachineState::Ready), "one was there just now");
        until(async || world.state("added-1").is_none()).await;
    })
    .await;
    assert_eq!(world.state("extra"), Some(MachineState::Ready), "a person wanted it");
}

/// A machine that was added for apps leaves, as none was on it, and the node manager knows nothing of that yet.
async fn until_given_back(world: &World) {
    world.until_calm().await;
    world.say(1, "need node$no node has room");
    assert_eq!(world.answer(1).await, "done need node$added-1");
    says(world, Verdict::Live);
    sleep(Duration::from_mins(20)).await;
    world.until_state("added-1", MachineState::Leaving).await;
}

/// The node manager's word on the machine that was added.
fn says(world: &World, verdict: Verdict) {
    let (node, since) = (name("added-1"), world.clock.now());
    let alive = Alive { schema: 1, node, verdict, reason: String::new(), since };
    world.write(&path::alive(&name("added-1")), &alive);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_an_app_comes_to_as_it_is_given_back_stays_and_goes_only_when_it_is_empty() {
    let world = World { max_machines: 5, ..World::new() };
    let (machine, node) = (path::machine(&name("added-1")), path::node(&name("added-1")));
    let leaves = || world.read::<Node>(&node).unwrap().leaves;
    let port = path::node_port(&name("added-1"), 20_000);
    world
        .during(async {
            until_given_back(&world).await;
            assert!(leaves());
            // It was placed before anybody was told.
            world.write(&port, &lease(None));
            world.until_state("added-1", MachineState::Ready).await;
            assert_eq!(world.read::<MachineRecord>(&machine).unwrap().goal, MachineGoal::Node);
            assert!(!leaves(), "apps may be placed on it again");
            sleep(Duration::from_hours(1)).await;
            assert_eq!(world.state("added-1"), Some(MachineState::Ready), "an app is on it");
            world.write(&port, &lease(Some("2026-01-01T00:00:00Z")));
            sleep(Duration::from_mins(20)).await;
            world.until_state("added-1", MachineState::Leaving).await;
            sleep(Duration::from_mins(20)).await;
            assert_eq!(world.state("added-1"), Some(MachineState::Leaving), "it is not emptied");
            says(&world, Verdict::Draining);
            until(async || world.state("added-1").is_none()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_a_person_wants_to_be_gone_too_goes_whatever_comes_to_it() {
    let world = World { max_machines: 5, ..World::new() };
    let service = world.service();
    let upkeep = service.local_upkeep();
    run(&service, async {
        until_given_back(&world).await;
        upkeep.remove(&name("added-1")).await.unwrap();
        world.write(&path::node_port(&name("added-1"), 20_000), &lease(None));
        sleep(Duration::from_mins(14)).await;
        assert_eq!(world.state("added-1"), Some(MachineState::Leaving), "so long it is waited");
        until(async || world.state("added-1").is_none()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_to_go_goes_with_all_that_is_written_of_it() {
    let world = World { max_machines: 5, ..World::new() };
    world
        .during(async {
            world.until_calm().await;
            world.say(1, "need node$more");
            world.answer(1).await;
            let at = path::machine(&name("added-1"));
            let mut machine: MachineRecord = world.read(&at).unwrap();
            machine.goal = MachineGoal::Absent;
            world.write(&at, &machine);
            until(async || world.state("added-1").is_none()).await;
        })
        .await;
    assert!(world.read::<Node>(&path::node(&name("added-1"))).is_none());
}
