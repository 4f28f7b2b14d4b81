//! Starting the platform.

use std::collections::BTreeMap;
use std::time::Duration;

use common::id::Epoch;
use common::message::PlatformOutcome;
use common::record::epoch::{EpochRecord, SettledRecord};
use common::record::operation::Outcome;
use common::record::path;
use common::record::platform::{PlatformGoal, PlatformState, RunningService};
use common::service::ServiceName;
use common::topic::Topic;
use proptest::prelude::*;
use tokio::time::sleep;

use crate::lifecycle::{Conduct, Lead, PLACEABLE};
use crate::world::{World, until};

fn yes(outcome: &PlatformOutcome) -> &str {
    match outcome {
        PlatformOutcome::Yes { details } => details,
        PlatformOutcome::No { error } => panic!("{error}"),
    }
}

/// Everything runs and is found, and only once.
pub(crate) fn assert_running(world: &World) {
    assert_eq!(world.wished(), PLACEABLE);
    let registry = world.registry();
    let names: Vec<&str> = registry.keys().map(String::as_str).collect();
    let expected = [
        "application_manager",
        "deployment_manager",
        "load_balancer",
        "monitoring",
        "node_manager",
    ];
    assert_eq!(names, expected);
    assert_eq!(world.platform().state, PlatformState::Running);
}

