//! Starts that fail: what they began is taken back, and only that.

use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::message::PlatformOutcome;
use common::record::operation::Outcome;
use common::record::path;
use common::record::platform::{PlatformRecord, PlatformState};
use common::service::ServiceName;
use testkit::routes::Health;

use crate::lifecycle::{Conduct, Lead};
use crate::starting::assert_running;
use crate::world::{World, legacy, until};

fn no(outcome: PlatformOutcome) -> String {
    match outcome {
        PlatformOutcome::No { error } => error,
        PlatformOutcome::Yes { details } => panic!("{details}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_the_third_service_takes_back_the_first_two() {
    let world = World::with_nodes(4);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Fails);
    let error = world
        .during(async {
            let error = no(world.start(1).await);
            world.until_state(PlatformState::Failed).await;
            error
        })
        .await;
    assert_eq!(
        error,
        "HEALTH_TIMEOUT: deployment-manager on node-3 was not ready within 120 s: \
         IMAGE_UNAVAILABLE: its image could not be fetched"
    );
    assert_eq!(world.wished(), []);
    assert_eq!(world.registry().len(), 0);
    assert_eq!(world.placed(ServiceName::AppManager), None, "it was never begun");
    assert_eq!(world.placement().len(), 3, "where they were placed stays noted");
    assert_eq!(world.status_file(), None);
    assert!(matches!(world.remembered(1, "start-platform"), Some(Outcome::Failed { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_ran_before_goes_on() {
    let world = World::with_nodes(3);
    let mut small = World::with_nodes(3);
    small.raw.platform.services = "node-manager, load-balancer".to_owned();
    small.raw.platform.front_doors = String::new();
    small.store = world.store.session();
    small.bus = world.bus.clone();
    let two = [ServiceName::NodeManager, ServiceName::LoadBalancer];
    let service = small.service();
    world
        .run(&service, async {
            assert!(matches!(world.start(1).await, PlatformOutcome::Yes { .. }));
        })
        .await;
    drop(service);
    assert_eq!(world.wished(), two);
    world.lifecycle.set(ServiceName::AppManager, Conduct::Lost);
    let error = world.during(async { no(world.start(2).await) }).await;
    assert!(error.contains("app-manager on node-"), "{error}");
    assert!(error.ends_with("the lifecycle manager has not taken it up"), "{error}");
    assert_eq!(world.wished(), two);
    let names: Vec<String> = world.registry().into_keys().collect();
    assert_eq!(names, ["load_balancer", "node_manager"]);
}

#[tokio::test(start_paused = true)]
async fn a_front_door_that_leads_nowhere_fails_the_start() {
    let world = World::with_nodes(2);
    world.routes.memory.set_answer(&legacy("application_manager"), Some(502));
    let error = world.during(async { no(world.start(1).await) }).await;
    assert!(error.starts_with("ROUTE_FAILED: app-manager on node-"), "{error}");
    assert!(error.ends_with("nothing answers through its front door"), "{error}");
    assert_eq!(world.routes.memory.instances(), []);
    assert_eq!(world.wished(), []);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_refuses_says_why() {
    let world = World::with_nodes(2);
    let failure = Failure::new(FailureCode::FrontPortsExhausted, "all front ports are in use");
    world.routes.memory.set_health(Health::Fails(failure));
    let error = world.during(async { no(world.start(1).await) }).await;
    assert!(error.contains("all front ports are in use"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_lifecycle_manager_that_is_never_ready_fails_the_start_and_it_is_said_where_monitoring_is_missing()
 {
    let world = World::with_nodes(4);
    world.lifecycle.set_lead(Lead::Taken);
    let error = world.during(async { no(world.start(1).await) }).await;
    assert_eq!(
        error,
        "DEADLINE_EXCEEDED: monitoring on node-4 was not started, \
         because no lifecycle manager is ready"
    );
    assert_eq!(world.wished(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_machine_nothing_is_begun() {
    let world = World::with_nodes(0);
    let error = world.during(async { no(world.start(1).await) }).await;
    assert!(error.starts_with("NO_NODE_FITS: "), "{error}");
    assert_eq!(world.placement().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_start_after_a_failed_one_brings_everything_up() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::Monitoring, Conduct::Fails);
    world
        .during(async {
            no(world.start(1).await);
            world.lifecycle.set(ServiceName::Monitoring, Conduct::Stays);
            assert!(matches!(world.start(2).await, PlatformOutcome::Yes { .. }));
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_start_while_the_last_one_is_undone_begins_anew() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Fails);
    world.lifecycle.set(ServiceName::LoadBalancer, Conduct::Stays);
    world
        .during(async {
            world.say(1, "start platform").await;
            until(async || {
                world
                    .read::<PlatformRecord>(&path::platform())
                    .is_some_and(|record| record.state == PlatformState::Undoing)
            })
            .await;
            world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Works(Duration::ZERO));
            assert!(matches!(world.start(2).await, PlatformOutcome::Yes { .. }));
            assert!(no(world.outcome(1).await).starts_with("HEALTH_TIMEOUT"));
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_does_not_hold_up_the_undoing() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Fails);
    world.lifecycle.set(ServiceName::LoadBalancer, Conduct::Stays);
    world.during(async { no(world.start(1).await).len() }).await;
    assert_eq!(world.wished(), []);
    assert_eq!(world.registry().len(), 0);
}
