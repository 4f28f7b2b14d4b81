//! The HTTP interface.

use std::time::Duration;

use actix_web::App;
use actix_web::body::to_bytes;
use actix_web::http::header::ALLOW;
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use chassis::service::Service as _;
use common::port::nodes::NodeUse;
use common::record::node::Verdict;
use jiff::SignedDuration;
use node_manager::Service;
use prometheus::TextEncoder;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::disks::disk;
use crate::world::{World, name, run, until};

struct Answer {
    status: StatusCode,
    allow: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn call(service: &Service, method: Method, uri: &str) -> Answer {
    let app = App::new()
        .app_data(chassis::http::path_config())
        .app_data(chassis::http::query_config())
        .configure(|routes| service.public_routes(routes));
    let app = init_service(app).await;
    let request = TestRequest::default().method(method).uri(uri).to_request();
    let response = call_service(&app, request).await;
    let allow = response.headers().get(ALLOW).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    Answer { status, allow, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn get(service: &Service, uri: &str) -> Answer {
    call(service, Method::GET, uri).await
}

fn used(cpu_percent: f64, memory_percent: f64) -> NodeUse {
    NodeUse {
        cpu_percent,
        memory_percent,
        disk_percent: 30.126,
        memory_total_bytes: 1 << 33,
        cpu_millis_total: 4000,
        memory_promised_bytes: 0,
        cpu_millis_promised: 0,
    }
}

/// Runs a node manager until all its nodes are live, and then the story.
async fn with_live_nodes<T>(world: &World, service: &Service, story: impl Future<Output = T>) -> T {
    run(service, async {
        for node in &world.members {
            world.until_verdict(&node.name, Verdict::Live).await;
        }
        story.await
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn the_deploy_node_is_what_message_7_would_say_and_nothing_is_leased() {
    let world = World::with_nodes(2);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        let answer = get(&service, "/nodemgr/get-deploy-node?app_name=shop").await;
        let expected = "{\"node_id\":\"node-1\",\"node_name\":\"node-1\",\"node_ip\":\"192.0.2.1\",\
            \"node_os\":\"Debian 13\",\"port\":20000,\"app_name\":\"shop\"}";
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, expected));
        world.ask(1, "shop").await;
        let choice = world.choice(1).await;
        assert_eq!((choice.id.as_str(), choice.port), ("node-1", 20_000));
        let next = get(&service, "/nodemgr/get-deploy-node").await.json();
        assert_eq!((&next["node_id"], &next["port"]), (&json!("node-1"), &json!(20_001)));
        let unknown = get(&service, "/nodemgr/get-deploy-node?app_name=garbage").await.json();
        assert_eq!(
            (&unknown["node_id"], &unknown["error"]),
            (&json!(""), &json!("UNKNOWN_INSTANCE"))
        );
        let hostile = get(&service, "/nodemgr/get-deploy-node?app_name=..%2Fx").await;
        assert_eq!(hostile.status, StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
    assert_eq!(world.leases(&name("node-1")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_node_the_deploy_node_says_why() {
    let world = World::with_nodes(0);
    let service = world.service();
    let answer = run(&service, get(&service, "/nodemgr/get-deploy-node")).await;
    assert_eq!(answer.json()["error"], "NO_NODE_FITS");
}

#[tokio::test(start_paused = true)]
async fn the_health_of_all_nodes_has_document_001s_keys() {
    let world = World::with_nodes(3);
    world.nodes.set_use(&name("node-1"), used(10.5, 20.25));
    world.nodes.set_use(&name("node-2"), used(95.0, 95.0));
    let service = world.service();
    with_live_nodes(&world, &service, async {
        world.nodes.set_reach(&name("node-3"), Reach::Dead).await;
        world.until_verdict(&name("node-3"), Verdict::Dead).await;
        let health = get(&service, "/nodemgr/get-all-nodes-health").await.json();
        let node = |name: &str, cpu: f64, memory: f64, disk: f64, health: &str| {
            json!({
                "name": name, "CPU Usage": cpu, "Memory Usage": memory, "Disk Usage": disk,
                "Health": health,
            })
        };
        let expected = json!([
            node("node-1", 10.5, 20.25, 30.13, "live"),
            node("node-2", 95.0, 95.0, 30.13, "CPU usage is too high"),
            node("node-3", 0.0, 0.0, 0.0, "dead"),
        ]);
        assert_eq!(health, expected);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_on_a_nodes_disk_is_shown_as_the_node_last_said() {
    let world = World::with_nodes(2);
    world.nodes.set_disk(&name("node-1"), disk(100));
    let service = world.service();
    with_live_nodes(&world, &service, async {
        let shown = "/api/v1/nodes/node-1/disk";
        until(async || get(&service, shown).await.status == StatusCode::OK).await;
        let said = get(&service, shown).await.json();
        assert_eq!(said, serde_json::to_value(disk(100)).unwrap());
        world.nodes.set_disk(&name("node-1"), disk(200));
        until(async || get(&service, shown).await.json()["space"]["free_bytes"] == 200).await;
        for (uri, status, code) in [
            ("/api/v1/nodes/node-2/disk", 503, "NODE_UNAVAILABLE"),
            ("/api/v1/nodes/node-9/disk", 404, "NODE_UNKNOWN"),
        ] {
            let refused = get(&service, uri).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (status, &json!(code)));
        }
        // What was on it may have gone since: nobody is told of it any more, nor judged by it.
        world.nodes.set_reach(&name("node-1"), Reach::Partitioned).await;
        let is_unsaid =
            async || get(&service, shown).await.status == StatusCode::SERVICE_UNAVAILABLE;
        until(is_unsaid).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_shown_and_ends() {
    let world = World::with_nodes(1);
    let node = name("node-1");
    world.nodes.set_use(&node, used(10.0, 90.5));
    let service = world.service();
    let metric = |service: &Service| {
        let text = TextEncoder::new().encode_to_string(&service.metrics().gather()).unwrap();
        let line = "node_manager_node_alert{node=\"node-1\",resource=\"memory\"} ";
        text.lines().find_map(|found| found.strip_prefix(line).map(str::to_owned))
    };
    with_live_nodes(&world, &service, async {
        until(async || metric(&service).as_deref() == Some("1")).await;
        let nodes = get(&service, "/api/v1/nodes").await.json();
        assert_eq!(nodes[0]["alert"], "memory usage is too high");
        world.nodes.set_use(&node, used(10.0, 90.0));
        until(async || metric(&service).as_deref() == Some("0")).await;
        let nodes = get(&service, "/api/v1/nodes").await.json();
        assert_eq!(nodes[0]["alert"], Value::Null);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_nodes_are_listed_with_verdict_reason_and_use() {
    let world = World::with_nodes(1);
    let service = world.service();
    let early = get(&service, "/api/v1/nodes").await.json();
    assert_eq!(early[0]["verdict"], "unknown");
    with_live_nodes(&world, &service, async {
        let nodes = get(&service, "/api/v1/nodes").await.json();
        let node = &nodes[0];
        assert_eq!((&node["name"], &node["ip"]), (&json!("node-1"), &json!("192.0.2.1")));
        assert_eq!(node["agent"], "192.0.2.1:7443");
        assert_eq!(
            (&node["verdict"], &node["reason"]),
            (&json!("live"), &json!("its samples come"))
        );
        assert_eq!(node["use"]["cpu_millis_total"], 4000);
        assert_eq!(node["containers"], json!([]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_get_takes_no_sample_unless_it_is_allowed_to() {
    let mut world = World::with_nodes(2);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        let refused = get(&service, "/nodemgr/log").await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.allow.as_deref(), Some("POST"));
        assert_eq!(refused.json()["code"], "DOCUMENT_001_GETS_OFF");
        let taken = call(&service, Method::POST, "/nodemgr/log").await;
        assert_eq!((taken.status, taken.body.as_str()), (StatusCode::OK, "Success"));
    })
    .await;
    world.config.document_001_gets = true;
    let service = world.service();
    with_live_nodes(&world, &service, async {
        assert_eq!(get(&service, "/nodemgr/log").await.body, "Success");
        let samples = get(&service, "/api/v1/nodes/node-2/samples").await.json();
        assert_eq!(samples.as_array().unwrap().len(), 2);
        assert_eq!(samples[0]["node"], "node-2");
        assert_eq!(samples[0]["verdict"], "live");
        assert_eq!(samples[0]["memory_percent"], 10.0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn samples_are_read_of_known_nodes_since_a_moment() {
    let world = World::with_nodes(1);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        call(&service, Method::POST, "/nodemgr/log").await;
        let uri = "/api/v1/nodes/node-1/samples?since=2026-01-01T00:00:00Z";
        assert_eq!(get(&service, uri).await.json().as_array().unwrap().len(), 1);
        let uri = "/api/v1/nodes/node-1/samples?since=2026-01-02T00:00:00Z";
        assert_eq!(get(&service, uri).await.json(), json!([]));
        for (uri, status, code) in [
            ("/api/v1/nodes/node-9/samples", 404, "NODE_UNKNOWN"),
            ("/api/v1/nodes/N%20/samples", 422, "NAME_INVALID"),
            ("/api/v1/nodes/node-1/samples?since=yesterday", 422, "QUERY_INVALID"),
        ] {
            let refused = get(&service, uri).await;
            assert_eq!(refused.status.as_u16(), status, "{uri}");
            assert_eq!(refused.json()["code"], code, "{uri}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn samples_are_taken_every_hour_of_the_day_and_kept_for_a_week() {
    let world = World::with_nodes(1);
    let service = world.service();
    let all = "/api/v1/nodes/node-1/samples?since=2025-01-01T00:00:00Z";
    let count = async || get(&service, all).await.json().as_array().unwrap().len();
    with_live_nodes(&world, &service, async {
        until(async || count().await == 1).await;
        sleep(Duration::from_mins(10)).await;
        assert_eq!(count().await, 1);
        for hours in 2..=4 {
            world.clock.advance(SignedDuration::from_hours(1));
            sleep(Duration::from_secs(20)).await;
            assert_eq!(count().await, hours);
        }
        // The clock jumps over a week: what is older goes with the next sample.
        world.clock.advance(SignedDuration::from_hours(8 * 24));
        sleep(Duration::from_secs(20)).await;
        assert_eq!(count().await, 1);
    })
    .await;
    // A restart within the hour takes no second sample.
    let service = world.service();
    with_live_nodes(&world, &service, async {
        sleep(Duration::from_mins(1)).await;
        let samples = get(&service, all).await.json();
        assert_eq!(samples.as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn old_samples_are_deleted_on_request() {
    let world = World::with_nodes(1);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        call(&service, Method::POST, "/nodemgr/log").await;
        let refused = get(&service, "/nodemgr/delete-old-logs").await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.allow.as_deref(), Some("DELETE"));
        world.clock.advance(SignedDuration::from_hours(9 * 24));
        let deleted = call(&service, Method::DELETE, "/nodemgr/delete-old-logs").await;
        assert_eq!((deleted.status, deleted.body.as_str()), (StatusCode::OK, "Success"));
        let all = "/api/v1/nodes/node-1/samples?since=2025-01-01T00:00:00Z";
        assert_eq!(get(&service, all).await.json(), json!([]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_metric_says_what_it_is() {
    let world = World::with_nodes(1);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        world.ask(1, "shop").await;
        world.choice(1).await;
        sleep(Duration::from_secs(10)).await;
    })
    .await;
    let families = service.metrics().gather();
    let names: Vec<&str> = families.iter().map(prometheus::proto::MetricFamily::name).collect();
    assert!(families.iter().all(|family| family.help().ends_with('.')));
    for name in ["node_verdict", "node_used_percent", "placements_total", "port_leases"] {
        let name = format!("node_manager_{name}");
        assert!(names.contains(&name.as_str()), "{name} in {names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_told_as_such() {
    let world = World::with_nodes(1);
    let service = world.service();
    with_live_nodes(&world, &service, async {
        world.store.go_down();
        let refused = get(&service, "/nodemgr/get-deploy-node").await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.json()["code"], "STORE_UNAVAILABLE");
        assert_eq!(get(&service, "/api/v1/nodes").await.status, StatusCode::OK);
    })
    .await;
}
