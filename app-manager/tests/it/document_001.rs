//! Document 001's paths and form of answers.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::world::{Answer, Api, World, admin, archive, dev, other_dev, user};

async fn upload(api: &Api, token: &str, path: &str, file_name: &str, zip: Vec<u8>) -> Answer {
    let form = Form::new().part("inpFile", Part::bytes(zip).file_name(file_name.to_owned()));
    api.send(api.request(Method::POST, path, token).multipart(form)).await
}

/// The sentence of a refusal.
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!((&answer.body["status"], &answer.body["data"]), (&json!(false), &Value::Null));
    let text = answer.body["message"][0]["error"].as_str().unwrap();
    assert!(text.starts_with(code), "{text}");
}

const UPLOAD: &str = "/api/baseApp/upload/";
const CHECK: &str = "/api/baseApp/checkfilename/";
const DEPLOY: &str = "/api/deployedApps/deployApp/";

fn shop() -> Vec<u8> {
    archive(&[
        (
            "shop/app.json",
            r#"{"applicationName": "shop", "applicationDescription": "sells", "applicationType": "web", "sensorTypes": ["temp"]}"#,
        ),
        ("shop/main.py", "print()"),
    ])
}

#[tokio::test]
async fn base_apps_are_uploaded_checked_and_listed() {
    let world = World::new();
    world
        .during(async |api| {
            let free = upload(&api, &dev(), CHECK, "shop.zip", vec![]).await;
            assert_eq!(free.body, json!({ "data": true, "message": "the name is free", "status": true }));
            let made = upload(&api, &dev(), UPLOAD, "shop.zip", shop()).await;
            assert_eq!(made.status, 201);
            assert_eq!((&made.body["status"], &made.body["data"]["id"]), (&json!(true), &json!(1)));
            assert_eq!(upload(&api, &dev(), CHECK, "shop.zip", vec![]).await.body["data"], false);
            refused(&upload(&api, &dev(), UPLOAD, "shop.zip", shop()).await, 409, "NAME_TAKEN");
            refused(&upload(&api, &dev(), UPLOAD, "shop.tar", shop()).await, 400, "FILE_NAME_INVALID");
            refused(&upload(&api, &dev(), UPLOAD, "../x.zip", shop()).await, 400, "NAME_INVALID");
            refused(&upload(&api, &dev(), UPLOAD, "other.zip", b"no zip".to_vec()).await, 400, "ARCHIVE_MALFORMED");
            refused(&upload(&api, &user(), UPLOAD, "other.zip", shop()).await, 401, "FORBIDDEN");
            refused(&upload(&api, "a.b.c", UPLOAD, "other.zip", shop()).await, 401, "TOKEN_INVALID");

            let list = async |token: &str| {
                api.get("/api/baseApp/getapps/", token).await.ok()["data"].clone()
            };
            let app = list(&dev()).await[0].clone();
            assert_eq!(app["created"].as_str().unwrap().get(..4), Some("2026"));
            let expected = json!({
                "id": 1, "developer": "dee", "created": app["created"], "appName": "shop", "status": "uploaded",
                "appDesc": "sells", "appType": "web", "sensorTypes": ["temp"],
            });
            assert_eq!(app, expected);
            assert_eq!(list(&user()).await[0], expected);
            assert_eq!(list(&admin()).await[0], expected);
            assert_eq!(list(&other_dev()).await, json!([]));
            assert_eq!(api.get("/api/baseApp/getapps", &dev()).await.told(), (404, "ROUTE_UNKNOWN"));
            let wrong = api.get(UPLOAD, &dev()).await;
            assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
            assert_eq!(world.staged(), 0);
        })
        .await;
}

fn wish(more: &[(&str, Value)]) -> Value {
    let mut wish = json!({
        "baseAppId": 1, "baseAppName": "shop", "developer": "dee",
        "location": "{\"room\": 7}", "userEmail": "ann@example.org",
    });
    for (key, value) in more {
        wish[key] = value.clone();
    }
    wish
}