#[tokio::test(start_paused = true)]
async fn services_are_started_in_the_order_of_what_they_need_and_found_afterwards() {
    let world = World::with_nodes(4);
    let outcome = world
        .during(async {
            let outcome = world.start(1).await;
            world.until_state(PlatformState::Running).await;
            outcome
        })
        .await;
    assert_eq!(
        yes(&outcome),
        "node_manager at 192.0.2.1:8040, load_balancer at 192.0.2.1:8050, \
         deployment_manager at 192.0.2.3:8030, application_manager at 192.0.2.10:2000, \
         monitoring at 192.0.2.4:8070"
    );
    assert_running(&world);
    assert_eq!(world.registry()["application_manager"], "192.0.2.10:2000");
    let upstreams = world.routes.memory.upstreams(&crate::world::legacy("application_manager"));
    assert_eq!(upstreams.len(), 2);
    assert!(matches!(
        world.remembered(1, "start-platform"),
        Some(Outcome::Succeeded { details: Some(_) })
    ));
    let status = world.status_file().unwrap();
    assert!(status.starts_with("{\"timestamp\":\"2026-01-01 00:00:0"), "{status}");
    assert!(status.ends_with("\",\"status\":\"running\"}"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_wished_for_only_when_those_before_it_are_ready_and_registered() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::LoadBalancer, Conduct::Works(Duration::from_mins(1)));
    world
        .during(async {
            world.say(1, "start platform").await;
            sleep(Duration::from_secs(30)).await;
            assert_eq!(world.wished(), [ServiceName::NodeManager, ServiceName::LoadBalancer]);
            assert_eq!(world.registry().len(), 1);
            assert_eq!(world.status_file(), None, "nothing is said before it is true");
            yes(&world.outcome(1).await);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn monitoring_waits_until_a_lifecycle_manager_is_ready() {
    for before in [Lead::Nobody, Lead::Taken] {
        let world = World::with_nodes(2);
        // Its predecessor was ready: that means nothing once another one leads.
        let predecessor = SettledRecord { schema: 1, epoch: Epoch(1) };
        world.write(&path::settled(ServiceName::LifecycleManager), &predecessor);
        let taken = EpochRecord { schema: 1, epoch: Epoch(1), taken_by: "another".to_owned() };
        world.write(&path::epoch(ServiceName::LifecycleManager), &taken);
        world.lifecycle.set_lead(before);
        world
            .during(async {
                world.say(1, "start platform").await;
                until(async || world.wished().len() == 4).await;
                sleep(Duration::from_secs(30)).await;
                assert!(!world.wished().contains(&ServiceName::Monitoring), "{before:?}");
                world.lifecycle.set_lead(Lead::Settled);
                yes(&world.outcome(1).await);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_file_that_cannot_be_written_is_written_once_it_can_be() {
    let mut world = World::with_nodes(2);
    let folder = tempfile::tempdir().unwrap();
    // What stands where a folder should be.
    let blocked = folder.path().join("var");
    std::fs::write(&blocked, "").unwrap();
    let file = blocked.join("platform_status.json");
    world.raw.platform.status_file = file.display().to_string();
    world
        .during(async {
            yes(&world.start(1).await);
            world.until_state(PlatformState::Running).await;
            sleep(Duration::from_secs(5)).await;
            std::fs::remove_file(&blocked).unwrap();
            until(async || file.exists()).await;
        })
        .await;
    let status = std::fs::read_to_string(&file).unwrap();
    assert!(status.ends_with("\",\"status\":\"running\"}"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_second_start_moves_nothing_and_is_answered_like_the_first() {
    let world = World::with_nodes(3);
    world
        .during(async {
            let first = world.start(1).await;
            let before: Vec<_> = PLACEABLE.map(|service| world.placed(service)).into();
            let second = world.start(2).await;
            assert_eq!(first, second);
            let after: Vec<_> = PLACEABLE.map(|service| world.placed(service)).into();
            assert_eq!(before, after);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_while_the_platform_starts_shares_its_outcome() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::NodeManager, Conduct::Works(Duration::from_secs(20)));
    world
        .during(async {
            world.say(1, "start platform").await;
            sleep(Duration::from_secs(5)).await;
            world.say(2, "please start server now").await;
            assert_eq!(world.outcome(1).await, world.outcome(2).await);
            assert_eq!(world.platform().generation.0, 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_same_request_is_done_once_and_answered_again() {
    let world = World::with_nodes(2);
    world
        .during(async {
            yes(&world.start(1).await);
            let before = world.platform();
            world.say(1, "start platform").await;
            until(async || world.answers().len() == 2).await;
            sleep(Duration::from_secs(5)).await;
            let after = world.platform();
            assert_eq!((after.generation, after.reached), (before.generation, before.reached));
        })
        .await;
    let records = world.bus.records(Topic::FirstTopic);
    let message = |number: usize| records[number].record.header("message-id");
    assert_eq!(message(0), message(1), "its reader drops the repeat");
    assert_eq!(world.answers().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_command_is_a_dead_letter() {
    let world = World::with_nodes(2);
    world
        .during(async {
            for (number, text) in
                ["", "hello", "start", "start platform stop platform"].iter().enumerate()
            {
                world.say(10 + number as u128, text).await;
            }
            until(async || world.bus.records(Topic::Bootstrapper.dead_letter()).len() == 4).await;
        })
        .await;
    assert_eq!(world.answers(), []);
}

#[tokio::test(start_paused = true)]
async fn one_machine_carries_everything_once() {
    let world = World::with_nodes(1);
    world.during(async { yes(&world.start(1).await).len() }).await;
    assert_running(&world);
    assert!(world.placement().values().all(|nodes| nodes.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_instances_is_not_a_start_and_it_is_said_which_is_missing_where() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::AppManager, Conduct::HalfFails);
    let outcome = world.during(async { world.start(1).await }).await;
    let PlatformOutcome::No { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        error,
        "HEALTH_TIMEOUT: app-manager on node-1 was not ready within 120 s: \
         IMAGE_UNAVAILABLE: its image could not be fetched"
    );
    assert_eq!(world.wished(), [], "what it began is taken back");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_falls_while_later_services_start_is_awaited_before_it_is_a_start() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::Monitoring, Conduct::Works(Duration::from_secs(30)));
    world
        .during(async {
            world.say(1, "start platform").await;
            until(async || world.wished().contains(&ServiceName::Monitoring)).await;
            world.lifecycle.set(ServiceName::NodeManager, Conduct::HalfFails);
            sleep(Duration::from_mins(1)).await;
            assert_eq!(world.answers(), [], "one of two is away");
            world.lifecycle.set(ServiceName::NodeManager, Conduct::Stays);
            yes(&world.outcome(1).await);
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_stopped_comes_back_to_the_same_machines() {
    let world = World::with_nodes(4);
    let before = world
        .during(async {
            yes(&world.start(1).await);
            let before = world.placement();
            yes(&world.stop(2).await);
            before
        })
        .await;
    world.enrol("node-5");
    world.during(async { yes(&world.start(3).await).len() }).await;
    assert_eq!(world.placement(), before);
    assert_running(&world);
}

/// Every service with how long it takes, from at once to a minute late.
fn delays() -> impl Strategy<Value = BTreeMap<ServiceName, u64>> {
    let delay = prop_oneof![Just(0_u64), 0..5_000_u64, 59_000..61_000_u64];
    proptest::collection::vec(delay, PLACEABLE.len())
        .prop_map(|delays| PLACEABLE.into_iter().zip(delays).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    /// F-BOOT2.
    #[test]
    fn services_may_become_ready_in_any_order(
        first in delays(),
        again in delays(),
        crashes_after in 0..10_000_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = World::with_nodes(3);
            let conduct = |delays: &BTreeMap<ServiceName, u64>| {
                for (service, delay) in delays {
                    let delay = Duration::from_millis(*delay);
                    world.lifecycle.set(*service, Conduct::Works(delay));
                }
            };
            conduct(&first);
            world.say(1, "start platform").await;
            world.during(sleep(Duration::from_millis(crashes_after))).await;
            world.during(async { yes(&world.start(2).await).len() }).await;
            assert_running(&world);
            // All begin at once, as after the power came back: nobody is told to begin anew.
            let generations: Vec<_> = PLACEABLE.map(|one| world.placed(one)).into();
            for service in PLACEABLE {
                let at = path::running_service(service);
                let mut running: RunningService = world.read(&at).unwrap();
                running.instances.clear();
                world.write(&at, &running);
            }
            conduct(&again);
            world.during(async { yes(&world.start(3).await).len() }).await;
            assert_running(&world);
            let after: Vec<_> = PLACEABLE.map(|one| world.placed(one)).into();
            assert_eq!(generations, after);
            assert_eq!(world.platform().goal, PlatformGoal::On);
        });
    }
}
