//! What people ask of machines, and what they have restarted: an admin's to ask, the lifecycle manager's to do.

use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::problem::Problem;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Api, World, admin, dev, user};

const MACHINES: &str = "/api/v1/machines";
const KEY: &str = "/api/v1/machines/node-2/host-key";
const RESTART: &str = "/api/v1/restarts/services/monitoring";
const REQUEST: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

fn key() -> Value {
    json!({ "host_key": format!("ssh-ed25519 SHA256:{}", "A".repeat(43)) })
}

/// A request with an id of its own.
async fn post_as(api: &Api, request: &str, path: &str, body: Option<Value>) -> Answer {
    let post = api.request(Method::POST, path, &admin()).header("Idempotency-Key", request);
    api.send(match body {
        Some(body) => post.json(&body),
        None => post,
    })
    .await
}

#[tokio::test]
async fn a_restart_is_asked_of_the_lifecycle_manager_under_the_id_of_the_request_and_followed() {
    let world = World::new();
    world
        .during(async |api| {
            let id: RequestId = REQUEST.parse().unwrap();
            for _ in 0..2 {
                let taken = post_as(&api, REQUEST, RESTART, None).await;
                let location = format!("/api/v1/platform/operations/{REQUEST}");
                assert_eq!((taken.status, taken.header("location")), (202, Some(&*location)));
                assert_eq!(taken.body["request_id"], REQUEST);
            }
            assert_eq!(world.upkeep.asked(), ["restart services/monitoring"]);
            let asked = world.upkeep.asked_under(id);
            assert_eq!(asked.as_deref(), Some("restart services/monitoring"));
            let other = "/api/v1/restarts/nodes/node-2";
            let other = post_as(&api, REQUEST, other, None).await;
            assert_eq!(other.told(), (409, "IDEMPOTENCY_MISMATCH"));

            let operation = format!("/api/v1/platform/operations/{REQUEST}");
            assert_eq!(api.get(&operation, &admin()).await.told(), (404, "REQUEST_UNKNOWN"));
            let at = path::operation(id, ServiceName::LifecycleManager, "restart-service");
            let mut kept =
                Operation::accepted(String::new(), "2026-01-01T00:00:00Z".parse().unwrap());
            world.write(&at, &kept);
            let shown = api.get(&operation, &admin()).await.ok();
            assert_eq!((&shown["kind"], &shown["status"]), (&json!("restart"), &json!("accepted")));
            let failure = Failure::new(FailureCode::NodeUnavailable, "node-2 is quarantined");
            kept.outcome = Some(Outcome::Failed { failure, details: None });
            world.write(&at, &kept);
            let shown = api.get(&operation, &admin()).await.ok();
            assert_eq!(shown["failure"]["code"], "NODE_UNAVAILABLE");
            let hint = shown["failure"]["hint"].as_str().unwrap();
            assert!(hint.contains("avishkar machines"), "{hint}");
        })
        .await;
}

#[tokio::test]
async fn why_a_restart_failed_is_told_with_what_helps_an_app_or_what_helps_a_machine() {
    let world = World::new();
    world
        .during(async |api| {
            let hint = async |accepted_as: &str, code: FailureCode| {
                let id: RequestId = REQUEST.parse().unwrap();
                let id = id.derive(&format!("{accepted_as} {code:?}"));
                let at = path::operation(id, ServiceName::LifecycleManager, accepted_as);
                let mut kept =
                    Operation::accepted(String::new(), "2026-01-01T00:00:00Z".parse().unwrap());
                let failure = Failure::new(code, "why");
                kept.outcome = Some(Outcome::Failed { failure, details: None });
                world.write(&at, &kept);
                let shown = api.get(&format!("/api/v1/platform/operations/{id}"), &admin()).await;
                shown.ok()["failure"]["hint"].as_str().unwrap().to_owned()
            };
            for of_an_app in ["restart-app", "restart-model"] {
                let told = hint(of_an_app, FailureCode::HealthTimeout).await;
                assert!(told.contains("$PORT"), "{of_an_app}: {told}");
            }
            for of_the_platform in ["restart-service", "restart-node", "need-node"] {
                let told = hint(of_the_platform, FailureCode::HealthTimeout).await;
                assert!(told.contains("avishkar machines"), "{of_the_platform}: {told}");
            }
            let held = hint("restart-node", FailureCode::RestartHeld).await;
            assert!(held.contains("the machine that it names"), "{held}");
        })
        .await;
}

