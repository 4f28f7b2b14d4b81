//! Who may do what: every route with every role, and other people's objects.

use app_manager::{Action, ENDPOINTS, Grant, Role, grant};
use chassis::http::Endpoint;
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, Api, World, admin, dev, other_dev, python_app, token, user};

async fn call(api: &Api, row: &Endpoint<Action>, token: Option<&str>) -> Answer {
    let path = row
        .path
        .replace("{app}", "missing")
        .replace("{name}", "missing")
        .replace("{request_id}", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        .replace("{topic}", "missing");
    let method: Method = row.method.as_str().parse().unwrap();
    let mut request = api.client.request(method.clone(), format!("{}{path}", api.base));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if method == Method::POST {
        request = if row.access == Action::MakeRelease {
            request.multipart(crate::world::bundle(vec![]))
        } else {
            request.json(&json!({}))
        };
    }
    api.send(request).await
}

#[tokio::test]
async fn every_route_lets_in_exactly_the_roles_of_its_row() {
    let world = World::new();
    world
        .during(async |api| {
            assert!(ENDPOINTS.len() >= 25, "{}", ENDPOINTS.len());
            for row in ENDPOINTS {
                let what = format!("{} {}", row.method, row.path);
                let open = row.access == Action::SignIn;
                assert_eq!(open, row.path.starts_with("/api/v1/login"), "{what}");
                for token in [None, Some("a.b.c")] {
                    let answer = call(&api, row, token).await;
                    assert!(open || answer.status == 401, "{what}: {answer:?}");
                    assert!(answer.status < 500, "{what}: {answer:?}");
                }
                for role in Role::ALL {
                    let answer = call(&api, row, Some(&token("zoe", role))).await;
                    let turned_away = if row.document.is_some() { 401 } else { 403 };
                    let let_in = open || grant(role, row.access) != Grant::Nothing;
                    assert_eq!(
                        answer.status != turned_away,
                        let_in || open,
                        "{what} as {role}: {answer:?}"
                    );
                    assert!(answer.status < 500, "{what} as {role}: {answer:?}");
                }
            }
        })
        .await;
}

#[tokio::test]
async fn no_get_changes_anything() {
    for row in ENDPOINTS {
        let acts = [
            Action::Deploy,
            Action::ChangeInstance,
            Action::MakeRelease,
            Action::ReleaseImage,
            Action::SendMessages,
            Action::SwitchPlatform,
        ]
        .contains(&row.access);
        assert!(!(row.method.as_str() == "GET" && acts), "{row:?}");
    }
}

#[tokio::test]
async fn other_peoples_objects_do_not_exist() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            let made = api.post("/api/v1/apps/shop/deployments", &user(), json!({})).await.ok();
            let of_user = made["instance"].as_str().unwrap().to_owned();
            let path = |name: &str| format!("/api/v1/instances/{name}");

            for stranger in [other_dev(), user()] {
                for answer in [
                    api.get(&path("shop"), &stranger).await,
                    api.get(&format!("{}/logs", path("shop")), &stranger).await,
                    api.delete(&path("shop"), &stranger).await,
                    api.post(
                        &format!("{}/scale", path("shop")),
                        &stranger,
                        json!({ "replicas": 2 }),
                    )
                    .await,
                ] {
                    assert_eq!(answer.told(), (404, "UNKNOWN_INSTANCE"));
                }
                let operation = api.get(&format!("/api/v1/operations/{request}"), &stranger).await;
                assert_eq!(operation.told(), (404, "REQUEST_UNKNOWN"));
            }
            // The app's developer sees that it is deployed, and no more.
            assert_eq!(api.get(&path(&of_user), &dev()).await.status, 200);
            assert_eq!(api.delete(&path(&of_user), &dev()).await.status, 404);
            assert_eq!(api.get(&format!("{}/logs", path(&of_user)), &dev()).await.status, 404);

            let seen = async |token: &str| {
                api.get("/api/v1/instances", token).await.ok().as_array().unwrap().len()
            };
            assert_eq!((seen(&user()).await, seen(&dev()).await), (1, 2));
            assert_eq!((seen(&other_dev()).await, seen(&admin()).await), (0, 2));
            assert_eq!(api.delete(&path(&of_user), &admin()).await.status, 202);
        })
        .await;
}

#[tokio::test]
async fn an_admin_sees_nodes_and_sends_messages() {
    use common::record::node::{Alive, Node, Verdict};
    use common::record::path;
    use common::topic::Topic;
    let world = World::new();
    world
        .during(async |api| {
            let name: common::name::NodeName = "node-1".parse().unwrap();
            let node = Node {
                schema: 1,
                name: name.clone(),
                ip: "192.0.2.1".parse().unwrap(),
                agent: "192.0.2.1:7443".parse().unwrap(),
                os: "Debian 13".to_owned(),
                leaves: false,
            };
            world.write(&path::node(&name), &node);
            let nodes = api.get("/api/v1/nodes", &admin()).await.ok();
            assert_eq!(
                (&nodes[0]["name"], &nodes[0]["verdict"]),
                (&json!("node-1"), &json!("unknown"))
            );
            let alive = Alive {
                schema: 1,
                node: name.clone(),
                verdict: Verdict::Live,
                reason: "it is heard".to_owned(),
                since: "2026-01-01T00:00:00Z".parse().unwrap(),
            };
            world.write(&path::alive(&name), &alive);
            let nodes = api.get("/api/v1/nodes", &admin()).await.ok();
            assert_eq!(
                (&nodes[0]["verdict"], &nodes[0]["reason"]),
                (&json!("live"), &json!("it is heard"))
            );

            let message = json!({ "to_topic": "DeploymentManager", "msg": "deploy app$shop" });
            let sent = api.post("/api/v1/messages", &admin(), message).await;
            assert_eq!(sent.status, 202);
            let messages = world.bus.messages(Topic::DeploymentManager);
            assert_eq!(messages[0].msg, "deploy app$shop");
            assert_eq!(
                messages[0].request_id.to_string(),
                sent.ok()["request_id"].as_str().unwrap()
            );
            let wrong = json!({ "to_topic": "Nowhere", "msg": "x" });
            assert_eq!(api.post("/api/v1/messages", &admin(), wrong).await.status, 422);
            api.upload("shop", &dev(), python_app("a")).await.ok();
        })
        .await;
}
