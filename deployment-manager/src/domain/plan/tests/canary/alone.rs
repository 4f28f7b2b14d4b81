//! A canary that gets all requests, why, and what becomes of the rest.

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

/// What was served is lost, and what takes its place beside the canary is in the route already, and nobody noted it.
fn with_another_in_the_route() -> World {
    let mut world = with_canary(1, 10);
    let deployment = world.deployment.as_mut().unwrap();
    let served = deployment.slots.iter().find(|slot| slot.generation.0 == 1).unwrap();
    let slot = served.placement_request;
    let change = Change::Condemned { slot, failure: failure(FailureCode::AppExited) };
    note(deployment, &[change], &world.patience, world.now);
    let is_ready = |slot: &Slot| slot.generation.0 == 1 && slot.state == SlotState::Ready;
    while !world.deployment.as_ref().unwrap().slots.iter().any(is_ready) {
        world.answer();
        assert!(world.step());
    }
    world.luck = Luck::Unheard;
    world.step();
    assert_eq!(world.edge.len(), 2);
    world.done.clear();
    world
}

#[test]
fn a_promotion_tells_the_edge_also_where_the_record_knows_nobody_else_in_the_route() {
    let mut world = with_another_in_the_route();
    world.of_canary(Way::Promoted, None);
    world.expect_steps(&expect![[r"
        route to replica 2 on node-2
        remove replica 1 on node-1
        ask through the front door, then say that it runs
        route to replica 2 on node-2
        remove replica 3 on node-3
    "]]);
    world.assert_settled();
}

#[test]
fn what_a_newer_release_finds_in_the_route_beside_a_promoted_canary_is_taken_out_before_it_goes() {
    let mut world = with_another_in_the_route();
    world.of_canary(Way::Promoted, None);
    world.deploy();
    // Nobody says yet where the newer one is placed.
    while world.step() {}
    assert!(world.edge.iter().all(|one| one.2.0 == 2), "{:?}", world.edge);
    world.run();
    world.assert_settled();
}
