//! The HTTP interface.

use std::time::Duration;

use actix_web::App;
use actix_web::HttpMessage as _;
use actix_web::body::to_bytes;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use chassis::http::Caller;
use chassis::service::Service as _;
use common::service::ServiceName;
use lifecycle_manager::Service;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::world::{World, run};

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    location: Option<String>,
    retry_after: bool,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn call(
    service: &Service,
    caller: Option<ServiceName>,
    method: Method,
    uri: &str,
    body: Option<Value>,
) -> Answer {
    let app = App::new()
        .app_data(chassis::http::json_config())
        .app_data(chassis::http::path_config())
        .configure(|routes| match caller {
            Some(_) => service.internal_routes(routes),
            None => service.public_routes(routes),
        });
    let app = init_service(app).await;
    let mut request = TestRequest::default().method(method).uri(uri);
    if let Some(body) = body {
        request = request.set_json(body);
    }
    let request = request.to_request();
    if let Some(caller) = caller {
        request.extensions_mut().insert(Caller(caller));
    }
    let response = call_service(&app, request).await;
    let status = response.status();
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let (location, retry_after) = (header("location"), header("retry-after").is_some());
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Answer { status, location, retry_after, body: String::from_utf8(body.to_vec()).unwrap() }
}

const APP_MANAGER: Option<ServiceName> = Some(ServiceName::AppManager);

#[tokio::test(start_paused = true)]
async fn before_it_has_looked_restarts_are_refused_with_a_time_to_come_back() {
    let world = World::new();
    let service = world.service();
    let uri = "/api/v1/restarts/services/node_manager";
    let answer = call(&service, APP_MANAGER, Method::POST, uri, None).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.retry_after);
    run(&service, async {
        sleep(Duration::from_millis(500)).await;
        let answer = call(&service, APP_MANAGER, Method::POST, uri, None).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.json()["code"], "NOT_READY");
        world.until_calm().await;
        let answer = call(&service, APP_MANAGER, Method::POST, uri, None).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_asked_for_followed_and_listed() {
    let world = World::new();
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.wish(&["node-2", "node-3"], None);
        world.until_ready_on(&["node-2", "node-3"]).await;
        let uri = "/api/v1/restarts/services/node_manager";
        let asked = call(&service, APP_MANAGER, Method::POST, uri, None).await;
        let location = asked.location.unwrap();
        let outcome = loop {
            let answer = call(&service, APP_MANAGER, Method::GET, &location, None).await;
            if let Some(outcome) = answer.json().get("outcome") {
                break outcome["is"].clone();
            }
            sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(outcome, "SUCCEEDED");
        let listed = call(&service, None, Method::GET, "/api/v1/restarts", None).await.json();
        assert_eq!(listed[0]["target"], "node-manager");
        assert_eq!(listed[0]["number"], 1);
        let services = call(&service, None, Method::GET, "/api/v1/services", None).await.json();
        assert_eq!(services[0]["instances"][0]["state"], "ready");
        let machines = call(&service, None, Method::GET, "/api/v1/machines", None).await.json();
        assert_eq!(machines[0]["name"], "node-1");
        assert!(!machines.to_string().contains("/key"), "nothing about how one signs in");
    })
    .await;
    assert!(world.answers(1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_the_app_manager_adds_machines_and_nobody_restarts_over_the_plain_listener() {
    let world = World::new();
    let service = world.service();
    let body = json!({ "reason": "more room" });
    let monitoring = Some(ServiceName::Monitoring);
    let answer = call(&service, monitoring, Method::POST, "/api/v1/machines", Some(body)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let uri = "/api/v1/restarts/services/node_manager";
    let answer = call(&service, None, Method::POST, uri, None).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn document_000s_paths_exist_only_where_the_setting_has_them() {
    let world = World::new();
    let service = world.service();
    let body = json!({ "name": "node_manager", "url": "http://192.0.2.2:8040" });
    let answer = call(&service, None, Method::POST, "/Deploy", Some(body)).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json()["code"], "DOCUMENT_000_PATHS_OFF");
}

#[tokio::test(start_paused = true)]
async fn document_000s_callers_are_told_ok_or_why_not() {
    let world = World { document_000_paths: true, ..World::new() };
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.wish(&["node-2", "node-3"], None);
        world.until_ready_on(&["node-2", "node-3"]).await;
        let post = async |uri: &str, body: Value| {
            call(&service, None, Method::POST, uri, Some(body)).await
        };
        let url = "http://192.0.2.2:8040";
        let deploy = json!({ "name": "node_manager", "url": url });
        let answer = post("/Deploy", deploy.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "ok"));
        assert_eq!(post("/Deploy", deploy).await.status, StatusCode::TOO_MANY_REQUESTS);
        let unknown = post("/Deploy", json!({ "name": "Scheduler", "url": url })).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let prepared = post("/Initialize_Environment", json!({ "vm_ip": "192.0.2.2" })).await;
        assert_eq!(prepared.body, "ok");
        let restarted = post("/restart", json!({ "Server_ip": "192.0.2.4" })).await;
        assert_eq!(restarted.body, "ok");
        let nobody = post("/restart", json!({ "Server_ip": "192.0.2.99" })).await;
        assert_eq!(nobody.status, StatusCode::NOT_FOUND);
        let app = post("/deployApp", json!({ "app_id": "shop", "username": "ada" })).await;
        assert_eq!(app.json()["code"], "APP_UNKNOWN");
        let model = post("/deployModel", json!({ "name": "shop" })).await;
        assert_eq!(model.status, StatusCode::NOT_FOUND);
    })
    .await;
}
