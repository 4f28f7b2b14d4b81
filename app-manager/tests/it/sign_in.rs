//! People: the first admin, accounts, tokens, guessing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use app_manager::{Error, Ports, SecretError, Service};
use jiff::SignedDuration;
use serde_json::json;
use testkit::SeededEntropy;

use crate::world::{World, admin, dev, one_time_token, user};

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn the_first_admin_is_made_by_the_one_time_token_and_only_once() {
    let world = World::new();
    world
        .during(async |api| {
            let file = world.folder.path().join("one-time-token");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let token = one_time_token(world.folder.path()).unwrap();
            let ask = async |token: &str, name: &str| {
                let body = json!({ "token": token, "username": name, "password": PASSWORD });
                api.post("/api/v1/login/one-time", "", body).await
            };
            assert_eq!(ask("wrong", "root").await.told(), (401, "ONE_TIME_TOKEN_WRONG"));
            let made = ask(&token, "root").await;
            assert_eq!(made.status, 201);
            let admin = made.ok()["token"].as_str().unwrap().to_owned();
            assert!(!file.exists());
            assert_eq!(ask(&token, "second").await.told(), (401, "ONE_TIME_TOKEN_WRONG"));
            let users = api.get("/api/v1/users", &admin).await.ok();
            assert_eq!(users[0]["username"], "root");
            assert_eq!(users[0]["role"], "admin");
            assert!(!users.to_string().contains("argon2"));
        })
        .await;
    // A restart offers no second token.
    world
        .during(async |api| {
            assert_eq!(one_time_token(world.folder.path()), None);
            let body = json!({ "username": "root", "password": PASSWORD });
            let signed_in = api.post("/api/v1/login", "", body).await.ok();
            assert_eq!(signed_in["role"], "admin");
        })
        .await;
}

#[tokio::test]
async fn the_one_time_token_stays_the_same_over_restarts() {
    let world = World::new();
    let read = async || world.during(async |_| one_time_token(world.folder.path())).await;
    let first = read().await;
    assert!(first.is_some());
    assert_eq!(read().await, first);
}

