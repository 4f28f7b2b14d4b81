//! Crashes and lost answers at every step: one platform, one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::message::header;
use common::record::platform::PlatformState;
use common::service::ServiceName;
use common::topic::Topic;
use testkit::bus::FailureMode;
use testkit::routes::Health;
use testkit::store::Fault;

use crate::lifecycle::Conduct;
use crate::starting::assert_running;
use crate::world::{World, until};

pub(crate) const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost];
/// A process that dies at a commit never hears of it.
pub(crate) const DEATHS: [Fault; 2] = [Fault::RequestStuck, Fault::AnswerStuck];
/// More than a start and a stop write.
const COMMITS: usize = 38;

/// However often an answer was told, it is one.
pub(crate) fn assert_one_answer_each(world: &World) {
    let mut told: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for ((request, event), delivery) in
        world.answers().into_iter().zip(world.bus.records(Topic::FirstTopic))
    {
        let message = delivery.record.header(header::MESSAGE_ID).unwrap();
        let line = format!("{message:?} {event:?}");
        told.entry(request).or_default().insert(line);
    }
    assert!(told.values().all(|answers| answers.len() == 1), "{told:?}");
}

fn assert_stopped(world: &World) {
    assert_eq!(world.wished(), []);
    assert_eq!(world.registry().len(), 0);
    assert_eq!(world.routes.memory.instances(), []);
}

/// A start, and then a stop, each answered.
async fn story(world: &World, [start, stop]: [u128; 2]) {
    world.start(start).await;
    world.until_state(PlatformState::Running).await;
    assert_running(world);
    world.stop(stop).await;
    world.until_state(PlatformState::Stopped).await;
}

/// Whatever was asked, has an answer.
fn assert_all_answered(world: &World) {
    for asked in world.bus.messages(Topic::Bootstrapper) {
        let is_answer = |(answered, _): &(_, _)| *answered == asked.request_id;
        assert!(world.answers().iter().any(is_answer), "{} has no answer", asked.request_id);
    }
}

#[tokio::test(start_paused = true)]
async fn every_commit_may_fail_in_every_way() {
    for fault in FAULTS {
        for passing in 0..COMMITS {
            let world = World::with_nodes(2);
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            world.run(&world.service_on(store), story(&world, [1, 2])).await;
            assert_stopped(&world);
            assert_one_answer_each(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_is_repaired_by_the_next_start() {
    for fault in DEATHS {
        for passing in 0..COMMITS {
            let world = World::with_nodes(2);
            let store = world.store.session();
            store.fail_commit_after(passing, fault);
            let crashing = world.service_on(store.clone());
            world
                .run(&crashing, async {
                    let told = story(&world, [1, 2]);
                    let died = until(async || store.faults_left() == 0);
                    tokio::select! {
                        biased;
                        () = died => {}
                        () = told => {}
                    }
                })
                .await;
            drop(crashing);
            world.during(story(&world, [3, 4])).await;
            assert_stopped(&world);
            assert_all_answered(&world);
            assert_one_answer_each(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_every_commit_of_an_undoing_leaves_nothing_begun() {
    for passing in 0..28 {
        let world = World::with_nodes(2);
        world.lifecycle.set(ServiceName::AppManager, Conduct::Fails);
        let store = world.store.session();
        store.fail_commit_after(passing, Fault::AnswerStuck);
        let crashing = world.service_on(store.clone());
        world.say(1, "start platform").await;
        world
            .run(&crashing, async {
                let died = until(async || store.faults_left() == 0);
                drop(tokio::time::timeout(Duration::from_mins(10), died).await);
            })
            .await;
        drop(crashing);
        world
            .during(async {
                world.outcome(1).await;
                world.until_state(PlatformState::Failed).await;
            })
            .await;
        assert_stopped(&world);
        assert_one_answer_each(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_bus_did_not_take_is_told_again() {
    for mode in [FailureMode::Refused, FailureMode::EffectHappened] {
        let world = World::with_nodes(2);
        world.say(1, "start platform").await;
        world.bus.fail_next_publishes(3, mode);
        world
            .during(async {
                world.outcome(1).await;
                world.until_state(PlatformState::Running).await;
            })
            .await;
        assert_one_answer_each(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_whose_answers_are_lost_is_asked_again() {
    let world = World::with_nodes(2);
    world.routes.memory.set_health(Health::LosesAnswers);
    world
        .during(async {
            world.say(1, "start platform").await;
            until(async || !world.routes.memory.instances().is_empty()).await;
            world.routes.memory.set_health(Health::Answers);
            world.outcome(1).await;
            world.until_state(PlatformState::Running).await;
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_serves_the_past_misleads_nobody() {
    let world = World::with_nodes(2);
    let store = world.store.session();
    store.freeze_reads();
    world.run(&world.service_on(store), story(&world, [1, 2])).await;
    assert_stopped(&world);
    assert_one_answer_each(&world);
}
