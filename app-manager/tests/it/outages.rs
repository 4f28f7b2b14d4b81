//! The bus and the store away, and lost answers.

use common::message::Envelope;
use common::record::instance::State;
use common::record::path;
use common::topic::Topic;
use serde_json::json;
use testkit::bus::Availability;
use testkit::store::Fault;

use crate::world::{World, admin, dev, python_app, until};

#[tokio::test]
async fn without_the_bus_deploys_are_accepted_and_finish_when_it_is_back() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            world.bus.set_availability(Availability::Down);
            let answer = api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await;
            assert_eq!((answer.status, &answer.body["waiting_for"]), (202, &json!("bus")));
            let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(
                (&shown["state"], &shown["waiting_for"]),
                (&json!("deploying"), &json!("bus"))
            );
            let by_hand = json!({ "to_topic": "DeploymentManager", "msg": "deploy app$shop" });
            let sent = api.post("/api/v1/messages", &admin(), by_hand).await;
            assert_eq!(sent.told(), (503, "BUS_UNAVAILABLE"));
            assert!(sent.header("retry-after").is_some());
            world.bus.set_availability(Availability::Up);
            until(async || world.instance("shop").owed.is_empty()).await;
            let messages = world.bus.messages(Topic::DeploymentManager);
            assert_eq!(messages.len(), 1);
            assert_eq!(
                messages[0].request_id.to_string(),
                answer.body["request_id"].as_str().unwrap()
            );
        })
        .await;
}

#[tokio::test]
async fn without_the_store_mutations_and_reads_are_refused_for_now() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            until(async || world.instance("shop").owed.is_empty()).await;
            world.store.go_down();
            for answer in [
                api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await,
                api.delete("/api/v1/instances/shop", &dev()).await,
                api.get("/api/v1/instances", &dev()).await,
                api.get("/api/v1/apps", &dev()).await,
                api.upload("shop", &dev(), python_app("b")).await,
                api.post("/api/v1/login", "", json!({ "username": "dee", "password": "x" })).await,
            ] {
                assert_eq!(answer.told(), (503, "STORE_UNAVAILABLE"));
                assert!(answer.header("retry-after").is_some());
                assert!(answer.body["request_id"].is_string());
            }
            assert_eq!(world.staged(), 0);
            // What is heard meanwhile is not lost.
            world.bus.inject(&Envelope {
                to_topic: Topic::FirstTopic,
                from_topic: Topic::DeploymentManager,
                request_id: request.parse().unwrap(),
                msg: "done shop deploy - 192.0.2.7:2000".to_owned(),
            });
            world.store.come_back();
            world.bus.wait_until_consumed(Topic::FirstTopic, "app-manager").await;
            assert_eq!(world.instance("shop").state, State::Deployed);
        })
        .await;
}

/// The faults of each commit of an upload and a deployment, one at a time.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_done_once() {
    for fault in [Fault::AnswerLost, Fault::RequestLost, Fault::Unavailable] {
        for passing in 0..4 {
            let world = World::new();
            world
                .during(async |api| {
                    let session = world.last_session();
                    session.fail_commit_after(passing, fault);
                    let uploaded = api.upload("shop", &dev(), python_app("a")).await;
                    assert!(
                        matches!(uploaded.status, 201 | 503),
                        "{fault:?} {passing} {uploaded:?}"
                    );
                    let again = api.upload("shop", &dev(), python_app("a")).await;
                    assert!(
                        matches!(again.status, 200 | 201 | 503),
                        "{fault:?} {passing} {again:?}"
                    );
                    api.upload("shop", &dev(), python_app("a")).await.ok();
                    let releases = api.get("/api/v1/apps/shop/releases", &dev()).await.ok();
                    assert_eq!(releases.as_array().unwrap().len(), 1, "{fault:?} {passing}");

                    let deploy = async || {
                        let path = "/api/v1/apps/shop/deployments";
                        let request = api.request(reqwest::Method::POST, path, &dev());
                        api.send(request.header("idempotency-key", "k").json(&json!({}))).await
                    };
                    while deploy().await.status != 202 {}
                    until(async || world.instance("shop").owed.is_empty()).await;
                    assert_eq!(world.instance("shop").generation.0, 1, "{fault:?} {passing}");
                    let ids: std::collections::BTreeSet<_> = world
                        .bus
                        .messages(Topic::DeploymentManager)
                        .into_iter()
                        .map(|message| message.request_id)
                        .collect();
                    assert_eq!(ids.len(), 1, "{fault:?} {passing}");
                })
                .await;
        }
    }
}

#[tokio::test]
async fn news_is_applied_although_the_stores_answer_is_lost() {
    for fault in [Fault::AnswerLost, Fault::RequestLost, Fault::Unavailable] {
        let world = World::new();
        world
            .during(async |api| {
                let request = api.deployed("shop", &dev()).await;
                until(async || world.instance("shop").owed.is_empty()).await;
                world.last_session().fail_commit(fault);
                world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
                assert_eq!(world.instance("shop").state, State::Deployed, "{fault:?}");
                assert_eq!(world.last_session().faults_left(), 0);
                let path = format!("/api/v1/operations/{request}");
                assert_eq!(api.get(&path, &dev()).await.ok()["status"], "succeeded");
            })
            .await;
    }
}

#[tokio::test]
async fn what_was_decided_from_the_past_is_decided_again() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            until(async || world.instance("shop").owed.is_empty()).await;
            let change = |url: &str| {
                let mut instance = world.instance("shop");
                instance.url = Some(url.to_owned());
                world.write(&path::instance(&instance.name), &instance);
            };
            world.last_session().freeze_reads();
            change("http://one");
            let body = json!({ "replicas": 3 });
            api.post("/api/v1/instances/shop/scale", &dev(), body).await.ok();
            let instance = world.instance("shop");
            assert_eq!((instance.replicas, instance.url.as_deref()), (3, Some("http://one")));

            until(async || world.instance("shop").owed.is_empty()).await;
            world.last_session().freeze_reads();
            change("http://two");
            world.say(&request, "App shop not deployed. Error - APP_EXITED: it ended").await;
            let instance = world.instance("shop");
            assert_eq!(
                (instance.state, instance.url.as_deref()),
                (State::DeployFailed, Some("http://two"))
            );
        })
        .await;
}
