//! What single apps ask of the edge, and that others beside them have nothing of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::id::Generation;
use common::port::Edge as _;
use common::port::edge::{Balance, EdgeOptions, Table, Weight};
use testkit::contract::edge::table;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, World, ask, ask_with, start, start_app, with_edge};

/// A table with an app that asks for something, and one beside it that does not.
fn asking(world: &World, replicas: &[SocketAddr], options: EdgeOptions) -> Table {
    let beside = replicas.get(..1).unwrap();
    let other = world.first + 1;
    // Two routes to one replica are for the test only: what differs is the way through the edge.
    let rows = [("asks", world.first, replicas), ("plain", other, beside)];
    let mut table = table(1, 1, &rows);
    table.routes.first_mut().unwrap().options = options;
    table
}

/// An app that answers with its name.
async fn named(name: &'static str) -> SocketAddr {
    start(async |mut visit| visit.answer(200, name).await).await
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

/// Options count within a second.
async fn wait_for(what: impl AsyncFn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !what().await {
        assert!(Instant::now() < until, "it does not happen");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_answers_for_its_host_names_and_for_its_label() {
    with_edge(async |world| {
        let (shop, bakery) = (named("shop").await, named("bakery").await);
        let rows = [("shop", world.first, &[shop][..]), ("bakery", world.first + 1, &[bakery][..])];
        let mut table = table(1, 1, &rows);
        let hosts = vec!["shop.example.org".parse().unwrap(), "example.org".parse().unwrap()];
        table.routes[1].options = EdgeOptions { hosts, ..EdgeOptions::default() };
        world.edge.load(&table).await.unwrap();
        for (host, wanted) in [
            ("shop.localhost", "shop"),
            ("bakery.localhost", "bakery"),
            ("shop.example.org", "bakery"),
            ("EXAMPLE.org:8088", "bakery"),
            ("example.com", "ROUTE_UNKNOWN"),
        ] {
            let lines = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
            let answer = ask_with(world.host_port, &lines, "").await;
            assert!(answer.contains(wanted), "{host}: {answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_the_longest_host_name_may_ask_for_more_and_stops_no_other() {
    with_edge(async |world| {
        let (app, other) = (named("app").await, named("other").await);
        let label = "a".repeat(63);
        let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(name.len(), 253);
        let hosts = vec![name.parse().unwrap()];
        let options = EdgeOptions { hosts, sticky: true, ..EdgeOptions::default() };
        let mut table = asking(world, &[app], options);
        world.edge.load(&table).await.unwrap();
        let lines = format!("GET / HTTP/1.1\r\nHost: {name}\r\n");
        wait_for(async || {
            let answer = ask_with(world.host_port, &lines, "").await;
            status(&answer) == "200" && answer.contains("Set-Cookie: avishkar-asks=")
        })
        .await;
        table.routes[1].upstreams[0].port = other.port();
        table.generation = table.generation.next();
        world.edge.load(&table).await.unwrap();
        assert!(ask(world.first + 1).await.ends_with("other"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_of_its_app_reaches_no_replica() {
    with_edge(async |world| {
        let app = named("app").await;
        let options = EdgeOptions { max_body_bytes: Some(10), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        let post = async |port, bytes: usize| {
            let lines = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n");
            ask_with(port, &lines, &"x".repeat(bytes)).await
        };
        wait_for(async || status(&post(world.first, 11).await) == "413").await;
        assert!(post(world.first, 11).await.contains(r#""code":"BODY_TOO_LARGE""#));
        assert_eq!(status(&post(world.first, 10).await), "200");
        assert_eq!(status(&ask(world.first).await), "200");
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
        let answer = ask_with(world.first, chunked, "1\r\nx\r\n0\r\n\r\n").await;
        assert!(answer.contains(r#""code":"LENGTH_REQUIRED""#), "{answer}");
        assert_eq!(status(&post(world.first + 1, 11).await), "200");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_asks_for_something_else_takes_no_body_over_that_of_the_edge() {
    with_edge(async |world| {
        let app = named("app").await;
        let options = EdgeOptions { sticky: true, ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        // From here on the option counts.
        sleep(Duration::from_millis(1100)).await;
        let too_large = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741825\r\n";
        let answer = ask_with(world.first, too_large, "").await;
        assert_eq!(status(&answer), "413", "{answer}");
        assert!(answer.contains(r#""code":"BODY_TOO_LARGE""#), "{answer}");
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
        let answer = ask_with(world.first, chunked, "1\r\nx\r\n0\r\n\r\n").await;
        assert_ne!(status(&answer), "411", "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_the_rate_of_their_app_are_told_to_come_later() {
    with_edge(async |world| {
        let app = named("app").await;
        let options = EdgeOptions { requests_per_second: Some(5), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        wait_for(async || {
            let answers = futures::future::join_all((0..12).map(|_| ask(world.first))).await;
            let refused: Vec<&String> =
                answers.iter().filter(|answer| status(answer) == "429").collect();
            let says_why = |answer: &&String| {
                answer.contains(r#""code":"RATE_LIMITED""#) && answer.contains("Retry-After: 1\r\n")
            };
            // Of twelve, at most five in each of the two seconds that they may touch.
            (2..=7).contains(&refused.len()) && refused.iter().all(says_why)
        })
        .await;
        let beside = futures::future::join_all((0..12).map(|_| ask(world.first + 1))).await;
        assert!(beside.iter().all(|answer| status(answer) == "200"), "{beside:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_have_a_bound_and_give_their_places_back() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let app = start_app(200, Arc::clone(&permits)).await;
        let options = EdgeOptions { connections: Some(2), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        // From here on the option counts.
        sleep(Duration::from_millis(1100)).await;
        for _ in 0..3 {
            let story = async {
                world.wait_for_under_way(app, 2).await;
                let answer = ask(world.first).await;
                assert!(answer.contains(r#""code":"CONNECTIONS_LIMITED""#), "{answer}");
                assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After"));
                permits.add_permits(2);
            };
            let (one, other, ()) = futures::join!(ask(world.first), ask(world.first), story);
            assert_eq!((status(&one), status(&other)), ("200", "200"));
            world.wait_for_under_way(app, 0).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_give_their_places_back_too() {
    with_edge(async |world| {
        let options = EdgeOptions { connections: Some(1), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[super::nobody()], options)).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        for _ in 0..5 {
            let answer = ask(world.first).await;
            assert!(answer.contains(r#""code":"NO_HEALTHY_REPLICA""#), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_chunks_are_too_large_give_their_places_back_too() {
    with_edge(async |world| {
        let app = named("app").await;
        let options = EdgeOptions { connections: Some(1), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
        for _ in 0..2 {
            // nginx lingers for the rest of a body before it gives a place back.
            wait_for(async || {
                status(&ask_with(world.first, chunked, "80000000\r\nx").await) == "413"
            })
            .await;
        }
        wait_for(async || status(&ask(world.first).await) == "200").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_of_the_platform_itself_is_no_visit() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let of_app = Arc::clone(&permits);
        let app = start(move |mut visit| {
            let permits = Arc::clone(&of_app);
            async move {
                // Visitors wait; the platform names itself.
                if visit.header("user-agent").is_none() {
                    permits.acquire().await.unwrap().forget();
                }
                visit.answer(200, "").await;
            }
        })
        .await;
        let options = EdgeOptions { connections: Some(1), ..EdgeOptions::default() };
        let mut table = asking(world, &[app], options);
        table.routes[1].options =
            EdgeOptions { requests_per_second: Some(1), ..EdgeOptions::default() };
        world.edge.load(&table).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        let story = async {
            world.wait_for_under_way(app, 1).await;
            let answer = ask(world.first).await;
            assert!(answer.contains(r#""code":"CONNECTIONS_LIMITED""#), "{answer}");
            for port in [world.first, world.first + 1].repeat(5) {
                assert_eq!(world.edge.probe(port, "/").await.unwrap(), Some(200));
            }
            permits.add_permits(1);
        };
        let (visitor, ()) = futures::join!(ask(world.first), story);
        assert_eq!(status(&visitor), "200");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_requests_and_answers_none_is_told_from_an_edge_that_is_away() {
    with_edge(async |world| {
        let app = start_app(200, Arc::new(Semaphore::new(0))).await;
        world.edge.load(&asking(world, &[app], EdgeOptions::default())).await.unwrap();
        assert_eq!(world.edge.probe(world.first, "/").await.unwrap(), Some(504));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_may_say_how_long_its_visitors_wait() {
    with_edge(async |world| {
        let app = start_app(200, Arc::new(Semaphore::new(0))).await;
        let options = EdgeOptions { timeout_seconds: Some(1), ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[app], options)).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        let began = Instant::now();
        let answer = ask(world.first).await;
        assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
        assert!(answer.contains(r#""code":"REPLICA_TIMEOUT""#), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_with_the_cookie_meets_the_same_replica_and_another_only_when_that_is_gone() {
    with_edge(async |world| {
        let replicas = [named("one").await, named("two").await, named("three").await];
        let options = EdgeOptions { sticky: true, ..EdgeOptions::default() };
        let mut table = asking(world, &replicas, options);
        world.edge.load(&table).await.unwrap();
        wait_for(async || ask(world.first).await.contains("Set-Cookie: avishkar-asks=")).await;
        let first = ask(world.first).await;
        let cookie = first.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        let met = first.lines().last().unwrap();
        let with_cookie = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; {cookie}\r\n");
        for _ in 0..6 {
            let again = ask_with(world.first, &with_cookie, "").await;
            assert_eq!(again.lines().last().unwrap(), met);
            assert!(!again.contains("Set-Cookie"), "{again}");
        }
        let slot = cookie.split('=').next_back().unwrap();
        table.routes[0].upstreams.retain(|upstream| upstream.slot.to_string() != slot);
        table.generation = table.generation.next();
        world.edge.load(&table).await.unwrap();
        let moved = ask_with(world.first, &with_cookie, "").await;
        assert!(status(&moved) == "200" && moved.contains("Set-Cookie"), "{moved}");
        assert_ne!(moved.lines().last().unwrap(), met);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_gets_requests_by_its_weight() {
    with_edge(async |world| {
        let replicas = [named("stable").await, named("canary").await];
        for (generation, sticky, balance) in [
            (1, false, Balance::Weighted),
            (2, false, Balance::LeastConnections),
            (3, true, Balance::Weighted),
        ] {
            let options = EdgeOptions { sticky, balance, ..EdgeOptions::default() };
            let mut table = asking(world, &replicas, options);
            table.generation = Generation(generation);
            table.routes[0].upstreams[0].weight = Weight::try_from(9).unwrap();
            world.edge.load(&table).await.unwrap();
            // Requests of one after another, of visitors who were never here: nobody is ever busy.
            let mut met = BTreeMap::<String, usize>::new();
            for _ in 0..200 {
                let answer = ask(world.first).await;
                *met.entry(answer.lines().last().unwrap().to_owned()).or_default() += 1;
            }
            // Each of the two workers begins anywhere in its round of ten.
            assert!((18..=22).contains(&met["canary"]), "{balance:?}, sticky {sticky}: {met:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_replica_is_passed_over_where_the_fewest_requests_count() {
    with_edge(async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let busy = start_app(201, Arc::clone(&permits)).await;
        let quick = named("quick").await;
        let balance = Balance::LeastConnections;
        let options = EdgeOptions { balance, ..EdgeOptions::default() };
        world.edge.load(&asking(world, &[busy, quick], options)).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        let mut held = Vec::new();
        for _ in 0..12 {
            let mut asked = Box::pin(ask(world.first));
            if timeout(Duration::from_secs(2), &mut asked).await.is_err() {
                held.push(asked);
            }
        }
        // Each worker finds out for itself.
        assert!((1..=2).contains(&held.len()), "{} wait", held.len());
        permits.add_permits(held.len());
        for answer in futures::future::join_all(held).await {
            assert_eq!(status(&answer), "201");
        }
    })
    .await;
}
