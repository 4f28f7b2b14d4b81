//! Schedules over HTTP, and what they do to instances when their times come.

use common::port::Clock as _;
use common::record::instance::State;
use common::topic::Topic;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Api, World, admin, dev, other_dev, python_app, until, user};

pub(crate) const SHOP: &str = "/api/v1/instances/shop/schedule";

/// A moment as UTC's clocks show it, with seconds.
fn local(moment: Timestamp) -> String {
    TimeZone::UTC.to_datetime(moment).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

/// A window that begins and ends so many seconds from now.
pub(crate) fn window(world: &World, start: i64, end: i64) -> Value {
    let at = |count| local(world.clock.now() + seconds(count));
    json!({ "kind": "once", "zone": "UTC", "start": at(start), "end": at(end) })
}

pub(crate) fn daily() -> Value {
    json!({ "kind": "daily", "zone": "Europe/Berlin", "at": "09:00", "until": "17:00" })
}

pub(crate) async fn release(api: &Api) {
    api.upload("shop", &dev(), python_app("a")).await.ok();
}

/// What was said on a topic, in order.
pub(crate) fn said(world: &World, topic: Topic) -> Vec<String> {
    world.bus.messages(topic).into_iter().map(|message| message.msg).collect()
}

#[tokio::test]
async fn an_instance_is_started_and_ended_at_its_times_once() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            let made = api.put(SHOP, &dev(), window(&world, 2, 4)).await;
            assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")));
            assert_eq!(
                (&made.body["state"], &made.body["kind"]),
                (&json!("waiting"), &json!("once"))
            );
            assert_eq!(world.instance("shop").state, State::Scheduled);
            assert_eq!(said(&world, Topic::FirstTopic), ["done schedule app$shop"]);
            assert_eq!(said(&world, Topic::Scheduler), [""; 0]);
            let operation =
                format!("/api/v1/operations/{}", made.body["request_id"].as_str().unwrap());
            assert_eq!(api.get(&operation, &dev()).await.ok()["status"], "succeeded");

            until(async || world.bus.messages(Topic::DeploymentManager).len() == 1).await;
            let started = world.bus.messages(Topic::DeploymentManager).remove(0);
            assert_eq!(started.msg, "deploy app$shop");
            assert_eq!(world.instance("shop").state, State::Deploying);
            let open = api.get(SHOP, &dev()).await.ok();
            assert_eq!((&open["state"], &open["next"]), (&json!("open"), &Value::Null));
            world.say(&started.request_id.to_string(), "done shop deploy - 192.0.2.7:2000").await;
            assert_eq!(world.instance("shop").state, State::Deployed);

            until(async || world.bus.messages(Topic::DeploymentManager).len() == 2).await;
            let ended = world.bus.messages(Topic::DeploymentManager).remove(1);
            assert_eq!(ended.msg, "stop app$shop");
            assert_ne!(ended.request_id, started.request_id);
            world.say(&ended.request_id.to_string(), "done stopped$shop").await;
            assert_eq!(world.instance("shop").state, State::Stopped);
            for request in [started.request_id, ended.request_id] {
                let operation = format!("/api/v1/operations/{request}");
                assert_eq!(api.get(&operation, &dev()).await.ok()["status"], "succeeded");
            }
            let told: Vec<String> = said(&world, Topic::FirstTopic)
                .into_iter()
                .filter(|msg| msg.starts_with("its "))
                .collect();
            assert_eq!(told, ["its time$shop", "its end time$shop"]);
            assert_eq!(api.get(SHOP, &dev()).await.ok()["state"], "over");
            assert!(world.bus.records(Topic::FirstTopic.dead_letter()).is_empty());
        })
        .await;
}

