//! Restarts that are asked for: each once, answered once.

use std::time::Duration;

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use crate::world::{World, id, name, placed, until};

const RESTART: &str = "restart service$node_manager";

#[tokio::test(start_paused = true)]
async fn a_service_is_restarted_instance_by_instance_and_the_end_is_told() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            world.say(1, RESTART);
            assert_eq!(world.answer(1).await, "done restart service$node_manager");
        })
        .await;
    let expected = ["restart node-manager on node-2", "restart node-manager on node-3"];
    assert_eq!(world.restarts(), expected);
}

#[tokio::test(start_paused = true)]
async fn requests_for_the_same_restart_share_it_and_a_repeat_is_answered_again() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            for request in [1, 2, 1] {
                world.say(request, RESTART);
            }
            assert_eq!(world.answer(1).await, "done restart service$node_manager");
            assert_eq!(world.answer(2).await, "done restart service$node_manager");
            world.say(3, RESTART);
            let answer = world.answer(3).await;
            assert!(answer.contains("Error - RESTART_TOO_SOON: "), "{answer}");
            let before = world.answers(1).len();
            world.say(1, RESTART);
            until(async || world.answers(1).len() > before).await;
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    assert_eq!(world.restarts().len(), 2, "one for each instance");
}

#[tokio::test(start_paused = true)]
async fn another_restart_waits_for_its_step_of_the_back_off() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            world.say(1, RESTART);
            world.answer(1).await;
            sleep(Duration::from_secs(20)).await;
            world.say(2, RESTART);
            assert_eq!(world.answer(2).await, "done restart service$node_manager");
            sleep(Duration::from_secs(15)).await;
            world.say(3, RESTART);
            assert!(world.answer(3).await.contains("RESTART_TOO_SOON"));
        })
        .await;
    assert_eq!(world.restarts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_restarted_and_that_is_said() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            let cases = [
                (1, "restart service$scheduler", "SERVICE_UNKNOWN"),
                (2, "restart service$monitoring", "SERVICE_UNKNOWN"),
                (3, "restart node$node-9", "NODE_UNKNOWN"),
                (4, "restart app$shop", "UNKNOWN_INSTANCE"),
            ];
            for (request, message, code) in cases {
                world.say(request, message);
                let answer = world.answer(request).await;
                assert!(answer.starts_with("not done restart "), "{answer}");
                assert!(answer.contains(&format!("Error - {code}: ")), "{answer}");
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_again_and_again_is_restarted_with_growing_pauses() {
    let world = World::new();
    world
        .during(async {
            world.with_service().await;
            let engine = world.parts.engine(&name("node-2"));
            let ends = async {
                loop {
                    engine.exit(&placed(), 1);
                    sleep(Duration::from_millis(50)).await;
                }
            };
            let story = async {
                sleep(Duration::from_secs(1)).await;
                world.say(1, RESTART);
                sleep(Duration::from_mins(1)).await;
            };
            tokio::select! {
                biased;
                () = ends => {}
                () = story => {}
            }
            let restarts = world.restarts();
            assert!((2..12).contains(&restarts.len()), "within a minute: {}", restarts.len());
            assert_eq!(world.answer(1).await, "done restart service$node_manager");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_app_is_deployed_again_by_the_deployment_manager_if_it_is_deployed() {
    let world = World::new();
    let at = path::deployment(&"shop".parse().unwrap());
    world
        .during(async {
            world.until_calm().await;
            world.write(&at, &deployment());
            world.say(1, "restart app$shop");
            until(async || !world.bus.messages(Topic::DeploymentManager).is_empty()).await;
            let asked = world.bus.messages(Topic::DeploymentManager).remove(0);
            let instance = "shop".parse().unwrap();
            assert_eq!(asked.msg, DeploymentCommand::Deploy { instance }.encode());
            assert!(world.answers(1).is_empty(), "it is not done before it is deployed");
            end(&world, asked.request_id);
            assert_eq!(world.answer(1).await, "done restart app$shop");
        })
        .await;
    assert_eq!(world.bus.messages(Topic::DeploymentManager).len(), 1);
}

/// The deployment manager has done what it was asked.
fn end(world: &World, request: RequestId) {
    let mut operation = Operation::accepted(String::new(), Timestamp::UNIX_EPOCH);
    operation.outcome = Some(Outcome::Succeeded { details: None });
    let at = path::operation(request, ServiceName::DeploymentManager, "deploy-app");
    world.write(&at, &operation);
}

fn deployment() -> serde_json::Value {
    json!({
        "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 1,
        "goal": "running", "state": "running", "request": id(9), "slots": [],
        "deadline": "2026-01-01T00:10:00Z", "updated_at": "2026-01-01T00:00:00Z",
    })
}

#[tokio::test(start_paused = true)]
async fn verdicts_are_kept_until_they_are_over() {
    let world = World::new();
    let verdict = |verdict: &str| {
        let json = json!({ "kind": "node", "name": "node-2", "verdict": verdict, "text": "x" });
        format!("verdict${json}")
    };
    let at = path::folder("lifecycle/verdicts/node.node-2");
    world
        .during(async {
            world.until_calm().await;
            world.say(1, &verdict("down"));
            assert_eq!(world.answer(1).await, "done verdict$node.node-2");
            assert!(world.read::<serde_json::Value>(&at).is_some());
            world.say(2, &verdict("up"));
            world.answer(2).await;
            assert!(world.read::<serde_json::Value>(&at).is_none());
        })
        .await;
}
