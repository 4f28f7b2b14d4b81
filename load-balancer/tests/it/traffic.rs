//! What visitors ask of apps: shown as metrics, told of a route's replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::port::routes::{Error, Share};
use load_balancer::LoadBalancer;
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;
use testkit::edge::Health;

use crate::world::{World, name, replica, until, wanted};

/// What `/metrics` shows of apps, by series.
fn shown(service: &LoadBalancer) -> BTreeMap<String, String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&service.metrics().gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let series = text.lines().filter(|line| line.starts_with("load_balancer_app_"));
    series
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| {
            (series.trim_start_matches("load_balancer_app_").to_owned(), value.to_owned())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_apps_requests_are_shown_while_it_has_a_route() {
    let world = World::new();
    let service = LoadBalancer::new(world.ports(), world.config.clone());
    let of = |series: &str| shown(&service).remove(series).unwrap_or_default();
    let story = async {
        let routes = service.local_routes();
        until("it leads", || world.edge.table().is_some()).await;
        let routed = routes.set(&wanted("shop", 1, &[20000])).await.unwrap();
        for (status, milliseconds) in [(200, 4), (200, 90), (404, 90), (503, 20_000)] {
            let (_, address) = world.edge.begin_request(routed.front_port).unwrap();
            let took = Duration::from_millis(milliseconds);
            world.edge.end_request_with(address, status, took);
        }
        world.edge.begin_request(routed.front_port).unwrap();
        let ok = r#"requests_total{app="shop",status="2xx"}"#;
        until("the requests are shown", || of(ok) == "2").await;
        for (series, value) in [
            (r#"requests_total{app="shop",status="1xx"}"#, "0"),
            (r#"requests_total{app="shop",status="3xx"}"#, "0"),
            (r#"requests_total{app="shop",status="4xx"}"#, "1"),
            (r#"requests_total{app="shop",status="5xx"}"#, "1"),
            (r#"request_duration_seconds_bucket{app="shop",le="0.005"}"#, "1"),
            (r#"request_duration_seconds_bucket{app="shop",le="0.1"}"#, "3"),
            (r#"request_duration_seconds_bucket{app="shop",le="10"}"#, "3"),
            (r#"request_duration_seconds_bucket{app="shop",le="+Inf"}"#, "4"),
            (r#"request_duration_seconds_sum{app="shop"}"#, "20.184"),
            (r#"request_duration_seconds_count{app="shop"}"#, "4"),
            (r#"requests_in_flight{app="shop"}"#, "1"),
            (r#"received_bytes_total{app="shop"}"#, "400"),
            (r#"sent_bytes_total{app="shop"}"#, "800"),
        ] {
            assert_eq!(of(series), value, "{series}");
        }
        world.edge.end_request(replica(20000));
        routes.remove(&name("shop"), wanted("shop", 1, &[]).generation).await.unwrap();
        until("the series are gone", || shown(&service).is_empty()).await;
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = service.run(Lifecycle::new()) => panic!("the service ended: {ended:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_replica_of_a_route_is_told_with_its_failures() {
    let world = World::new();
    world
        .live(async |api| {
            let port = api.set(&wanted("shop", 1, &[20000, 20001])).await.port();
            for status in [500, 200, 502, 200, 200, 200] {
                let (_, address) = world.edge.begin_request(port).unwrap();
                world.edge.end_request_with(address, status, Duration::ZERO);
            }
            let told = async || api.traffic("shop").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let replicas = json!([
                { "ip": "192.0.2.1", "port": 20000, "is_served": true, "requests": 3, "errors": 2 },
                { "ip": "192.0.2.1", "port": 20001, "is_served": true, "requests": 3, "errors": 0 },
            ]);
            let traffic = json!({ "window_seconds": 60, "replicas": replicas });
            assert_eq!((told().await.status, told().await.body), (200, traffic));
            // One that has left is told as long as what it did is not too long ago.
            api.set(&wanted("shop", 2, &[20001])).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let replicas = told().await.body["replicas"].clone();
            let served: Vec<_> =
                replicas.as_array().unwrap().iter().map(|one| &one["is_served"]).collect();
            assert_eq!(served, [false, true]);
            tokio::time::sleep(Duration::from_secs(90)).await;
            let left = told().await.body["replicas"].clone();
            assert_eq!((left.as_array().unwrap().len(), &left[0]["requests"]), (1, &json!(0)));
            assert_eq!(left[0]["port"], 20001);
            let unknown = api.traffic("nobody").await;
            assert_eq!((unknown.status, unknown.code()), (404, "UNKNOWN_INSTANCE"));
            world.edge.set_health(Health::Down);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let silent = told().await;
            assert_eq!((silent.status, silent.code()), (503, "ROUTE_FAILED"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_is_told_from_a_good_one_in_the_same_process_too() {
    let world = World::new();
    let service = LoadBalancer::new(world.ports(), world.config.clone());
    let story = async {
        let routes = service.local_routes();
        until("it leads", || world.edge.table().is_some()).await;
        let err = routes.traffic(&name("shop")).await.unwrap_err();
        assert!(matches!(err, Error::Failed(_)), "{err:?}");
        let routed = routes.set(&wanted("shop", 1, &[20000, 20001])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..120 {
            let (_, address) = world.edge.begin_request(routed.front_port).unwrap();
            let status = if address == replica(20001) { 500 } else { 200 };
            world.edge.end_request_with(address, status, Duration::ZERO);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let traffic = routes.traffic(&name("shop")).await.unwrap();
        let of = |port| -> Share {
            traffic.replicas.iter().filter(|share| share.port == port).map(Share::from).sum()
        };
        let why = of(20001).is_worse_than(of(20000)).unwrap();
        assert_eq!(
            why,
            "60 of its 60 requests failed (100 %, more than 5 %), and 0 of 60 of the release before"
        );
        assert_eq!(of(20000).is_worse_than(of(20001)), None);
        let visitors = routes.visitors().await.unwrap();
        let shop = &visitors[&name("shop")];
        assert_eq!((visitors.len(), shop.requests, shop.errors), (1, 120, 60));
        world.edge.set_health(Health::Down);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(routes.visitors().await.is_err(), "nobody counts");
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = service.run(Lifecycle::new()) => panic!("the service ended: {ended:?}"),
    }
}
