//! A replica that moves: the new one is started first, and never are fewer served than are wanted.

use std::collections::BTreeSet;

use common::name::NodeName;
use common::record::course::{Decision, DecisionKind};

use super::*;

/// Two replicas on node 1, and node 2 is back: one of them is to move.
fn begun() -> World {
    let mut world = World::new(1, 2);
    world.deploy();
    world.run();
    world.set_verdict(2, Verdict::Live);
    world.set_verdict(3, Verdict::Live);
    world.done.clear();
    begin(&mut world, 1, &[2, 3]);
    world
}

fn begin(world: &mut World, slot: u32, to: &[usize]) {
    let deployment = world.deployment.as_mut().unwrap();
    let old = deployment.slots.iter().find(|one| one.number.0 == slot).unwrap().placement_request;
    let to: BTreeSet<NodeName> = to.iter().map(|number| node(*number)).collect();
    let change = Change::Moving { replica: old, to, reason: "node-2 has none".to_owned() };
    note(deployment, &[change], &Patience::default(), world.now);
}

fn only_live(world: &mut World, number: usize) {
    for other in 1..=3 {
        let verdict = if other == number { Verdict::Live } else { Verdict::Suspect };
        world.set_verdict(other, verdict);
    }
}

fn last(world: &World) -> (DecisionKind, String) {
    let last = world.deployment.as_ref().unwrap().decisions.last().unwrap();
    (last.kind, last.reason.clone())
}

