//! The HTTP interface.

use std::time::Duration;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use chassis::service::Service as _;
use monitoring::Service;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::world::{World, run, seconds, until};

async fn call(service: &Service, method: Method, uri: &str) -> (StatusCode, String) {
    let app = App::new()
        .app_data(chassis::http::query_config())
        .configure(|routes| service.public_routes(routes));
    let app = init_service(app).await;
    let request = TestRequest::default().method(method).uri(uri).to_request();
    let response = call_service(&app, request).await;
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(service: &Service, uri: &str) -> Value {
    // What was read a moment ago is not read again.
    sleep(Duration::from_millis(1100)).await;
    let (status, body) = call(service, Method::GET, uri).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn check_health_lists_the_registry_with_ok_and_down_as_document_001_has_it() {
    let world = World::new();
    for service in ["load_balancer", "node_manager"] {
        world.service(service);
    }
    world.app("shop").await;
    let service = world.monitoring();
    run(&service, async {
        world.until_verdict("service", "monitoring", "down").await;
        world.until_verdict("service", "load_balancer", "up").await;
        world.until_verdict("app", "shop", "up").await;
        let entries = get(&service, "/check_health").await;
        let stamp = entries[0]["timestamp"].as_str().unwrap().to_owned();
        let format = "2026-01-01 00:00:00";
        assert_eq!(stamp.len(), format.len());
        assert!(stamp.starts_with("2026-01-01 00:0"), "{stamp}");
        let entry = |kind: &str, name: &str, ip: &str, port: u16, status: &str| {
            json!({ kind: name, "ip": ip, "port": port, "status": status, "timestamp": stamp })
        };
        let expected = json!([
            entry("service", "load_balancer", "192.0.2.1", 8002, "Ok"),
            entry("service", "monitoring", "192.0.2.1", 8070, "Down"),
            entry("service", "node_manager", "192.0.2.1", 8004, "Ok"),
            entry("app", "shop", "192.0.2.11", 20_000, "Ok"),
        ]);
        assert_eq!(entries, expected);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_seen_yet_is_neither_ok_nor_down() {
    let world = World::new();
    world.service("load_balancer");
    let service = world.monitoring();
    let entries = get(&service, "/check_health").await;
    assert_eq!(entries[0]["status"], "Unknown");
}

#[tokio::test(start_paused = true)]
async fn verdicts_and_incidents_are_listed_also_by_who_stands_by() {
    let world = World::with_everything();
    let (leader, twin) = (world.monitoring(), world.monitoring_on(world.store.session(), 8071));
    run(&leader, async {
        world.until_all_up().await;
        world.dies("load_balancer");
        until(async || world.restarted().len() == 2).await;
        for service in [&leader, &twin] {
            let verdicts = get(service, "/api/v1/verdicts").await;
            let down: Vec<&Value> = verdicts
                .as_array()
                .unwrap()
                .iter()
                .filter(|said| said["verdict"] == "down")
                .collect();
            assert_eq!(down.len(), 1);
            assert_eq!(
                (&down[0]["kind"], &down[0]["name"], &down[0]["instance"], &down[0]["restarts"]),
                (&json!("service"), &json!("load_balancer"), &json!("instance1"), &json!(2))
            );
            let incidents = get(service, "/api/v1/incidents?open=true").await;
            assert_eq!(incidents[0]["incident"], down[0]["incident"]);
            assert_eq!(
                (&incidents[0]["closed_at"], &incidents[0]["restarts"], &incidents[0]["owed"]),
                (&Value::Null, &json!(2), &json!(0))
            );
        }
        world.comes_back("load_balancer");
        world.until_verdict("service", "load_balancer", "up").await;
        seconds(5).await;
        assert_eq!(get(&leader, "/api/v1/incidents?open=true").await, json!([]));
        let over = get(&leader, "/api/v1/incidents").await;
        assert!(over[0]["closed_at"].is_string(), "{over}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_the_store_is_asked_once_a_second() {
    let world = World::with_everything();
    let service = world.monitoring();
    get(&service, "/check_health").await;
    world.store.go_down();
    // What was read a moment ago still answers; later the truth is told.
    let (status, _) = call(&service, Method::GET, "/check_health").await;
    assert_eq!(status, StatusCode::OK);
    sleep(Duration::from_millis(1100)).await;
    let (status, body) = call(&service, Method::GET, "/check_health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("STORE_UNAVAILABLE"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_changed_and_nothing_else_be_asked() {
    let service = World::new().monitoring();
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        for uri in ["/check_health", "/api/v1/verdicts", "/api/v1/incidents"] {
            let (status, _) = call(&service, method.clone(), uri).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {uri}");
        }
    }
    let (status, body) = call(&service, Method::GET, "/api/v1/incidents?since=x").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
}

#[tokio::test(start_paused = true)]
async fn every_metric_says_what_it_is() {
    let world = World::with_everything();
    let service = world.monitoring();
    run(&service, async {
        world.until_all_up().await;
        world.probes.cut_off(true);
        until(async || world.alerts().len() == 1).await;
        seconds(5).await;
    })
    .await;
    let families = service.metrics().gather();
    assert!(families.iter().all(|family| family.help().ends_with('.')));
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    for line in [
        "monitoring_brake{kind=\"service\"} 1",
        "monitoring_brake{kind=\"app\"} 0",
        "monitoring_targets{kind=\"service\",verdict=\"down\"} 7",
        "monitoring_restarts_held_back 7",
        "monitoring_notices_owed 0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    for name in ["looks_total", "look_seconds_bucket", "round_seconds_sum"] {
        assert!(text.contains(&format!("monitoring_{name}")), "{name}");
    }
}
