//! Crashes and lost answers at every step: no restart is asked for twice, no alert is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use common::message::{Envelope, header};
use common::topic::Topic;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use testkit::bus::FailureMode;
use testkit::store::Fault;
use tokio::time::{sleep, timeout};

use crate::world::{World, run, seconds, until};

const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost];
/// A process that dies at a commit never hears of it.
const DEATHS: [Fault; 2] = [Fault::RequestStuck, Fault::AnswerStuck];
const DEAD: &str = "load_balancer";
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(15);

/// When each request on a topic was told first. A repeat says the same under the same ids.
fn first_told(world: &World, topic: Topic) -> BTreeMap<String, (Timestamp, String)> {
    let mut told: BTreeMap<String, (Timestamp, String)> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for delivery in world.bus.records(topic) {
        let envelope = Envelope::decode(&delivery.record.payload, topic).unwrap();
        let request = envelope.request_id.to_string();
        let message = delivery.record.header(header::MESSAGE_ID).unwrap().to_vec();
        assert_eq!(ids.entry(request.clone()).or_insert_with(|| message.clone()), &message);
        let (_, text) =
            told.entry(request).or_insert_with(|| (delivery.timestamp, envelope.msg.clone()));
        assert_eq!(*text, envelope.msg, "a request says two things");
    }
    told
}

/// Restarts of one incident are apart by the first wait at least, and nobody owes anything.
fn assert_sound(world: &World) {
    let mut asked: Vec<Timestamp> = first_told(world, Topic::LifecycleManager)
        .into_values()
        .filter(|(_, text)| text.starts_with("restart "))
        .map(|(at, text)| {
            assert_eq!(text, format!("restart service${DEAD}"));
            at
        })
        .collect();
    asked.sort_unstable();
    for pair in asked.windows(2) {
        assert!(pair[1].duration_since(pair[0]) >= FIRST_WAIT, "{asked:?}");
    }
    let alerts = world.alerts();
    for (place, (_, name, verdict)) in alerts.iter().enumerate() {
        let expected = if place % 2 == 0 { "down" } else { "up" };
        assert_eq!((name.as_str(), verdict.as_str()), (DEAD, expected), "{alerts:?}");
    }
    first_told(world, Topic::FirstTopic);
    for incident in world.records("incidents") {
        assert_eq!((&incident["owed"], &incident["notices"]), (&json!([]), &json!([])));
    }
}

/// Down, asked for twice, up again, and everybody was told of it.
async fn until_told(world: &World) {
    world.dies(DEAD);
    until(async || world.restarted().len() >= 2).await;
    world.comes_back(DEAD);
    until_over(world).await;
}

async fn until_over(world: &World) {
    let is_over = async || {
        let incidents = world.records("incidents");
        !incidents.is_empty()
            && incidents.iter().all(|incident| {
                incident["closed_at"].is_string()
                    && incident["owed"] == json!([])
                    && incident["notices"] == json!([])
            })
    };
    until(is_over).await;
    seconds(10).await;
}

#[tokio::test(start_paused = true)]
async fn every_commit_may_fail_in_every_way() {
    for fault in FAULTS {
        for passing in 0..14 {
            let mut world = World::with_everything();
            world.receivers = vec!["pager"];
            world.during(world.until_all_up()).await;
            let store = world.store.session();
            // Standing for the lead and taking it are others' commits.
            store.fail_commit_after(passing + 3, fault);
            run(&world.monitoring_on(store, 8071), until_told(&world)).await;
            assert_sound(&world);
            assert_eq!(world.alerts().len(), 2, "{fault:?} after {passing}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_is_repaired_by_the_next_start() {
    for fault in DEATHS {
        for passing in 0..14 {
            let mut world = World::with_everything();
            world.receivers = vec!["pager"];
            world.during(world.until_all_up()).await;
            let store = world.store.session();
            store.fail_commit_after(passing + 3, fault);
            world.dies(DEAD);
            run(&world.monitoring_on(store.clone(), 8071), async {
                // It gets stuck at that commit, or is well before it comes to it.
                let stuck = async || store.faults_left() == 0;
                drop(timeout(Duration::from_mins(1), until(stuck)).await);
                seconds(1).await;
            })
            .await;
            drop(store);
            world.seed += 1;
            world
                .during(async {
                    until(async || world.restarted().len() >= 2).await;
                    world.comes_back(DEAD);
                    until_over(&world).await;
                })
                .await;
            assert_sound(&world);
            assert_eq!(world.alerts().len(), 2, "{fault:?} after {passing}");
            assert!(world.webhooks.told().len() >= 2);
        }
    }
}

/// What happens next in a long story.
#[derive(Debug, Clone)]
enum Act {
    Dies,
    ComesBack,
    Fail(Fault),
    FailPublish(bool),
    Crash,
    Wait { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Dies),
        2 => Just(Act::ComesBack),
        2 => proptest::sample::select([&FAULTS[..], &DEATHS].concat()).prop_map(Act::Fail),
        1 => any::<bool>().prop_map(Act::FailPublish),
        3 => Just(Act::Crash),
        4 => (1u64..60).prop_map(|seconds| Act::Wait { seconds }),
    ]
}

/// Plays the acts between two crashes; says where it went on.
async fn play(world: &World, acts: &[Act]) -> usize {
    let store = world.store.session();
    run(&world.monitoring_on(store.clone(), 8070), async {
        for (number, act) in acts.iter().enumerate() {
            match act {
                Act::Dies => world.dies(DEAD),
                Act::ComesBack => world.comes_back(DEAD),
                Act::Fail(fault) => store.fail_commit(*fault),
                Act::FailPublish(happened) => {
                    let mode =
                        if *happened { FailureMode::EffectHappened } else { FailureMode::Refused };
                    world.bus.fail_next_publishes(1, mode);
                }
                Act::Crash => return number + 1,
                Act::Wait { seconds } => sleep(Duration::from_secs(*seconds)).await,
            }
        }
        acts.len()
    })
    .await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_restart_comes_before_its_time_and_every_alert_is_told(
        acts in proptest::collection::vec(act(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut world = World::with_everything();
            world.receivers = vec!["pager"];
            world.during(world.until_all_up()).await;
            let mut played = 0;
            while played < acts.len() {
                world.seed += 1;
                played += play(&world, &acts[played..]).await;
            }
            world.seed += 1;
            world.comes_back(DEAD);
            world
                .during(async {
                    world.until_all_up().await;
                    until(async || {
                        world.records("incidents").iter().all(|incident| {
                            incident["closed_at"].is_string()
                                && incident["owed"] == json!([])
                                && incident["notices"] == json!([])
                        })
                    })
                    .await;
                })
                .await;
            assert_sound(&world);
            let incidents = world.records("incidents").len();
            assert_eq!(world.alerts().len(), incidents * 2);
        });
    }
}
