//! What visitors get from the edge itself, and what it tells replicas of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::port::Edge as _;
use testkit::contract::edge::table;
use tokio::sync::Mutex;

use super::{Visit, ask, ask_with, nobody, start, with_edge};

/// An app that answers everybody, and what it was asked.
pub(super) async fn noting() -> (SocketAddr, Arc<Mutex<Vec<Visit>>>) {
    let visits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&visits);
    let app = start(move |mut visit| {
        let noted = Arc::clone(&noted);
        async move {
            // Whoever has the answer finds it noted.
            let mut noted = noted.lock().await;
            visit.answer(200, "").await;
            noted.push(visit);
        }
    })
    .await;
    (app, visits)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_app_is_programs_get_a_code_and_people_a_page() {
    with_edge(async |world| {
        let answer = ask(world.first).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.contains(r#""code":"ROUTE_UNKNOWN""#), "{answer}");
        assert!(!answer.contains("Retry-After"), "{answer}");
        let browser = "GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\n";
        let page = ask_with(world.first, browser, "").await;
        assert!(page.starts_with("HTTP/1.1 404") && page.contains("<h1>"), "{page}");
        assert!(page.contains("ROUTE_UNKNOWN"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_starts_says_so_and_may_be_asked_again() {
    with_edge(async |world| {
        world.edge.load(&table(1, 1, &[("shop", world.first, &[])])).await.unwrap();
        let answer = ask(world.first).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains(r#""code":"APP_STARTING""#), "{answer}");
        assert!(answer.contains("Retry-After: 1\r\n"), "{answer}");
        let browser = "GET / HTTP/1.1\r\nHost: shop.localhost\r\nAccept: text/html,*/*\r\n";
        let page = ask_with(world.host_port, browser, "").await;
        assert!(page.starts_with("HTTP/1.1 503") && page.contains("Retry-After: 1\r\n"), "{page}");
        assert!(page.contains("<h1>The app is starting</h1>"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_replica_takes_connections_any_request_may_be_sent_again() {
    with_edge(async |world| {
        let rows = [("shop", world.first, &[nobody(), nobody()][..])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        for method in ["GET", "POST"] {
            let lines = format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n");
            let answer = ask_with(world.first, &lines, "hi").await;
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            assert!(answer.contains(r#""code":"NO_HEALTHY_REPLICA""#), "{answer}");
            assert!(answer.contains("Retry-After: 1\r\n"), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_is_sent_to_another_replica_only_if_it_may_be_sent_twice() {
    with_edge(async |world| {
        let visits = Arc::new(AtomicUsize::new(0));
        let breaking = || {
            let visits = Arc::clone(&visits);
            // Reads the request, and ends the connection.
            start(move |_| {
                visits.fetch_add(1, Ordering::SeqCst);
                async {}
            })
        };
        let replicas = [breaking().await, breaking().await];
        world.edge.load(&table(1, 1, &[("shop", world.first, &replicas)])).await.unwrap();
        for (method, tries) in [("POST", 1), ("PATCH", 1), ("GET", 2), ("PUT", 2)] {
            visits.store(0, Ordering::SeqCst);
            let lines = format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n");
            let answer = ask_with(world.first, &lines, "").await;
            assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
            assert!(answer.contains(r#""code":"REPLICA_UNREACHABLE""#), "{answer}");
            assert_eq!(visits.load(Ordering::SeqCst), tries, "{method}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_told_who_asks_by_which_way_and_under_which_id() {
    with_edge(async |world| {
        let (app, visits) = noting().await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let spoofed = "GET /a%2Fb?c HTTP/1.1\r\nHost: shop.example.org\r\n\
             X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nX-Request-Id: abc\r\n";
        ask_with(world.first, spoofed, "").await;
        ask_with(world.host_port, "GET / HTTP/1.1\r\nHost: shop.localhost\r\n", "").await;
        let visits = visits.lock().await;
        let told = |name| visits.iter().map(move |visit| visit.header(name).unwrap_or_default());
        assert!(visits[0].head.starts_with("GET /a%2Fb?c HTTP/1.1\r\n"), "{}", visits[0].head);
        assert!(told("x-forwarded-for").eq(["127.0.0.1"; 2]));
        assert!(told("x-forwarded-proto").eq(["http"; 2]));
        assert!(told("x-forwarded-host").eq(["shop.example.org", "shop.localhost"]));
        let ports = [world.first.to_string(), world.host_port.to_string()];
        assert!(told("x-forwarded-port").eq(ports.iter().map(String::as_str)));
        assert_eq!(visits[0].header("x-request-id"), Some("abc"));
        assert!(visits[1].header("x-request-id").is_some_and(|id| id.len() > 8));
    })
    .await;
}
