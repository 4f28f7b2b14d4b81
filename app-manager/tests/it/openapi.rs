//! The interface as it is described to programs. That answers are as described is asked of every story's answers.

use app_manager::{Role, openapi};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::described::flaw;
use crate::world::{Answer, World, token};

#[tokio::test]
async fn whoever_is_signed_in_reads_what_routes_there_are() {
    let world = World::new();
    world
        .during(async |api| {
            for role in Role::ALL {
                let answer = api.get("/api/v1/openapi.json", &token("zoe", role)).await;
                assert_eq!(answer.header("content-type"), Some("application/json"));
                assert_eq!(answer.ok(), openapi());
            }
            let unsigned = api.get("/api/v1/openapi.json", "a.b.c").await;
            assert_eq!(unsigned.told(), (401, "TOKEN_INVALID"));
        })
        .await;
}

#[test]
fn an_answer_that_is_not_as_described_is_found() {
    let said = |path: &str, status: u16, body: Value| {
        flaw(&Method::GET, path, &Answer { status, headers: HeaderMap::new(), body })
    };
    let app = json!({ "name": "shop", "owner": "dee", "description": "", "created_at": "2026-01-01T00:00:00Z", "newest_release": 1 });
    let with = |field: &str, value: Value| {
        let mut app = app.clone();
        app[field] = value;
        app
    };
    assert_eq!(said("/api/v1/apps/shop", 200, app.clone()), None);
    assert_eq!(said("/api/v1/apps", 200, json!([app])), None);
    let problem =
        json!({ "type": "urn:avishkar:A", "code": "A", "title": "", "detail": "", "status": 404 });
    assert_eq!(said("/api/v1/apps/shop", 404, problem), None);
    for (path, status, body, flaw) in [
        ("/api/v1/apps/shop", 202, app.clone(), "it answers 202"),
        (
            "/api/v1/apps/shop",
            200,
            with("newest_release", json!("1")),
            "it.newest_release is \"1\"",
        ),
        ("/api/v1/apps/shop", 200, with("secret", json!(1)), "it.secret is not described"),
        ("/api/v1/apps", 200, json!([app, { "name": "shop" }]), "it[] has no owner"),
        ("/api/v1/apps/shop", 404, json!({ "code": "A" }), "it has no type"),
        (
            "/api/v1/nodes",
            200,
            json!([{
                "name": "a", "ip": "", "os": "", "reason": "", "since": null, "verdict": "fine",
                "drained_since": null, "replicas": 0, "stays": [],
            }]),
            "it[].verdict is \"fine\"",
        ),
        (
            "/api/baseApp/getapps/",
            200,
            json!({ "data": [], "message": "", "status": false }),
            "it.status is false",
        ),
    ] {
        assert_eq!(said(path, status, body).as_deref(), Some(flaw));
    }
}
