use common::failure::FailureCode;
use common::record::deployment::State;
use common::record::kept::Way;
use common::record::node::Verdict;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::change::{Change, note};
use super::super::simulation::{Luck, World, failure, node};
use super::*;

impl World {
    fn expect_steps(&mut self, expected: &Expect) {
        self.run();
        let mut text = self.done.join("\n");
        text.push('\n');
        expected.assert_eq(&text);
        self.done.clear();
    }

    fn state(&self) -> State {
        self.deployment.as_ref().unwrap().state
    }

    /// The next starts come to this, one after the other, and nothing is waited for.
    fn meet(&mut self, lucks: impl IntoIterator<Item = Luck>) {
        for luck in lucks {
            self.luck = luck;
            while self.luck != Luck::Good {
                self.answer();
                assert!(self.step(), "nothing is started any more: {:#?}", self.done);
            }
        }
    }
}

fn running(nodes: usize, replicas: usize) -> World {
    let mut world = World::new(nodes, replicas);
    world.deploy();
    world.run();
    assert_eq!(world.state(), State::Running);
    world.done.clear();
    world
}

#[test]
fn a_first_deploy() {
    let mut world = World::new(2, 2);
    world.deploy();
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replicas 1 on node-2 and 2 on node-1
        look whether replicas 1 on node-2 and 2 on node-1 can be reached
        route to replicas 1 on node-2 and 2 on node-1
        ask through the front door, then say that it runs
    "]]);
    world.assert_settled();
}

#[test]
fn a_redeploy_takes_over_before_the_old_replicas_go() {
    let mut world = running(2, 2);
    world.deploy();
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replicas 3 on node-2 and 4 on node-1
        look whether replicas 3 on node-2 and 4 on node-1 can be reached
        route to replicas 3 on node-2 and 4 on node-1
        ask through the front door, then say that it runs
        route to replicas 3 on node-2 and 4 on node-1
        remove replicas 1 on node-2 and 2 on node-1
    "]]);
    world.assert_settled();
}

#[test]
fn a_redeploy_that_fails_leaves_the_old_replicas_alone() {
    let mut world = running(2, 2);
    let edge = world.edge.clone();
    world.deploy();
    world.luck = Luck::Probe(FailureCode::AppExited);
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replicas 3 on node-2 and 4 on node-1
        look whether replicas 3 on node-2 and 4 on node-1 can be reached
        withdraw replicas 3 on node-2 and 4 on node-1
        remove replicas 3 on node-2 and 4 on node-1
        say that it failed
    "]]);
    assert_eq!(world.edge, edge);
    assert_eq!(world.state(), State::Failed);
    world.assert_settled();
}

