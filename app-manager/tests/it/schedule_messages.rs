//! Schedules in document 001's words: its paths, and messages 13 to 16.

use common::message::Envelope;
use common::port::Clock as _;
use common::record::instance::State;
use common::topic::Topic;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::schedules::said;
use crate::world::{Api, World, admin, dev, other_dev, python_app, until, user};

const SCHEDULE: &str = "/api/deployedApps/scheduleApp/";
const DEPLOY: &str = "/api/deployedApps/deployApp/";
const FOREIGN: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
const OTHER: &str = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";

fn wish(start: Option<&str>, end: Option<&str>) -> Value {
    json!({
        "baseAppId": 1, "baseAppName": "shop", "developer": "dee", "location": "{}",
        "userEmail": "ann@example.org", "startTime": start, "endTime": end,
    })
}

async fn scheduled(api: &Api, token: &str) -> Value {
    api.get("/api/deployedApps/getScheduledApps/", token).await.ok()["data"].clone()
}

/// Says something on `Scheduler`, and waits until it was heard.
async fn tell(world: &World, request_id: &str, msg: &str) {
    world.bus.inject(&Envelope {
        to_topic: Topic::Scheduler,
        from_topic: Topic::FirstTopic,
        request_id: request_id.parse().unwrap(),
        msg: msg.to_owned(),
    });
    heard(world).await;
}

async fn heard(world: &World) {
    let heard = world.bus.wait_until_consumed(Topic::Scheduler, "app-manager");
    timeout(std::time::Duration::from_secs(30), heard).await.unwrap();
}

fn in_minutes(world: &World, count: i64) -> String {
    let moment = world.clock.now() + SignedDuration::from_mins(count);
    let local: DateTime = TimeZone::UTC.to_datetime(moment);
    local.strftime("%Y-%m-%dT%H:%M").to_string()
}

#[tokio::test]
async fn schedule_app_says_messages_13_and_14_and_is_listed_with_its_times() {
    let world = World::with(|raw| "Asia/Kolkata".clone_into(&mut raw.schedules.time_zone));
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let (start, end) = ("2026-01-01T09:00", "2026-01-01T17:30");
            let made = api.post(SCHEDULE, &user(), wish(Some(start), Some(end))).await.ok();
            let name = made["data"]["deployedAppName"].as_str().unwrap().to_owned();
            assert_eq!((&made["status"], &made["message"]), (&json!(true), &json!(format!("{name} is scheduled"))));
            until(async || world.instance(&name).owed.is_empty()).await;
            heard(&world).await;
            assert_eq!(said(&world, Topic::Scheduler), [format!("schedule app${name}${start}${end}")]);
            assert_eq!(said(&world, Topic::FirstTopic), [format!("done schedule app${name}")]);
            assert!(world.bus.records(Topic::Scheduler.dead_letter()).is_empty());

            let row = scheduled(&api, &user()).await[0].clone();
            let expected = json!({
                "id": name, "baseAppId": 1, "developer": "dee", "deployedAppName": name, "userName": "ann",
                "created": row["created"], "url": null, "status": "scheduled", "startTime": start, "endTime": end,
            });
            assert_eq!(row, expected);
            for (token, count) in [(dev(), 1), (admin(), 1), (other_dev(), 0)] {
                assert_eq!(scheduled(&api, &token).await.as_array().unwrap().len(), count);
            }
            let native = api.get(&format!("/api/v1/instances/{name}/schedule"), &user()).await.ok();
            assert_eq!(native["next"]["start"], "2026-01-01T03:30:00Z");
            let stop = json!({ "appId": name });
            api.post("/api/deployedApps/stopApp/", &user(), stop).await.ok();
            assert_eq!(scheduled(&api, &user()).await, json!([]));
        })
        .await;
}

#[tokio::test]
async fn deploy_app_with_an_end_begins_at_once() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let end = in_minutes(&world, 10);
            let made = api.post(DEPLOY, &user(), wish(None, Some(&end))).await.ok();
            let name = made["data"]["deployedAppName"].as_str().unwrap().to_owned();
            until(async || world.instance(&name).state == State::Deploying).await;
            assert_eq!(scheduled(&api, &user()).await, json!([]));
            let later = in_minutes(&world, 5);
            let made = api.post(DEPLOY, &user(), wish(Some(&later), None)).await.ok();
            let name = made["data"]["deployedAppName"].as_str().unwrap().to_owned();
            let row = scheduled(&api, &user()).await[0].clone();
            assert_eq!((&row["id"], &row["endTime"]), (&json!(name), &Value::Null));
            let without = api.post(SCHEDULE, &user(), wish(None, Some(&end))).await;
            assert_eq!(without.status, 400);
        })
        .await;
}

