//! Making apps and releases.

use common::digest::Digest;
use common::port::Blobs as _;
use common::record::path;
use common::record::release::{App, PythonDependencies, Release, Runtime, Source};
use reqwest::Method;
use serde_json::json;

use crate::world::{World, admin, archive, bundle, dev, other_dev, python_app, user};

#[tokio::test]
async fn a_bundle_makes_an_app_and_its_first_release() {
    let world = World::new();
    world
        .during(async |api| {
            let zip = archive(&[
                ("shop/main.py", "print()"),
                ("shop/requirements.txt", "uvicorn\n"),
                ("shop/avishkar.toml", "port = 9000\nreplicas = 3\n[env]\nMODE = \"fast\"\n"),
                ("shop/app.json", r#"{"applicationDescription": "sells"}"#),
            ]);
            let made = api.upload("shop", &dev(), zip.clone()).await;
            assert_eq!(made.status, 201);
            assert_eq!(made.header("etag"), Some("\"1\""));
            let body = made.ok();
            assert_eq!(
                (&body["app"], &body["number"], &body["port"]),
                (&json!("shop"), &json!(1), &json!(9000))
            );

            let digest = Digest::of(&zip);
            assert_eq!(world.blobs.list().await.unwrap(), std::slice::from_ref(&digest));
            let app: App = world.read(&path::app(&"shop".parse().unwrap())).unwrap();
            assert_eq!((app.owner.as_str(), app.newest.0, app.base_app_id), ("dee", 1, 1));
            assert_eq!(app.description, "sells");
            let release: Release = world.read(&path::release(&app.name, app.newest)).unwrap();
            let Source::Bundle { bundle, plan } = release.source else { panic!("a bundle") };
            assert_eq!(bundle, digest);
            assert_eq!(plan.root, "shop");
            let dependencies = PythonDependencies::Requirements;
            assert_eq!(plan.runtime, Runtime::Python { dependencies });
            assert_eq!(plan.command[..2], ["uvicorn", "main:app"]);
            assert_eq!(release.environment["MODE"], "fast");
        })
        .await;
}

#[tokio::test]
async fn the_same_bytes_are_the_same_release_and_others_the_next() {
    let world = World::new();
    world
        .during(async |api| {
            let upload = async |text: &str| {
                let answer = api.upload("shop", &dev(), python_app(text)).await;
                (answer.status, answer.body["number"].clone())
            };
            assert_eq!(upload("one").await, (201, json!(1)));
            assert_eq!(upload("one").await, (200, json!(1)));
            assert_eq!(upload("two").await, (201, json!(2)));
            assert_eq!(upload("one").await, (201, json!(3)));
            let releases = api.get("/api/v1/apps/shop/releases", &dev()).await.ok();
            let numbers: Vec<u64> = releases
                .as_array()
                .unwrap()
                .iter()
                .map(|release| release["number"].as_u64().unwrap())
                .collect();
            assert_eq!(numbers, [3, 2, 1]);
        })
        .await;
}

#[tokio::test]
async fn many_uploads_of_one_app_at_once_never_mix() {
    let world = World::new();
    world
        .during(async |api| {
            let token = dev();
            let same = (0..25).map(|_| api.upload("same", &token, python_app("same")));
            let same = futures::future::join_all(same).await;
            let new = same.iter().filter(|answer| answer.status == 201).count();
            let old = same.iter().filter(|answer| answer.status == 200).count();
            assert_eq!((new, old), (1, 24));
            assert!(same.iter().all(|answer| answer.body["number"] == 1));

            let texts: Vec<String> = (0..25).map(|n| format!("text {n}")).collect();
            let different = texts.iter().map(|text| api.upload("mixed", &token, python_app(text)));
            let different = futures::future::join_all(different).await;
            let mut numbers: Vec<u64> = different
                .iter()
                .map(|answer| {
                    assert_eq!(answer.status, 201);
                    answer.body["number"].as_u64().unwrap()
                })
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=25).collect::<Vec<u64>>());
        })
        .await;
    assert_eq!(world.staged(), 0);
}

#[tokio::test]
async fn who_expects_another_newest_release_is_told_of_it() {
    let world = World::new();
    world
        .during(async |api| {
            let upload = async |header: &str, value: &str, text: &str| {
                let request = api.request(Method::POST, "/api/v1/apps/shop/releases", &dev());
                api.send(request.header(header, value).multipart(bundle(python_app(text)))).await
            };
            assert_eq!(upload("if-match", "\"1\"", "a").await.told(), (409, "VERSION_EXISTS"));
            assert_eq!(upload("if-none-match", "*", "a").await.status, 201);
            assert_eq!(upload("if-none-match", "*", "b").await.told(), (409, "NAME_TAKEN"));
            assert_eq!(upload("if-match", "\"1\"", "b").await.status, 201);
            assert_eq!(upload("if-match", "\"1\"", "c").await.told(), (409, "VERSION_EXISTS"));
            assert_eq!(upload("if-match", "one", "c").await.told(), (422, "FIELD_INVALID"));
        })
        .await;
}

