//! Monitoring that sees everything dead.

use common::record::path;
use testkit::bus::Availability;
use testkit::routes::Health;
use tokio::time::Instant;

use crate::world::{SERVICES, World, instance, seconds, until};

#[tokio::test(start_paused = true)]
async fn monitoring_that_is_cut_off_restarts_nothing_and_raises_one_alarm() {
    let world = World::with_everything();
    world.app("shop").await;
    world
        .during(async {
            world.until_all_up().await;
            world.probes.cut_off(true);
            world.routes.set_health(Health::Down);
            seconds(1800).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
            let alarm =
                |verdict: &str| ("fleet".to_owned(), "services".to_owned(), verdict.to_owned());
            assert_eq!(world.alerts(), [alarm("down")]);
            for service in SERVICES {
                assert_eq!(world.verdict("service", service).as_deref(), Some("down"));
            }
            // Of the app nothing is known, and so it is not down.
            assert_ne!(world.verdict("app", "shop").as_deref(), Some("down"));
            world.probes.cut_off(false);
            world.routes.set_health(Health::Answers);
            seconds(60).await;
            assert_eq!(world.alerts(), [alarm("down"), alarm("up")]);
            world.until_all_up().await;
            assert_eq!(world.restarted(), Vec::<String>::new());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn monitoring_that_comes_up_cut_off_restarts_nothing() {
    let world = World::with_everything();
    world.during(world.until_all_up()).await;
    world.probes.cut_off(true);
    world
        .during(async {
            seconds(900).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
            let alarms: Vec<String> = world.alerts().into_iter().map(|(kind, ..)| kind).collect();
            assert_eq!(alarms, ["fleet"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn when_the_brake_is_off_again_what_is_still_down_is_restarted() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.probes.cut_off(true);
            seconds(60).await;
            world.dies("load_balancer");
            world.probes.cut_off(false);
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart service$load_balancer"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_waited_for_the_bus_is_withdrawn_when_everything_goes_down() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            world.bus.set_availability(Availability::Down);
            world.dies("load_balancer");
            world.until_verdict("service", "load_balancer", "down").await;
            seconds(10).await;
            world.probes.cut_off(true);
            seconds(10).await;
            world.bus.set_availability(Availability::Up);
            seconds(120).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_app_after_another_that_fails_takes_half_of_the_budget_at_most() {
    let world = World::with_everything();
    for number in 0..40 {
        world.app(&format!("app-{number}")).await;
    }
    world
        .during(async {
            world.until_all_up().await;
            world.until_verdict("app", "app-39", "up").await;
            for number in 0..10 {
                world.routes.set_answer(&instance(&format!("app-{number}")), Some(502));
            }
            seconds(300).await;
            assert_eq!(world.restarted().len(), 5, "{:?}", world.restarted());
            world.dies("deployment_manager");
            let began = Instant::now();
            until(async || world.restarted().len() > 5).await;
            assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
            assert_eq!(world.restarted()[5], "restart service$deployment_manager");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_makes_all_apps_fail_does_not_hold_the_platform() {
    let world = World::with_everything();
    for app in ["one", "two", "three"] {
        world.app(app).await;
    }
    world
        .during(async {
            world.until_all_up().await;
            world.until_verdict("app", "three", "up").await;
            for app in ["one", "two", "three"] {
                world.routes.set_answer(&instance(app), Some(503));
            }
            seconds(120).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
            let alarm = ("fleet".to_owned(), "apps".to_owned(), "down".to_owned());
            assert_eq!(world.alerts(), [alarm]);
            world.dies("deployment_manager");
            until(async || !world.restarted().is_empty()).await;
            assert_eq!(world.restarted(), ["restart service$deployment_manager"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_makes_nobody_dead() {
    let world = World::with_everything();
    world
        .during(async {
            world.until_all_up().await;
            let before = world.store.records(&path::folder("monitoring"));
            world.dies("load_balancer");
            // Too short for the lead to be lost, too long for a verdict.
            world.store.go_down();
            seconds(2).await;
            world.comes_back("load_balancer");
            world.store.come_back();
            seconds(30).await;
            assert_eq!(world.store.records(&path::folder("monitoring")), before);
            assert_eq!(world.restarted(), Vec::<String>::new());
        })
        .await;
}
