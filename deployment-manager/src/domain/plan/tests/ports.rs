//! Host ports that somebody else has.

use std::iter::repeat_n;

use jiff::SignedDuration;

use super::*;

pub(super) fn taken(times: usize) -> impl Iterator<Item = Luck> {
    repeat_n(Luck::Start(FailureCode::PortTaken), times)
}

#[test]
fn a_deploy_passes_by_those_that_are_taken_one_after_the_other() {
    let mut world = World::new(1, 1);
    world.deploy();
    world.meet(taken(8));
    world.run();
    assert_eq!(world.state(), State::Running);
    world.assert_settled();
}

#[test]
fn it_does_not_do_so_for_ever() {
    let mut world = World::new(1, 1);
    world.deploy();
    world.meet(taken(9));
    world.run();
    assert_eq!(world.state(), State::Failed);
    world.assert_settled();
}

#[test]
fn what_is_served_passes_them_by_without_a_wait_and_then_waits() {
    for (times, waits) in [(8, false), (9, true)] {
        let mut world = running(1, 1);
        let began = world.now;
        world.seen.replicas = 2;
        world.meet(taken(times));
        world.run();
        assert_eq!(world.now > began, waits, "{times}: {:#?}", world.done);
        world.assert_settled();
    }
}

#[test]
fn after_a_wait_it_passes_as_many_by_again() {
    for (times, waits) in [(8, false), (9, true)] {
        let mut world = running(1, 1);
        world.seen.replicas = 2;
        world.meet(taken(9));
        world.now += SignedDuration::from_mins(6);
        let began = world.now;
        world.meet(taken(times));
        world.run();
        assert_eq!(world.now > began, waits, "{times}: {:#?}", world.done);
        world.assert_settled();
    }
}
