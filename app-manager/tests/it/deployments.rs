//! Deploying, scaling, stopping.

use std::sync::Arc;

use chassis::lifecycle::Lifecycle;
use common::message::header;
use common::record::instance::State;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::bus::Availability;

use crate::world::{Api, World, admin, dev, other_dev, python_app, until, user};

fn messages(world: &World, topic: Topic) -> Vec<(String, String)> {
    let messages = world.bus.messages(topic).into_iter();
    messages.map(|message| (message.request_id.to_string(), message.msg)).collect()
}

#[tokio::test]
async fn deploying_records_the_instance_and_tells_the_deployment_manager() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let answer =
                api.post("/api/v1/apps/shop/deployments", &dev(), json!({ "replicas": 2 })).await;
            assert_eq!(answer.status, 202);
            let location = answer.header("location").unwrap().to_owned();
            let body = answer.ok();
            let request = body["request_id"].as_str().unwrap().to_owned();
            assert_eq!(body, json!({ "instance": "shop", "request_id": request }));
            assert_eq!(location, format!("/api/v1/operations/{request}"));

            assert_eq!(
                messages(&world, Topic::DeploymentManager),
                [(request.clone(), "deploy app$shop".to_owned())]
            );
            let delivery = &world.bus.records(Topic::DeploymentManager)[0];
            assert_eq!(delivery.record.key.as_deref(), Some("shop"));
            assert!(delivery.record.header(header::MESSAGE_ID).is_some());
            let instance = world.instance("shop");
            assert_eq!(
                (instance.state, instance.replicas, instance.owner.as_str()),
                (State::Deploying, 2, "dee")
            );
            until(async || world.instance("shop").owed.is_empty()).await;

            let operation = api.get(&location, &dev()).await.ok();
            assert_eq!(
                (&operation["status"], &operation["kind"]),
                (&json!("accepted"), &json!("deploy"))
            );
            assert_eq!(api.get(&location, &other_dev()).await.told(), (404, "REQUEST_UNKNOWN"));
            let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(
                (&shown["state"], &shown["request_id"]),
                (&json!("deploying"), &json!(request))
            );
        })
        .await;
}

async fn keyed(api: &Api, key: &str, token: &str, body: Value) -> crate::world::Answer {
    let request = api.request(Method::POST, "/api/v1/apps/shop/deployments", token);
    api.send(request.header("idempotency-key", key).json(&body)).await
}

#[tokio::test]
async fn a_repeat_under_the_same_key_is_the_same_request() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            for key in ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "my-own-key-1"] {
                let first = keyed(&api, key, &dev(), json!({})).await.ok();
                let sent = world.bus.messages(Topic::DeploymentManager).len();
                let generation = world.instance("shop").generation;
                for _ in 0..3 {
                    assert_eq!(keyed(&api, key, &dev(), json!({})).await.ok(), first);
                }
                assert_eq!(world.bus.messages(Topic::DeploymentManager).len(), sent);
                assert_eq!(world.instance("shop").generation, generation);
                let other = keyed(&api, key, &dev(), json!({ "replicas": 3 })).await;
                assert_eq!(other.told(), (422, "IDEMPOTENCY_MISMATCH"));
            }
            let key = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
            let stranger = keyed(&api, key, &admin(), json!({})).await;
            assert_eq!(stranger.told(), (422, "IDEMPOTENCY_MISMATCH"));
            let request = api.request(Method::DELETE, "/api/v1/instances/shop", &dev());
            let other_kind = api.send(request.header("idempotency-key", key)).await;
            assert_eq!(other_kind.told(), (422, "IDEMPOTENCY_MISMATCH"));
            let wrong = keyed(&api, &"x".repeat(300), &dev(), json!({})).await;
            assert_eq!(wrong.told(), (422, "IDEMPOTENCY_KEY_INVALID"));
        })
        .await;
}

