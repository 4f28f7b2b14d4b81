//! Too many at once: nothing is restarted, and everybody is told.

use std::time::Duration;

use common::port::bus::Delivery;
use common::service::ServiceName;
use common::topic::Topic;
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{World, until};

#[tokio::test(start_paused = true)]
async fn monitoring_that_reports_everything_dead_restarts_nothing() {
    let world = World::new();
    let services = ServiceName::ALL.into_iter().filter(|one| *one != ServiceName::NodeAgent);
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            for (number, service) in (1..).zip(services) {
                world.say(number, &format!("restart service${}", service.registry_name()));
            }
            for (number, node) in (21..).zip(["node-1", "node-2", "node-3", "node-4"]) {
                world.say(number, &format!("restart node${node}"));
            }
            for number in (1..=7).chain(21..=24) {
                let answer = world.answer(number).await;
                assert!(answer.contains("Error - RESTART_HELD: "), "{answer}");
            }
            sleep(Duration::from_mins(2)).await;
        })
        .await;
    assert!(world.restarts().is_empty());
    assert!(world.machines.restarted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_report_that_everything_is_dead_is_an_alarm_that_ends() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            for (number, service) in (1..).zip(["lifecycle_manager", "platform_initializer"]) {
                world.say(number, &format!("restart service${service}"));
            }
            until(async || world.alarms() == (1, 0)).await;
            assert!(world.answer(1).await.contains("RESTART_HELD"));
            until(async || world.alarms() == (1, 1)).await;
        })
        .await;
    assert!(world.restarts().is_empty());
    let told = world.bus.records(Topic::FirstTopic).into_iter();
    let details = |one: Delivery| one.record.header("details").map(<[u8]>::to_vec);
    let told: Vec<String> =
        told.filter_map(details).map(|text| String::from_utf8(text).unwrap()).collect();
    assert!(told[0].contains("2 of 2 services were to be restarted at once"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn half_the_machines_silent_at_once_is_an_alarm_and_nothing_is_done() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-3", "node-4"], None);
            world.until_ready_on(&["node-3", "node-4"]).await;
            for node in ["node-3", "node-4"] {
                world.set_reach(node, Reach::Partitioned).await;
            }
            until(async || world.alarms() == (1, 0)).await;
            sleep(Duration::from_mins(3)).await;
            assert!(world.enrolment.asked().is_empty());
            assert!(world.machines.restarted().is_empty());
            assert_eq!(world.really_on(), ["node-3", "node-4"]);
            for node in ["node-3", "node-4"] {
                world.set_reach(node, Reach::Up).await;
            }
            until(async || world.alarms() == (1, 1)).await;
            world.until_ready_on(&["node-3", "node-4"]).await;
        })
        .await;
    assert_eq!(world.alarms(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_successor_goes_on_holding() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            for node in ["node-3", "node-4"] {
                world.set_reach(node, Reach::Partitioned).await;
            }
            until(async || world.alarms() == (1, 0)).await;
        })
        .await;
    world.during(sleep(Duration::from_mins(3))).await;
    assert_eq!(world.alarms(), (1, 0), "it is the same alarm");
    assert!(world.enrolment.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_began_with_requests_and_is_seen_since_holds_the_successor_too() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            for (number, node) in (1..).zip(["node-1", "node-2", "node-3", "node-4"]) {
                world.say(number, &format!("restart node${node}"));
            }
            until(async || world.alarms() == (1, 0)).await;
            for node in ["node-3", "node-4"] {
                world.set_reach(node, Reach::Partitioned).await;
            }
            sleep(Duration::from_mins(1)).await;
            assert_eq!(world.alarms(), (1, 0), "it is seen now");
        })
        .await;
    world.during(sleep(Duration::from_mins(3))).await;
    assert_eq!(world.alarms(), (1, 0), "it is the same alarm");
    assert!(world.enrolment.asked().is_empty());
}
