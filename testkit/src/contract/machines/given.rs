//! What holds of machines that somebody else made.

use common::name::NodeName;
use common::port::machines::{Ability, Error, MachineSpec, Power, Shape};

use super::{GivenWorld, within};

fn unknown() -> NodeName {
    "nobody-gave-it".parse().expect("it is a name")
}

fn spec(world: &dyn GivenWorld, name: NodeName) -> MachineSpec {
    MachineSpec { name, authorized_key: world.authorized_key(), shape: Shape::Given }
}

pub(super) async fn machines_are_listed_and_found(world: &dyn GivenWorld) {
    let machines = world.machines();
    let found = within(machines.look(&world.given())).await.expect("it can be looked at");
    assert_eq!(found.as_ref().map(|machine| machine.power), Some(Power::Running), "it runs");
    let listed = within(machines.list()).await.expect("machines can be listed");
    let names: Vec<NodeName> = listed.into_iter().map(|machine| machine.name).collect();
    assert!(names.is_sorted(), "sorted by name");
    assert!(names.contains(&world.given()) && names.contains(&world.silent()), "all: {names:?}");
    let made = within(machines.create(&spec(world, world.given()))).await;
    assert_eq!(made.ok(), found, "a machine that exists is made already");
    let started = within(machines.start(&world.given())).await;
    assert_eq!(started.ok(), found, "a machine that runs is started already");
}

pub(super) async fn machines_that_do_not_answer_are_unknown(world: &dyn GivenWorld) {
    let machines = world.machines();
    let silent = within(machines.look(&world.silent())).await.expect("it can be looked at");
    assert_eq!(silent.map(|machine| machine.power), Some(Power::Unknown), "nobody can tell");
    let nobody = within(machines.look(&unknown())).await.expect("it can be looked at");
    assert_eq!(nobody, None, "nobody gave it");
    let restarted = within(machines.restart(&unknown())).await;
    assert!(matches!(restarted, Err(Error::NotFound(_))), "nobody gave it: {restarted:?}");
    let restarted = within(machines.restart(&world.silent())).await;
    let told = matches!(&restarted, Err(err @ Error::Machine { .. }) if err.is_retryable());
    assert!(told, "it does not answer: {restarted:?}");
}

pub(super) async fn machines_cannot_be_made_or_removed(world: &dyn GivenWorld) {
    let machines = world.machines();
    let made = within(machines.create(&spec(world, unknown()))).await;
    assert!(cannot(world, &made, Ability::Create), "made: {made:?}");
    let deleted = within(machines.delete(&world.given())).await;
    assert!(cannot(world, &deleted, Ability::Delete), "deleted: {deleted:?}");
    within(machines.delete(&unknown())).await.expect("what is not there is deleted already");
}

pub(super) async fn machines_cannot_be_switched(world: &dyn GivenWorld) {
    let machines = world.machines();
    let stopped = within(machines.stop(&world.given())).await;
    assert!(cannot(world, &stopped, Ability::Stop), "stopped: {stopped:?}");
    let started = within(machines.start(&world.silent())).await;
    assert!(cannot(world, &started, Ability::Start), "started: {started:?}");
}

pub(super) async fn machines_begin_anew_when_restarted(world: &dyn GivenWorld) {
    let name = world.given();
    let boot = world.boot(&name).await;
    let restarted = within(world.machines().restart(&name)).await;
    let machine = restarted.expect("it can be restarted");
    assert_eq!((&machine.name, machine.power), (&name, Power::Running), "it runs");
    assert_ne!(world.boot(&name).await, boot, "it booted");
}

/// Whether it was refused with the sentence that the backend gives for it.
fn cannot<T>(world: &dyn GivenWorld, asked: &Result<T, Error>, ability: Ability) -> bool {
    let sentence = world.machines().lacks(ability);
    let Err(Error::Cannot { what, why, .. }) = asked else { return false };
    *what == ability && sentence == Some(why) && !why.is_empty()
}
