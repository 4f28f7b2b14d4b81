//! Schedules that are refused: each with its code, and nothing is recorded.

use serde_json::{Value, json};

use crate::schedules::{SHOP, daily, release, window};
use crate::world::{World, archive, dev};

/// A schedule with other fields; `null` takes one away.
fn with(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { return body };
    for (key, value) in changes {
        match (value, body.as_object_mut().unwrap()) {
            (Value::Null, fields) => drop(fields.remove(&key)),
            (value, fields) => drop(fields.insert(key, value)),
        }
    }
    body
}

fn cron() -> Value {
    json!({ "kind": "cron", "zone": "UTC", "expression": "0 9 * * *", "for": "1h" })
}

async fn refused(world: &World, cases: &[(Value, &str)]) {
    world
        .during(async |api| {
            release(&api).await;
            for (body, code) in cases {
                let answer = api.put(SHOP, &dev(), body.clone()).await;
                assert_eq!(answer.told(), (422, *code), "{body}: {answer:?}");
                let is_schedules =
                    ["SCHEDULE", "CRON", "TIME"].iter().any(|start| code.starts_with(start));
                assert!(!is_schedules || answer.body["hint"].is_string(), "{answer:?}");
            }
            assert_eq!(api.get("/api/v1/schedules", &dev()).await.ok(), json!([]));
            assert_eq!(api.get("/api/v1/instances", &dev()).await.ok(), json!([]));
        })
        .await;
}

#[tokio::test]
async fn what_would_never_run_or_never_end_is_refused_with_what_to_do() {
    let world = World::new();
    let once = || window(&world, 3600, 7200);
    let cases = [
        (with(daily(), json!({ "zone": "Mars/Olympus" })), "TIME_ZONE_UNKNOWN"),
        (with(daily(), json!({ "zone": "+02:00" })), "TIME_ZONE_UNKNOWN"),
        (with(cron(), json!({ "expression": "every day" })), "CRON_INVALID"),
        (with(cron(), json!({ "expression": "0 25 * * *" })), "CRON_INVALID"),
        (with(cron(), json!({ "expression": "0 0 30 2 *" })), "SCHEDULE_NEVER_FIRES"),
        (with(cron(), json!({ "expression": "0 0 0 1 1 * 2020" })), "SCHEDULE_NEVER_FIRES"),
        (with(cron(), json!({ "expression": "* * * * * *" })), "SCHEDULE_TOO_OFTEN"),
        (with(cron(), json!({ "expression": "* * * * *", "for": "30s" })), "SCHEDULE_TOO_OFTEN"),
        (with(cron(), json!({ "expression": "0 * * * *", "for": "2h" })), "SCHEDULE_OVERLAPS"),
        (with(daily(), json!({ "until": null, "for": "24h" })), "SCHEDULE_OVERLAPS"),
        (with(daily(), json!({ "until": "09:00" })), "SCHEDULE_END_BEFORE_START"),
        (with(cron(), json!({ "for": "0s" })), "SCHEDULE_END_BEFORE_START"),
        (with(cron(), json!({ "for": "-1h" })), "SCHEDULE_END_BEFORE_START"),
        (with(once(), json!({ "end": "2025-12-31T00:00" })), "SCHEDULE_END_BEFORE_START"),
        (with(once(), json!({ "start": "2025-12-31T00:00" })), "SCHEDULE_IN_PAST"),
        (with(once(), json!({ "start": "2025-12-31T00:00", "end": null })), "SCHEDULE_IN_PAST"),
        (with(daily(), json!({ "kind": "weekly" })), "SCHEDULE_NEVER_FIRES"),
    ];
    refused(&world, &cases).await;
}

#[tokio::test]
async fn a_field_that_is_missing_wrong_or_strange_is_named() {
    let world = World::new();
    let once = || window(&world, 3600, 7200);
    let cases = [
        (with(daily(), json!({ "zone": null })), "FIELD_INVALID"),
        (with(once(), json!({ "start": "2026-02-30T00:00" })), "FIELD_INVALID"),
        (with(once(), json!({ "start": "2026-02-01T00:00Z" })), "FIELD_INVALID"),
        (with(once(), json!({ "start": "2026-02-01T00:00+01:00" })), "FIELD_INVALID"),
        (with(once(), json!({ "start": 7 })), "FIELD_INVALID"),
        (with(once(), json!({ "for": "1h" })), "FIELD_INVALID"),
        (with(once(), json!({ "at": "09:00" })), "FIELD_INVALID"),
        (with(daily(), json!({ "for": "1h" })), "FIELD_INVALID"),
        (with(daily(), json!({ "until": null })), "FIELD_INVALID"),
        (with(daily(), json!({ "at": "24:00" })), "FIELD_INVALID"),
        (with(daily(), json!({ "at": "9am" })), "FIELD_INVALID"),
        (with(cron(), json!({ "for": "8784h1s" })), "FIELD_INVALID"),
        (with(cron(), json!({ "for": "soon" })), "FIELD_INVALID"),
        (with(daily(), json!({ "kind": "weekly", "days": ["someday"] })), "FIELD_INVALID"),
        (with(daily(), json!({ "kind": "hourly" })), "FIELD_INVALID"),
        (with(daily(), json!({ "release": 9 })), "RELEASE_UNKNOWN"),
        (with(daily(), json!({ "replicas": 0 })), "FIELD_INVALID"),
        (with(daily(), json!({ "owner": "root" })), "UNKNOWN_FIELD"),
    ];
    refused(&world, &cases).await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_scheduled() {
    let world = World::new();
    world
        .during(async |api| {
            release(&api).await;
            let path = |name: &str| format!("/api/v1/instances/{name}/schedule");
            assert_eq!(api.put(&path("none"), &dev(), daily()).await.told(), (404, "APP_UNKNOWN"));
            assert_eq!(
                api.put(&path("shop_x"), &dev(), daily()).await.told(),
                (422, "NAME_INVALID")
            );
            assert_eq!(api.get(&path("none"), &dev()).await.told(), (404, "UNKNOWN_INSTANCE"));
            api.deployed("shop", &dev()).await;
            assert_eq!(api.get(SHOP, &dev()).await.told(), (404, "SCHEDULE_UNKNOWN"));
        })
        .await;
}

#[tokio::test]
async fn a_number_of_replicas_outside_of_the_apps_bounds_is_not_scheduled() {
    let world = World::new();
    world
        .during(async |api| {
            let manifest = "[scaling]\nmin = 2\nmax = 3\n";
            let app = archive(&[
                ("avishkar.toml", manifest),
                ("main.py", "print()"),
                ("requirements.txt", ""),
            ]);
            assert_eq!(api.upload("shop", &dev(), app).await.status, 201);
            for replicas in [1, 4] {
                let body = with(daily(), json!({ "replicas": replicas }));
                let refused = api.put(SHOP, &dev(), body).await;
                assert_eq!(refused.told(), (422, "REPLICAS_OUT_OF_BOUNDS"), "{replicas}");
            }
            assert_eq!(api.get("/api/v1/schedules", &dev()).await.ok(), json!([]));
            let body = with(daily(), json!({ "replicas": 3 }));
            assert!(matches!(api.put(SHOP, &dev(), body).await.status, 200..=299));
        })
        .await;
}
