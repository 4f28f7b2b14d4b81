//! The HTTP interface.

use std::time::Duration;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use chassis::service::Service as _;
use common::message::PlatformOutcome;
use common::record::platform::PlatformState;
use common::service::ServiceName;
use platform_initializer::Service;
use serde_json::{Value, json};

use crate::lifecycle::Conduct;
use crate::world::{World, id, until};

struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn call(service: &Service, request: TestRequest) -> Answer {
    let app = App::new()
        .app_data(chassis::http::path_config())
        .app_data(chassis::http::query_config())
        .app_data(chassis::http::json_config())
        .configure(|routes| service.public_routes(routes));
    let app = init_service(app).await;
    let response = call_service(&app, request.to_request()).await;
    let location = response.headers().get("location");
    let location = location.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Answer { status, location, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn get(service: &Service, uri: &str) -> Answer {
    call(service, TestRequest::get().uri(uri)).await
}

async fn post(service: &Service, uri: &str, body: &Value) -> Answer {
    call(service, TestRequest::post().uri(uri).set_json(body)).await
}

/// Runs the service until it leads, and then the story.
async fn with_leader<T>(world: &World, service: &Service, story: impl Future<Output = T>) -> T {
    world
        .run(service, async {
            until(async || {
                let folder = "/services/platform_initializer".parse().unwrap();
                !world.store.records(&folder).is_empty()
            })
            .await;
            story.await
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn document_001s_paths_start_and_stop_the_platform_and_say_success() {
    let world = World::with_nodes(3);
    let service = world.service();
    with_leader(&world, &service, async {
        assert_eq!(get(&service, "/status").await.status, StatusCode::NOT_FOUND);
        let answer = get(&service, "/start").await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "Success"));
        let status = get(&service, "/status").await.json();
        assert_eq!(status["status"], "running");
        assert_eq!(status.as_object().unwrap().len(), 2);
        let listed = get(&service, "/all_services").await.json();
        let load_balancer = json!({ "service": "load_balancer", "ip": "192.0.2.1", "port": 8050 });
        assert!(listed.as_array().unwrap().contains(&load_balancer), "{listed}");
        assert_eq!(listed.as_array().unwrap().len(), 6, "{listed}");
        let answer = get(&service, "/stop").await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "Success"));
        assert_eq!(get(&service, "/status").await.json()["status"], "stopped");
        assert_eq!(get(&service, "/all_services").await.json().as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_answered_with_the_error_as_text() {
    let world = World::with_nodes(2);
    world.lifecycle.set(ServiceName::NodeManager, Conduct::Fails);
    let service = world.service();
    with_leader(&world, &service, async {
        let answer = get(&service, "/start").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.body.contains("node-manager on node-1"), "{}", answer.body);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_load_balancer_is_found_again_before_the_services_are_listed() {
    let world = World::with_nodes(2);
    let service = world.service();
    with_leader(&world, &service, async {
        assert!(matches!(world.start(1).await, PlatformOutcome::Yes { .. }));
        let at = "/services/load_balancer/instance1".parse().unwrap();
        world.store.seed(&at, "192.0.2.9:1".into());
        let listed = get(&service, "/all_services").await.body;
        assert!(listed.contains("8050") && !listed.contains("192.0.2.9"), "{listed}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_is_told_where_its_outcome_will_be() {
    let mut world = World::with_nodes(2);
    world.raw.platform.answer_within_seconds = 5;
    world.lifecycle.set(ServiceName::NodeManager, Conduct::Works(Duration::from_mins(1)));
    let service = world.service();
    with_leader(&world, &service, async {
        let request = TestRequest::post()
            .uri("/api/v1/platform/start")
            .insert_header(("Idempotency-Key", id(7).to_string()))
            .set_json(json!({}));
        let answer = call(&service, request).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        let location = answer.location.unwrap();
        assert_eq!(location, format!("/api/v1/platform/operations/{}", id(7)));
        assert_eq!(get(&service, &location).await.json()["status"], "accepted");
        let now = get(&service, "/api/v1/platform").await.json();
        assert_eq!((&now["goal"], &now["service"]), (&json!("on"), &json!("node_manager")));
        world.outcome(7).await;
        assert_eq!(get(&service, &location).await.json()["status"], "succeeded");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_confirmed_in_words() {
    let world = World::with_nodes(2);
    let service = world.service();
    with_leader(&world, &service, async {
        assert!(matches!(world.start(1).await, PlatformOutcome::Yes { .. }));
        for (body, code) in [
            (json!({}), "FIELD_INVALID"),
            (json!({ "confirm": "yes" }), "FIELD_INVALID"),
            (json!({ "confirm": "stop platform", "force": true }), "UNKNOWN_FIELD"),
        ] {
            let answer = post(&service, "/api/v1/platform/stop", &body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert_eq!(answer.json()["code"], code, "{body}");
        }
        // What a form of somebody else's web page could send.
        let form = TestRequest::post().uri("/api/v1/platform/stop").set_payload("confirm=1");
        assert_eq!(call(&service, form).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(world.wished().len(), 5);
        let body = json!({ "confirm": "stop platform" });
        let answer = post(&service, "/api/v1/platform/stop", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(world.wished(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_refused_with_a_reason() {
    let mut world = World::with_nodes(2);
    world.raw.platform.answer_within_seconds = 1;
    let service = world.service();
    with_leader(&world, &service, async {
        let keyed = |key: &str| {
            let request = TestRequest::post().uri("/api/v1/platform/start");
            request.insert_header(("Idempotency-Key", key.to_owned())).set_json(json!({}))
        };
        let answer = call(&service, keyed("not a uuid")).await;
        assert_eq!(answer.json()["code"], "IDEMPOTENCY_KEY_INVALID");
        for (method, uri, expected) in [
            (Method::PUT, "/api/v1/platform/start", 405),
            (Method::DELETE, "/start", 405),
            (Method::GET, "/api/v1/platform/operations/nothing", 422),
            (Method::GET, "/api/v1/platform/operations/00000000-0000-0000-0000-000000000009", 404),
        ] {
            let answer = call(&service, TestRequest::default().method(method).uri(uri)).await;
            assert_eq!(answer.status.as_u16(), expected, "{uri}");
        }
    })
    .await;
    assert_eq!(world.wished(), []);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stands_by_takes_what_the_leader_does() {
    let world = World::with_nodes(2);
    let (leader, twin) = (world.service(), world.service());
    with_leader(&world, &leader, async {
        let answer = post(&twin, "/api/v1/platform/start", &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(get(&twin, "/status").await.json()["status"], "running");
        let listed = get(&twin, "/all_services").await.json();
        assert_eq!(listed.as_array().unwrap().len(), 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_nobody_leads_a_request_waits() {
    let mut world = World::with_nodes(2);
    world.raw.platform.answer_within_seconds = 5;
    let answer = post(&world.service(), "/api/v1/platform/start", &json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(world.wished(), []);
    world.during(world.until_state(PlatformState::Running)).await;
}

#[tokio::test(start_paused = true)]
async fn document_001s_gets_are_off_unless_they_are_on() {
    let world = World::with_nodes(2);
    let documents = platform_initializer::config::Documents::default();
    let mut listeners = crate::world::listeners();
    listeners.document_001_gets = false;
    let config = world.raw.clone().resolve(&listeners, &documents).unwrap();
    let service = world.service_with(config);
    for uri in ["/start", "/stop"] {
        let answer = get(&service, uri).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.json()["code"], "DOCUMENT_001_GETS_OFF");
    }
}
