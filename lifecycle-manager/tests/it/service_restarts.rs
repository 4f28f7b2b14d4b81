//! Restarts of services that programs ask for: what looks well from here is left alone where something explains the request.

use std::time::Duration;

use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::Value;
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{Outcome, World, name, placed, until};

const RESTART: &str = "restart service$node_manager";

#[tokio::test(start_paused = true)]
async fn a_machine_that_died_explains_what_is_said_of_its_service_and_no_instance_is_touched() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-3", Reach::Dead).await;
            sleep(Duration::from_secs(6)).await;
            world.say(1, RESTART);
            let answer = world.answer(1).await;
            assert!(answer.contains("Error - RESTART_HELD: its instance on node-3 "), "{answer}");
            let has_moved =
                || !world.running().unwrap().instances.iter().any(|one| one.node == name("node-3"));
            until(async || has_moved()).await;
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    assert!(world.restarts().is_empty(), "{:?}", world.restarts());
}

#[tokio::test(start_paused = true)]
async fn what_is_made_in_the_stead_of_a_lost_instance_is_left_to_become_ready() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            for node in ["node-1", "node-4"] {
                world.parts.set_healthy(&name(node), &placed(), false);
            }
            world.set_reach("node-3", Reach::Dead).await;
            until(async || world.really_on().len() == 3).await;
            world.say(1, RESTART);
            assert!(world.answer(1).await.contains("RESTART_HELD"));
            for node in ["node-1", "node-4"] {
                world.parts.set_healthy(&name(node), &placed(), true);
            }
        })
        .await;
    assert!(world.restarts().is_empty(), "{:?}", world.restarts());
}

#[tokio::test(start_paused = true)]
async fn only_what_looks_bad_is_restarted_and_which_that_was_is_told() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            world.parts.set_healthy(&name("node-3"), &placed(), false);
            sleep(Duration::from_secs(2)).await;
            world.say(1, RESTART);
            until(async || !world.restarts().is_empty()).await;
            world.parts.set_healthy(&name("node-3"), &placed(), true);
            assert_eq!(world.answer(1).await, "done restart service$node_manager");
        })
        .await;
    assert_eq!(world.restarts(), ["restart node-manager on node-3"]);
    let told = world.bus.records(Topic::FirstTopic).remove(0).record;
    let details = String::from_utf8(told.header("details").unwrap().to_vec()).unwrap();
    assert_eq!(details, r#"{"restarted":["node-3"]}"#);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_at_once_is_held_also_by_a_leader_that_comes_long_after() {
    let world = World::new();
    let services = ServiceName::ALL.into_iter().filter(|one| *one != ServiceName::NodeAgent);
    let services: Vec<ServiceName> = services.collect();
    world
        .during(async {
            world.with_service().await;
            for (number, service) in (1..).zip(&services) {
                world.say(number, &format!("restart service${}", service.registry_name()));
            }
            let is_accepted = |service: &ServiceName| {
                let path = path::folder(&format!("restarts/services/{service}"));
                world.read::<Value>(&path).is_some_and(|one| one["stage"]["is"] == "idle")
            };
            until(async || services.iter().all(is_accepted)).await;
        })
        .await;
    sleep(Duration::from_mins(10)).await;
    world
        .during(async {
            for (number, _) in (1..).zip(&services) {
                assert!(world.answer(number).await.contains("RESTART_HELD"));
            }
        })
        .await;
    assert!(world.restarts().is_empty(), "{:?}", world.restarts());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_ill_is_restarted_once_also_where_somebody_asks_as_that_is_decided() {
    for tenths in 0..40 {
        let world = World::new();
        world
            .during(async {
                world.with_service().await;
                // So long nobody knows of the other one's order what became of it.
                world.parts.set_delay(&name("node-3"), Duration::from_millis(400));
                world.parts.set_healthy(&name("node-3"), &placed(), false);
                sleep(Duration::from_secs(12) + Duration::from_millis(100) * tenths).await;
                world.say(1, RESTART);
                until(async || !world.restarts().is_empty()).await;
                sleep(Duration::from_secs(2)).await;
                world.parts.set_healthy(&name("node-3"), &placed(), true);
                world.answer(1).await;
                sleep(Duration::from_mins(1)).await;
            })
            .await;
        assert_eq!(world.restarts().len(), 1, "after {tenths} tenths of a second");
    }
}
