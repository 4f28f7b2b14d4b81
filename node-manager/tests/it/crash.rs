//! Crashes and lost answers at every step: no request is lost, no port is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::message::header;
use common::port::nodes::NodeUse;
use common::record::path;
use common::topic::Topic;
use proptest::prelude::*;
use testkit::bus::FailureMode;
use testkit::store::Fault;
use tokio::time::sleep;

use crate::world::{World, id, name, run, until};

const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost];
/// A process that dies at a commit never hears of it.
const DEATHS: [Fault; 2] = [Fault::RequestStuck, Fault::AnswerStuck];

/// Every request has one answer, however often it was told, and holds one port that no other has.
fn assert_sound(world: &World, requests: impl IntoIterator<Item = u128>) {
    let mut told = BTreeMap::new();
    let mut ids: BTreeMap<_, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let records = world.bus.records(Topic::DeploymentManager);
    for ((request, answer), delivery) in world.answers().into_iter().zip(records) {
        let choice = answer.node.unwrap();
        let message = delivery.record.header(header::MESSAGE_ID).unwrap().to_vec();
        ids.entry(request).or_default().insert(message);
        let before = told.insert(request, choice.clone());
        assert!(before.is_none_or(|before| before == choice), "{request} has two answers");
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "a repeat carries the same message id");
    let mut held = BTreeMap::new();
    for node in &world.members {
        for (port, lease) in world.leases(&node.name) {
            let before = held.insert(lease.request, (node.name.clone(), port));
            assert_eq!(before, None, "{} holds two ports", lease.request);
        }
    }
    for request in requests {
        let choice = &told[&id(request)];
        assert_eq!(held[&id(request)], (choice.name.clone(), choice.port));
    }
    assert_eq!(held.len(), told.len());
    let waiting = world.store.records(&path::folder("placements"));
    assert!(waiting.iter().all(|(_, value)| value.is_empty()), "a placement is left over");
}

/// Waits until everything that is owed was told.
async fn settled(world: &World, requests: impl IntoIterator<Item = u128>) {
    for request in requests {
        world.answer(request).await;
    }
    let placements = path::folder("placements");
    until(async || world.store.records(&placements).iter().all(|(_, value)| value.is_empty()))
        .await;
}

#[tokio::test(start_paused = true)]
async fn every_commit_may_fail_in_every_way() {
    for fault in FAULTS {
        for passing in 0..12 {
            let world = World::with_nodes(2);
            world.ask(1, "shop").await;
            world.ask(2, "shop").await;
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            run(&world.service_on(store), settled(&world, [1, 2])).await;
            assert_sound(&world, [1, 2]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_is_repaired_by_the_next_start() {
    for fault in DEATHS {
        for passing in 0..12 {
            let world = World::with_nodes(2);
            world.ask(1, "shop").await;
            world.ask(2, "shop").await;
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            let crashing = world.service_on(store.clone());
            run(&crashing, async {
                let died = until(async || store.faults_left() == 0);
                drop(tokio::time::timeout(Duration::from_secs(20), died).await);
            })
            .await;
            drop(crashing);
            world.during(settled(&world, [1, 2])).await;
            assert_sound(&world, [1, 2]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_bus_did_not_take_is_told_again() {
    for mode in [FailureMode::Refused, FailureMode::EffectHappened] {
        let world = World::with_nodes(1);
        world.ask(1, "shop").await;
        world.bus.fail_next_publishes(3, mode);
        world.during(settled(&world, [1])).await;
        assert_sound(&world, [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_serves_the_past_misleads_nobody() {
    let world = World::with_nodes(1);
    let store = world.store.session();
    store.freeze_reads();
    let service = world.service_on(store);
    run(&service, async {
        for request in 1..=5 {
            world.ask(request, "shop").await;
            sleep(Duration::from_millis(100)).await;
        }
        settled(&world, 1..=5).await;
    })
    .await;
    assert_sound(&world, 1..=5);
    assert_eq!(world.leases(&name("node-1")).len(), 5);
}

/// Room for every request of a story.
fn roomy() -> NodeUse {
    NodeUse {
        cpu_percent: 5.0,
        memory_percent: 10.0,
        disk_percent: 10.0,
        memory_total_bytes: 1 << 40,
        cpu_millis_total: 1_000_000,
        memory_promised_bytes: 0,
        cpu_millis_promised: 0,
    }
}

/// What happens next in a story of many requests.
#[derive(Debug, Clone)]
enum Act {
    Ask { times: u8 },
    Fail(Fault),
    FailPublish,
    Crash,
    Wait { milliseconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u8..6).prop_map(|times| Act::Ask { times }),
        2 => proptest::sample::select([&FAULTS[..], &DEATHS].concat()).prop_map(Act::Fail),
        1 => Just(Act::FailPublish),
        2 => Just(Act::Crash),
        2 => (0u64..500).prop_map(|milliseconds| Act::Wait { milliseconds }),
    ]
}

/// Plays the acts between two crashes; says where it went on.
async fn play(world: &World, acts: &[Act], asked: &mut u128) -> usize {
    let store = world.store.session();
    let service = world.service_on(store.clone());
    run(&service, async {
        for (number, act) in acts.iter().enumerate() {
            match act {
                Act::Ask { times } => {
                    for _ in 0..*times {
                        *asked += 1;
                        world.ask(*asked, "shop").await;
                    }
                }
                Act::Fail(fault) => store.fail_commit(*fault),
                Act::FailPublish => world.bus.fail_next_publishes(1, FailureMode::EffectHappened),
                Act::Crash => return number + 1,
                Act::Wait { milliseconds } => sleep(Duration::from_millis(*milliseconds)).await,
            }
        }
        acts.len()
    })
    .await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_port_is_given_twice_and_no_request_is_lost(
        acts in proptest::collection::vec(act(), 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = World::with_nodes(3);
            for node in &world.members {
                world.nodes.set_use(&node.name, roomy());
            }
            let mut asked = 0;
            let mut played = 0;
            while played < acts.len() {
                played += play(&world, &acts[played..], &mut asked).await;
            }
            world.during(settled(&world, 1..=asked)).await;
            assert_sound(&world, 1..=asked);
        });
    }
}
