//! A release beside the one that is served.

use common::id::ReleaseNumber;
use common::record::course::DecisionKind;

use super::super::super::change::{Change, note};
use super::super::super::course::{Asked, Course, course, falls_back};
use super::*;

/// How many of a hundred requests go to what is not served.
fn share(world: &World) -> f64 {
    let deployment = world.deployment.as_ref().unwrap();
    let is_canary = |number| {
        let slot = deployment.slots.iter().find(|slot| slot.number == number).unwrap();
        !deployment.serves(slot.generation)
    };
    let (mut canary, mut all) = (0.0, 0.0);
    for upstream in &world.upstreams {
        let weight = f64::from(u16::from(upstream.weight));
        all += weight;
        canary += if is_canary(upstream.slot) { weight } else { 0.0 };
    }
    100.0 * canary / all
}

fn with_canary(replicas: usize, percent: i64) -> World {
    let mut world = running(3, replicas);
    world.canary(percent);
    world.run();
    world.assert_settled();
    assert!(
        (share(&world) - f64::from(i32::try_from(percent).unwrap())).abs() < 0.1,
        "{}",
        share(&world)
    );
    world.done.clear();
    world
}

fn kinds(world: &World) -> Vec<DecisionKind> {
    let decisions = world.deployment.as_ref().unwrap().decisions.iter();
    decisions.map(|decision| decision.kind).collect()
}

