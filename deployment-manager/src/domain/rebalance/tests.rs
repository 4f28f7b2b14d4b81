use common::id::Generation;
use common::record::course::{Canary, Move, Stay};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::super::simulation::{World, node};
use super::*;

const STEADY: Home = Home { verdict: Verdict::Live, is_steady: true };

fn homes(count: usize) -> BTreeMap<NodeName, Home> {
    (1..=count).map(|number| (node(number), STEADY)).collect()
}

/// An app that runs one replica on each of these nodes.
fn app(name: &str, on: &[usize]) -> Deployment {
    let mut world = World::new(1, on.len());
    world.deploy();
    world.run();
    let mut deployment = world.deployment.unwrap();
    deployment.instance = name.parse().unwrap();
    for (slot, number) in deployment.slots.iter_mut().zip(on) {
        slot.place.as_mut().unwrap().node = node(*number);
    }
    deployment
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn first(deployments: &[Deployment], nodes: &BTreeMap<NodeName, Home>) -> Option<Proposal> {
    next_moves(deployments, nodes, &Patience::default(), now()).into_iter().next()
}

fn proposed(deployments: &[Deployment], nodes: &BTreeMap<NodeName, Home>) -> Option<String> {
    let proposal = first(deployments, nodes)?;
    let to: Vec<&str> = proposal.to.iter().map(NodeName::as_str).collect();
    Some(format!("{} to {}: {}", proposal.instance, to.join(" or "), proposal.reason))
}

#[test]
fn replicas_that_share_a_node_part_when_another_one_is_there() {
    let apps = [app("shop", &[1, 1, 2])];
    assert_eq!(
        proposed(&apps, &homes(3)).as_deref(),
        Some("shop to node-3: node-1 has 2 replicas of shop, and node-3 has none")
    );
    assert_eq!(proposed(&apps, &homes(2)), None);
}

#[test]
fn a_node_with_two_more_than_another_gives_one() {
    let apps = [app("one", &[1]), app("two", &[1]), app("three", &[2])];
    assert_eq!(proposed(&apps, &homes(2)), None, "one more is even");
    assert_eq!(
        proposed(&apps, &homes(3)).as_deref(),
        Some("one to node-3: node-1 has 2 replicas of all apps, and node-3 has 0")
    );
}

#[test]
fn every_instance_that_could_move_is_one_to_go_on_with() {
    let apps = [app("one", &[1, 1]), app("two", &[1, 1])];
    let moves = next_moves(&apps, &homes(2), &Patience::default(), now());
    let instances: Vec<&str> = moves.iter().map(|one| one.instance.as_str()).collect();
    assert_eq!(instances, ["one", "two"]);
}

#[test]
fn what_shares_a_node_parts_first_and_then_the_fullest_node_gives() {
    let apps = [app("one", &[1]), app("two", &[1]), app("three", &[1]), app("zoo", &[2, 2])];
    let zoo = first(&apps, &homes(3)).unwrap();
    assert_eq!((zoo.instance.as_str(), zoo.replica), ("zoo", apps[3].slots[1].placement_request));
    let apps =
        [("a", 2), ("b", 2), ("x", 1), ("y", 1), ("z", 1)].map(|(name, on)| app(name, &[on]));
    assert_eq!(
        proposed(&apps, &homes(3)).as_deref(),
        Some("x to node-3: node-1 has 3 replicas of all apps, and node-3 has 0")
    );
}

#[test]
fn a_replica_that_leaves_is_on_no_node_any_more() {
    let mut apps = [app("one", &[1]), app("two", &[1])];
    assert!(proposed(&apps, &homes(2)).is_some());
    apps[1].slots[0].state = SlotState::Leaving;
    assert_eq!(proposed(&apps, &homes(2)), None);
}

#[test]
fn a_move_never_brings_two_replicas_of_an_app_onto_one_node() {
    let apps = [app("shop", &[1, 2]), app("bakery", &[1, 2]), app("cafe", &[1, 2])];
    assert_eq!(proposed(&apps, &homes(2)), None);
    let apps = [app("shop", &[1, 1, 1, 2])];
    assert_eq!(proposed(&apps, &homes(2)), None);
}

#[test]
fn nothing_moves_while_something_else_is_under_way() {
    let apps = || vec![app("one", &[1]), app("two", &[1])];
    assert!(proposed(&apps(), &homes(2)).is_some());
    let mut rolling = apps();
    rolling[1].state = State::Starting;
    assert_eq!(proposed(&rolling, &homes(2)), None, "a rollout");
    let mut moving = apps();
    moving[1].moving = Some(Move {
        new: moving[1].request,
        old: moving[1].request,
        to: BTreeSet::new(),
        since: moving[1].updated_at,
        reason: String::new(),
    });
    assert_eq!(proposed(&moving, &homes(2)), None, "another move");
    for verdict in [Verdict::Suspect, Verdict::Dead] {
        let mut nodes = homes(4);
        nodes.insert(node(3), Home { verdict, is_steady: false });
        nodes.insert(node(4), Home { verdict, is_steady: false });
        assert_eq!(proposed(&apps(), &nodes), None, "{verdict:?}");
    }
    let mut nodes = homes(3);
    nodes.insert(node(3), Home { verdict: Verdict::Dead, is_steady: false });
    assert!(proposed(&apps(), &nodes).is_some(), "one node of three that stays away");
}

#[test]
fn what_has_just_come_back_or_is_emptied_gets_nothing() {
    let apps = [app("one", &[1]), app("two", &[1])];
    for home in
        [Home { is_steady: false, ..STEADY }, Home { verdict: Verdict::Draining, is_steady: true }]
    {
        let mut nodes = homes(2);
        nodes.insert(node(2), home);
        assert_eq!(proposed(&apps, &nodes), None, "{home:?}");
    }
}

#[test]
fn an_app_with_a_canary_or_a_missing_replica_stays() {
    let share = 10.try_into().unwrap();
    let mut with_canary = app("one", &[1, 1]);
    let since = with_canary.updated_at;
    with_canary.canary = Some(Canary { share, since, before: None, told: true, promoted: false });
    assert_eq!(proposed(&[with_canary], &homes(2)), None);
    let mut missing = app("one", &[1, 1]);
    missing.slots[0].state = SlotState::Asked;
    assert_eq!(proposed(&[missing], &homes(2)), None);
    let mut older = app("one", &[1, 1]);
    older.slots[0].generation = Generation(9);
    assert_eq!(proposed(&[older], &homes(2)), None);
    let mut left = app("one", &[1, 1]);
    left.stays = Some(Stay { until: now() + SignedDuration::from_secs(1), in_vain: 0 });
    assert_eq!(proposed(&[left.clone()], &homes(2)), None, "left alone for now");
    left.stays = Some(Stay { until: now(), in_vain: 3 });
    assert!(proposed(&[left.clone()], &homes(2)).is_some(), "not any more");
    let longest = now() + Patience::default().rebalance * 320;
    left.stays = Some(Stay { until: longest, in_vain: 6 });
    assert_eq!(proposed(&[left.clone()], &homes(2)), None, "for as long as it gets");
    left.stays = Some(Stay { until: longest + SignedDuration::from_secs(1), in_vain: 0 });
    assert!(proposed(&[left], &homes(2)).is_some(), "by a clock that was ahead");
}

/// Replicas of one app that share a node, then how uneven the nodes are.
fn unevenness(deployments: &[Deployment], nodes: usize) -> (usize, usize) {
    let on = |deployment: &Deployment, number: usize| {
        let is_there = |slot: &&Slot| slot.place.as_ref().unwrap().node == node(number);
        deployment.slots.iter().filter(is_there).count()
    };
    let square = |count: usize| count * count;
    let numbers = || 1..=nodes;
    let of_apps = deployments.iter().flat_map(|one| numbers().map(move |number| on(one, number)));
    let of_nodes = numbers().map(|number| deployments.iter().map(|one| on(one, number)).sum());
    (of_apps.map(square).sum(), of_nodes.map(square).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever replicas are, and whichever of the nodes that may get one the node manager chooses: every move makes
    /// things more even and none comes back, so that there is a last one; and no move makes replicas of an app meet.
    #[test]
    fn moves_come_to_an_end_and_never_make_replicas_meet(
        places in prop::collection::vec(prop::collection::vec(1..=5_usize, 1..5), 1..6),
        choices in prop::collection::vec(0..5_usize, 64),
    ) {
        let named = |(number, on): (usize, &Vec<usize>)| app(&format!("app-{number}"), on);
        let mut deployments: Vec<Deployment> = places.iter().enumerate().map(named).collect();
        let nodes = homes(5);
        let mut before = unevenness(&deployments, 5);
        for choice in choices.iter().cycle().take(200) {
            let Some(proposal) = first(&deployments, &nodes) else {
                return Ok(());
            };
            let to: Vec<&NodeName> = proposal.to.iter().collect();
            let chosen = to[choice % to.len()].clone();
            let one = deployments.iter_mut().find(|one| one.instance == proposal.instance).unwrap();
            let meets = one.slots.iter().any(|slot| slot.place.as_ref().unwrap().node == chosen);
            prop_assert!(!meets, "{proposal:?}");
            let moved = one.slots.iter_mut().find(|slot| slot.placement_request == proposal.replica);
            moved.unwrap().place.as_mut().unwrap().node = chosen;
            let after = unevenness(&deployments, 5);
            prop_assert!(after < before, "{proposal:?}: {before:?} became {after:?}");
            before = after;
        }
        prop_assert!(false, "there was always another move");
    }
}