#[tokio::test]
async fn who_does_not_own_the_app_gets_an_instance_of_their_own() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let path = "/api/v1/apps/shop/deployments";
            let mine = keyed(&api, "k", &user(), json!({})).await.ok();
            let name = mine["instance"].as_str().unwrap();
            assert!(name.starts_with("shop_") && name.len() == "shop_".len() + 36, "{name}");
            assert_eq!(keyed(&api, "k", &user(), json!({})).await.ok(), mine);
            let taken = api.post(path, &user(), json!({ "instance": "shop" })).await;
            assert_eq!(taken.told(), (409, "NAME_TAKEN"));
            let unfit = api.post(path, &dev(), json!({ "instance": "other" })).await;
            assert_eq!(unfit.told(), (422, "NAME_INVALID"));
            let hostile = api.post(path, &dev(), json!({ "instance": "shop;id" })).await;
            assert_eq!(hostile.told(), (422, "NAME_INVALID"));
            let theirs = api.post(path, &dev(), json!({ "instance": name })).await;
            assert_eq!(theirs.told(), (404, "UNKNOWN_INSTANCE"));
            assert_eq!(api.post(path, &other_dev(), json!({})).await.told(), (404, "APP_UNKNOWN"));
        })
        .await;
}

#[tokio::test]
async fn releases_are_chosen_by_number_and_must_exist() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            api.upload("shop", &dev(), python_app("b")).await.ok();
            let path = "/api/v1/apps/shop/deployments";
            api.post(path, &dev(), json!({})).await.ok();
            assert_eq!(world.instance("shop").release.0, 2);
            api.post(path, &dev(), json!({ "release": 1 })).await.ok();
            assert_eq!(world.instance("shop").release.0, 1);
            assert_eq!(world.instance("shop").generation.0, 2);
            let unknown = api.post(path, &dev(), json!({ "release": 9 })).await;
            assert_eq!(unknown.told(), (422, "RELEASE_UNKNOWN"));
            let missing = api.post("/api/v1/apps/none/deployments", &dev(), json!({})).await;
            assert_eq!(missing.told(), (404, "APP_UNKNOWN"));
            for (body, code) in [
                (json!({ "replicas": 0 }), "FIELD_INVALID"),
                (json!({ "replicas": 21 }), "FIELD_INVALID"),
                (json!({ "replicas": "many" }), "FIELD_INVALID"),
                (json!({ "owner": "me" }), "UNKNOWN_FIELD"),
                (json!({ "node": "n1" }), "UNKNOWN_FIELD"),
            ] {
                assert_eq!(api.post(path, &dev(), body).await.told(), (422, code));
            }
        })
        .await;
}

#[tokio::test]
async fn scaling_tells_the_load_balancer_and_stopping_the_deployment_manager() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let scaled = api
                .post("/api/v1/instances/shop/scale", &dev(), json!({ "replicas": 3 }))
                .await
                .ok();
            let request = scaled["request_id"].as_str().unwrap().to_owned();
            assert_eq!(
                messages(&world, Topic::LoadBalancer),
                [(request, "scale app$shop$3".to_owned())]
            );
            assert_eq!(world.instance("shop").replicas, 3);
            assert_eq!(world.instance("shop").state, State::Deploying);
            let stopped = api.delete("/api/v1/instances/shop", &dev()).await;
            assert_eq!(stopped.status, 202);
            let request = stopped.ok()["request_id"].as_str().unwrap().to_owned();
            assert_eq!(
                messages(&world, Topic::DeploymentManager)[1],
                (request, "stop app$shop".to_owned())
            );
            assert_eq!(world.instance("shop").state, State::Stopping);
            let late =
                api.post("/api/v1/instances/shop/scale", &dev(), json!({ "replicas": 1 })).await;
            assert_eq!(late.told(), (409, "NOT_DEPLOYED"));
            let missing = api.delete("/api/v1/instances/none", &dev()).await;
            assert_eq!(missing.told(), (404, "UNKNOWN_INSTANCE"));
        })
        .await;
}

