//! What has just taken over is watched, and what is seen to fail goes.

use std::collections::BTreeSet;

use common::failure::Failure;
use common::id::ReleaseNumber;
use common::record::course::DecisionKind;
use jiff::SignedDuration;

use super::*;

fn rose() -> Failure {
    failure(FailureCode::ErrorsRose)
}

fn watched(replicas: usize) -> World {
    let mut world = World::new(2, replicas);
    world.patience.watch = SignedDuration::from_secs(5);
    world.deploy();
    world.run();
    assert_eq!(world.state(), State::Running, "nothing to go back to is not waited for");
    world.done.clear();
    world
}

fn took_over(world: &mut World) {
    world.deploy();
    took_over_now(world);
}

fn took_over_now(world: &mut World) {
    world.run();
    assert_eq!(world.state(), State::Routing);
    assert!(world.done.last().unwrap().starts_with("route to"), "{:?}", world.done);
}

#[test]
fn a_release_that_has_taken_over_is_looked_at_again_and_again_before_the_one_before_goes() {
    let mut world = watched(2);
    took_over(&mut world);
    for _ in 0..4 {
        let deployment = world.deployment.as_ref().unwrap();
        let step = next_step(deployment, &world.seen, &world.patience, world.now);
        assert_eq!(step, Step::Rest { until: Some(world.now + SignedDuration::from_secs(1)) });
        assert_eq!(world.containers.len(), 4, "those of before are still there");
        world.wait(1);
    }
    world.wait(1);
    world.run();
    assert_eq!(world.state(), State::Running);
    world.assert_settled();
}

#[test]
fn one_that_fails_then_gives_all_back_and_its_request_fails_once() {
    let mut world = watched(2);
    let edge = world.edge.clone();
    took_over(&mut world);
    world.seen.regress = Some(rose());
    world.run();
    world.seen.regress = None;
    world.run();
    assert_eq!((world.state(), &world.edge), (State::Failed, &edge));
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!(deployment.failure, Some(rose()));
    let last = deployment.decisions.last().unwrap();
    assert_eq!(last.kind, DecisionKind::BackedOut);
    assert_eq!(last.reason, "release 1 gets all requests again, without release 2: by bad luck");
}

#[test]
fn a_canary_is_looked_at_for_as_long_as_it_is_one_and_goes_when_it_fails() {
    let mut world = watched(2);
    let edge = world.edge.clone();
    world.canary(10);
    world.run();
    world.wait(5);
    world.run();
    assert_eq!(world.state(), State::Running);
    let deployment = world.deployment.as_ref().unwrap();
    let step = next_step(deployment, &world.seen, &world.patience, world.now);
    assert_eq!(step, Step::Rest { until: Some(world.now + SignedDuration::from_secs(2)) });
    world.seen.regress = Some(rose());
    world.run();
    assert_eq!((world.state(), &world.edge), (State::Running, &edge));
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!((&deployment.canary, &deployment.failure), (&None, &Some(rose())));
    assert_eq!(deployment.decisions.last().unwrap().kind, DecisionKind::BackedOut);
    // The next one is judged anew.
    world.seen.regress = None;
    world.deploy();
    world.run();
    world.wait(5);
    world.run();
    assert_eq!(world.deployment.as_ref().unwrap().failure, None);
    world.assert_settled();
}

#[test]
fn what_takes_over_just_in_time_is_watched_for_less() {
    let mut world = watched(1);
    world.deploy();
    world.wait(597);
    took_over_now(&mut world);
    world.wait(2);
    world.run();
    assert_eq!(world.state(), State::Running);
    world.assert_settled();
}

#[test]
fn a_promotion_is_watched_from_when_it_gets_all() {
    let mut world = watched(1);
    world.canary(50);
    world.run();
    world.wait(5);
    world.run();
    world.wait(600);
    world.of_canary(Way::Promoted, None);
    took_over_now(&mut world);
    world.seen.regress = Some(rose());
    world.run();
    world.seen.regress = None;
    world.run();
    assert_eq!((world.state(), world.deployment.as_ref().unwrap().release.0), (State::Failed, 2));
    assert_eq!(world.deployment.as_ref().unwrap().serving.as_ref().unwrap().release.0, 1);
    world.assert_settled();
}

/// The generations that the edge serves at once, as they come one after the other, until nothing is left to do.
fn fronts(world: &mut World) -> Vec<BTreeSet<u64>> {
    let mut fronts: Vec<BTreeSet<u64>> = Vec::new();
    for _ in 0..100 {
        world.answer();
        let went = world.step();
        let front = world.edge.iter().map(|one| one.2.0).collect();
        if fronts.last() != Some(&front) {
            fronts.push(front);
        }
        if !went {
            world.wait(1);
        }
    }
    fronts
}

fn serving(world: &World) -> u32 {
    world.deployment.as_ref().unwrap().serving.as_ref().unwrap().release.0
}

#[test]
fn a_newer_release_takes_over_from_the_one_that_is_watched_and_not_from_the_one_before_it() {
    let mut world = watched(2);
    took_over(&mut world);
    world.deploy();
    assert_eq!(fronts(&mut world), [BTreeSet::from([2]), BTreeSet::from([3])]);
    assert_eq!((world.state(), serving(&world)), (State::Running, 3));
    let kept = world.deployment.as_ref().unwrap().releases.iter();
    assert_eq!(kept.map(|kept| kept.number.0).collect::<Vec<_>>(), [1, 2, 3]);
    world.assert_settled();
}

#[test]
fn a_newer_release_that_fails_leaves_the_one_that_was_watched() {
    let mut world = watched(2);
    took_over(&mut world);
    world.deploy();
    world.luck = Luck::Probe(FailureCode::AppExited);
    assert_eq!(fronts(&mut world), [BTreeSet::from([2])]);
    assert_eq!((world.state(), serving(&world)), (State::Failed, 2));
    world.assert_settled();
}

#[test]
fn the_release_before_is_in_front_at_once_where_it_is_what_is_wanted() {
    let mut world = watched(2);
    took_over(&mut world);
    world.deploy_release(ReleaseNumber(1), Way::RolledBack);
    let fronts = fronts(&mut world);
    assert_eq!(fronts, [BTreeSet::from([1]), BTreeSet::from([3])], "generations");
    assert_eq!((world.state(), serving(&world)), (State::Running, 1));
    world.assert_settled();
}

#[test]
fn a_canary_beside_what_is_watched_leaves_that_in_front() {
    let mut world = watched(2);
    took_over(&mut world);
    world.canary(10);
    assert_eq!(fronts(&mut world), [BTreeSet::from([2]), BTreeSet::from([2, 3])]);
    assert_eq!((world.state(), serving(&world)), (State::Running, 2));
    world.assert_settled();
}

#[test]
fn what_is_watched_stays_in_front_while_its_node_is_emptied() {
    let mut world = watched(1);
    took_over(&mut world);
    let home = world.edge.first().unwrap().0.clone();
    let number = (1..=2).find(|number| node(*number) == home).unwrap();
    world.set_verdict(number, Verdict::Draining);
    assert_eq!(fronts(&mut world), [BTreeSet::from([2])]);
    assert_ne!(world.edge.first().unwrap().0, home);
    assert_eq!((world.state(), serving(&world)), (State::Running, 2));
    world.assert_settled();
}
