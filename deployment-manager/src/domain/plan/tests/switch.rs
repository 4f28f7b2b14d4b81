//! From one generation to the next one, and back.

use jiff::SignedDuration;

use super::*;

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