#[tokio::test]
async fn of_two_first_admins_at_once_one_is_made() {
    let world = World::new();
    world
        .during(async |api| {
            let token = one_time_token(world.folder.path()).unwrap();
            let ask = |name: &'static str| {
                let body = json!({ "token": token, "username": name, "password": PASSWORD });
                let request = api.client.post(format!("{}/api/v1/login/one-time", api.base));
                api.send(request.json(&body))
            };
            let (one, other) = futures::join!(ask("one"), ask("two"));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 401]);
            assert_eq!(api.get("/api/v1/users", &admin()).await.ok().as_array().unwrap().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn accounts_are_made_by_an_admin_and_sign_in() {
    let world = World::new();
    world
        .during(async |api| {
            let body = |name: &str, password: &str| {
                json!({ "username": name, "password": password, "role": "dev" })
            };
            let make = async |name: &str, password: &str| {
                api.post("/api/v1/users", &admin(), body(name, password)).await
            };
            assert_eq!(make("dee", PASSWORD).await.status, 201);
            assert_eq!(make("dee", PASSWORD).await.told(), (409, "NAME_TAKEN"));
            assert_eq!(make("dan", "short").await.told(), (422, "PASSWORD_INVALID"));
            assert_eq!(make("../x", PASSWORD).await.told(), (422, "NAME_INVALID"));
            let more = json!({ "username": "x1", "password": PASSWORD, "role": "dev", "owner": "root" });
            let refused = api.post("/api/v1/users", &admin(), more).await;
            assert_eq!(refused.told(), (422, "UNKNOWN_FIELD"));
            let refused = api.post("/api/v1/users", &dev(), body("dan", PASSWORD)).await;
            assert_eq!(refused.told(), (403, "FORBIDDEN"));

            let body = json!({ "username": "dee", "password": PASSWORD });
            let signed_in = api.post("/api/v1/login", "", body).await.ok();
            let token = signed_in["token"].as_str().unwrap();
            assert_eq!(api.get("/api/v1/apps", token).await.status, 200);
            assert_eq!(api.get("/api/v1/users", token).await.told(), (403, "FORBIDDEN"));
        })
        .await;
}

#[tokio::test]
async fn guessing_is_braked_for_each_account_by_itself() {
    let world = World::new();
    world
        .during(async |api| {
            let guess = async |name: &str| {
                let body = json!({ "username": name, "password": "a wrong guess" });
                api.post("/api/v1/login", "", body).await
            };
            for _ in 0..5 {
                assert_eq!(guess("nobody").await.told(), (401, "CREDENTIALS_WRONG"));
            }
            let braked = guess("nobody").await;
            assert_eq!(braked.told(), (429, "TOO_MANY_ATTEMPTS"));
            let wait: u64 = braked.header("retry-after").unwrap().parse().unwrap();
            assert!((30..=60).contains(&wait), "{wait}");
            assert_eq!(guess("someone").await.told(), (401, "CREDENTIALS_WRONG"));
            assert_eq!(guess("../etc").await.told(), (401, "CREDENTIALS_WRONG"));
        })
        .await;
}

#[tokio::test]
async fn a_token_ends() {
    let world = World::new();
    world
        .during(async |api| {
            let token = one_time_token(world.folder.path()).unwrap();
            let body = json!({
                "token": token, "username": "root", "password": PASSWORD, "session": "browser"
            });
            let made = api.post("/api/v1/login/one-time", "", body).await.ok();
            let token = made["token"].as_str().unwrap();
            assert_eq!(api.get("/api/v1/apps", token).await.status, 200);
            world.clock.advance(SignedDuration::from_mins(32));
            assert_eq!(api.get("/api/v1/apps", token).await.told(), (401, "TOKEN_EXPIRED"));
        })
        .await;
}

#[tokio::test]
async fn without_a_private_secret_the_service_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt");
    fs::write(&file, "0123456789abcdef0123456789abcdef").unwrap();
    let start = |mode: u32| {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let world = World::with(|raw| {
            raw.auth.jwt_secret = chassis::config::SecretString::new(String::new());
            raw.auth.jwt_secret_file = file.to_str().unwrap().to_owned();
        });
        let ports = Ports {
            bus: Arc::new(world.bus.clone()),
            store: Arc::new(world.store.clone()),
            blobs: Arc::new(world.blobs.clone()),
            nodes: Arc::new(world.nodes.clone()),
            certificates: Arc::new(world.certificates.clone()),
            routes: Arc::new(world.routes.clone()),
            upkeep: Arc::new(world.upkeep.clone()),
            drains: Arc::new(world.drains.clone()),
            clock: world.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        Service::new(ports, world.config.clone()).map(drop)
    };
    assert!(matches!(start(0o644), Err(Error::Secret(SecretError::Open { .. }))));
    assert!(start(0o600).is_ok());
    fs::write(&file, "short").unwrap();
    assert!(matches!(start(0o600), Err(Error::Secret(SecretError::Short))));
}

#[tokio::test]
async fn a_header_that_is_no_token_lets_nobody_in() {
    let world = World::new();
    world
        .during(async |api| {
            let ask = async |value: &str| {
                let request = api.client.get(format!("{}/api/v1/apps", api.base));
                api.send(request.header("authorization", value)).await
            };
            assert_eq!(
                api.send(api.client.get(format!("{}/api/v1/apps", api.base))).await.told(),
                (401, "TOKEN_MISSING")
            );
            assert_eq!(ask("Basic cm9vdDpyb290").await.told(), (401, "TOKEN_MISSING"));
            assert_eq!(ask("Bearer a.b.c").await.told(), (401, "TOKEN_INVALID"));
            assert_eq!(ask(&format!("Bearer {}", user())).await.status, 200);
        })
        .await;
}