#[tokio::test]
async fn an_app_belongs_to_who_made_it() {
    let world = World::new();
    world
        .during(async |api| {
            assert_eq!(
                api.upload("shop", &user(), python_app("a")).await.told(),
                (403, "FORBIDDEN")
            );
            assert_eq!(api.upload("shop", &dev(), python_app("a")).await.status, 201);
            assert_eq!(
                api.upload("shop", &other_dev(), python_app("b")).await.told(),
                (409, "NAME_TAKEN")
            );
            let twin = api.upload("Shop", &dev(), python_app("b")).await;
            assert_eq!(twin.told(), (409, "NAME_TAKEN"));
            assert_eq!(api.upload("shop", &admin(), python_app("b")).await.status, 201);
            assert_eq!(
                api.get("/api/v1/apps/shop", &other_dev()).await.told(),
                (404, "APP_UNKNOWN")
            );
            assert_eq!(
                api.get("/api/v1/apps/shop/releases", &other_dev()).await.told(),
                (404, "APP_UNKNOWN")
            );
            assert_eq!(api.get("/api/v1/apps", &other_dev()).await.ok(), json!([]));
            assert_eq!(api.get("/api/v1/apps", &dev()).await.ok()[0]["name"], "shop");

            let for_user = api.get("/api/v1/apps/shop/releases", &user()).await.ok();
            assert!(
                for_user[0].get("source").is_none() && for_user[0].get("environment").is_none()
            );
            let for_dev = api.get("/api/v1/apps/shop/releases", &dev()).await.ok();
            assert!(for_dev[0]["source"]["bundle"].as_str().unwrap().starts_with("sha256:"));
        })
        .await;
}

#[tokio::test]
async fn names_are_refused_by_their_rule() {
    let world = World::new();
    world
        .during(async |api| {
            let long = "a".repeat(41);
            for name in [
                "App",
                "a--b",
                "-rf",
                "a_b",
                "%EF%BD%81pp",
                "a%0ab",
                "a%00b",
                "a;id",
                "..%2fetc",
                &long,
            ] {
                let answer = api.upload(name, &dev(), python_app("a")).await;
                assert_eq!(answer.told(), (422, "NAME_INVALID"), "{name}");
            }
            let empty = api.get("/api/v1/apps//releases", &dev()).await;
            assert_eq!(empty.told(), (422, "NAME_INVALID"));
            for name in ["kafka", "admin", "app-manager", "nul"] {
                let answer = api.upload(name, &dev(), python_app("a")).await;
                assert_eq!(answer.told(), (422, "NAME_RESERVED"), "{name}");
            }
            let huge = "a".repeat(10_000);
            let answer = api.upload(&huge, &dev(), python_app("a")).await;
            assert_eq!(answer.told(), (422, "NAME_INVALID"));
            assert!(answer.body.to_string().len() < 1000);
        })
        .await;
}

#[tokio::test]
async fn an_image_is_released_by_digest_from_a_listed_registry_by_an_admin() {
    let world = World::new();
    let digest = Digest::of(b"image");
    world
        .during(async |api| {
            let release = async |token: &str, body: serde_json::Value| {
                api.post("/api/v1/apps/hello/releases", token, body).await
            };
            let image = format!("registry:5000/apps/hello@{digest}");
            let body =
                json!({ "image": image, "port": 80, "health": "/", "memory": "64m", "cpus": 1 });
            assert_eq!(release(&dev(), body.clone()).await.told(), (403, "FORBIDDEN"));
            let made = release(&admin(), body.clone()).await;
            assert_eq!((made.status, &made.body["number"]), (201, &json!(1)));
            assert_eq!(release(&admin(), body).await.status, 200);
            let changed = json!({ "image": image, "port": 8080 });
            assert_eq!(release(&admin(), changed).await.body["number"], 2);
            let edge = json!({ "hosts": ["www.example.org"], "sticky": true });
            let asking = json!({ "image": image, "port": 8080, "edge": edge });
            assert_eq!(release(&admin(), asking).await.body["number"], 3);
            let kept = api.get("/api/v1/apps/hello/releases", &admin()).await.ok();
            let newest = kept.as_array().unwrap().iter().find(|kept| kept["number"] == 3).unwrap();
            assert_eq!(newest["edge"], edge);
            for wrong in [
                "registry:5000/apps/hello:latest",
                "registry:5000/apps/hello",
                &format!("example.org/apps/hello@{digest}"),
                &format!("apps/hello@{digest}"),
                "--help",
                &format!("evil/x:latest@{digest}"),
            ] {
                let answer = release(&admin(), json!({ "image": wrong })).await;
                assert_eq!(answer.told(), (422, "IMAGE_NOT_ALLOWED"), "{wrong}");
            }
            let with = |key: &str, value: serde_json::Value| json!({ "image": image, key: value });
            for (key, value, code) in [
                ("port", json!(0), "PORT_INVALID"),
                ("port", json!(65536), "PORT_INVALID"),
                ("port", json!("80; x"), "FIELD_INVALID"),
                ("port", json!(22), "PORT_RESERVED"),
                ("env", json!({ "LD_PRELOAD": "x" }), "ENV_INVALID"),
                ("env", json!({ "A=B": "x" }), "ENV_INVALID"),
                ("memory", json!("9999g"), "FIELD_INVALID"),
                ("edge", json!({ "connections": 0 }), "FIELD_INVALID"),
                ("edge", json!({ "hosts": ["192.0.2.1"] }), "FIELD_INVALID"),
                ("edge", json!({ "host": [] }), "UNKNOWN_FIELD"),
                ("owner", json!("me"), "UNKNOWN_FIELD"),
                ("volumes", json!(["/:/host"]), "UNKNOWN_FIELD"),
            ] {
                let answer = release(&admin(), with(key, value.clone())).await;
                assert_eq!(answer.told(), (422, code), "{key} {value}");
            }
        })
        .await;
}
