//! From one generation to the next one, and back.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;
use crate::domain::observed::Listing;

#[test]
fn a_failed_front_door_brings_the_old_replicas_back() {
    let mut world = running(1, 1);
    world.deploy();
    while !world.done.iter().any(|step| step.starts_with("route to")) {
        world.answer();
        world.step();
    }
    let deployment = world.deployment.as_mut().unwrap();
    let change = Change::GivenUp { failure: failure(FailureCode::RouteFailed) };
    let now = world.now;
    note(deployment, &[change], &Patience::default(), now);
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replica 2 on node-1
        look whether replica 2 on node-1 can be reached
        route to replica 2 on node-1
        route to replica 1 on node-1
        remove replica 2 on node-1
        say that it failed
    "]]);
    world.assert_settled();
}

#[test]
fn a_node_that_dies_during_the_switch_does_not_switch_back() {
    let mut world = running(2, 2);
    world.deploy();
    while !world.done.iter().any(|step| step.starts_with("route to")) {
        world.answer();
        world.step();
    }
    world.done.clear();
    world.set_verdict(1, Verdict::Dead);
    world.expect_steps(&expect![[r"
        ask for a node for a replica of generation 2
        ask for a node for a replica of generation 1
        route to replica 3 on node-2
        start replica 5 on node-2
        start replica 6 on node-2
        look whether replicas 5 on node-2 and 6 on node-2 can be reached
        route to replicas 3 on node-2 and 5 on node-2
        leave replicas 2 on node-1 and 4 on node-1 to the sweep
        ask through the front door, then say that it runs
        route to replicas 3 on node-2 and 5 on node-2
        remove replicas 1 on node-2 and 6 on node-2
    "]]);
    world.set_verdict(1, Verdict::Live);
    world.run();
    world.sweep();
    world.assert_settled();
}

/// A release has taken over; for a moment its node is dead, and visitors get the one before again, of which nobody hears.
fn led_back_unheard() -> World {
    let mut world = running(2, 1);
    world.patience.watch = SignedDuration::from_secs(5);
    world.deploy();
    world.run();
    let newest = world.edge.clone();
    let home = newest.first().unwrap().0.clone();
    let number = (1..=2).find(|number| node(*number) == home).unwrap();
    world.set_verdict(number, Verdict::Dead);
    world.luck = Luck::Unheard;
    while world.luck == Luck::Unheard {
        assert!(world.step(), "{:?}", world.done);
    }
    assert_ne!(world.edge, newest, "they get the one before");
    world.set_verdict(number, Verdict::Live);
    world
}

#[test]
fn what_visitors_may_have_got_again_goes_only_once_the_edge_is_told_otherwise() {
    let mut world = led_back_unheard();
    world.run();
    assert_eq!(world.state(), State::Routing, "it is watched");
    world.wait(5);
    world.run();
    assert_eq!(world.state(), State::Running);
    world.assert_settled();
}

#[test]
fn a_newer_release_takes_nothing_away_that_visitors_may_have_got_again() {
    let mut world = led_back_unheard();
    world.deploy();
    // What may go goes before there is a node for the newer one.
    while world.step() {}
    assert_eq!(world.edge.len(), 1, "{:?}", world.done);
    assert!(world.edge.is_subset(&world.containers), "{:?}", world.done);
    world.run();
    world.wait(5);
    world.run();
    let serving = world.deployment.as_ref().unwrap().serving.clone().unwrap();
    assert_eq!((world.state(), serving.release.0), (State::Running, 3));
    world.assert_settled();
}

/// Release 2 has just taken over, and the edge is still to be told so once more.
fn just_taken_over() -> World {
    let mut world = running(2, 1);
    world.deploy();
    while world.state() != State::Running {
        world.answer();
        assert!(world.step(), "{:?}", world.done);
    }
    world.done.clear();
    world
}

#[test]
fn while_the_edge_cannot_be_told_the_next_release_comes_up_and_what_was_before_waits() {
    let mut world = just_taken_over();
    world.luck = Luck::Away;
    world.deploy();
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replica 3 on node-2
        look whether replica 3 on node-2 can be reached
    "]]);
    assert_eq!(world.containers.len(), 3, "{:?}", world.containers);
    world.luck = Luck::Good;
    world.run();
    assert_eq!(world.state(), State::Running);
    world.assert_settled();
}

#[test]
fn nor_does_what_is_missing_wait_for_the_edge() {
    let mut world = just_taken_over();
    world.luck = Luck::Away;
    let home = world.edge.first().unwrap().0.clone();
    let at = world.now + SignedDuration::from_secs(1);
    world.seen.listings.insert(home, Listing { at, containers: BTreeMap::new() });
    world.expect_steps(&expect![[r"
        bring back replica 2 on node-1
    "]]);
    assert_eq!(world.containers.len(), 2, "{:?}", world.containers);
    world.seen.listings.clear();
    world.luck = Luck::Good;
    world.run();
    world.assert_settled();
}

/// Of what has just taken over nothing is left, and there is room for nothing while the route leads to `upstreams`.
fn all_lost(route: impl Fn(&World) -> Vec<Upstream>) -> World {
    let mut world = just_taken_over();
    let home = world.edge.first().unwrap().0.clone();
    let number = (1..=2).find(|number| node(*number) == home).unwrap();
    world.set_verdict(number, Verdict::Dead);
    while world.step() {}
    assert_eq!(world.done, ["ask for a node for a replica of generation 2"]);
    world.seen.upstreams = Some(route(&world));
    while world.step() {}
    world
}

fn recovers(mut world: World) {
    world.run();
    world.seen.nodes.values_mut().for_each(|verdict| *verdict = Verdict::Live);
    world.sweep();
    world.assert_settled();
}

#[test]
fn what_was_before_takes_no_room_away_from_what_was_lost() {
    let world = all_lost(|world| world.upstreams.clone());
    assert!(world.containers.iter().all(|one| one.2.0 == 2), "{:?}", world.containers);
    assert!(world.edge.iter().all(|one| one.2.0 == 2), "{:?}", world.edge);
    recovers(world);
}

#[test]
fn it_stays_where_the_route_may_lead_to_it() {
    let world = all_lost(|world| {
        let deployment = world.deployment.as_ref().unwrap();
        upstreams(deployment, &[&deployment.slots[0]])
    });
    assert!(world.containers.iter().any(|one| one.2.0 == 1), "{:?}", world.containers);
    recovers(world);
}
