use common::port::disk::{Disk, Space};
use jiff::Timestamp;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

const GIB: u64 = 1024 * 1024 * 1024;

fn used() -> NodeUse {
    NodeUse {
        cpu_percent: 10.0,
        memory_percent: 10.0,
        disk_percent: 10.0,
        memory_total_bytes: 4 * GIB,
        cpu_millis_total: 4000,
        memory_promised_bytes: 0,
        cpu_millis_promised: 0,
    }
}

fn candidate(name: &str) -> Candidate {
    Candidate {
        name: name.parse().unwrap(),
        verdict: Some(Verdict::Live),
        used: Some(used()),
        underway: Promised::default(),
        replicas: 0,
        fetches: false,
        suits: true,
        room: None,
        port: Some(20_000),
    }
}

fn needs() -> Limits {
    Limits { memory_bytes: GIB, cpu_millis: 1000, processes: 10 }
}

fn chosen(candidates: &[Candidate], strategy: Strategy) -> Result<String, String> {
    let choice = choose(candidates, &needs(), strategy);
    choice.map(|chosen| chosen.node.to_string()).map_err(|unplaced| unplaced.failure().to_string())
}

#[test]
fn the_node_with_most_free_is_the_best_and_ties_go_by_name() {
    let mut busy = candidate("a");
    busy.used = Some(NodeUse { cpu_percent: 50.0, ..used() });
    let nodes = [busy, candidate("c"), candidate("b")];
    assert_eq!(chosen(&nodes, Strategy::Spread).as_deref(), Ok("b"));
}

#[test]
fn replicas_are_spread_before_anything_is_scored() {
    let mut idle = candidate("a");
    idle.used = Some(NodeUse { cpu_percent: 0.0, ..used() });
    idle.replicas = 1;
    let nodes = [idle, candidate("b")];
    assert_eq!(chosen(&nodes, Strategy::Spread).as_deref(), Ok("b"));
    assert_eq!(chosen(&nodes, Strategy::SameNode).as_deref(), Ok("a"));
}

#[test]
fn what_is_not_live_or_has_no_room_is_left_out_and_said() {
    let node = |verdict| Candidate { verdict, ..candidate("a") };
    let room = |used| Candidate { used, ..candidate("a") };
    let full = Some(NodeUse { memory_promised_bytes: 3 * GIB + 1, ..used() });
    let busy = Some(NodeUse { cpu_millis_promised: 15_001, ..used() });
    let underway = Promised { memory_bytes: 3 * GIB + 1, cpu_millis: 0 };
    let nodes = [
        node(None),
        node(Some(Verdict::Suspect)),
        node(Some(Verdict::Dead)),
        node(Some(Verdict::Draining)),
        room(None),
        room(full),
        room(busy),
        Candidate { underway, ..candidate("a") },
        Candidate { port: None, ..candidate("a") },
    ];
    let unplaced = chosen(&nodes, Strategy::Spread).unwrap_err();
    let expected = "NO_NODE_FITS: no node takes the container: 2 not heard yet, 1 suspect, 1 dead, \
                    1 being emptied, 2 without enough memory left to promise, \
                    1 without enough processor left to promise, 1 without a free port";
    assert_eq!(unplaced, expected);
}

#[test]
fn the_last_bit_of_room_is_given_away() {
    let mut tight = candidate("a");
    let promised =
        NodeUse { memory_promised_bytes: 3 * GIB, cpu_millis_promised: 15_000, ..used() };
    tight.used = Some(promised);
    assert_eq!(chosen(&[tight], Strategy::Spread).as_deref(), Ok("a"));
}

#[test]
fn a_lack_of_ports_alone_is_told_as_such() {
    let nodes = [Candidate { port: None, ..candidate("a") }];
    let unplaced = choose(&nodes, &needs(), Strategy::Spread).unwrap_err();
    assert_eq!(unplaced.failure().code, FailureCode::PortsExhausted);
    let none = choose(&[], &needs(), Strategy::Spread).unwrap_err();
    assert_eq!(none.failure().to_string(), "NO_NODE_FITS: the platform has no nodes");
}

