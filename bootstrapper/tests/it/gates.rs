//! Machines that other machines reach elsewhere than one signs in, and who can only sign in.

use bootstrapper::state::{Book as _, Phase, State};
use bootstrapper::{Novelty, Trouble, plan};
use common::id::Epoch;
use common::port::Parts as _;
use common::port::nodes::{Agent, Issuer};
use common::service::ServiceName;
use testkit::hosts::Health;

use crate::applying::WHOLE;
use crate::files::described;
use crate::power::Cut;
use crate::world::{Computer, FILE, GIVEN, World};

const INSIDE: &str = "198.51.100.14";

/// Somebody outside, with a file that says where other machines reach the given one.
fn outside(world: &World, number: u64) -> Computer {
    let mut computer = world.computer(number);
    let gate = format!("address = \"{GIVEN}\"\n");
    let file = FILE.replace(&gate, &format!("{gate}internal_address = \"{INSIDE}\"\n"));
    let denied = "denied = [\"192.0.2.0/24\"";
    assert!(file != FILE && file.contains(denied));
    let file = file.replace(denied, &format!("{denied}, \"198.51.100.0/24\""));
    computer.description = described(&file).unwrap();
    computer
}

async fn apply(world: &World, number: u64) -> Result<State, Vec<Trouble>> {
    outside(world, number).apply().await
}

#[tokio::test(start_paused = true)]
async fn a_platform_is_made_of_machines_that_are_only_signed_in_to() {
    let world = World::behind_gates();
    let state = apply(&world, 1).await.unwrap();
    assert_eq!((world.shown(), state.phase), (WHOLE.map(str::to_owned).into(), Phase::Applied));
    let endpoints = state.endpoints.unwrap();
    assert_eq!(endpoints.kafka[0], "198.51.100.11:9092", "among themselves");
    assert_eq!(endpoints.edge, INSIDE);
}

#[tokio::test(start_paused = true)]
async fn who_knows_nothing_of_it_sees_through_the_gates_what_stands_there() {
    let world = World::behind_gates();
    apply(&world, 1).await.unwrap();
    let other = outside(&world, 2);
    let book = other.powered_book();
    let planned = plan(&other.ports, &other.description, &book, Novelty::Unsaid).await.unwrap();
    // Of the given one nobody here knows the host key.
    let made = planned.machines.iter().filter(|planned| planned.kind == "local");
    let steps: Vec<&String> = made.flat_map(|planned| &planned.steps).collect();
    let is_there = |step: &&String| step.starts_with("tell ") || step.starts_with("put ");
    assert!(!steps.is_empty() && steps.iter().all(is_there), "{steps:?}");
}

/// A lifecycle manager leads, and all nodes have heard of it.
async fn lead(world: &World) {
    let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
    for number in 1..=4 {
        let node = format!("node-{number}").parse().unwrap();
        let address = format!("198.51.100.{}:7443", 10 + number).parse().unwrap();
        let registry = "198.51.100.11:5000".parse().unwrap();
        world.parts.registry_at(&Agent { node, address }, leader, registry).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_a_platform_is_seen_also_where_nobody_here_knows_its_machines_keys() {
    let world = World::behind_gates();
    world.machines.vouch_for_no_key();
    apply(&world, 1).await.unwrap();
    lead(&world).await;
    let other = outside(&world, 2);
    let book = other.powered_book();
    let planned = plan(&other.ports, &other.description, &book, Novelty::Unsaid).await.unwrap();
    assert!(planned.kept_by_lifecycle_manager, "{planned:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lifecycle_manager_that_leads_is_heard_through_the_gates() {
    let world = World::behind_gates();
    let computer = outside(&world, 1);
    computer.apply().await.unwrap();
    lead(&world).await;
    let mut again = world.computer_with(1, Cut::Never, computer.book);
    again.description = computer.description;
    again.apply().await.unwrap();
    let said = again.heard.sentences();
    assert!(said.iter().any(|said| said.contains("keeps the platform")), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_gate_is_shut_is_told_and_the_others_become_nodes() {
    let world = World::behind_gates();
    world.hosts.with(GIVEN, |system| system.health = Health::Off);
    let mut computer = outside(&world, 1);
    computer.manner.novelty = Novelty::Said;
    let troubles = computer.apply().await.unwrap_err();
    assert_eq!(troubles[0].code, "MACHINE_UNREACHABLE");
    let nodes = world.shown().iter().filter(|line| line.contains("agent=true")).count();
    assert_eq!((nodes, computer.book.load().unwrap().unwrap().machines.len()), (3, 3));
}
