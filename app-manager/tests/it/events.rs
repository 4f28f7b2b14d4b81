//! What is heard on `first_topic`.

use bytes::Bytes;
use common::message::header;
use common::port::bus::Record;
use common::record::instance::State;
use common::record::path;
use common::topic::Topic;
use serde_json::{Value, json};

use crate::world::{Api, World, dev, python_app};

const FOREIGN: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const OTHER: &str = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";

async fn status(api: &Api, request: &str) -> Value {
    api.get(&format!("/api/v1/operations/{request}"), &dev()).await.ok()
}

#[tokio::test]
async fn message_8_sets_the_url_and_ends_the_request() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            let text = "done shop deploy - 192.0.2.7:2000";
            for _ in 0..3 {
                world.say(&request, text).await;
            }
            let instance = world.instance("shop");
            assert_eq!(
                (instance.state, instance.url.as_deref()),
                (State::Deployed, Some("http://192.0.2.7:2000"))
            );
            assert_eq!(status(&api, &request).await["status"], "succeeded");
            assert!(world.bus.records(Topic::FirstTopic.dead_letter()).is_empty());
        })
        .await;
}

#[tokio::test]
async fn details_are_kept_with_the_outcome() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            let details = json!({ "app": "shop", "node": "node-1" });
            world.say_with(&request, "done shop deploy - 192.0.2.7:2000", Some(&details)).await;
            assert_eq!(
                status(&api, &request).await["details"],
                json!({ "app": "shop", "node": "node-1" })
            );
        })
        .await;
}

#[tokio::test]
async fn message_9_names_the_failure() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            world.say(&request, "App shop not deployed. Error - APP_EXITED: it ended with 1").await;
            let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(shown["state"], "deploy_failed");
            assert_eq!(shown["failure"]["code"], "APP_EXITED");
            assert_eq!(shown["failure"]["message"], "it ended with 1");
            assert!(shown["failure"]["hint"].as_str().unwrap().contains("output"));
            let ended = status(&api, &request).await;
            assert_eq!(
                (&ended["status"], &ended["failure"]["code"]),
                (&json!("failed"), &json!("APP_EXITED"))
            );
        })
        .await;
}

#[tokio::test]
async fn a_record_that_is_not_readable_costs_its_own_instance_only() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            let damaged = api.deployed("blog", &dev()).await;
            let name = |text: &str| text.parse().unwrap();
            world.write(&path::instance(&name("blog")), &"garbage");
            world.write(&path::deployment(&name("shop")), &"garbage");
            world.say(&damaged, "done blog deploy - 192.0.2.7:2001").await;
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            let shown = api.get("/api/v1/instances", &dev()).await.ok();
            let shown: Vec<_> = shown.as_array().unwrap().iter().map(|one| &one["name"]).collect();
            assert_eq!(shown, ["shop"]);
            assert_eq!(world.instance("shop").state, State::Deployed);
            let letters = world.bus.records(Topic::FirstTopic.dead_letter());
            let reason = letters[0].record.header(header::REASON).unwrap();
            assert!(
                reason.starts_with(b"INTERNAL: the record /avishkar/instances/"),
                "{letters:?}"
            );
            assert_eq!(letters.len(), 1);
        })
        .await;
}

#[tokio::test]
async fn an_old_answer_to_some_other_program_is_no_news_when_it_is_told_again() {
    let world = World::new();
    world
        .during(async |api| {
            let refused =
                "App shop not stopped. Error - UNKNOWN_INSTANCE: there is no instance of this name";
            world.say(FOREIGN, refused).await;
            let request = api.deployed("shop", &dev()).await;
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            world.say(FOREIGN, refused).await;
            assert_eq!(world.instance("shop").state, State::Deployed);
        })
        .await;
}

#[tokio::test]
async fn messages_11_and_12_end_a_stop() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            let stop = async || {
                let accepted = api.delete("/api/v1/instances/shop", &dev()).await.ok();
                accepted["request_id"].as_str().unwrap().to_owned()
            };
            let first = stop().await;
            world
                .say(&first, "App shop not stopped. Error - NODE_UNAVAILABLE: node-1 is away")
                .await;
            assert_eq!(world.instance("shop").state, State::StopFailed);
            let second = stop().await;
            world.say(&second, "done stopped$shop").await;
            let instance = world.instance("shop");
            assert_eq!(
                (instance.state, instance.url, instance.failure),
                (State::Stopped, None, None)
            );
            assert_eq!(status(&api, &first).await["status"], "failed");
            assert_eq!(status(&api, &second).await["status"], "succeeded");
        })
        .await;
}

#[tokio::test]
async fn an_older_requests_answer_never_moves_the_state_back() {
    let world = World::new();
    world
        .during(async |api| {
            let first = api.deployed("shop", &dev()).await;
            let accepted = api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await.ok();
            let second = accepted["request_id"].as_str().unwrap().to_owned();
            world.say(&second, "done shop deploy - 192.0.2.7:2001").await;
            world
                .say(&first, "App shop not deployed. Error - SUPERSEDED: a newer request came")
                .await;
            let instance = world.instance("shop");
            assert_eq!(
                (instance.state, instance.url.as_deref()),
                (State::Deployed, Some("http://192.0.2.7:2001"))
            );
            assert_eq!(status(&api, &first).await["status"], "superseded");
            assert_eq!(status(&api, &second).await["status"], "succeeded");

            let stop = api.delete("/api/v1/instances/shop", &dev()).await.ok();
            let stop = stop["request_id"].as_str().unwrap().to_owned();
            let third = api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await.ok();
            let third = third["request_id"].as_str().unwrap().to_owned();
            world.say(&stop, "done stopped$shop").await;
            assert_eq!(world.instance("shop").state, State::Deploying);
            world.say(&third, "done shop deploy - 192.0.2.7:2002").await;
            assert_eq!(world.instance("shop").state, State::Deployed);
        })
        .await;
}

