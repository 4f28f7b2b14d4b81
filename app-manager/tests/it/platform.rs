//! Starting and stopping the platform, as far as this service has part in it.

use common::message::BootstrapperCommand;
use common::record::leader::{Advertised, CandidateRecord};
use common::record::{self, path};
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::json;

use crate::world::{World, admin, dev};

fn an_initializer_leads(world: &World) {
    let folder = path::leaders(ServiceName::PlatformInitializer);
    let advertised = Advertised::plain("192.0.2.1:9050");
    let candidate = record::encode(&CandidateRecord { schema: 1, advertised });
    world.store.seed(&folder.join("candidate-0000000001").unwrap(), candidate);
}

#[tokio::test]
async fn a_start_and_a_stop_are_messages_under_the_id_of_the_request() {
    let world = World::new();
    an_initializer_leads(&world);
    world
        .during(async |api| {
            let started =
                api.post("/api/v1/platform/start", &admin(), json!({})).await;
            assert_eq!(started.status, 202, "{started:?}");
            let confirm = json!({ "confirm": "stop platform" });
            let stopped = api.post("/api/v1/platform/stop", &admin(), confirm).await;
            assert_eq!(stopped.status, 202, "{stopped:?}");
            let messages = world.bus.messages(Topic::Bootstrapper);
            let read = |number: usize| BootstrapperCommand::decode(&messages[number].msg).unwrap();
            assert_eq!((read(0), read(1)), (BootstrapperCommand::Start, BootstrapperCommand::Stop));
            let id = messages[0].request_id.to_string();
            assert_eq!(started.ok()["request_id"], id);
            let path = format!("/api/v1/platform/operations/{id}");
            assert_eq!(api.get(&path, &admin()).await.told(), (404, "REQUEST_UNKNOWN"));
            let at = path::operation(
                messages[0].request_id,
                ServiceName::PlatformInitializer,
                "start-platform",
            );
            let operation = json!({
                "schema": 1, "fingerprint": "x", "accepted_at": "2026-01-01T00:00:00Z",
                "outcome": {
                    "is": "FAILED",
                    "failure": { "code": "HEALTH_TIMEOUT", "message": "monitoring on node-2 was late" },
                },
            });
            world.store.seed(&at, record::encode(&operation));
            let shown = api.get(&path, &admin()).await.ok();
            assert_eq!(shown["status"], "failed");
            assert_eq!(shown["failure"]["message"], "monitoring on node-2 was late");
        })
        .await;
}

#[tokio::test]
async fn an_upgrade_and_a_move_are_messages_and_what_cannot_be_meant_is_refused() {
    let world = World::new();
    an_initializer_leads(&world);
    let image = format!("127.0.0.1:5000/avishkar/platform@sha256:{}", "0".repeat(64));
    let services = "/api/v1/platform/services";
    world
        .during(async |api| {
            for (path, body) in [
                ("node_manager/upgrade", json!({ "image": image })),
                ("node_manager/upgrade", json!({ "image": null })),
                ("node_manager/move", json!({ "from": "node-1", "to": "node-2" })),
                ("node_manager/scale", json!({ "instances": 3 })),
            ] {
                let answer = api.post(&format!("{services}/{path}"), &admin(), body).await;
                assert_eq!(answer.status, 202, "{answer:?}");
            }
            for (path, body) in [
                ("node_manager/upgrade", json!({ "image": "avishkar/platform:latest" })),
                ("node_manager/move", json!({ "from": "node-1" })),
                ("node_manager/move", json!({ "from": "node-1", "to": "no$de" })),
                ("node_manager/scale", json!({ "instances": 0 })),
                ("node_manager/scale", json!({})),
            ] {
                let answer = api.post(&format!("{services}/{path}"), &admin(), body).await;
                assert_eq!(answer.status, 422, "{path}: {answer:?}");
            }
            let body = json!({ "image": null });
            let path = format!("{services}/node_manager/upgrade");
            assert_eq!(api.post(&path, &dev(), body).await.status, 403);
        })
        .await;
    let sent: Vec<String> =
        world.bus.messages(Topic::Bootstrapper).into_iter().map(|one| one.msg).collect();
    let expected = [
        format!("upgrade service$node_manager${image}"),
        "upgrade service$node_manager$platform".to_owned(),
        "move service$node_manager$node-1$node-2".to_owned(),
        "scale service$node_manager$3".to_owned(),
    ];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_stop_that_is_not_confirmed_and_one_by_a_dev_send_nothing() {
    let world = World::new();
    an_initializer_leads(&world);
    world
        .during(async |api| {
            for body in [json!({}), json!({ "confirm": "yes" })] {
                let answer = api.post("/api/v1/platform/stop", &admin(), body).await;
                assert_eq!(answer.told(), (422, "FIELD_INVALID"));
            }
            let confirm = json!({ "confirm": "stop platform" });
            let answer = api.post("/api/v1/platform/stop", &dev(), confirm).await;
            assert_eq!(answer.status, 403);
            assert_eq!(world.bus.messages(Topic::Bootstrapper), []);
        })
        .await;
}

#[tokio::test]
async fn without_an_initializer_it_is_said_what_to_do_instead() {
    let world = World::new();
    world
        .during(async |api| {
            let answer = api.post("/api/v1/platform/start", &admin(), json!({})).await;
            assert_eq!(answer.told(), (409, "INITIALIZER_ABSENT"));
            let shown = api.get("/api/v1/platform", &admin()).await.ok();
            assert_eq!(shown, json!({ "services": [], "changes": [] }));
        })
        .await;
    assert_eq!(world.bus.messages(Topic::Bootstrapper), []);
}

#[tokio::test]
async fn the_platform_is_shown_as_its_records_say() {
    let world = World::new();
    let platform = json!({
        "schema": 1, "goal": "on", "generation": 1, "state": "running",
        "request": "00000000-0000-0000-0000-000000000001",
        "deadline": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z",
    });
    let placed = json!({
        "schema": 1, "service": "monitoring", "generation": 1, "goal": "on", "nodes": ["node-1"],
    });
    let running = json!({
        "schema": 1, "service": "monitoring", "generation": 1, "instances": [{
            "part": "monitoring", "node": "node-1", "address": "192.0.2.1:8070", "state": "ready",
            "since": "2026-01-01T00:00:00Z",
        }],
    });
    world.store.seed(&path::platform(), record::encode(&platform));
    let service = ServiceName::Monitoring;
    world.store.seed(&path::placed_service(service), record::encode(&placed));
    world.store.seed(&path::running_service(service), record::encode(&running));
    world
        .during(async |api| {
            let shown = api.get("/api/v1/platform", &admin()).await.ok();
            assert_eq!((&shown["goal"], &shown["state"]), (&json!("on"), &json!("running")));
            let instance = &shown["services"][0]["instances"][0];
            assert_eq!(
                (&instance["node"], &instance["state"]),
                (&json!("node-1"), &json!("ready"))
            );
        })
        .await;
}