#[test]
fn the_new_one_is_started_and_served_before_the_old_one_goes() {
    let mut world = begun();
    // Node 1 keeps what it has and gets nothing.
    only_live(&mut world, 2);
    world.expect_steps(&expect![[r"
        start replica 3 on node-2
        look whether replica 3 on node-2 can be reached
        route to replicas 1 on node-1, 2 on node-1 and 3 on node-2
        let go of the replica that was moved
        route to replicas 2 on node-1 and 3 on node-2
        remove replica 1 on node-1
    "]]);
    world.assert_settled();
    assert_eq!(
        last(&world),
        (DecisionKind::Moved, "replica 1 of node-1 is served from node-2 now".to_owned())
    );
    assert_eq!(world.deployment.as_ref().unwrap().moving, None);
}

#[test]
fn a_place_that_is_no_better_is_given_back_before_anything_is_started() {
    let mut world = begun();
    only_live(&mut world, 1);
    world.expect_steps(&expect![[r"
        move nothing: the node manager chose node-1, where it is no better off
        withdraw replica 3 on node-1
        remove replica 3 on node-1
    "]]);
    world.assert_settled();
    assert_eq!(last(&world).0, DecisionKind::NotMoved);
}

#[test]
fn a_new_one_that_does_not_start_leaves_the_old_one_where_it_is() {
    let mut world = begun();
    only_live(&mut world, 2);
    world.luck = Luck::Probe(FailureCode::AppExited);
    world.run();
    world.sweep();
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!((last(&world).0, &deployment.failure), (DecisionKind::NotMoved, &None));
    assert!(world.edge.iter().all(|one| one.0 == node(1)), "{:?}", world.edge);
}

#[test]
fn a_node_that_dies_during_a_move_ends_it_and_as_many_as_are_wanted_are_served() {
    for dead in [1, 2] {
        for steps in 0..6 {
            let mut world = begun();
            only_live(&mut world, 2);
            for _ in 0..steps {
                world.answer();
                world.step();
            }
            world.set_verdict(3, Verdict::Live);
            world.set_verdict(dead, Verdict::Dead);
            world.run();
            world.set_verdict(dead, Verdict::Live);
            world.run();
            world.sweep();
            world.assert_settled();
            assert_eq!(world.deployment.as_ref().unwrap().moving, None, "{dead} after {steps}");
        }
    }
}

/// Replica 1 moves from node 2 to node 3; replica 2 is on node 1.
fn begun_beside_another() -> World {
    let mut world = running(2, 2);
    world.set_verdict(3, Verdict::Live);
    begin(&mut world, 1, &[3]);
    only_live(&mut world, 3);
    world
}

#[test]
fn the_new_one_takes_the_place_of_another_one_that_goes_meanwhile() {
    let mut world = begun_beside_another();
    world.answer();
    world.step();
    world.set_verdict(1, Verdict::Draining);
    world.expect_steps(&expect![[r"
        start replica 3 on node-3
        move nothing: the new replica takes the place of another one that goes
        look whether replica 3 on node-3 can be reached
        route to replicas 1 on node-2 and 3 on node-3
        remove replica 2 on node-1
    "]]);
    world.assert_settled();
    assert_eq!(last(&world).0, DecisionKind::NotMoved);
}

fn drained(world: &mut World) {
    world.set_verdict(1, Verdict::Draining);
}

fn killed(world: &mut World) {
    world.set_verdict(1, Verdict::Dead);
}

fn lost(world: &mut World) {
    let deployment = world.deployment.as_mut().unwrap();
    let slot = deployment.slots.iter().find(|slot| slot.number.0 == 2).unwrap().placement_request;
    let change = Change::Condemned { slot, failure: failure(FailureCode::PortTaken) };
    note(deployment, &[change], &Patience::default(), world.now);
    world.containers.retain(|one| one.1.0 != 2);
}

/// How many replicas get requests and can answer them.
fn answering(world: &World) -> usize {
    let dead = |one: &NodeName| world.seen.nodes.get(one) == Some(&Verdict::Dead);
    let served = world.edge.iter();
    served.filter(|one| world.containers.contains(*one) && !dead(&one.0)).count()
}

#[test]
fn another_replica_that_goes_during_a_move_leaves_no_fewer_than_there_were() {
    let harms: [fn(&mut World); 3] = [drained, killed, lost];
    for (steps, harm) in (0..4).flat_map(|steps| harms.map(|harm| (steps, harm))) {
        let mut world = begun_beside_another();
        for _ in 0..steps {
            world.answer();
            world.step();
        }
        harm(&mut world);
        let mut most = 0;
        for _ in 0..50 {
            world.answer();
            if !world.step() {
                world.wait(1);
            }
            let answering = answering(&world);
            most = most.max(answering.min(2));
            assert!(answering >= most, "after {steps}: {:#?}", world.done);
        }
        assert_eq!(most, 2);
        world.set_verdict(1, Verdict::Live);
        world.run();
        world.sweep();
        world.assert_settled();
    }
}

#[test]
fn a_move_that_nobody_finds_a_place_for_is_forgotten_in_two_minutes() {
    let mut world = begun();
    for (seconds, is_under_way) in [(119, true), (1, false)] {
        world.wait(seconds);
        while world.step() {}
        assert_eq!(world.deployment.as_ref().unwrap().moving.is_some(), is_under_way, "{seconds}");
    }
    let why = "the new replica did not come up".to_owned();
    assert_eq!(last(&world), (DecisionKind::NotMoved, why));
    world.run();
    world.assert_settled();
}

#[test]
fn a_deploy_or_a_stop_ends_a_move() {
    let mut world = begun();
    world.answer();
    world.deploy();
    assert_eq!(world.deployment.as_ref().unwrap().moving, None);
    world.run();
    world.assert_settled();
    let mut world = begun();
    world.answer();
    world.stop();
    assert_eq!(world.deployment.as_ref().unwrap().moving, None);
    world.run();
    world.assert_settled();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Without a node that dies, the edge never serves fewer replicas than are wanted, however moves and steps follow
    /// upon each other and whether they succeed.
    #[test]
    fn moves_never_take_a_replica_from_the_edge(
        turns in prop::collection::vec((0..8_u32, 1..=3_usize, 0..12_usize, any::<bool>()), 1..12),
    ) {
        let mut world = World::new(3, 3);
        world.deploy();
        world.run();
        for (choice, to, steps, fails) in turns {
            let numbers: Vec<u32> =
                world.deployment.as_ref().unwrap().slots.iter().map(|slot| slot.number.0).collect();
            begin(&mut world, numbers[choice as usize % numbers.len()], &[to]);
            world.luck = if fails { Luck::Probe(FailureCode::AppExited) } else { Luck::Good };
            for _ in 0..steps {
                world.answer();
                world.step();
                prop_assert!(world.edge.len() >= 3, "{:#?}", world.done);
            }
        }
        world.luck = Luck::Good;
        world.wait(200);
        world.run();
        world.sweep();
        world.assert_settled();
    }
}

#[test]
fn moves_in_vain_leave_the_other_decisions_and_a_failure_where_they_are() {
    let mut world = begun();
    world.run();
    let deployment = world.deployment.as_mut().unwrap();
    let failure = failure(FailureCode::ErrorsRose);
    deployment.failure = Some(failure.clone());
    let (at, reason) = (deployment.updated_at, "it failed".to_owned());
    deployment.decided(Decision { at, kind: DecisionKind::BackedOut, reason });
    for _ in 0..20 {
        let slot = world.deployment.as_ref().unwrap().slots[0].number.0;
        begin(&mut world, slot, &[9]);
        world.run();
    }
    let deployment = world.deployment.as_ref().unwrap();
    let kinds: Vec<DecisionKind> = deployment.decisions.iter().map(|one| one.kind).collect();
    let last: Vec<DecisionKind> = kinds[kinds.len() - 3..].to_vec();
    assert_eq!(last, [DecisionKind::BackedOut, DecisionKind::Moving, DecisionKind::NotMoved]);
    assert_eq!(deployment.failure, Some(failure));
}