#[tokio::test]
async fn other_programs_ids_are_taken_and_ours_still_count_afterwards() {
    let world = World::new();
    world
        .during(async |api| {
            let ours = api.deployed("shop", &dev()).await;
            world.say(FOREIGN, "done shop deploy - 192.0.2.7:2000").await;
            assert_eq!(world.instance("shop").state, State::Deployed);
            assert_eq!(status(&api, &ours).await["status"], "accepted");
            world.say(&ours, "App shop not deployed. Error - timed out").await;
            let instance = world.instance("shop");
            assert_eq!(instance.state, State::DeployFailed);
            assert_eq!(instance.failure.unwrap().message, "timed out");
        })
        .await;
}

#[tokio::test]
async fn what_was_refused_to_another_program_leaves_the_instance_as_it_is() {
    let world = World::new();
    world
        .during(async |api| {
            let ours = api.deployed("shop", &dev()).await;
            world.say(&ours, "done shop deploy - 192.0.2.7:2000").await;
            let text = "App shop not deployed. Error - HOST_TAKEN: another app has it";
            for (id, release) in [(FOREIGN, Value::Null), (OTHER, json!(2))] {
                let details = json!({
                    "app": null, "instance": "shop", "release": release, "replicas": [],
                    "endpoint": null,
                    "failure": { "code": "HOST_TAKEN", "message": "another app has it" },
                });
                world.say_with(id, text, Some(&details)).await;
                let expected =
                    if release.is_null() { State::Deployed } else { State::DeployFailed };
                assert_eq!(world.instance("shop").state, expected, "{release}");
            }
        })
        .await;
}

#[tokio::test]
async fn an_instance_that_others_deployed_is_adopted_if_there_is_an_app_of_its_name() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            world.say(FOREIGN, "done nothing deploy - 192.0.2.7:2000").await;
            world.say(OTHER, "done shop deploy - 192.0.2.7:2001").await;
            let with_uuid = format!("shop_{FOREIGN}");
            let id = "6ba7b812-9dad-11d1-80b4-00c04fd430c8";
            world.say(id, &format!("done {with_uuid} deploy - 192.0.2.7:2002")).await;
            let seen = api.get("/api/v1/instances", &dev()).await.ok();
            let names: Vec<&str> =
                seen.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["shop", &with_uuid]);
            assert_eq!(seen[0]["owner"], "dee");
            assert_eq!(seen[0]["url"], "http://192.0.2.7:2001");
            // What was adopted is stopped like any other.
            assert_eq!(api.delete("/api/v1/instances/shop", &dev()).await.status, 202);
            world.say("6ba7b813-9dad-11d1-80b4-00c04fd430c8", "done stopped$unheard-of").await;
        })
        .await;
}

#[tokio::test]
async fn the_answer_to_a_scale_ends_it() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let scale = async |replicas: u32| {
                let body = json!({ "replicas": replicas });
                let accepted = api.post("/api/v1/instances/shop/scale", &dev(), body).await.ok();
                accepted["request_id"].as_str().unwrap().to_owned()
            };
            let good = scale(2).await;
            world.say(&good, "done scale app$shop$2").await;
            assert_eq!(status(&api, &good).await["status"], "succeeded");
            let bad = scale(3).await;
            world.say(&bad, "not done scale app$shop$3 Error - NO_NODE_FITS: no room").await;
            let ended = status(&api, &bad).await;
            assert_eq!(
                (&ended["status"], &ended["failure"]["code"]),
                (&json!("failed"), &json!("NO_NODE_FITS"))
            );
            world.say(FOREIGN, "done scale app$shop$9").await;
        })
        .await;
}

#[tokio::test]
async fn an_id_that_says_two_things_and_noise_are_dead_letters() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            world.say(&request, "done shop deploy - 192.0.2.7:2001").await;
            world.say(OTHER, "dance$now").await;
            world.say(FOREIGN, "done shop deploy - nowhere").await;
            let noise =
                Record { key: None, headers: Vec::new(), payload: Bytes::from_static(b"\xff") };
            world.bus.inject_record(Topic::FirstTopic, noise);
            world.bus.wait_until_consumed(Topic::FirstTopic, "app-manager").await;
            let dead = world.bus.records(Topic::FirstTopic.dead_letter());
            let reasons: Vec<String> = dead
                .iter()
                .map(|dead| {
                    String::from_utf8_lossy(dead.record.header(header::REASON).unwrap())
                        .into_owned()
                })
                .collect();
            let codes: Vec<&str> =
                reasons.iter().map(|reason| reason.split(':').next().unwrap()).collect();
            assert_eq!(
                codes,
                ["MSG_ID_CONFLICT", "MSG_UNKNOWN_KIND", "MSG_MALFORMED", "MSG_MALFORMED"]
            );
            assert_eq!(world.instance("shop").url.as_deref(), Some("http://192.0.2.7:2000"));
        })
        .await;
}

#[tokio::test]
async fn the_same_message_after_a_restart_changes_nothing() {
    let world = World::new();
    let request = world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            request
        })
        .await;
    let before = world.instance("shop");
    world.bus.forget_position(Topic::FirstTopic, "app-manager");
    world
        .during(async |api| {
            world.say(&request, "done shop deploy - 192.0.2.7:2000").await;
            assert_eq!(status(&api, &request).await["status"], "succeeded");
        })
        .await;
    assert_eq!(world.instance("shop"), before);
}
