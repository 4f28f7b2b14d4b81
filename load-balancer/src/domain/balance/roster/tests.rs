use common::id::{Generation, SlotNumber};
use common::name::InstanceName;
use common::port::edge::AppTraffic;
use common::port::nodes::Measured;
use common::record::scale::{DecisionKind, Scaling};
use tokio::time::Instant;

use super::super::hours::Because;
use super::super::known::{Replica, Way};
use super::*;

const RULES: Rules =
    Rules { samples: 5, brake_after: 3, most: 20, place_within: Duration::from_mins(2) };

fn instance() -> LegacyName {
    "shop".parse().unwrap()
}

fn container(number: u32) -> ContainerName {
    ContainerName::new(&"shop".parse::<InstanceName>().unwrap(), SlotNumber(number))
}

fn node() -> NodeName {
    "node-1".parse().unwrap()
}

fn known(replicas: &[(u32, u64)]) -> Known {
    let replica = |(number, generation): &(u32, u64)| Replica {
        container: container(*number),
        node: node(),
        generation: Generation(*generation),
    };
    Known {
        scaling: Scaling::within(1, 5),
        because: Because::default(),
        wanted: u32::try_from(replicas.len()).unwrap(),
        replicas: replicas.iter().map(replica).collect(),
        way: Way::Reached,
        newest: None,
        oldest: None,
        decisions: Vec::new(),
    }
}

fn used(number: u32, generation: u64, cpu: f64) -> ContainerUse {
    ContainerUse {
        name: container(number),
        id: "abc".to_owned(),
        generation: Generation(generation),
        host_port: 20000,
        running: true,
        healthy: Some(true),
        failed_looks: 0,
        cpu_percent: 0.0,
        memory_percent: 0.0,
        restarts: 0,
        ended_ill: None,
        measured: Some(Measured { cpu_percent: cpu, memory_percent: 10.0 }),
    }
}

fn now(tenths: u64) -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, up: Duration::from_millis(tenths * 100) }
}

fn roster(replicas: &[(u32, u64)]) -> Roster {
    let mut roster = Roster::default();
    roster.adopt(&instance(), Some(known(replicas)), now(0));
    roster
}

/// Half a second of samples of all replicas, from a tenth on.
fn hear(roster: &mut Roster, from: u64, node: &NodeName, containers: &[ContainerUse]) {
    for tenth in from..from + 5 {
        roster.hear(node, containers, &RULES, now(tenth).up);
    }
}

#[test]
fn half_a_second_of_overload_is_a_decision_and_only_one_until_it_is_written() {
    let mut roster = roster(&[(1, 1)]);
    for tenth in 1..=4 {
        roster.hear(&node(), &[used(1, 1, 99.0)], &RULES, now(tenth).up);
        assert_eq!(roster.cycle(&RULES, now(tenth).up), []);
    }
    roster.hear(&node(), &[used(1, 1, 99.0)], &RULES, now(5).up);
    let drafts = roster.cycle(&RULES, now(5).up);
    let [(name, draft)] = drafts.as_slice() else { panic!("{drafts:?}") };
    assert_eq!((name, draft.to, draft.kind), (&instance(), 2, DecisionKind::Processor));
    assert_eq!(roster.cycle(&RULES, now(6).up), []);
    roster.written(&instance());
    assert_eq!(roster.cycle(&RULES, now(6).up).len(), 1);
}

#[test]
fn another_nodes_word_and_another_generations_are_not_heard() {
    for (from, generation) in [("node-2", 1), ("node-1", 2)] {
        let mut roster = roster(&[(1, 1)]);
        hear(&mut roster, 1, &from.parse().unwrap(), &[used(1, generation, 99.0)]);
        assert_eq!(roster.cycle(&RULES, now(5).up), []);
    }
}

