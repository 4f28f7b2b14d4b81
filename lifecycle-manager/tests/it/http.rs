//! The HTTP interface.

use std::time::Duration;

use actix_web::App;
use actix_web::HttpMessage as _;
use actix_web::body::to_bytes;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use chassis::http::Caller;
use chassis::service::Service as _;
use common::digest::Digest;
use common::failure::{Failure, FailureCode};
use common::port::Clock as _;
use common::port::share::Code;
use common::record::machine::MachineState;
use common::record::node::{Alive, Node, Verdict};
use common::record::path;
use common::service::ServiceName;
use futures::future::join_all;
use lifecycle_manager::Service;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{Outcome, World, name, run, until};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    location: Option<String>,
    retry_after: bool,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn call(
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

/// A person asks for the restart of a machine; where its end is told.
pub(crate) async fn order(service: &Service, node: &str) -> String {
    let uri = format!("/api/v1/restarts/nodes/{node}");
    let asked = call(service, APP_MANAGER, Method::POST, &uri, None).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    asked.location.unwrap()
}

/// How it ended, once it has.
pub(crate) async fn ended(service: &Service, location: &str) -> Value {
    loop {
        let answer = call(service, APP_MANAGER, Method::GET, location, None).await;
        if answer.status == StatusCode::OK
            && let Some(outcome) = answer.json().get("outcome")
        {
            return outcome.clone();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

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
async fn machines_that_people_ask_for_at_once_are_restarted_one_after_another() {
    let world = World::new();
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        for node in ["node-3", "node-4"] {
            order(&service, node).await;
        }
        until(async || world.machines.restarted().len() == 2).await;
        sleep(Duration::from_secs(30)).await;
    })
    .await;
    assert_eq!(world.machines.most_at_once(), 1);
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
async fn of_two_machines_that_are_to_be_taken_away_at_the_same_moment_one_goes() {
    let world = World { max_machines: 6, ..World::new() };
    let service = world.service();
    let extras = ["extra-1", "extra-2"];
    run(&service, async {
        world.until_calm().await;
        for extra in extras {
            let body = json!({ "name": extra, "reason": "more room" });
            call(&service, APP_MANAGER, Method::POST, "/api/v1/machines", Some(body)).await;
            until(async || world.state(extra) == Some(MachineState::Ready)).await;
        }
        let uris = extras.map(|extra| format!("/api/v1/machines/{extra}"));
        let [first, second] =
            uris.each_ref().map(|uri| call(&service, APP_MANAGER, Method::DELETE, uri, None));
        let (first, second) = futures::join!(first, second);
        let mut statuses = [first.status, second.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::ACCEPTED, StatusCode::CONFLICT]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn machines_are_taken_away_one_after_another_and_never_with_the_registry_or_apps_on_them() {
    let world = World { max_machines: 6, ..World::new() };
    let service = world.service();
    let app_manager = Some(ServiceName::AppManager);
    run(&service, async {
        world.until_calm().await;
        for (number, extra) in (1..).zip(["extra-1", "extra-2"]) {
            let body = json!({ "name": extra, "reason": "more room" });
            call(&service, app_manager, Method::POST, "/api/v1/machines", Some(body)).await;
            until(async || world.state(extra) == Some(MachineState::Ready)).await;
            let registry = json!({ "schema": 1, "node": "extra-2", "filled": true });
            if number == 2 {
                world.write(&path::folder("lifecycle/registry"), &registry);
            }
        }
        let remove = async |machine: &str| {
            let uri = format!("/api/v1/machines/{machine}");
            let answer = call(&service, app_manager, Method::DELETE, &uri, None).await;
            (answer.status, answer.body)
        };
        let (status, body) = remove("extra-2").await;
        assert!(
            status == StatusCode::CONFLICT && body.contains("the registry is on extra-2"),
            "{body}"
        );
        let extra = name("extra-1");
        let alive = |verdict| {
            let (node, since) = (extra.clone(), world.clock.now());
            Alive { schema: 1, node, verdict, reason: String::new(), since }
        };
        world.write(&path::alive(&extra), &alive(Verdict::Live));
        assert_eq!(remove("extra-1").await.0, StatusCode::ACCEPTED);
        assert_eq!(remove("extra-1").await.0, StatusCode::ACCEPTED, "it was said before");
        assert!(world.read::<Node>(&path::node(&extra)).unwrap().leaves, "it is to be emptied");
        let registry = json!({ "schema": 1, "node": "node-1", "filled": true });
        world.write(&path::folder("lifecycle/registry"), &registry);
        let (status, body) = remove("extra-2").await;
        assert!(status == StatusCode::CONFLICT && body.contains("one at a time"), "{body}");
        sleep(Duration::from_mins(5)).await;
        assert_eq!(world.state("extra-1"), Some(MachineState::Leaving), "its apps are still there");
        world.write(&path::alive(&extra), &alive(Verdict::Draining));
        sleep(Duration::from_mins(2)).await;
        assert_eq!(world.state("extra-1"), Some(MachineState::Leaving), "so are its bundles");
        until(async || world.state("extra-1").is_none()).await;
        assert_eq!(remove("extra-2").await.0, StatusCode::ACCEPTED);
        until(async || world.state("extra-2").is_none()).await;
    })
    .await;
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
        sleep(Duration::from_secs(20)).await;
        let deploy = json!({ "name": "node_manager", "url": url });
        let answer = post("/Deploy", deploy.clone()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "ok"));
        assert_eq!(post("/Deploy", deploy).await.status, StatusCode::TOO_MANY_REQUESTS);
        let unknown = post("/Deploy", json!({ "name": "Scheduler", "url": url })).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let prepared = post("/Initialize_Environment", json!({ "vm_ip": "192.0.2.2" })).await;
        assert_eq!(prepared.body, "ok");
        let answers = post("/restart", json!({ "Server_ip": "192.0.2.4" })).await;
        assert_eq!(answers.json()["code"], "RESTART_HELD", "nothing is wrong with it");
        world.enrolment.comes_to(Outcome::DoesNotHelp);
        world.set_reach("node-4", Reach::Hung).await;
        sleep(Duration::from_secs(20)).await;
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

#[tokio::test(start_paused = true)]
async fn document_000s_callers_bring_code_to_a_machine_and_are_told_ok_or_why_not() {
    let world = World { document_000_paths: true, ..World::new() };
    let service = world.service();
    let code: Code = format!("share://code/x@{}", Digest::of(b"code")).parse().unwrap();
    run(&service, async {
        world.until_calm().await;
        let post = async |uri: &str, body: Value| {
            call(&service, None, Method::POST, uri, Some(body)).await
        };
        let upload = async |vm_ip: &str, source: String| {
            let body = json!({ "vm_ip": vm_ip, "source": source, "destination": "monitoring" });
            post("/Upload", body).await
        };
        let containerize = async |vm_ip: &str, service_name: &str| {
            let body =
                json!({ "service_name": service_name, "vm_ip": vm_ip, "path": "monitoring" });
            post("/Containerize", body).await
        };
        assert_eq!(containerize("192.0.2.2", "monitoring").await.json()["code"], "NOT_FOUND");
        let answer = upload("192.0.2.2", code.to_string()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "ok"));
        assert_eq!(containerize("192.0.2.2", "monitoring").await.body, "ok");
        let built = |node: &str| {
            let calls = world.parts.calls();
            let of_node = calls.iter().map(ToString::to_string);
            of_node.filter(|call| *call == format!("build {code} on {node}")).count()
        };
        assert_eq!((built("node-2"), built("node-3")), (3, 0), "it was told of the share first");
        let at_once = ["a", "b", "c"].map(|destination| {
            let source = code.to_string();
            let (vm_ip, wanted) = ("192.0.2.3", destination);
            let body = json!({ "vm_ip": vm_ip, "source": source, "destination": wanted });
            post("/Upload", body)
        });
        for answer in join_all(at_once).await {
            assert_eq!(answer.body, "ok", "who writes at the same time takes nothing away");
        }
        for (answer, status, code) in [
            (containerize("192.0.2.3", "monitoring").await, 404, "NOT_FOUND"),
            (containerize("192.0.2.2", "Scheduler").await, 404, "SERVICE_UNKNOWN"),
            (upload("192.0.2.99", code.to_string()).await, 404, "NODE_UNKNOWN"),
            (upload("192.0.2.2", "code/x".to_owned()).await, 422, "FIELD_INVALID"),
            (
                upload("192.0.2.2", code.to_string().replace("code/", "other/")).await,
                502,
                "SHARE_UNKNOWN",
            ),
        ] {
            assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)));
        }
        let failure = Failure::new(FailureCode::CodeMismatch, "it has another digest");
        world.parts.fail_next(&name("node-2"), failure);
        let refused = upload("192.0.2.2", code.to_string()).await;
        assert_eq!(refused.json()["detail"], "it has another digest");
        world.set_reach("node-2", Reach::Partitioned).await;
        let away = containerize("192.0.2.2", "monitoring").await;
        assert_eq!(away.json()["code"], "NODE_UNAVAILABLE");
    })
    .await;
}