#[tokio::test]
async fn apps_are_deployed_with_their_place_shown_with_their_url_and_stopped() {
    let world = World::new();
    world
        .during(async |api| {
            upload(&api, &dev(), UPLOAD, "shop.zip", shop()).await.ok();
            let accepted = api.post(DEPLOY, &user(), wish(&[])).await;
            assert_eq!((accepted.status, &accepted.body["status"]), (200, &json!(true)));
            let name = accepted.body["data"]["deployedAppName"].as_str().unwrap().to_owned();
            let request = accepted.body["data"]["requestId"].as_str().unwrap().to_owned();
            assert!(accepted.body["message"].as_str().unwrap().contains("being deployed, check later"));
            assert!(name.starts_with("shop_"));
            let kept: Value = serde_json::from_str(&world.instance(&name).app_json.unwrap()).unwrap();
            assert_eq!((&kept["location"], &kept["userEmail"]), (&json!({ "room": 7 }), &json!("ann@example.org")));
            assert_eq!(kept["applicationName"], "shop");

            let list = async |path: &str, token: &str| {
                api.get(&format!("/api/deployedApps/{path}/"), token).await.ok()["data"].clone()
            };
            let waiting = list("getDeployInProgressApps", &user()).await;
            assert_eq!((&waiting[0]["deployedAppName"], &waiting[0]["status"]), (&json!(name), &json!("deployment in progress")));
            assert_eq!(list("getDeployedApps", &user()).await, json!([]));
            assert_eq!(list("getScheduledApps", &user()).await, json!([]));

            world.say(&request, &format!("done {name} deploy - 192.0.2.7:2000")).await;
            let deployed = list("getDeployedApps", &user()).await[0].clone();
            let expected = json!({
                "id": name, "baseAppId": 1, "developer": "dee", "deployedAppName": name, "userName": "ann",
                "created": deployed["created"], "url": "http://192.0.2.7:2000", "status": "deployed",
            });
            assert_eq!(deployed, expected);
            assert_eq!(list("getDeployInProgressApps", &user()).await, json!([]));
            for (token, count) in [(dev(), 1), (admin(), 1), (other_dev(), 0)] {
                assert_eq!(list("getDeployedApps", &token).await.as_array().unwrap().len(), count);
            }

            let stop = "/api/deployedApps/stopApp/";
            refused(&api.post(stop, &dev(), json!({ "appId": name })).await, 400, "UNKNOWN_INSTANCE");
            refused(&api.post(stop, &user(), json!({ "appId": "shop_x;id" })).await, 400, "NAME_INVALID");
            let stopped = api.post(stop, &user(), json!({ "appId": name })).await.ok();
            let request = stopped["data"]["requestId"].as_str().unwrap().to_owned();
            world.say(&request, &format!("done stopped${name}")).await;
            assert_eq!(list("getDeployedApps", &user()).await, json!([]));
        })
        .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_deploy_is_a_400() {
    let world = World::new();
    world
        .during(async |api| {
            upload(&api, &dev(), UPLOAD, "shop.zip", shop()).await.ok();
            for (change, code) in [
                (("baseAppId", json!(2)), "FIELD_INVALID"),
                (("baseAppName", json!("none")), "APP_UNKNOWN"),
                (("baseAppName", json!("../x")), "NAME_INVALID"),
                (("developer", json!("ann")), "FIELD_INVALID"),
                (("location", json!("not json")), "FIELD_INVALID"),
                (("location", json!("{\"a\": 1, \"a\": 2}")), "FIELD_INVALID"),
                (("location", json!("[".repeat(10_000))), "FIELD_INVALID"),
                (("location", json!(7)), "FIELD_INVALID"),
                (("userEmail", json!("a\nb")), "FIELD_INVALID"),
                (("startTime", json!("tomorrow")), "FIELD_INVALID"),
                (("startTime", json!("2026-01-02T00:00Z")), "FIELD_INVALID"),
                (("startTime", json!("2025-12-31T00:00")), "SCHEDULE_IN_PAST"),
                (("endTime", json!("2025-12-31T00:00")), "SCHEDULE_END_BEFORE_START"),
                (("role", json!("admin")), "UNKNOWN_FIELD"),
            ] {
                refused(&api.post(DEPLOY, &user(), wish(&[change])).await, 400, code);
            }
            let text = api.request(Method::POST, DEPLOY, &user()).body("hello");
            refused(&api.send(text).await, 400, "CONTENT_TYPE_INVALID");
            let broken = api.request(Method::POST, DEPLOY, &user());
            let broken = broken.header("content-type", "application/json").body("{");
            refused(&api.send(broken).await, 400, "JSON_INVALID");
            world.store.go_down();
            let down = api.post(DEPLOY, &user(), wish(&[])).await;
            refused(&down, 500, "STORE_UNAVAILABLE");
            assert!(down.header("retry-after").is_some());
        })
        .await;
}

#[tokio::test]
async fn what_would_not_fit_in_a_record_is_refused() {
    let world = World::new();
    world
        .during(async |api| {
            let place = |length: usize| "\\u0001".repeat(length / 6);
            let large = format!("{{\"location\": \"{}\"}}", place(60_000));
            let zip = archive(&[("main.py", ""), ("app.json", &large)]);
            refused(&upload(&api, &dev(), UPLOAD, "large.zip", zip).await, 400, "MANIFEST_INVALID");
            let app = format!("{{\"location\": \"{}\"}}", place(24_000));
            let zip = archive(&[("main.py", ""), ("app.json", &app)]);
            upload(&api, &dev(), UPLOAD, "shop.zip", zip).await.ok();
            let quotes = format!("\"{}\"", "\\\"".repeat(8_000));
            let answer = api.post(DEPLOY, &user(), wish(&[("location", json!(quotes))])).await;
            assert!(answer.status == 200 || answer.status == 400, "{answer:?}");
            let longest = format!("\"{}\"", "x".repeat(17_000));
            let answer = api.post(DEPLOY, &user(), wish(&[("location", json!(longest))])).await;
            refused(&answer, 400, "FIELD_INVALID");
        })
        .await;
}
