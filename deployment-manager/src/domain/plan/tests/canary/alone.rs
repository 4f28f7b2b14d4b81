//! A canary that gets all requests, and why.

use common::record::deployment::{Slot, SlotState};

use super::*;

/// Why it got all requests.
fn why_all(world: &World) -> &str {
    let mut decisions = world.deployment.as_ref().unwrap().decisions.iter();
    let got = decisions.find(|one| one.kind == DecisionKind::Promoted);
    &got.unwrap().reason
}

#[test]
fn one_that_is_all_there_is_takes_over_and_nobody_is_said_to_have_asked() {
    let mut world = running(3, 1);
    world.canary(10);
    let is_routed = |slot: &Slot| slot.generation.0 == 2 && slot.state == SlotState::Routed;
    while !world.deployment.as_ref().unwrap().slots.iter().any(is_routed) {
        world.answer();
        assert!(world.step());
    }
    for slot in &mut world.deployment.as_mut().unwrap().slots {
        // What is served is out of the route for now.
        if slot.generation.0 == 1 {
            slot.state = SlotState::Ready;
        }
    }
    world.deploy();
    assert_eq!(why_all(&world), "release 2 gets all requests, as nothing else of the app serves");
    let mut world = running(3, 1);
    world.canary(10);
    world.run();
    world.of_canary(Way::Promoted, None);
    world.run();
    assert_eq!(why_all(&world), "release 2 gets all requests, as was asked for");
}
