//! The way back.

use common::port::Machines as _;
use rollout::machine::{Goal, NoJournal, observe, removal, remove};
use testkit::hosts::machine_programs::running_agent;

use crate::world::{ADDRESS, Notes, World, ensure};

#[tokio::test(start_paused = true)]
async fn nothing_of_the_platform_is_left_on_a_given_machine() {
    let world = World::new();
    let goal = world.given();
    let machine = ensure(&world.ports, &goal, &Notes::default()).await.unwrap();
    let goal = Goal { machine, ..goal };
    let seen = observe(&world.ports, &goal).await.unwrap();
    let steps: Vec<String> = removal(&goal, &seen).iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "remove the agent from node-1",
            "remove all of the platform's containers from node-1",
            "remove the platform's folders from node-1",
        ]
    );
    for _ in 0..2 {
        remove(&world.ports, &goal, &NoJournal).await.unwrap();
        world.hosts.with(ADDRESS, |system| {
            assert_eq!(running_agent(system), None);
            let ours = |path: &&String| path.contains("avishkar");
            assert_eq!(system.files.keys().find(ours), None);
            assert_eq!(system.folders.iter().find(ours), None);
        });
    }
    let effects = world.effects();
    let place = |effect: &str| effects.iter().position(|done| done == effect);
    assert!(place("remove containers").is_some());
    assert!(place("stop the address") < place("remove containers"), "{effects:?}");
    assert!(place("stop the address").is_some(), "{effects:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_made_is_deleted_even_if_it_lets_nobody_in() {
    let (world, goal) = (World::new(), World::local());
    let made = Notes::ending_at(2);
    ensure(&world.ports, &goal, &made).await.unwrap_err();
    let goal = Goal { machine: made.known().unwrap(), ..goal };
    world.machines.power_off(&goal.machine.name);
    for left in [1, 0] {
        assert_eq!(world.machines.specs().len(), left);
        remove(&world.ports, &goal, &NoJournal).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_made_again_by_somebody_else_is_deleted_as_well() {
    let (world, goal) = (World::new(), World::local());
    let made = Notes::ending_at(2);
    ensure(&world.ports, &goal, &made).await.unwrap_err();
    let goal = Goal { machine: made.known().unwrap(), ..goal };
    let spec = world.machines.specs().remove(0);
    world.machines.delete(&spec.name).await.unwrap();
    let again = world.machines.create(&spec).await.unwrap();
    assert_ne!(again.host_key, goal.machine.host_key);
    remove(&world.ports, &goal, &NoJournal).await.unwrap();
    assert!(world.machines.specs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_nobody_ever_signed_in_to_is_left_alone() {
    let world = World::new();
    let goal = world.given();
    remove(&world.ports, &goal, &NoJournal).await.unwrap();
    assert_eq!(world.hosts.told(ADDRESS), []);
}
