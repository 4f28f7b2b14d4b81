//! Requests to an app that has no replica and asks the edge to hold them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::port::Edge as _;
use common::port::edge::{Table, Visits};
use futures::future::join_all;
use testkit::contract::edge::table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, World, ask, ask_with, start, with_edge, with_edge_of};

/// How many requests of one app wait at most, as in held.lua.
const MOST: u32 = 256;

fn resting(generation: u64, port: u16, replicas: &[SocketAddr]) -> Table {
    let mut table = table(1, generation, &[("shop", port, replicas)]);
    for route in &mut table.routes {
        route.options.held = true;
    }
    table
}

async fn visits(world: &World) -> Visits {
    let visits = world.edge.visits().await.unwrap();
    *visits.get(&"shop".parse().unwrap()).unwrap()
}

/// The app is at rest. Nobody has asked for it before, so nothing else is known of its marks.
async fn at_rest(world: &World) {
    world.edge.load(&resting(1, world.first, &[])).await.unwrap();
}

async fn until_waiting(world: &World, count: u32) {
    let reached = async {
        while visits(world).await.waiting != count {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{} wait", visits(world).await.waiting);
}

/// So many visitors who have sent this and wait.
async fn waiting(world: &World, count: u32, request: &str) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    for _ in 0..count {
        let mut one = TcpStream::connect(("127.0.0.1", world.first)).await.unwrap();
        one.write_all(request.as_bytes()).await.unwrap();
        waiting.push(one);
    }
    until_waiting(world, count).await;
    waiting
}

/// The same of twenty, of whom all but one have left.
async fn last_of_twenty(world: &World, request: &str) -> TcpStream {
    let mut waiting = waiting(world, 20, request).await;
    let began = Instant::now();
    waiting.truncate(1);
    until_waiting(world, 1).await;
    // Sooner than who stays is sent away.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    waiting.remove(0)
}

/// An app that answers with the body that it gets.
async fn echo() -> SocketAddr {
    start(|mut visit| async move {
        let length: usize =
            visit.header("content-length").map_or(0, |length| length.parse().unwrap());
        while visit.body.len() < length {
            let mut piece = vec![0; 64 * 1024];
            let count = visit.connection.read(&mut piece).await.unwrap();
            assert!(count > 0, "the body ends early");
            visit.body.extend(piece.iter().take(count));
        }
        let body = String::from_utf8(std::mem::take(&mut visit.body)).unwrap();
        visit.answer(200, &body).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_replica_and_lose_nothing_of_their_bodies() {
    with_edge(async |world| {
        at_rest(world).await;
        let body = "ab".repeat(200_000);
        let lines = format!("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n", body.len());
        let by_name = "GET / HTTP/1.1\r\nHost: shop.example.org\r\n";
        let asked = join_all((0..3).map(|_| ask_with(world.first, &lines, &body)));
        let wake = async {
            until_waiting(world, 4).await;
            assert_eq!(visits(world).await.idle_seconds, 0);
            let table = resting(2, world.first, &[echo().await]);
            world.edge.load(&table).await.unwrap();
        };
        let (answers, named, ()) =
            futures::join!(asked, ask_with(world.host_port, by_name, ""), wake);
        for answer in answers {
            assert!(answer.starts_with("HTTP/1.1 200"), "{}", answer.len());
            assert!(
                answer.ends_with(&format!("\r\n\r\n{body}")),
                "{} bytes came back",
                answer.len()
            );
        }
        assert!(named.starts_with("HTTP/1.1 200"), "{named}");
        assert_eq!(visits(world).await.waiting, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_may_wait_are_told_to_come_again_and_who_waits_goes_on() {
    with_edge(async |world| {
        at_rest(world).await;
        let get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut waiting = waiting(world, MOST, get).await;
        let over = ask(world.first).await;
        assert!(over.starts_with("HTTP/1.1 503"), "{over}");
        assert!(over.contains("APP_STARTING") && over.contains("Retry-After: 1\r\n"), "{over}");
        world.edge.load(&resting(2, world.first, &[echo().await])).await.unwrap();
        let mut first = String::new();
        waiting[0].read_to_string(&mut first).await.unwrap();
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        until_waiting(world, 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_waiting_is_counted_no_more_and_is_not_sent_on() {
    with_edge(async |world| {
        at_rest(world).await;
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        let _last = last_of_twenty(world, post).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let app = start(move |mut visit| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { visit.answer(200, "").await }
        });
        world.edge.load(&resting(2, world.first, &[app.await])).await.unwrap();
        until_waiting(world, 0).await;
        assert!(ask(world.first).await.starts_with("HTTP/1.1 200"));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_behind_a_body_that_nobody_reads_is_counted_no_more_either() {
    with_edge(async |world| {
        at_rest(world).await;
        let body = "a".repeat(20_000);
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut last = last_of_twenty(world, &(head + &body)).await;
        world.edge.load(&resting(2, world.first, &[echo().await])).await.unwrap();
        let mut answer = vec![0; 12];
        last.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_holds_nobody_says_at_once_that_the_app_starts() {
    with_edge_of(&["EDGE_HOLD_SECONDS=0"], async |world| {
        at_rest(world).await;
        // From here on the option counts.
        sleep(Duration::from_millis(1100)).await;
        let answer = ask(world.first).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("APP_STARTING"), "{answer}");
        assert_eq!(visits(world).await.waiting, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_when_the_app_goes_is_told_that_there_is_none_and_a_probe_never_waits() {
    with_edge(async |world| {
        at_rest(world).await;
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(503));
        assert_eq!(visits(world).await.waiting, 0);
        let gone = async {
            until_waiting(world, 1).await;
            world.edge.load(&table(1, 2, &[])).await.unwrap();
        };
        let (answer, ()) = futures::join!(ask(world.first), gone);
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(world.edge.visits().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_idle_while_nobody_asks_and_never_while_somebody_is_answered() {
    with_edge(async |world| {
        at_rest(world).await;
        let idle = async |least: u64| {
            while visits(world).await.idle_seconds < least {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, idle(2)).await.expect("it is idle");
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(503));
        assert!(visits(world).await.idle_seconds >= 2, "a probe is no visit");
        let app = start(|mut visit| async move {
            sleep(Duration::from_millis(2500)).await;
            visit.answer(200, "").await;
        })
        .await;
        world.edge.load(&resting(2, world.first, &[app])).await.unwrap();
        let watch = async {
            world.wait_for_under_way(app, 1).await;
            let mut largest = 0;
            while world.under_way(app).await == 1 {
                largest = largest.max(visits(world).await.idle_seconds);
            }
            largest
        };
        let (answer, largest) = futures::join!(ask(world.first), watch);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(largest <= 1, "it is answered for all that time, and was idle for {largest} s");
        timeout(PATIENCE, idle(1)).await.expect("it is idle again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_for_long_is_told_to_come_again() {
    with_edge(async |world| {
        at_rest(world).await;
        let asked = timeout(PATIENCE, ask(world.first));
        let (answer, ()) = futures::join!(asked, until_waiting(world, 1));
        let answer = answer.expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.contains("APP_STARTING") && answer.contains("Retry-After: 1\r\n"),
            "{answer}"
        );
        assert_eq!(visits(world).await.waiting, 0);
    })
    .await;
}