#[test]
fn it_runs_beside_what_is_served_with_its_part_of_the_replicas() {
    let mut world = running(3, 3);
    world.canary(10);
    world.expect_steps(&expect![[r"
        build the image on node-3
        start replica 4 on node-1
        look whether replica 4 on node-1 can be reached
        route to replicas 1 on node-1, 2 on node-2, 3 on node-3 and 4 on node-1
        ask through the front door, then say that it runs
    "]]);
    world.assert_settled();
    assert!((share(&world) - 10.0).abs() < 0.1, "{}", share(&world));
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!((deployment.serving.as_ref().unwrap().release.0, deployment.release.0), (1, 2));
    assert_eq!(deployment.releases.len(), 1, "it was not in service");
    assert_eq!(kinds(&world), [DecisionKind::Canary]);
}

#[test]
fn a_promotion_starts_what_is_missing_and_then_shifts_all() {
    let mut world = with_canary(3, 10);
    world.of_canary(Way::Promoted, None);
    world.expect_steps(&expect![[r"
        ask for nodes for 2 replicas of generation 2
        start replicas 5 on node-2 and 6 on node-3
        look whether replicas 5 on node-2 and 6 on node-3 can be reached
        route to replicas 4 on node-1, 5 on node-2 and 6 on node-3
        ask through the front door, then say that it runs
        route to replicas 4 on node-1, 5 on node-2 and 6 on node-3
        remove replicas 1 on node-1, 2 on node-2 and 3 on node-3
    "]]);
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    let serving = deployment.serving.as_ref().unwrap();
    assert_eq!((serving.release.0, serving.generation.0), (2, 2));
    assert_eq!(deployment.releases.last().unwrap().generation, serving.generation);
    assert!(world.upstreams.iter().all(|upstream| u16::from(upstream.weight) == 1));
    assert_eq!(kinds(&world), [DecisionKind::Canary, DecisionKind::Promoted]);
}

#[test]
fn going_back_takes_it_away_and_touches_nothing_else() {
    let mut world = with_canary(3, 50);
    let served = world.deployment.as_ref().unwrap().serving.clone();
    world.of_canary(Way::RolledBack, None);
    world.expect_steps(&expect![[r"
        route to replicas 1 on node-1, 2 on node-2 and 3 on node-3
        remove replicas 4 on node-1 and 5 on node-2
        ask through the front door, then say that it runs
    "]]);
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!(deployment.serving, served);
    assert_eq!(deployment.release, served.unwrap().release);
    assert_eq!(kinds(&world), [DecisionKind::Canary, DecisionKind::CanaryEnded]);
}

#[test]
fn going_back_while_it_is_on_its_way_takes_it_away() {
    let mut world = running(3, 2);
    let served = world.deployment.as_ref().unwrap().serving.clone();
    world.canary(10);
    world.answer();
    world.step();
    world.of_canary(Way::RolledBack, None);
    world.run();
    world.assert_settled();
    assert_eq!(world.deployment.as_ref().unwrap().serving, served, "it was not deployed anew");
}

#[test]
fn a_number_of_replicas_that_changes_keeps_the_share() {
    let mut world = with_canary(2, 20);
    for replicas in [5, 10, 1, 4] {
        world.seen.replicas = replicas;
        world.run();
        world.assert_settled();
        assert!((share(&world) - 20.0).abs() < 0.1, "{replicas}: {}", share(&world));
    }
}

#[test]
fn another_share_is_told_to_the_edge_and_starts_no_more_than_is_missing() {
    let mut world = with_canary(2, 10);
    world.of_canary(Way::Canary, Some(40));
    world.expect_steps(&expect![[r"
        route to replicas 1 on node-1, 2 on node-2 and 3 on node-3
        ask through the front door, then say that it runs
    "]]);
    assert!((share(&world) - 40.0).abs() < 0.1, "{}", share(&world));
    world.of_canary(Way::Canary, Some(90));
    world.run();
    world.assert_settled();
    assert!((share(&world) - 90.0).abs() < 0.1, "{}", share(&world));
    world.of_canary(Way::Promoted, None);
    world.run();
    world.assert_settled();
}

#[test]
fn one_that_fails_leaves_what_is_served_alone() {
    let mut world = running(3, 3);
    let edge = world.edge.clone();
    world.canary(50);
    world.luck = Luck::Probe(FailureCode::AppExited);
    while world.state() != State::Failed {
        world.answer();
        world.step();
    }
    assert!(world.containers.iter().all(|one| one.2.0 == 1), "it is told before it is unmade");
    world.run();
    world.assert_settled();
    assert_eq!(world.edge, edge);
    assert_eq!(world.deployment.as_ref().unwrap().canary, None);
}

#[test]
fn its_replicas_are_replaced_when_their_node_dies_and_the_share_is_held_meanwhile() {
    let mut world = with_canary(4, 50);
    let lost = world.deployment.as_ref().unwrap().slots.iter().find(|slot| slot.generation.0 == 2);
    let dead = lost.unwrap().place.as_ref().unwrap().node.clone();
    let number = (1..=3).find(|number| node(*number) == dead).unwrap();
    world.set_verdict(number, Verdict::Dead);
    while !world.done.iter().any(|step| step.starts_with("route to")) {
        world.answer();
        world.step();
    }
    let held = share(&world);
    let routed = |slot: &Slot| slot.generation.0 == 2 && slot.state == SlotState::Routed;
    let survives = world.deployment.as_ref().unwrap().slots.iter().any(routed);
    let expected = if survives { 50.0 } else { 0.0 };
    assert!((held - expected).abs() < 0.1, "{held}");
    world.run();
    world.set_verdict(number, Verdict::Live);
    world.sweep();
    world.assert_settled();
    assert!((share(&world) - 50.0).abs() < 0.1, "{}", share(&world));
}

#[test]
fn one_on_a_node_that_is_emptied_gets_its_share_until_its_replacement_does() {
    for way in [None, Some(Way::Promoted)] {
        let mut world = with_canary(3, 20);
        let slots = &world.deployment.as_ref().unwrap().slots;
        let own = slots.iter().find(|slot| slot.generation.0 == 2).unwrap();
        let home = own.place.as_ref().unwrap().node.clone();
        let number = (1..=3).find(|number| node(*number) == home).unwrap();
        world.set_verdict(number, Verdict::Draining);
        if let Some(way) = way {
            world.of_canary(way, None);
        }
        for _ in 0..100 {
            world.answer();
            if !world.step() {
                world.wait(1);
            }
            let (held, serves) =
                (share(&world), world.deployment.as_ref().unwrap().serving.clone());
            let has_all = held > 99.0 || serves.unwrap().release.0 == 2;
            let is_held = (held - 20.0).abs() < 0.1 || way.is_some() && has_all;
            assert!(is_held, "{held} {way:?}: {:?}", world.done);
        }
        assert!(world.edge.iter().all(|one| one.0 != home), "{:?}", world.edge);
        world.assert_settled();
    }
}

#[test]
fn a_new_release_and_a_stop_take_it_with_them() {
    let mut world = with_canary(2, 10);
    world.deploy();
    world.run();
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!((&deployment.canary, deployment.adopted), (&None, None));
    let mut world = with_canary(2, 10);
    world.stop();
    world.run();
    world.assert_settled();
}

/// Runs to the end; says whether the canary ever got all requests.
fn ran_alone(world: &mut World) -> bool {
    let mut alone = false;
    for _ in 0..100 {
        world.answer();
        let went = world.step();
        alone |= !world.upstreams.is_empty() && share(world) > 99.0;
        if !went {
            world.wait(1);
        }
    }
    alone
}

#[test]
fn it_never_gets_all_requests_of_an_app_that_rests_or_wakes() {
    let mut world = running(3, 2);
    world.seen.replicas = 0;
    world.run();
    world.canary(10);
    assert!(!ran_alone(&mut world), "it begins: {:?}", world.done);
    world.assert_settled();
    assert!(world.deployment.as_ref().unwrap().canary.is_some());
    world.done.clear();
    world.seen.replicas = 1;
    while !world.done.iter().any(|step| step.starts_with("start ")) {
        world.answer();
        world.step();
    }
    // The canary has started; what is served has to be placed anew.
    world.luck = Luck::Start(FailureCode::PortTaken);
    assert!(!ran_alone(&mut world), "it wakes: {:?}", world.done);
    world.assert_settled();
    assert!((share(&world) - 10.0).abs() < 0.1, "{}", share(&world));
}

#[test]
fn what_was_asked_of_it_and_cannot_be_leaves_it_its_share() {
    for (way, percent) in [(Way::Promoted, None), (Way::Canary, Some(90))] {
        let mut world = with_canary(3, 10);
        world.luck = Luck::Start(FailureCode::NoNodeFits);
        world.of_canary(way, percent);
        world.run();
        world.assert_settled();
        assert!((share(&world) - 10.0).abs() < 0.1, "{way:?}: {}", share(&world));
        let deployment = world.deployment.as_ref().unwrap();
        assert_eq!((deployment.state, deployment.release.0), (State::Failed, 2));
        let reason = &deployment.decisions.last().unwrap().reason;
        assert!(reason.starts_with("release 2 goes on with 10 % of the requests"), "{reason}");
        assert!(!kinds(&world).contains(&DecisionKind::BackedOut));
        // It can be asked for again.
        world.of_canary(Way::Promoted, None);
        world.run();
        world.assert_settled();
        let serving = world.deployment.as_ref().unwrap().serving.as_ref().unwrap().release.0;
        assert_eq!((world.state(), serving), (State::Running, 2));
    }
}

#[test]
fn a_promotion_that_is_asked_for_twice_is_one() {
    let mut world = with_canary(3, 10);
    world.of_canary(Way::Promoted, None);
    world.answer();
    world.step();
    let before = world.requests;
    world.of_canary(Way::Promoted, None);
    assert_eq!(world.requests, before + 1, "it is not refused");
    world.run();
    world.assert_settled();
    let deployment = world.deployment.as_ref().unwrap();
    assert_eq!((world.state(), &deployment.canary), (State::Running, &None));
    assert_eq!(deployment.serving.as_ref().unwrap().generation.0, 2, "it was not deployed anew");
}

#[test]
fn a_promotion_takes_over_from_another_share_that_is_under_way() {
    for luck in [Luck::Good, Luck::Start(FailureCode::NoNodeFits)] {
        let mut world = with_canary(3, 10);
        world.of_canary(Way::Canary, Some(90));
        let before = world.requests;
        world.of_canary(Way::Promoted, None);
        assert_eq!(world.requests, before + 1, "it is not refused");
        world.luck = luck;
        world.run();
        world.assert_settled();
        let deployment = world.deployment.as_ref().unwrap();
        if luck == Luck::Good {
            let serving = deployment.serving.as_ref().unwrap();
            assert_eq!((world.state(), serving.generation.0), (State::Running, 2));
            assert_eq!(deployment.canary, None);
        } else {
            // The share that was under way never came to be.
            assert_eq!(world.state(), State::Failed);
            assert!((share(&world) - 10.0).abs() < 0.1, "{}", share(&world));
        }
    }
}

#[test]
fn one_that_is_still_on_its_way_is_not_promoted() {
    let mut world = running(3, 3);
    world.canary(10);
    let asked = Asked { way: Way::Promoted, share: None, release: ReleaseNumber(2), is_own: true };
    let refused = course(asked, world.deployment.as_ref()).unwrap_err();
    assert_eq!(refused.code, FailureCode::NoCanary);
}

#[test]
fn a_message_of_another_program_makes_no_canary_and_promotes_none() {
    let asked = |way, release| Asked {
        way,
        share: (way == Way::Canary).then(|| 10.try_into().unwrap()),
        release: ReleaseNumber(release),
        is_own: false,
    };
    let world = with_canary(2, 10);
    let there = world.deployment.as_ref();
    let share = Course::Share(10.try_into().unwrap());
    for way in [Way::Canary, Way::Promoted] {
        assert_eq!(course(asked(way, 2), there), Ok(share), "{way:?}");
        assert_eq!(falls_back(asked(way, 2), there), None);
    }
    let mut world = with_canary(2, 10);
    world.seen.regress = Some(failure(FailureCode::ErrorsRose));
    world.run();
    let gone = world.deployment.as_ref();
    assert_eq!(gone.unwrap().canary, None);
    for way in [Way::Canary, Way::Promoted] {
        assert_eq!(falls_back(asked(way, 2), gone), Some(ReleaseNumber(1)), "{way:?}");
        let own = Asked { is_own: true, ..asked(way, 2) };
        assert_eq!(falls_back(own, gone), None);
    }
}

#[test]
fn an_image_is_built_anew_only_where_no_replica_runs_it() {
    let is_lost = |world: &World| {
        let mut deployment = world.deployment.clone().unwrap();
        let image = deployment.image.clone().unwrap();
        note(&mut deployment, &[Change::Lost { image }], &world.patience, world.now);
        deployment.image.is_none()
    };
    let mut world = World::new(2, 2);
    world.deploy();
    let has = |world: &World, state| {
        let slots = &world.deployment.as_ref().unwrap().slots;
        slots.iter().any(|slot| slot.state == state)
    };
    while world.deployment.as_ref().unwrap().image.is_none() {
        world.answer();
        world.step();
    }
    assert!(is_lost(&world));
    while !has(&world, SlotState::Started) {
        world.answer();
        world.step();
    }
    assert!(!is_lost(&world));
    world.run();
    assert!(!is_lost(&world));
}

mod alone;