#[tokio::test]
async fn message_13_schedules_once_however_often_it_comes() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let text =
                format!("schedule app$shop${}${}", in_minutes(&world, 60), in_minutes(&world, 90));
            world.bus.repeat_next_deliveries(2);
            for _ in 0..3 {
                tell(&world, FOREIGN, &text).await;
            }
            until(async || world.instance("shop").owed.is_empty()).await;
            assert_eq!(said(&world, Topic::FirstTopic), ["done schedule app$shop"]);
            let shown = api.get("/api/v1/instances/shop/schedule", &dev()).await;
            assert_eq!(
                (shown.header("etag"), &shown.body["owner"]),
                (Some("\"1\""), &json!("dee"))
            );
            assert_eq!(
                scheduled(&api, &dev()).await[0]["startTime"],
                in_minutes(&world, 60).as_str()
            );

            // The same id with other times is another request.
            let other =
                format!("schedule app$shop${}${}", in_minutes(&world, 61), in_minutes(&world, 90));
            tell(&world, FOREIGN, &other).await;
            assert_eq!(world.bus.records(Topic::Scheduler.dead_letter()).len(), 1);
            tell(&world, OTHER, &other).await;
            let shown = api.get("/api/v1/instances/shop/schedule", &dev()).await;
            assert_eq!(shown.header("etag"), Some("\"2\""));
        })
        .await;
}

#[tokio::test]
async fn a_message_13_that_cannot_be_done_is_answered_with_why() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let at = |count| in_minutes(&world, count);
            for (number, (text, why)) in [
                (format!("shop${}${}", at(60), at(30)), "SCHEDULE_END_BEFORE_START"),
                (format!("shop${}${}", at(-60), at(-30)), "SCHEDULE_IN_PAST"),
                (format!("none${}${}", at(30), at(60)), "APP_UNKNOWN"),
                (format!("Legacy_name${}${}", at(30), at(60)), "APP_UNKNOWN"),
            ]
            .into_iter()
            .enumerate()
            {
                let id = format!("6ba7b810-9dad-11d1-80b4-00c04fd430{number:02}");
                for _ in 0..2 {
                    tell(&world, &id, &format!("schedule app${text}")).await;
                }
                let name = text.split('$').next().unwrap();
                let expected = format!("not done schedule app${name} Error - {why}: ");
                let told: Vec<Envelope> = world.bus.messages(Topic::FirstTopic);
                let answers: Vec<&Envelope> =
                    told.iter().filter(|said| said.request_id.to_string() == id).collect();
                assert!(answers.iter().all(|said| said.msg.starts_with(&expected)), "{answers:?}");
                let ids: std::collections::BTreeSet<_> = world
                    .bus
                    .records(Topic::FirstTopic)
                    .into_iter()
                    .filter(|one| String::from_utf8_lossy(&one.record.payload).contains(&id))
                    .map(|one| one.record.header("message-id").unwrap().to_vec())
                    .collect();
                assert_eq!(ids.len(), 1, "{text}");
            }
            for text in ["schedule app$shop$today$tomorrow", "dance$shop", ""] {
                tell(&world, OTHER, text).await;
            }
            assert_eq!(world.bus.records(Topic::Scheduler.dead_letter()).len(), 3);
            assert_eq!(api.get("/api/v1/schedules", &admin()).await.ok(), json!([]));
        })
        .await;
}

#[tokio::test]
async fn a_message_13_that_was_late_is_made_good() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let text =
                format!("schedule app$shop${}${}", in_minutes(&world, -30), in_minutes(&world, 30));
            tell(&world, FOREIGN, &text).await;
            until(async || world.instance("shop").state == State::Deploying).await;
        })
        .await;
}

#[tokio::test]
async fn times_that_other_programs_tell_start_and_stop_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            api.upload("shop", &dev(), python_app("a")).await.ok();
            let text =
                format!("schedule app$shop${}${}", in_minutes(&world, 60), in_minutes(&world, 90));
            tell(&world, FOREIGN, &text).await;
            for text in
                ["its time$shop", "its end time$shop", "its time$none", "done schedule app$shop"]
            {
                world.say(OTHER, text).await;
            }
            assert_eq!(world.instance("shop").state, State::Scheduled);
            assert_eq!(said(&world, Topic::DeploymentManager), [""; 0]);
            assert!(world.bus.records(Topic::FirstTopic.dead_letter()).is_empty());
        })
        .await;
}
