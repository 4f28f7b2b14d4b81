//! Stopping the platform, and changing one's mind.

use std::time::Duration;

use common::failure::FailureCode;
use common::id::{Generation, SlotNumber};
use common::message::PlatformOutcome;
use common::port::Routes as _;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::WantedRoute;
use common::record::operation::Outcome;
use common::record::platform::PlatformState;
use common::service::ServiceName;
use testkit::routes::{Call, Health};
use tokio::time::sleep;

use crate::lifecycle::{Conduct, PLACEABLE};
use crate::starting::assert_running;
use crate::world::{World, id, legacy, until};

fn is_yes(outcome: &PlatformOutcome) -> bool {
    matches!(outcome, PlatformOutcome::Yes { .. })
}

fn no(outcome: PlatformOutcome) -> String {
    match outcome {
        PlatformOutcome::No { error } => error,
        PlatformOutcome::Yes { details } => panic!("{details}"),
    }
}

/// Nothing is wished for, and nobody finds what is gone.
fn assert_stopped(world: &World) {
    assert_eq!(world.wished(), []);
    assert_eq!(world.registry().len(), 0, "{:?}", world.registry());
    assert_eq!(world.routes.memory.wanted(&legacy("application_manager")), None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_and_forgets_every_service_and_no_app() {
    let world = World::with_nodes(3);
    let shop = WantedRoute {
        instance: legacy("shop"),
        generation: Generation(1),
        revision: 0,
        upstreams: vec![Upstream {
            ip: "192.0.2.1".parse().unwrap(),
            port: 20_000,
            slot: SlotNumber(1),
            weight: Weight::ONE,
        }],
        image: "shop".to_owned(),
        container_port: 8080,
        container_ids: Vec::new(),
        edge: EdgeOptions::default(),
    };
    world.routes.set(&shop).await.unwrap();
    world
        .during(async {
            assert!(is_yes(&world.start(1).await));
            assert_running(&world);
            let stopped = world.stop(2).await;
            assert_eq!(stopped, PlatformOutcome::Yes { details: "5 services stopped".to_owned() });
            world.until_state(PlatformState::Stopped).await;
            until(async || world.status_file().unwrap().contains("\"stopped\"")).await;
        })
        .await;
    assert_stopped(&world);
    assert_eq!(world.routes.memory.wanted(&legacy("shop")), Some(shop));
}

#[tokio::test(start_paused = true)]
async fn monitoring_ends_first_and_the_load_balancer_serves_until_all_are_deregistered() {
    let world = World::with_nodes(3);
    for service in PLACEABLE {
        world.lifecycle.set(service, Conduct::Works(Duration::from_secs(5)));
    }
    world
        .during(async {
            assert!(is_yes(&world.start(1).await));
            world.routes.memory.take_calls();
            world.say(2, "stop platform").await;
            let mut left = world.wished();
            for ended in [
                ServiceName::Monitoring,
                ServiceName::AppManager,
                ServiceName::DeploymentManager,
                ServiceName::LoadBalancer,
                ServiceName::NodeManager,
            ] {
                left.retain(|service| *service != ended);
                until(async || world.wished() == left).await;
                let route = world.routes.memory.wanted(&legacy("application_manager"));
                assert_eq!(route.is_some(), left.contains(&ServiceName::AppManager));
                assert!(!world.registry().contains_key(ended.registry_name()), "{ended}");
            }
            assert!(is_yes(&world.outcome(2).await));
        })
        .await;
    let removed = world.routes.memory.take_calls();
    assert!(matches!(removed.as_slice(), [Call::Remove(..)]), "{removed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_the_place_of_a_start() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Works(Duration::from_secs(40)));
    world
        .during(async {
            world.say(1, "start platform").await;
            sleep(Duration::from_secs(10)).await;
            assert_eq!(world.wished().len(), 3);
            assert!(is_yes(&world.stop(2).await));
            assert!(no(world.outcome(1).await).starts_with("SUPERSEDED"));
        })
        .await;
    assert_stopped(&world);
    assert_eq!(world.remembered(1, "start-platform"), Some(Outcome::Superseded));
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_the_place_of_a_stop() {
    let world = World::with_nodes(2);
    world
        .during(async {
            assert!(is_yes(&world.start(1).await));
            world.lifecycle.set(ServiceName::AppManager, Conduct::Works(Duration::from_secs(20)));
            world.say(2, "stop platform").await;
            sleep(Duration::from_secs(5)).await;
            assert!(!world.wished().contains(&ServiceName::AppManager));
            assert!(is_yes(&world.start(3).await));
            assert!(no(world.outcome(2).await).contains("a newer request to start"));
        })
        .await;
    assert_running(&world);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_never_started_is_stopped_at_once() {
    let world = World::with_nodes(2);
    world.during(async { assert!(is_yes(&world.stop(1).await)) }).await;
    assert_stopped(&world);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_end_is_named_and_the_next_stop_goes_on() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Stays);
    world
        .during(async {
            assert!(is_yes(&world.start(1).await));
            let error = no(world.stop(2).await);
            assert_eq!(
                error,
                "DEADLINE_EXCEEDED: deployment-manager on node-2 was not gone within 60 s: it still runs"
            );
            assert_eq!(world.platform().state, PlatformState::Failed);
            world.until_state(PlatformState::Failed).await;
            assert!(world.status_file().unwrap().contains("running"), "only a success is written");
            world.lifecycle.set(ServiceName::DeploymentManager, Conduct::Works(Duration::ZERO));
            assert!(is_yes(&world.stop(3).await));
        })
        .await;
    assert_stopped(&world);
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_away_keeps_the_platform_from_stopping_half() {
    let world = World::with_nodes(2);
    world
        .during(async {
            assert!(is_yes(&world.start(1).await));
            world.routes.memory.set_health(Health::Down);
            let error = no(world.stop(2).await);
            assert!(error.starts_with(FailureCode::RouteFailed.as_str()), "{error}");
            assert!(error.contains("app-manager on node-2 could not be deregistered"), "{error}");
            assert!(world.wished().contains(&ServiceName::AppManager));
            world.routes.memory.set_health(Health::Answers);
            assert!(is_yes(&world.stop(3).await));
        })
        .await;
    assert_stopped(&world);
}

#[tokio::test(start_paused = true)]
async fn services_that_are_one_process_are_not_stopped_one_by_one_and_it_is_said_what_to_do() {
    let mut world = World::with_nodes(1);
    world.raw.platform.single_process = true;
    world
        .during(async {
            let refused = "SINGLE_PROCESS: the services of this platform are one process: end that, and apps go on; `avishkar down` ends both";
            assert_eq!(no(world.stop(1).await), refused, "also before it was ever started");
            assert!(is_yes(&world.start(2).await));
            let before = world.platform();
            assert_eq!(no(world.stop(3).await), refused);
            assert_eq!(world.platform(), before, "nothing is touched");
            assert_running(&world);
            world.say(3, "stop platform").await;
            until(async || world.answers().iter().filter(|(of, _)| *of == id(3)).count() == 2).await;
        })
        .await;
    let remembered = world.remembered(3, "stop-platform");
    assert!(matches!(remembered, Some(Outcome::Failed { .. })), "{remembered:?}");
}