#[tokio::test]
async fn a_schedule_is_made_shown_changed_and_taken_away() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            let made = api.put(SHOP, &dev(), daily()).await.ok();
            // The clock shows 2026-01-01T00:00Z.
            let next = json!({
                "local": "2026-01-01T09:00:00", "start": "2026-01-01T08:00:00Z", "end": "2026-01-01T16:00:00Z",
            });
            assert_eq!((&made["next"], &made["upcoming"][0]), (&next, &next));
            assert_eq!(made["upcoming"].as_array().unwrap().len(), 3);
            assert_eq!(made["description"], "daily from 09:00:00 until 17:00:00");
            let again = api.put(SHOP, &dev(), daily()).await;
            assert_eq!((again.status, again.header("etag")), (200, Some("\"2\"")));

            let with = async |header: &str, value: &str, method: Method| {
                let request = api.request(method, SHOP, &dev()).header(header, value);
                api.send(request.json(&json!({ "kind": "cron", "zone": "utc", "expression": "0 9 * * MON-FRI", "for": "8h" }))).await
            };
            for (header, value) in [("if-match", "\"1\""), ("if-none-match", "*")] {
                assert_eq!(with(header, value, Method::PUT).await.told(), (409, "SCHEDULE_CHANGED"));
            }
            assert_eq!(with("if-match", "two", Method::PUT).await.told(), (422, "FIELD_INVALID"));
            let changed = with("if-match", "\"2\"", Method::PUT).await.ok();
            assert_eq!(
                (&changed["expression"], &changed["for"], &changed["zone"]),
                (&json!("0 9 * * MON-FRI"), &json!("8h"), &json!("UTC"))
            );
            assert_eq!(changed["next"]["start"], "2026-01-01T09:00:00Z");
            let all = api.get("/api/v1/schedules", &dev()).await.ok();
            assert_eq!(all, json!([changed]));
            assert_eq!(with("if-match", "\"2\"", Method::DELETE).await.told(), (409, "SCHEDULE_CHANGED"));
            let gone = with("if-match", "\"3\"", Method::DELETE).await;
            assert_eq!((gone.status, &gone.body["instance"]), (200, &json!("shop")));
            for answer in [api.get(SHOP, &dev()).await, api.delete(SHOP, &dev()).await] {
                assert_eq!(answer.told(), (404, "SCHEDULE_UNKNOWN"));
            }
            until(async || world.instance("shop").state == State::Stopped).await;
            // Its tag goes on, so that an old one is never taken for a new one.
            let anew = api.put(SHOP, &dev(), daily()).await;
            assert_eq!(anew.header("etag"), Some("\"5\""));
        })
        .await;
}

#[tokio::test]
async fn the_same_request_twice_is_one_and_its_id_stands_for_no_other() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            let put = async |body: Value| {
                let request = api.request(Method::PUT, SHOP, &dev()).header("idempotency-key", "k");
                api.send(request.json(&body)).await
            };
            let first = put(daily()).await.ok();
            assert_eq!(put(daily()).await.ok()["request_id"], first["request_id"]);
            let other = put(window(&world, 60, 120)).await;
            assert_eq!(other.told(), (422, "IDEMPOTENCY_MISMATCH"));
            assert_eq!(said(&world, Topic::FirstTopic), ["done schedule app$shop"]);
        })
        .await;
}

#[tokio::test]
async fn other_peoples_schedules_do_not_exist() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            api.put(SHOP, &dev(), daily()).await.ok();
            for stranger in [other_dev(), user()] {
                for answer in [
                    api.get(SHOP, &stranger).await,
                    api.put(SHOP, &stranger, daily()).await,
                    api.delete(SHOP, &stranger).await,
                ] {
                    assert_eq!(answer.told(), (404, "UNKNOWN_INSTANCE"));
                }
                assert_eq!(api.get("/api/v1/schedules", &stranger).await.ok(), json!([]));
            }
            let own = "/api/v1/instances/shop_6ba7b810-9dad-11d1-80b4-00c04fd430c8/schedule";
            api.put(own, &user(), daily()).await.ok();
            let seen = async |token: &str| {
                api.get("/api/v1/schedules", token).await.ok().as_array().unwrap().len()
            };
            assert_eq!((seen(&user()).await, seen(&dev()).await, seen(&admin()).await), (1, 2, 2));
            assert_eq!(api.get(own, &dev()).await.status, 200);
            assert_eq!(api.delete(own, &dev()).await.told(), (404, "UNKNOWN_INSTANCE"));
            assert_eq!(api.delete(own, &admin()).await.status, 200);
        })
        .await;
}

#[tokio::test]
async fn who_stops_an_instance_stops_its_schedule_too() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            api.put(SHOP, &dev(), window(&world, 2, 3600)).await.ok();
            let stopped = api.delete("/api/v1/instances/shop", &dev()).await.ok();
            let operation =
                format!("/api/v1/operations/{}", stopped["request_id"].as_str().unwrap());
            // Nothing of it ran, so nobody is asked to stop it.
            assert_eq!(api.get(&operation, &dev()).await.ok()["status"], "succeeded");
            until(async || world.instance("shop").state == State::Stopped).await;
            assert_eq!(api.get(SHOP, &dev()).await.told(), (404, "SCHEDULE_UNKNOWN"));

            api.put(SHOP, &dev(), window(&world, 0, 3600)).await.ok();
            until(async || world.instance("shop").state == State::Deploying).await;
            api.delete("/api/v1/instances/shop", &dev()).await.ok();
            assert_eq!(api.get(SHOP, &dev()).await.told(), (404, "SCHEDULE_UNKNOWN"));
            until(async || world.instance("shop").owed.is_empty()).await;
            let asked = said(&world, Topic::DeploymentManager);
            assert_eq!(asked, ["deploy app$shop", "stop app$shop"]);
        })
        .await;
}