#[tokio::test]
async fn a_number_of_replicas_said_with_a_redeploy_replaces_that_of_an_earlier_scale() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            let path = "/api/v1/apps/shop/deployments";
            api.post(path, &dev(), json!({})).await.ok();
            assert_eq!(messages(&world, Topic::LoadBalancer), []);
            let redeployed = keyed(&api, "once", &dev(), json!({ "replicas": 2 })).await.ok();
            assert_eq!(
                keyed(&api, "once", &dev(), json!({ "replicas": 2 })).await.ok(),
                redeployed
            );
            until(async || world.instance("shop").owed.is_empty()).await;
            let scaled = messages(&world, Topic::LoadBalancer);
            assert_eq!(scaled.len(), 1);
            assert_eq!(scaled[0].1, "scale app$shop$2");
            assert_ne!(scaled[0].0, redeployed["request_id"].as_str().unwrap());
            assert_ne!(scaled[0].0, request);

            world.say(&request, "done stopped$shop").await;
            let stopped = api.delete("/api/v1/instances/shop", &dev()).await.ok();
            world.say(stopped["request_id"].as_str().unwrap(), "done stopped$shop").await;
            api.post(path, &dev(), json!({ "replicas": 3 })).await.ok();
            until(async || world.instance("shop").owed.is_empty()).await;
            assert_eq!(world.instance("shop").replicas, 3);
            let scaled = messages(&world, Topic::LoadBalancer);
            assert_eq!(scaled.len(), 2, "a scale of before may still be on its way");
            assert_eq!(scaled[1].1, "scale app$shop$3");
        })
        .await;
}

#[tokio::test]
async fn what_was_accepted_is_published_after_a_crash_under_the_same_message_id() {
    let world = World::new();
    let request = world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            world.bus.set_availability(Availability::Down);
            let accepted = api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await.ok();
            assert_eq!(accepted["waiting_for"], "bus");
            accepted["request_id"].as_str().unwrap().to_owned()
        })
        .await;
    let owed = world.instance("shop").owed;
    assert_eq!(owed.len(), 1);
    world.bus.set_availability(Availability::Up);
    // The answer to the publication is lost: it is published again, under the same id.
    world.bus.fail_next_publishes(1, testkit::bus::FailureMode::EffectHappened);
    world.during(async |_| until(async || world.instance("shop").owed.is_empty()).await).await;
    let records = world.bus.records(Topic::DeploymentManager);
    assert_eq!(records.len(), 2);
    for delivery in &records {
        let id = delivery.record.header(header::MESSAGE_ID).unwrap();
        assert_eq!(id, owed[0].message_id.to_string().as_bytes());
    }
    assert_eq!(messages(&world, Topic::DeploymentManager)[0].0, request);
}

#[tokio::test]
async fn the_service_is_in_document_001s_registry_and_ends_when_it_is_told() {
    let world = World::new();
    let service = Arc::new(world.service());
    let lifecycle = Lifecycle::new();
    let path = path::registry_service(ServiceName::AppManager);
    let telling = async {
        until(async || !world.store.records(&path).is_empty()).await;
        lifecycle.stop();
    };
    let running = chassis::service::Service::run(service.as_ref(), lifecycle.clone());
    let (ended, ()) = futures::join!(running, telling);
    ended.unwrap();
    assert_eq!(world.store.records(&path)[0].1, "127.0.0.1:8010");
}

#[tokio::test]
async fn requests_about_one_instance_at_once_are_all_accepted_in_some_order() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let before = world.instance("shop").generation.0;
            let token = dev();
            let scale = |replicas: u32| {
                api.post("/api/v1/instances/shop/scale", &token, json!({ "replicas": replicas }))
            };
            let answers = futures::future::join_all((1..=20).map(scale)).await;
            for answer in &answers {
                assert_eq!(answer.status, 202, "{answer:?}");
            }
            assert_eq!(world.instance("shop").generation.0, before + 20);
            until(async || world.instance("shop").owed.is_empty()).await;
            let mut told: Vec<String> =
                messages(&world, Topic::LoadBalancer).into_iter().map(|(_, text)| text).collect();
            // The last one told is the one that stands.
            let last = format!("scale app$shop${}", world.instance("shop").replicas);
            assert_eq!(told.last(), Some(&last));
            told.sort();
            told.dedup();
            assert_eq!(told.len(), 20);
        })
        .await;
}