#[test]
fn a_replica_that_stays_keeps_its_window_and_a_new_one_begins_with_none() {
    let mut roster = roster(&[(1, 1)]);
    hear(&mut roster, 1, &node(), &[used(1, 1, 99.0)]);
    roster.adopt(&instance(), Some(known(&[(1, 1), (2, 1)])), now(5));
    assert_eq!(roster.cycle(&RULES, now(6).up), [], "nothing is known of the second");
    hear(&mut roster, 6, &node(), &[used(2, 1, 1.0)]);
    assert_eq!(roster.cycle(&RULES, now(10).up).len(), 1, "the first still is overloaded");
    roster.adopt(&instance(), Some(known(&[(1, 2)])), now(11));
    assert_eq!(roster.cycle(&RULES, now(11).up), [], "another generation is another replica");
}

/// A cycle has 100 ms: taking in the samples of a thousand replicas, and deciding on all of them.
#[test]
fn a_thousand_replicas_take_a_small_part_of_a_cycle() {
    let mut roster = Roster::default();
    let mut uses = Vec::new();
    for number in 0..500_u32 {
        let app: InstanceName = format!("shop{number}").parse().unwrap();
        let names = [1, 2].map(|slot| ContainerName::new(&app, SlotNumber(slot)));
        let mut known = known(&[(1, 1), (2, 1)]);
        for (replica, name) in known.replicas.iter_mut().zip(names) {
            replica.container = name.clone();
            uses.push(ContainerUse { name, ..used(1, 1, 70.0) });
        }
        roster.adopt(&app.as_str().parse().unwrap(), Some(known), now(0));
    }
    // All of them together: a single one may be held up by whatever else the machine does.
    let began = Instant::now();
    for tenth in 1..=100 {
        roster.hear(&node(), &uses, &RULES, now(tenth).up);
        assert_eq!(roster.cycle(&RULES, now(tenth).up), []);
    }
    let took = began.elapsed();
    assert!(took < 100 * Duration::from_millis(100), "{took:?}");
}

#[test]
fn what_is_balanced_no_longer_is_forgotten() {
    let mut roster = roster(&[(1, 1)]);
    hear(&mut roster, 1, &node(), &[used(1, 1, 99.0)]);
    roster.adopt(&instance(), None, now(5));
    assert!(roster.is_empty() && roster.replicas.is_empty());
    assert_eq!(roster.cycle(&RULES, now(5).up), []);
}

fn asked(requests: u64) -> Traffic {
    let app = AppTraffic { passed_on: requests, ..AppTraffic::default() };
    Traffic { apps: [(instance(), app)].into(), ..Traffic::default() }
}

/// Six seconds in which a replica idles and so many requests a second come.
fn six_seconds(
    roster: &mut Roster,
    from: u64,
    requests_per_second: u64,
) -> Vec<(LegacyName, Draft)> {
    for tenth in from..from + 60 {
        roster.hear(&node(), &[used(1, 1, 5.0)], &RULES, now(tenth).up);
        if tenth % 5 == 0 {
            let traffic = asked(tenth * requests_per_second / 10);
            roster.hear_traffic(Some(&traffic), &RULES, now(tenth).up);
        }
    }
    roster.cycle(&RULES, now(from + 59).up)
}

#[test]
fn an_app_is_balanced_by_what_visitors_ask_where_it_says_so() {
    let by_requests = |most| {
        let mut known = known(&[(1, 1)]);
        known.scaling.requests_per_second = most;
        let mut roster = Roster::default();
        roster.adopt(&instance(), Some(known), now(0));
        roster
    };
    for (most, decides) in [(Some(40), true), (Some(60), false), (None, false)] {
        let drafts = six_seconds(&mut by_requests(most), 0, 50);
        assert_eq!(!drafts.is_empty(), decides, "{most:?}");
    }
    // The edge does not tell any more.
    let mut roster = by_requests(Some(40));
    six_seconds(&mut roster, 0, 50);
    roster.written(&instance());
    roster.hear_traffic(None, &RULES, now(60).up);
    roster.hear(&node(), &[used(1, 1, 5.0)], &RULES, now(60).up);
    assert_eq!(roster.cycle(&RULES, now(60).up), []);
}
