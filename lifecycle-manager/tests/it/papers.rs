//! Certificates: renewed in each new year of the authority, one after another.

use std::time::Duration;

use common::name::{NodeName, PartName};
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::machines::key;
use crate::world::{NODES, Outcome, World, name, placed, until};

/// Long enough for the next look at all certificates.
const A_LOOK: Duration = Duration::from_mins(11);

fn a_year_passes(world: &World) {
    world.clock.advance(SignedDuration::from_hours(24 * 366));
}

/// The certificate that a part was given.
fn certificate(world: &World, node: &NodeName, part: &PartName) -> String {
    let told = world.parts.told(node, part).unwrap();
    let path = format!("/etc/avishkar/pki/{part}.pem");
    told.files.into_iter().find(|file| file.path == path).unwrap().content
}

/// All parts with certificates, and which they have.
fn certificates(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for node in NODES.map(name) {
        for part in world.parts.parts_of(&node) {
            let is_service =
                !["zookeeper", "kafka", "registry", "edge"].contains(&part.name.as_str());
            if is_service {
                found.push(certificate(world, &node, &part.name));
            }
        }
    }
    found
}

/// What agents were asked to make, in order.
fn made(world: &World) -> Vec<String> {
    let calls = world.parts.calls().into_iter().map(|call| call.to_string());
    calls.filter(|call| call.starts_with("ensure ")).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_renewed_before_its_time() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.parts.forget_calls();
            sleep(A_LOOK * 3).await;
        })
        .await;
    assert!(made(&world).is_empty(), "{:?}", made(&world));
    assert!(world.enrolment.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_year_every_service_and_every_agent_gets_another_certificate_once() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(A_LOOK).await;
            let before = certificates(&world);
            a_year_passes(&world);
            world.parts.forget_calls();
            let renewed = || certificates(&world).iter().all(|one| !before.contains(one));
            until(async || renewed()).await;
            until(async || world.enrolment.asked().len() == NODES.len()).await;
            sleep(A_LOOK * 3).await;
        })
        .await;
    let mut made = made(&world);
    made.sort();
    let expected = [
        "ensure lifecycle-manager on node-1",
        "ensure lifecycle-manager on node-2",
        "ensure node-manager on node-2",
        "ensure node-manager on node-3",
        "ensure platform-initializer on node-1",
        "ensure platform-initializer on node-2",
    ];
    assert_eq!(made, expected, "each once, and nothing that has no certificate");
    assert_eq!(world.enrolment.asked(), NODES.map(name));
    assert!(world.restarts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_next_instance_has_its_turn_only_when_the_one_before_is_ready() {
    let world = World::new();
    let (first, second) = (name("node-2"), name("node-3"));
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(A_LOOK).await;
            let before = [&first, &second].map(|node| certificate(&world, node, &placed()));
            a_year_passes(&world);
            until(async || certificate(&world, &first, &placed()) != before[0]).await;
            world.parts.set_healthy(&first, &placed(), false);
            sleep(Duration::from_secs(40)).await;
            assert_eq!(
                certificate(&world, &second, &placed()),
                before[1],
                "the first is not ready"
            );
            world.parts.set_healthy(&first, &placed(), true);
            until(async || certificate(&world, &second, &placed()) != before[1]).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_twin_is_not_ready_keeps_its_certificate_until_it_is() {
    let world = World::new();
    let initializer: PartName = "platform-initializer".parse().unwrap();
    let (first, second) = (name("node-1"), name("node-2"));
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            world.parts.set_healthy(&second, &initializer, false);
            let before = certificate(&world, &first, &initializer);
            a_year_passes(&world);
            sleep(A_LOOK * 3).await;
            assert_eq!(certificate(&world, &first, &initializer), before);
            world.parts.set_healthy(&second, &initializer, true);
            until(async || certificate(&world, &first, &initializer) != before).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lets_nobody_in_holds_up_no_other() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            a_year_passes(&world);
            until(async || world.enrolment.asked().len() >= NODES.len()).await;
            let all =
                NODES.map(name).into_iter().all(|node| world.enrolment.asked().contains(&node));
            assert!(all, "{:?}", world.enrolment.asked());
            sleep(Duration::from_mins(10)).await;
            assert!(world.enrolment.asked().len() < 15 * NODES.len(), "not again and again");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_come_up_with_its_new_certificate_ends_the_renewal() {
    let world = World::new();
    let first = name("node-1");
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            world.enrolment.comes_to(Outcome::Breaks);
            a_year_passes(&world);
            until(async || !world.enrolment.asked().is_empty()).await;
            sleep(Duration::from_mins(30)).await;
            let asked = world.enrolment.asked();
            assert!(asked.iter().all(|node| *node == first), "no other was touched: {asked:?}");
        })
        .await;
    // Its successor goes by what was written down.
    world
        .during(async {
            sleep(Duration::from_mins(30)).await;
            let asked = world.enrolment.asked();
            assert!(asked.iter().all(|node| *node == first), "no other was touched: {asked:?}");
            world.enrolment.comes_to(Outcome::Helps);
            world.machines.mend_agent(&first).await;
            let all = || NODES.map(name).iter().all(|node| world.enrolment.asked().contains(node));
            until(async || all()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_with_another_host_key_ends_the_renewal_until_a_person_has_looked() {
    let world = World::new();
    let first = name("node-1");
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            world.enrolment.comes_to(Outcome::KeyChanged);
            a_year_passes(&world);
            world.until_state("node-1", MachineState::Quarantined).await;
            sleep(Duration::from_mins(30)).await;
            let asked = world.enrolment.asked();
            assert!(asked.iter().all(|node| *node == first), "no other was touched: {asked:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn by_which_key_a_machine_was_entered_to_renew_its_agent_is_written_down() {
    let world = World::new();
    let (node, shown) = (name("node-4"), key("b"));
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            world.machines.show(&node, shown.clone());
            a_year_passes(&world);
            until(async || world.enrolment.asked().contains(&node)).await;
            sleep(A_LOOK).await;
        })
        .await;
    let record = world.read::<MachineRecord>(&path::machine(&node)).unwrap();
    assert_eq!((record.host_key, record.state), (Some(shown), MachineState::Ready));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_back_late_with_its_new_certificate_is_not_looked_after_by_two() {
    let world = World::new();
    world.enrolment.takes(Duration::from_secs(50));
    world
        .during(async {
            world.until_calm().await;
            sleep(A_LOOK).await;
            a_year_passes(&world);
            until(async || world.enrolment.asked().len() >= NODES.len()).await;
            sleep(A_LOOK).await;
        })
        .await;
    assert_eq!(world.enrolment.asked(), NODES.map(name), "each once");
    assert!(world.machines.restarted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_cut_off_anywhere_is_finished_by_the_next_leader() {
    for crash_after in 0..12 {
        let world = World::new();
        world
            .during(async {
                world.until_calm().await;
                world.wish(&["node-2", "node-3"], None);
                world.until_ready_on(&["node-2", "node-3"]).await;
                sleep(A_LOOK).await;
            })
            .await;
        let before = certificates(&world);
        a_year_passes(&world);
        world
            .during(sleep(Duration::from_secs(5) + Duration::from_millis(400) * crash_after))
            .await;
        world
            .during(async {
                let renewed = || certificates(&world).iter().all(|one| !before.contains(one));
                until(async || renewed()).await;
            })
            .await;
        assert!(world.restarts().is_empty(), "after {crash_after} steps");
    }
}
