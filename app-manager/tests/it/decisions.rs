//! Why an instance has as many replicas as it has, and the bounds that its app says.

use common::record::path;
use common::record::release::Release;
use common::record::scale::{Scaling, UsualBounds};
use serde_json::{Value, json};

use crate::logs::deployment;
use crate::world::{Api, World, archive, dev, other_dev, user};

const DECISIONS: &str = "/api/v1/instances/shop/decisions";

fn app(manifest: &str) -> Vec<u8> {
    archive(&[
        ("main.py", "print()"),
        ("requirements.txt", "uvicorn\n"),
        ("avishkar.toml", manifest),
    ])
}

async fn deployed(api: &Api, manifest: &str) {
    assert_eq!(api.upload("shop", &dev(), app(manifest)).await.status, 201);
    api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await.ok();
}

fn decision(from: u32, to: u32) -> Value {
    json!({
        "at": "2026-01-01T00:00:00Z",
        "from": from,
        "to": to,
        "kind": "processor",
        "reason": "the busiest took 97 % of its processor, more than 80 %",
        "load": { "cpu_percent": 97, "memory_percent": 20 },
        "fruitless": 1,
    })
}

#[tokio::test]
async fn the_bounds_of_a_bundle_are_its_releases_and_a_decision_is_shown_with_its_reason() {
    let world = World::new();
    world
        .during(async |api| {
            deployed(&api, "replicas = 2\n[scaling]\nmin = 2\nmax = 5\ncooldown = 10\n").await;
            let shop = "shop".parse().unwrap();
            let release: Release =
                world.read(&path::release(&shop, common::id::ReleaseNumber(1))).unwrap();
            let bounds = Scaling { cooldown_seconds: 10, ..Scaling::within(2, 5) };
            assert_eq!(release.scaling, Some(bounds));
            let shown = json!({ "min": 2, "max": 5, "cpu": 80, "memory": 75, "cooldown": 10 });
            let none = api.get(DECISIONS, &dev()).await.ok();
            let wanted = json!({
                "instance": "shop", "wanted_replicas": 2, "scaling": shown, "decisions": [],
                "course": [],
            });
            assert_eq!(none, wanted);
            let record = deployment(Vec::new(), None);
            world.write(&path::deployment(&"shop".parse().unwrap()), &record);
            let scale = json!({
                "schema": 1,
                "instance": "shop",
                "replicas": 4,
                "generation": 2,
                "deployment": record.generation,
                "request": uuid::Uuid::nil(),
                "owed": [],
                "decisions": [decision(2, 3), decision(3, 4)],
            });
            world.write(&path::scale(&"shop".parse().unwrap()), &scale);
            let answer = api.get(DECISIONS, &dev()).await.ok();
            assert_eq!(answer["wanted_replicas"], 4);
            assert_eq!(answer["decisions"][0]["from"], 3, "the newest first");
            assert_eq!(answer["decisions"][1]["reason"], decision(2, 3)["reason"]);
            let listed = api.get("/api/v1/apps/shop/releases", &dev()).await.ok();
            assert!(listed.to_string().contains(&shown.to_string()), "{listed}");
        })
        .await;
}

#[tokio::test]
async fn an_app_that_says_no_bounds_is_shown_those_of_the_platform_that_hold_for_it() {
    let world = World::new();
    world
        .during(async |api| {
            deployed(&api, "replicas = 2\n").await;
            let shown = async || {
                let answer = api.get(DECISIONS, &dev()).await.ok();
                let [min, max] = ["min", "max"].map(|key| answer["scaling"][key].clone());
                (min, max, answer["scaling_by"].clone())
            };
            assert_eq!(shown().await, (Value::Null, Value::Null, Value::Null));
            let usual = UsualBounds { schema: 1, min: 1, max: 3, most: 8 };
            world.write(&path::usual_bounds(), &usual);
            assert_eq!(shown().await, (json!(2), json!(3), json!("platform")), "two are pinned");
        })
        .await;
}

#[tokio::test]
async fn ill_replicas_stand_among_what_was_decided_of_releases_and_places() {
    let world = World::new();
    world
        .during(async |api| {
            deployed(&api, "").await;
            let turn = |second: u32, kind: &str| {
                let at = format!("2026-01-01T00:00:0{second}Z");
                json!({ "at": at, "kind": kind, "reason": format!("reason {second}") })
            };
            let shop = "shop".parse().unwrap();
            let mut record = serde_json::to_value(deployment(Vec::new(), None)).unwrap();
            record["decisions"] = json!([turn(1, "moving"), turn(3, "moved")]);
            world.write(&path::deployment(&shop), &record);
            let route = json!({
                "schema": 1, "instance": "shop", "front_port": 2000, "host": "shop",
                "upstreams": [], "generation": 1, "image": "", "container_port": 8080,
                "container_ids": [], "decisions": [turn(2, "left_out"), turn(4, "put_back")],
                "restarts": [turn(5, "restarted")],
            });
            world.write(&path::route(&shop), &route);
            let course = api.get(DECISIONS, &dev()).await.ok()["course"].take();
            let newest_first = [
                turn(5, "restarted"),
                turn(4, "put_back"),
                turn(3, "moved"),
                turn(2, "left_out"),
                turn(1, "moving"),
            ];
            assert_eq!(course, json!(newest_first));
        })
        .await;
}