#[tokio::test]
async fn machines_are_listed_added_and_taken_away() {
    let world = World::new();
    world
        .during(async |api| {
            let wanted = json!({ "name": "extra-1", "reason": "more room" });
            assert_eq!(post_as(&api, REQUEST, MACHINES, Some(wanted)).await.status, 202);
            let listed = api.get(MACHINES, &admin()).await.ok();
            let names: Vec<&str> =
                listed.as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
            assert_eq!(names, ["extra-1", "node-1", "node-2"]);
            assert_eq!(api.delete("/api/v1/machines/extra-1", &admin()).await.status, 202);
            let listed = api.get(MACHINES, &admin()).await.ok();
            assert_eq!(
                (&listed[0]["goal"], &listed[0]["state"]),
                (&json!("absent"), &json!("leaving"))
            );
            let described = api.delete("/api/v1/machines/node-1", &admin()).await;
            assert_eq!(described.told(), (409, "MACHINE_IN_USE"));
            for reason in ["", &"x".repeat(201)] {
                let wanted = json!({ "reason": reason });
                let refused = api.post(MACHINES, &admin(), wanted).await;
                assert_eq!(refused.told(), (422, "FIELD_INVALID"));
            }
        })
        .await;
    assert_eq!(world.upkeep.asked(), ["add extra-1", "remove extra-1"]);
}

#[tokio::test]
async fn a_host_key_that_was_compared_ends_the_quarantine_of_its_machine() {
    let world = World::new();
    world.upkeep.quarantine(&"node-2".parse().unwrap());
    world
        .during(async |api| {
            let listed = api.get(MACHINES, &admin()).await.ok();
            assert_eq!(listed[1]["state"], "quarantined");
            let no_key = json!({ "host_key": "SHA256:abc" });
            assert_eq!(api.put(KEY, &admin(), no_key).await.told(), (422, "FIELD_INVALID"));
            assert_eq!(api.put(KEY, &admin(), key()).await.status, 204);
            let listed = api.get(MACHINES, &admin()).await.ok();
            assert_eq!(listed[1]["state"], "preparing");
            assert_eq!(api.put(KEY, &admin(), key()).await.status, 204);
            let other = json!({ "host_key": format!("ssh-ed25519 SHA256:{}", "B".repeat(43)) });
            assert_eq!(api.put(KEY, &admin(), other).await.told(), (409, "NOT_QUARANTINED"));
            let nobody = "/api/v1/machines/nobody/host-key";
            assert_eq!(api.put(nobody, &admin(), key()).await.told(), (404, "NODE_UNKNOWN"));
        })
        .await;
}

#[tokio::test]
async fn only_an_admin_asks_anything_of_machines() {
    let world = World::new();
    world
        .during(async |api| {
            for token in [dev(), user()] {
                let forbidden = (403, "FORBIDDEN");
                assert_eq!(api.get(MACHINES, &token).await.told(), forbidden);
                let wanted = json!({ "reason": "more room" });
                assert_eq!(api.post(MACHINES, &token, wanted).await.told(), forbidden);
                assert_eq!(api.delete("/api/v1/machines/node-1", &token).await.told(), forbidden);
                assert_eq!(api.put(KEY, &token, key()).await.told(), forbidden);
                for target in ["services/monitoring", "nodes/node-1", "apps/shop", "models/shop"] {
                    let path = format!("/api/v1/restarts/{target}");
                    assert_eq!(api.post(&path, &token, json!({})).await.told(), forbidden);
                }
            }
        })
        .await;
    assert!(world.upkeep.asked().is_empty());
}

#[tokio::test]
async fn what_the_lifecycle_manager_refuses_is_told_in_its_words_and_its_absence_as_such() {
    let world = World::new();
    world
        .during(async |api| {
            let ask = async || api.post(RESTART, &admin(), json!({})).await;
            let detail = "the lifecycle manager has just begun to look";
            let problem = Problem::new(503, "NOT_READY", "Not available now", detail);
            world.upkeep.refuse(Some(problem));
            let refused = ask().await;
            assert_eq!(
                (refused.told(), &refused.body["detail"]),
                ((503, "NOT_READY"), &json!(detail))
            );
            assert!(refused.header("retry-after").is_some());
            world.upkeep.refuse(None);
            world.upkeep.set_away(true);
            let absent = ask().await;
            assert_eq!(absent.told(), (503, "LIFECYCLE_UNAVAILABLE"));
            assert!(absent.header("retry-after").is_some());
            world.upkeep.set_away(false);
            for (target, told) in [
                ("services/scheduler", (404, "NOT_FOUND")),
                ("machines/node-1", (404, "NOT_FOUND")),
                ("nodes/Node_1", (422, "NAME_INVALID")),
                ("apps/a%2Fb", (422, "NAME_INVALID")),
            ] {
                let path = format!("/api/v1/restarts/{target}");
                assert_eq!(api.post(&path, &admin(), json!({})).await.told(), told, "{target}");
            }
        })
        .await;
    assert!(world.upkeep.asked().is_empty());
}