#[test]
fn a_first_deploy_that_fails_leaves_nothing() {
    let mut world = World::new(1, 2);
    world.deploy();
    world.luck = Luck::Start(FailureCode::ImageUnavailable);
    world.expect_steps(&expect![[r"
        build the image on node-1
        start replicas 1 on node-1 and 2 on node-1
        withdraw replicas 1 on node-1 and 2 on node-1
        remove replicas 1 on node-1 and 2 on node-1
        say that it failed
    "]]);
    world.assert_settled();
}

#[test]
fn a_dead_nodes_replica_leaves_the_route_at_once_and_is_replaced() {
    let mut world = running(2, 2);
    world.set_verdict(1, Verdict::Dead);
    world.expect_steps(&expect![[r"
        ask for a node for a replica of generation 1
        route to replica 1 on node-2
        start replica 3 on node-2
        look whether replica 3 on node-2 can be reached
        route to replicas 1 on node-2 and 3 on node-2
        leave replica 2 on node-1 to the sweep
    "]]);
    assert!(world.edge.iter().all(|one| one.0 == node(2)));
    world.set_verdict(1, Verdict::Live);
    world.run();
    world.sweep();
    world.assert_settled();
}

#[test]
fn the_only_replica_stays_routed_until_there_is_another_one() {
    let mut world = running(2, 1);
    let home = world.edge.iter().next().unwrap().0.clone();
    let number = if home == node(1) { 1 } else { 2 };
    world.set_verdict(number, Verdict::Dead);
    world.expect_steps(&expect![[r"
        ask for a node for a replica of generation 1
        start replica 2 on node-1
        look whether replica 2 on node-1 can be reached
        route to replica 2 on node-1
        leave replica 1 on node-2 to the sweep
    "]]);
}

#[test]
fn a_node_that_is_emptied_serves_until_there_is_a_replacement() {
    let mut world = running(2, 2);
    world.set_verdict(1, Verdict::Draining);
    world.expect_steps(&expect![[r"
        ask for a node for a replica of generation 1
        start replica 3 on node-2
        look whether replica 3 on node-2 can be reached
        route to replicas 1 on node-2 and 3 on node-2
        remove replica 2 on node-1
    "]]);
    world.assert_settled();
}

#[test]
fn scaling_up_and_down() {
    let mut world = running(2, 1);
    world.seen.replicas = 3;
    world.expect_steps(&expect![[r"
        ask for nodes for 2 replicas of generation 1
        start replicas 2 on node-1 and 3 on node-2
        look whether replicas 2 on node-1 and 3 on node-2 can be reached
        route to replicas 1 on node-2, 2 on node-1 and 3 on node-2
    "]]);
    world.assert_settled();
    world.seen.replicas = 1;
    world.expect_steps(&expect![[r"
        route to replica 1 on node-2
        remove replicas 2 on node-1 and 3 on node-2
    "]]);
    world.assert_settled();
}

#[test]
fn a_replica_that_a_node_was_told_to_remove_is_never_wanted_again() {
    let mut world = running(2, 1);
    world.seen.replicas = 2;
    while !world.done.iter().any(|step| step.starts_with("start")) {
        world.answer();
        world.step();
    }
    let told = world.deployment.as_ref().unwrap().slots[1].placement_request;
    world.seen.replicas = 1;
    let removes = |world: &World| {
        let deployment = world.deployment.as_ref().unwrap();
        let step = next_step(deployment, &world.seen, &Patience::default(), world.now);
        matches!(step, Step::Remove { .. })
    };
    while !removes(&world) {
        assert!(world.step());
    }
    // The node is told, and before the answer is there two are wanted again.
    world.seen.replicas = 2;
    world.run();
    let slots = &world.deployment.as_ref().unwrap().slots;
    assert!(slots.iter().all(|slot| slot.placement_request != told), "{slots:?}");
    world.assert_settled();
}

#[test]
fn stopping_goes_from_the_outside_in() {
    let mut world = running(2, 2);
    world.stop();
    world.expect_steps(&expect![[r"
        remove the route
        remove replicas 1 on node-2 and 2 on node-1
        say that it is stopped
        note that nothing is left
    "]]);
    world.assert_settled();
    world.wait(3600);
    assert!(!world.step(), "what is owed is not forgotten");
    world.deployment.as_mut().unwrap().owed.clear();
    world.expect_steps(&expect![[r"
        forget the deployment
    "]]);
    assert_eq!(world.deployment, None);
}

#[test]
fn what_is_in_progress_past_its_deadline_is_given_up() {
    let mut world = World::new(0, 1);
    world.deploy();
    world.wait(600);
    assert!(world.step());
    assert_eq!(world.done, ["give up: DEADLINE_EXCEEDED: it was not done by its deadline"]);
    world.run();
    world.assert_settled();
}

#[test]
fn a_question_without_an_answer_is_repeated_under_the_same_id() {
    let mut world = World::new(1, 1);
    world.deploy();
    let id = world.deployment.as_ref().unwrap().slots[0].placement_request;
    assert_eq!(id, world.deployment.as_ref().unwrap().request);
    let deployment = world.deployment.as_mut().unwrap();
    let first = deployment.owed.remove(0);
    world.step();
    assert!(!world.done.contains(&"ask again for a node for replica 1".to_owned()));
    world.wait(5);
    world.step();
    let again = &world.deployment.as_ref().unwrap().owed[0];
    assert_eq!(again.envelope, first.envelope);
    assert_ne!(again.message_id, first.message_id);
}

#[derive(Debug, Clone)]
enum Incident {
    Deploy,
    Canary(i64),
    Share(i64),
    Promote,
    Abandon,
    Stop,
    Scale(usize),
    Verdict(usize, Verdict),
    Luck(Luck),
    Answer,
    Sweep,
    Wait(i64),
    Steps(usize),
}

fn incident() -> impl Strategy<Value = Incident> {
    let verdict = prop_oneof![
        Just(Verdict::Live),
        Just(Verdict::Suspect),
        Just(Verdict::Dead),
        Just(Verdict::Draining)
    ];
    let luck = prop_oneof![
        Just(Luck::Start(FailureCode::PortTaken)),
        Just(Luck::Start(FailureCode::NodeUnavailable)),
        Just(Luck::Start(FailureCode::InsufficientStorage)),
        Just(Luck::Probe(FailureCode::AppExited)),
        Just(Luck::Probe(FailureCode::HealthTimeout)),
        Just(Luck::Unheard),
        Just(Luck::Away),
    ];
    prop_oneof![
        2 => Just(Incident::Deploy),
        2 => (1..100_i64).prop_map(Incident::Canary),
        1 => (1..100_i64).prop_map(Incident::Share),
        1 => Just(Incident::Promote),
        1 => Just(Incident::Abandon),
        1 => Just(Incident::Stop),
        2 => (1..4_usize).prop_map(Incident::Scale),
        3 => (1..4_usize, verdict).prop_map(|(node, verdict)| Incident::Verdict(node, verdict)),
        2 => luck.prop_map(Incident::Luck),
        4 => Just(Incident::Answer),
        1 => Just(Incident::Sweep),
        2 => (0..30_i64).prop_map(Incident::Wait),
        6 => (1..6_usize).prop_map(Incident::Steps),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: states never go back, nothing that gets requests is
    /// removed, every request ends once, and in the end what is wanted is what there is.
    #[test]
    fn carrying_the_plan_out_reaches_the_goal(incidents in prop::collection::vec(incident(), 0..60)) {
        let mut world = World::new(3, 1);
        for incident in incidents {
            match incident {
                Incident::Deploy => world.deploy(),
                Incident::Canary(percent) => world.canary(percent),
                Incident::Share(percent) => world.of_canary(Way::Canary, Some(percent)),
                Incident::Promote => world.of_canary(Way::Promoted, None),
                Incident::Abandon => world.of_canary(Way::RolledBack, None),
                Incident::Stop => world.stop(),
                Incident::Scale(replicas) => world.seen.replicas = replicas,
                Incident::Verdict(node, verdict) => world.set_verdict(node, verdict),
                Incident::Luck(luck) => world.luck = luck,
                Incident::Answer => world.answer(),
                Incident::Sweep => world.sweep(),
                Incident::Wait(seconds) => world.wait(seconds),
                Incident::Steps(count) => {
                    for _ in 0..count {
                        world.step();
                    }
                }
            }
        }
        world.luck = Luck::Good;
        for number in 1..=3 {
            world.set_verdict(number, Verdict::Live);
        }
        world.run();
        // What the edge was told and nobody heard of stands in the route.
        world.seen.upstreams = Some(world.upstreams.clone());
        world.run();
        world.sweep();
        world.assert_settled();
    }
}

mod canary;
mod emptied;
mod missing;
mod moving;
mod ports;
mod rest;
mod switch;
mod watched;