#[tokio::test]
async fn an_app_that_says_no_bounds_has_none_and_others_see_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            deployed(&api, "port = 9000").await;
            assert_eq!(api.get(DECISIONS, &dev()).await.ok()["scaling"], Value::Null);
            for other in [other_dev(), user()] {
                let answer = api.get(DECISIONS, &other).await;
                assert_eq!(answer.told(), (404, "UNKNOWN_INSTANCE"));
            }
        })
        .await;
}

#[tokio::test]
async fn a_deploy_that_says_a_number_outside_of_the_bounds_is_refused_and_nothing_is_recorded() {
    let world = World::new();
    world
        .during(async |api| {
            let manifest = "replicas = 2\n[scaling]\nmin = 2\nmax = 3\n";
            assert_eq!(api.upload("shop", &dev(), app(manifest)).await.status, 201);
            let path = "/api/v1/apps/shop/deployments";
            for replicas in [1, 4] {
                let refused = api.post(path, &dev(), json!({ "replicas": replicas })).await;
                assert_eq!(refused.told(), (422, "REPLICAS_OUT_OF_BOUNDS"));
                let said = format!("replicas is {replicas}, and scaling allows from 2 to 3");
                assert_eq!(
                    (&refused.body["field"], &refused.body["detail"]),
                    (&json!("replicas"), &json!(said))
                );
            }
            let shown = api.get("/api/v1/instances/shop", &dev()).await;
            assert_eq!(shown.told(), (404, "UNKNOWN_INSTANCE"));
            let taken = api.post(path, &dev(), json!({ "replicas": 3 })).await;
            assert_eq!(taken.status, 202);
            // The bounds are those of the release that is asked for.
            assert_eq!(api.upload("shop", &dev(), app("port = 9000")).await.status, 201);
            let body = json!({ "release": 1, "replicas": 4 });
            let older = api.post(path, &dev(), body).await;
            assert_eq!(older.told(), (422, "REPLICAS_OUT_OF_BOUNDS"));
            let newest = api.post(path, &dev(), json!({ "replicas": 4 })).await;
            assert_eq!(newest.status, 202);
        })
        .await;
}

/// Bounds from 1 to 2, and others at some hours.
fn hours(bounds: &str, zone: &str, to: &str) -> String {
    format!(
        "[scaling]\nmin = 1\nmax = 2\n[[scaling.schedule]]\ndays = \"weekdays\"\nfrom = \"08:00\"\n\
         to = \"{to}\"\nzone = \"{zone}\"\n{bounds}\n"
    )
}

#[tokio::test]
async fn bounds_at_some_hours_are_the_releases_and_are_shown_as_they_are_written() {
    let world = World::new();
    world
        .during(async |api| {
            let manifest = hours("min = 4\nmax = 6", "Europe/Vienna", "18:00");
            deployed(&api, &manifest).await;
            let shop = "shop".parse().unwrap();
            let release: Release =
                world.read(&path::release(&shop, common::id::ReleaseNumber(1))).unwrap();
            assert_eq!(release.hours[0].to_string(), "weekdays 08:00–18:00 Europe/Vienna");
            let shown = json!([{
                "days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "from": "08:00", "to": "18:00", "zone": "Europe/Vienna", "min": 4, "max": 6,
            }]);
            assert_eq!(api.get(DECISIONS, &dev()).await.ok()["scaling"]["schedule"], shown);
        })
        .await;
}

#[tokio::test]
async fn bad_bounds_are_refused_with_their_place_and_their_reason() {
    let world = World::new();
    world
        .during(async |api| {
            for (manifest, code, why) in [
                (
                    "[scaling]\nmin = 3\nmax = 2\n",
                    "MANIFEST_INVALID",
                    "avishkar.toml, line 1, column 1: scaling.min is 3, more than scaling.max, which is 2",
                ),
                (
                    "[scaling]\nmin = 1\nmax = 99\n",
                    "MANIFEST_INVALID",
                    "scaling.max is a number of replicas from 1 to 20",
                ),
                (
                    "replicas = 4\n[scaling]\nmin = 1\nmax = 3\n",
                    "MANIFEST_INVALID",
                    "replicas is 4, and scaling allows from 1 to 3",
                ),
                ("[scaling]\nmin = 1\nmax = 2\nmost = 2\n", "MANIFEST_UNKNOWN_FIELD", "most"),
                (
                    &hours("min = 3", "Europe/Vienna", "18:00"),
                    "MANIFEST_INVALID",
                    "scaling.schedule 1: min is 3, more than the app's max, which is 2",
                ),
                (
                    &hours("min = 2", "Europe/Nowhere", "18:00"),
                    "TIME_ZONE_UNKNOWN",
                    "scaling.schedule 1: Europe/Nowhere",
                ),
                (
                    &hours("min = 2", "Europe/Vienna", "08:00"),
                    "SCHEDULE_NEVER_FIRES",
                    "scaling.schedule 1: it ends when it starts",
                ),
                (&hours("min = 2\nmost = 3", "UTC", "18:00"), "MANIFEST_UNKNOWN_FIELD", "most"),
            ] {
                let answer = api.upload("shop", &dev(), app(manifest)).await;
                assert_eq!(answer.told(), (422, code), "{manifest}");
                let detail = answer.body["detail"].as_str().unwrap();
                assert!(detail.contains(why), "{detail}");
            }
        })
        .await;
}