#[tokio::test]
async fn who_stops_a_scheduled_instance_stops_a_deploy_that_is_still_on_its_way() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            // Another program's stop was heard of while the deploy waits behind it.
            world.say("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "done stopped$shop").await;
            api.put(SHOP, &dev(), window(&world, 3000, 3600)).await.ok();
            assert_eq!(world.instance("shop").state, State::Scheduled);
            let stopped = api.delete("/api/v1/instances/shop", &dev()).await.ok();
            let request = stopped["request_id"].as_str().unwrap();
            assert_eq!(world.instance("shop").state, State::Stopping);
            until(async || world.instance("shop").owed.is_empty()).await;
            let asked = said(&world, Topic::DeploymentManager);
            assert_eq!(asked, ["deploy app$shop", "stop app$shop"]);
            world.say(request, "done stopped$shop").await;
            until(async || world.instance("shop").state == State::Stopped).await;
        })
        .await;
}

#[tokio::test]
async fn a_schedule_that_is_taken_away_leaves_running_what_runs() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            api.put(SHOP, &dev(), window(&world, 0, 2)).await.ok();
            until(async || world.instance("shop").state == State::Deploying).await;
            api.delete(SHOP, &dev()).await.ok();
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            assert_eq!(said(&world, Topic::DeploymentManager), ["deploy app$shop"]);
            assert_eq!(world.instance("shop").state, State::Deploying);
        })
        .await;
}

#[tokio::test]
async fn a_schedule_deploys_what_it_names_or_else_the_newest() {
    for (release, expected) in [(json!(1), 1), (Value::Null, 2)] {
        let world = World::new();
        world
            .during(async |api| {
                api.upload("shop", &dev(), python_app("a")).await.ok();
                api.upload("shop", &dev(), python_app("b")).await.ok();
                let mut body = window(&world, 1, 3600);
                (body["release"], body["replicas"]) = (release, json!(3));
                api.put(SHOP, &dev(), body).await.ok();
                until(async || world.instance("shop").state == State::Deploying).await;
                let instance = world.instance("shop");
                assert_eq!((instance.release.0, instance.replicas), (expected, 3));
            })
            .await;
    }
}

#[tokio::test]
async fn between_its_windows_an_instance_is_scheduled_and_is_not_forgotten() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            let start = local(world.clock.now() + seconds(2));
            let at = start.get(11..).unwrap();
            let body = json!({ "kind": "daily", "zone": "UTC", "at": at, "for": "2s" });
            api.put(SHOP, &dev(), body).await.ok();
            until(async || world.bus.messages(Topic::DeploymentManager).len() == 2).await;
            let ended = world.bus.messages(Topic::DeploymentManager).remove(1);
            world.say(&ended.request_id.to_string(), "done stopped$shop").await;
            until(async || world.instance("shop").state == State::Scheduled).await;
            assert_eq!(api.get(SHOP, &dev()).await.ok()["state"], "waiting");
        })
        .await;
    world.clock.advance(SignedDuration::from_hours(5));
    world
        .during(async |api| {
            assert_eq!(api.get(SHOP, &dev()).await.ok()["state"], "waiting");
            assert_eq!(world.instance("shop").state, State::Scheduled);
        })
        .await;
}

#[tokio::test]
async fn what_was_missed_is_made_good_until_its_end_and_else_skipped_and_told() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            api.put(SHOP, &dev(), window(&world, 600, 1200)).await.ok();
            let blog = "/api/v1/instances/blog/schedule";
            api.upload("blog", &dev(), python_app("b")).await.ok();
            api.put(blog, &dev(), window(&world, 600, 7200)).await.ok();
        })
        .await;
    // Nobody was there for an hour.
    world.clock.advance(SignedDuration::from_hours(1));
    world
        .during(async |api| {
            until(async || world.instance("blog").state == State::Deploying).await;
            until(async || world.instance("shop").state == State::Stopped).await;
            until(async || world.instance("shop").owed.is_empty()).await;
            assert_eq!(said(&world, Topic::DeploymentManager), ["deploy app$blog"]);
            let missed = "not done its time$shop Error - SCHEDULE_MISSED: the window of ";
            let told = said(&world, Topic::FirstTopic);
            assert_eq!(told.iter().filter(|msg| msg.starts_with(missed)).count(), 1, "{told:?}");
            assert_eq!(api.get(SHOP, &dev()).await.ok()["state"], "over");
        })
        .await;
    // The clock jumps back by an hour and forward again, with a restart each time.
    for jump in [-1, 1, -1, 1] {
        world.clock.advance(SignedDuration::from_hours(jump));
        world.during(async |_| until(async || world.instance("blog").owed.is_empty()).await).await;
    }
    assert_eq!(said(&world, Topic::DeploymentManager), ["deploy app$blog"]);
}
