//! A platform has one authority, whatever becomes of its first machine.

use std::sync::Arc;

use bootstrapper::plan;
use bootstrapper::state::Phase;
use common::port::Machines as _;
use testkit::hosts::machine_programs as engine;

use crate::agents::LEDGER;
use crate::applying::WHOLE;
use crate::power::Cut;
use crate::world::{Computer, GIVEN, World};

const FIRST: &str = "192.0.2.11";
const AUTHORITY: &str = "/var/lib/avishkar/platform/authority.json";
const TRUSTED: &str = "/etc/avishkar/pki/ca.pem";

/// A platform whose first machine is another one now, and its own operator's computer.
async fn bereft() -> (World, Computer) {
    let world = World::new();
    let computer = world.computer(1);
    computer.apply().await.unwrap();
    world.machines.delete(&"node-1".parse().unwrap()).await.unwrap();
    (world, computer)
}

fn file(world: &World, address: &str, path: &str) -> String {
    world.hosts.with(address, |system| engine::text(system, path))
}

/// No lifecycle manager is left.
fn without_keepers(world: &World) {
    for address in ["192.0.2.12", "192.0.2.13"] {
        world.hosts.with(address, |system| engine::put(system, LEDGER, "{}"));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_lost_is_brought_back_from_a_lifecycle_managers_machine() {
    // One who knows the platform, and one who never heard of it.
    for number in [1, 2] {
        let (world, owner) = bereft().await;
        let book = if number == 1 { owner.book } else { Arc::default() };
        let computer = world.computer_with(number, Cut::Never, book);
        let state = computer.apply().await.unwrap();
        assert_eq!(state.authority.as_deref(), Some("authority 1"));
        let said = computer.heard.sentences();
        let sentence = "bring the platform's authority back to node-1 from node-2".to_owned();
        assert!(said.contains(&sentence), "{said:?}");
        assert_eq!(world.shown(), WHOLE);
        assert!(file(&world, FIRST, AUTHORITY).contains("key 1"));
        let ssh_key = file(&world, FIRST, "/var/lib/avishkar/platform/ssh.key");
        assert!(ssh_key.starts_with("content of "), "{ssh_key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_first_machine_has_heard_nobody_and_the_others_are_asked_as_well() {
    let (world, _) = bereft().await;
    world.lead(&[2, 3, 4]).await;
    let computer = world.computer(2);
    let state = computer.apply().await.unwrap();
    assert_eq!(state.phase, Phase::Applied);
    let said = computer.heard.sentences();
    assert!(said.iter().any(|said| said.contains("keeps the platform")), "{said:?}");
    assert!(
        !said.iter().any(|said| said.starts_with("run ") && !said.contains("agent")),
        "{said:?}"
    );
    // What only an operator can bring is brought.
    assert!(said.contains(&"run the agent on node-1".to_owned()), "{said:?}");
    assert_eq!(world.shown(), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_it_any_more_no_second_one_is_made() {
    let (world, owner) = bereft().await;
    without_keepers(&world);
    for computer in [world.computer_with(1, Cut::Never, owner.book), world.computer(2)] {
        let troubles = computer.apply().await.unwrap_err();
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert_eq!(trouble.code, "AUTHORITY_LOST");
        assert_eq!(trouble.machine.as_ref().unwrap().as_str(), "node-1");
        assert!(trouble.cause.starts_with("node-2, node-3, node-4 trust "), "{trouble}");
        assert!(trouble.hint.contains("(node-2, node-3)"), "{trouble}");
        assert_eq!(file(&world, FIRST, AUTHORITY), "");
        for address in ["192.0.2.12", "192.0.2.13", GIVEN] {
            assert_eq!(file(&world, address, TRUSTED), "authority 1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_of_another_platform_is_left_to_it() {
    let theirs = |world: &World| {
        world.hosts.with(GIVEN, |system| engine::put(system, TRUSTED, "authority 7"));
    };
    // Who knows nothing cannot tell which of the two is the platform's.
    let (world, _) = bereft().await;
    theirs(&world);
    let troubles = world.computer(2).apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "AUTHORITY_LOST");
    assert!(troubles[0].cause.contains("different authorities"), "{}", troubles[0]);
    let (world, owner) = bereft().await;
    theirs(&world);
    let troubles = world.computer_with(1, Cut::Never, owner.book).apply().await.unwrap_err();
    let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
    assert_eq!(
        (trouble.code, trouble.machine.as_ref().unwrap().as_str()),
        ("NODE_FOREIGN", "node-4")
    );
    assert_eq!(file(&world, GIVEN, TRUSTED), "authority 7");
    assert!(file(&world, FIRST, AUTHORITY).contains("key 1"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_begins_with_another_machine_moves_no_authority() {
    let world = World::new();
    world.computer(1).apply().await.unwrap();
    let mut computer = world.computer(2);
    computer.description.platform.machines.swap(0, 1);
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "AUTHORITY_LOST");
    assert!(troubles[0].hint.contains("write node-1 as the first"), "{}", troubles[0]);
    assert_eq!(file(&world, "192.0.2.12", AUTHORITY), "");
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_where_it_is_brought_back_from_and_touches_nothing() {
    let (world, owner) = bereft().await;
    let of = async |computer: &Computer| {
        plan(&computer.ports, &computer.description, computer.book.as_ref()).await
    };
    let planned = of(&owner).await.unwrap();
    assert_eq!(
        planned.machines[0].steps[0],
        "bring the platform's authority back to node-1 from node-2"
    );
    without_keepers(&world);
    assert_eq!(of(&owner).await.unwrap_err()[0].code, "AUTHORITY_LOST");
    assert_eq!(world.machines.specs().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whenever_the_power_goes_while_it_is_brought_back_it_is_the_same_one() {
    let (world, owner) = bereft().await;
    let book = Arc::clone(&owner.book);
    let steady = world.computer_with(1, Cut::Never, book);
    steady.apply().await.unwrap();
    for call in 0..steady.power.calls() {
        for cut in [Cut::Before(call), Cut::After(call)] {
            let (world, _) = bereft().await;
            let computer = world.computer_with(2, cut, Arc::default());
            tokio::select! {
                biased;
                () = computer.power.gone() => {}
                done = computer.apply() => drop(done),
            }
            let again = world.computer_with(2, Cut::Never, computer.book);
            let state = again.apply().await.unwrap_or_else(|err| panic!("{cut:?}: {err:?}"));
            assert_eq!(state.authority.as_deref(), Some("authority 1"), "{cut:?}");
            assert_eq!(world.shown(), WHOLE, "{cut:?}");
        }
    }
}