fn with_free(name: &str, free_mib: u64) -> Candidate {
    let space = Space { total_bytes: u64::MAX, free_bytes: free_mib * 1024 * 1024 };
    let (images, bundles) = (Vec::new(), Vec::new());
    let at = Timestamp::UNIX_EPOCH;
    let disk = Disk { at, space, images, bundles, bundle_space: None };
    Candidate { room: Some(Room::on(&disk, None, 100 * 1024 * 1024)), ..candidate(name) }
}

#[test]
fn a_disk_without_room_is_left_out_and_the_closest_is_told() {
    let nodes = [with_free("a", 10), with_free("b", 355), with_free("c", 20)];
    let unplaced = choose(&nodes, &needs(), Strategy::Spread).unwrap_err();
    let expected = "INSUFFICIENT_STORAGE: no node takes the container: 3 without enough room on the disk; \
                    b comes closest: 356 MiB are needed, 355 MiB are free there, and a collection would free 0 MiB";
    assert_eq!(unplaced.failure().to_string(), expected);
    assert!(!unplaced.passes(), "nobody waits for it");
    let nodes = [with_free("a", 10), with_free("b", 356), candidate("c")];
    assert_eq!(chosen(&nodes, Strategy::Spread).as_deref(), Ok("b"));
    let busy = Candidate {
        used: Some(NodeUse { cpu_millis_promised: 15_001, ..used() }),
        ..candidate("c")
    };
    let unplaced = choose(&[with_free("a", 10), busy], &needs(), Strategy::Spread).unwrap_err();
    assert_eq!(unplaced.failure().code, FailureCode::NoNodeFits, "another machine would help");
}

#[test]
fn only_silence_is_worth_waiting_for() {
    let passes = |verdict| {
        choose(&[Candidate { verdict, ..candidate("a") }], &needs(), Strategy::Spread)
            .unwrap_err()
            .passes()
    };
    assert!(passes(None));
    assert!(passes(Some(Verdict::Suspect)));
    assert!(!passes(Some(Verdict::Dead)));
}

proptest! {
    /// Whatever the nodes: the order they are told in does not matter, and who is chosen fits.
    #[test]
    fn the_choice_does_not_depend_on_the_order(
        nodes in proptest::collection::vec((0u32..3, 0u8..100, 0u64..5, any::<bool>()), 0..8),
        rotation in 0usize..8,
    ) {
        let mut candidates: Vec<Candidate> = nodes
            .iter()
            .enumerate()
            .map(|(number, (replicas, cpu, promised, is_live))| Candidate {
                name: format!("node-{number}").parse().unwrap(),
                verdict: Some(if *is_live { Verdict::Live } else { Verdict::Dead }),
                used: Some(NodeUse {
                    cpu_percent: f64::from(*cpu),
                    memory_promised_bytes: promised * GIB,
                    ..used()
                }),
                replicas: *replicas,
                ..candidate("x")
            })
            .collect();
        let choice = choose(&candidates, &needs(), Strategy::Spread);
        if let Ok(chosen) = &choice {
            let node = candidates.iter().find(|node| node.name == chosen.node).unwrap();
            prop_assert_eq!(node.verdict, Some(Verdict::Live));
            prop_assert!(node.used.unwrap().memory_promised_bytes <= 3 * GIB);
        }
        if !candidates.is_empty() {
            let by = rotation % candidates.len();
            candidates.rotate_left(by);
        }
        prop_assert_eq!(choose(&candidates, &needs(), Strategy::Spread), choice);
    }
}

#[test]
fn what_was_gone_back_to_runs_where_its_image_is_and_is_spread_there() {
    let has = |name, replicas| Candidate { replicas, ..candidate(name) };
    let lacks = |name| Candidate { fetches: true, ..candidate(name) };
    let nodes = |second| [has("a", 1), has("b", second), lacks("c")];
    assert_eq!(chosen(&nodes(1), Strategy::Spread).as_deref(), Ok("a"));
    assert_eq!(chosen(&nodes(0), Strategy::Spread).as_deref(), Ok("b"));
    let full = Candidate { port: None, ..candidate("a") };
    assert_eq!(chosen(&[full, lacks("c")], Strategy::Spread).as_deref(), Ok("c"));
}
