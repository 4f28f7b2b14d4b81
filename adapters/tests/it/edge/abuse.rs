//! Visitors and apps that mean harm: what each gets, and that others notice nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::port::Edge as _;
use common::port::edge::EdgeOptions;
use testkit::contract::edge::{Apps as _, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::pages::noting;
use super::{PATIENCE, World, ask, ask_with, start, start_app, with_edge, with_edge_of};

/// Visitors who send a byte a second, each on a connection of its own.
const SLOW: usize = 400;
/// Visitors who begin a body and send no more of it.
const SILENT: usize = 50;
/// The edge waits 30 s for more of a body.
const BODY_PATIENCE: Duration = Duration::from_secs(45);

/// Sends these bytes; what comes back until the edge ends the connection.
async fn send(port: u16, bytes: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // It may be ended before all is sent.
    drop(connection.write_all(bytes.as_bytes()).await);
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
    drop(ended.expect("the edge ends the connection"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_readers_could_take_for_two_requests_is_refused_and_reaches_no_replica() {
    with_edge(async |world| {
        let (app, visits) = noting().await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let chunked = "Transfer-Encoding: chunked\r\n";
        let ambiguous = [
            ("400", "POST / HTTP/1.1", format!("Host: x\r\nContent-Length: 5\r\n{chunked}")),
            ("400", "POST / HTTP/1.1", format!("Host: x\r\n{chunked}Content-Length: 5\r\n")),
            (
                "400",
                "POST / HTTP/1.1",
                "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n".into(),
            ),
            ("400", "POST / HTTP/1.1", "Host: x\r\nContent-Length: +5\r\n".into()),
            ("400", "POST / HTTP/1.1", "Host: x\r\nContent-Length: 5, 5\r\n".into()),
            ("400", "POST / HTTP/1.1", format!("Host: x\r\n{chunked}{chunked}")),
            ("501", "POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: xchunked\r\n".into()),
            ("501", "POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n".into()),
            ("400", "POST / HTTP/1.0", format!("Host: x\r\n{chunked}")),
            ("400", "GET / HTTP/1.1", "Host: x\r\nHost: y\r\n".into()),
            ("400", "GET / HTTP/1.1", "Accept: */*\r\n".into()),
            ("400", "GET / HTTP/1.1", "Host: x\r\nContent-Length : 5\r\n".into()),
            ("400", "GET / HTTP/1.1", "Host: x\r\nX-Nothing: \0\r\n".into()),
            ("400", "GET / HTTP/1.1", "Host: x/y\r\n".into()),
        ];
        for (status, line, headers) in &ambiguous {
            let second = "0\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n";
            let answer = send(world.first, &format!("{line}\r\n{headers}\r\n{second}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {answer}");
            assert!(ask(world.first).await.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(visits.lock().await.len(), ambiguous.len(), "more than the good ones");

        // A line may end in a bare LF: it is one request all the same, and what is passed on has whole ends.
        visits.lock().await.clear();
        let bare = "GET /bare HTTP/1.1\nHost: x\nX-Kept: a\nConnection: close\n\n";
        let answer = send(world.first, bare).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let heads: Vec<String> =
            visits.lock().await.iter().map(|visit| visit.head.clone()).collect();
        assert_eq!(heads.len(), 1, "{heads:?}");
        assert!(heads[0].contains("X-Kept: a\r\n"), "{heads:?}");
        assert!(!heads[0].replace("\r\n", "").contains('\n'), "{heads:?}");
    })
    .await;
}

/// Sends one more byte of a header each second until the edge ends the connection.
async fn be_slow(port: u16) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut answer = [0; 1024];
    loop {
        match timeout(Duration::from_secs(1), connection.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Err(_) if connection.write_all(b"a").await.is_err() => return,
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_byte_a_second_is_let_go_and_holds_nobody_up() {
    with_edge(async |world| {
        let app = world.apps.start(204).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut slow = JoinSet::new();
        for _ in 0..SLOW {
            slow.spawn(be_slow(world.first));
        }
        let others = async {
            let mut answered = 0;
            loop {
                let answer = timeout(Duration::from_secs(5), ask(world.first)).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
                answered += 1;
                sleep(Duration::from_millis(20)).await;
                if slow.try_join_next().is_some() {
                    return answered;
                }
            }
        };
        let answered = timeout(PATIENCE, others).await.expect("they are let go");
        assert!(answered > 10, "they were let go before anybody else was answered");
        let gone = timeout(PATIENCE, slow.join_all()).await;
        assert_eq!(gone.expect("all are let go").len(), SLOW - 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_no_more_of_a_body_is_let_go_and_so_is_the_replica() {
    with_edge(async |world| {
        let waits = start(|mut visit| async move {
            drop(visit.connection.read_to_end(&mut visit.body).await);
        });
        let (waits, well) = (waits.await, world.apps.start(204).await);
        let rows = [("shop", world.first, &[waits][..]), ("well", world.first + 1, &[well])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        let (mut silent, first) = (JoinSet::new(), world.first);
        for _ in 0..SILENT {
            silent.spawn(async move {
                let mut connection = TcpStream::connect(("127.0.0.1", first)).await.unwrap();
                let begun = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun";
                connection.write_all(begun).await.unwrap();
                let mut answer = Vec::new();
                drop(connection.read_to_end(&mut answer).await);
                answer
            });
        }
        world.wait_for_under_way(waits, SILENT as u64).await;
        let others = async {
            while silent.try_join_next().is_none() {
                let answer = timeout(Duration::from_secs(5), ask(world.first + 1)).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(BODY_PATIENCE, others).await.expect("they are let go");
        let gone = timeout(PATIENCE, silent.join_all()).await.expect("all are let go");
        assert!(gone.iter().all(Vec::is_empty), "nginx ends the connection without an answer");
        world.wait_for_under_way(waits, 0).await;
        let log = std::fs::read_to_string(world.folder.path().join("run/access.log")).unwrap();
        assert_eq!(log.lines().filter(|line| line.contains(" 408 ")).count(), SILENT);
    })
    .await;
}

/// From another address of this machine's.
async fn ask_from(last: u8, port: u16, headers: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    let mut connection = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// An app at the second front port that asks something of the edge, beside one at the first that does not.
async fn serve_both(world: &World, plain: SocketAddr, asking: SocketAddr) {
    let rows = [("plain", world.first, &[plain][..]), ("asks", world.first + 1, &[asking])];
    let mut table = table(1, 1, &rows);
    table.routes.last_mut().unwrap().options =
        EdgeOptions { sticky: true, ..EdgeOptions::default() };
    world.edge.load(&table).await.unwrap();
    let asks = async {
        while !ask(world.first + 1).await.contains("Set-Cookie: avishkar-asks=") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asks).await.expect("options count within a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_a_bound_of_requests_under_way_and_others_notice_nothing() {
    with_edge_of(&["EDGE_REQUESTS_PER_ADDRESS=100"], async |world| {
        let permits = Arc::new(Semaphore::new(0));
        let app = start_app(200, Arc::clone(&permits)).await;
        let well = world.apps.start(204).await;
        serve_both(world, app, well).await;
        let crowd = (0..200).map(|number| ask_from(1 + number % 2, world.first, ""));
        let story = async {
            world.wait_for_under_way(app, 200).await;
            let claim = "User-Agent: avishkar-edge\r\n";
            for (from, port, headers) in
                [(1, world.first, ""), (1, world.first + 1, ""), (2, world.first + 1, claim)]
            {
                let asked = timeout(PATIENCE, ask_from(from, port, headers)).await;
                let answer = asked.expect("it is not left waiting with the others");
                assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
                assert!(answer.contains(r#""code":"VISITOR_LIMITED""#), "{answer}");
                assert!(answer.contains("Retry-After: 1\r\n"), "{answer}");
            }
            let page = ask_from(2, world.first, "Accept: text/html\r\n").await;
            assert!(page.starts_with("HTTP/1.1 429") && page.contains("<h1>"), "{page}");
            assert!(ask_from(3, world.first + 1, "").await.starts_with("HTTP/1.1 204"));
            // The platform's own question.
            assert_eq!(world.edge.probe(world.first + 1, "/").await.unwrap(), Some(204));
            permits.add_permits(201);
        };
        let (answers, ()) = futures::join!(futures::future::join_all(crowd), story);
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
        assert!(ask(world.first).await.starts_with("HTTP/1.1 200"), "places are given back");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_without_a_bound_of_requests_serves() {
    with_edge_of(&["EDGE_REQUESTS_PER_ADDRESS=0"], async |world| {
        let app = world.apps.start(204).await;
        serve_both(world, app, app).await;
        assert!(ask(world.first).await.starts_with("HTTP/1.1 204"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_gets_its_status_and_reaches_no_replica() {
    with_edge(async |world| {
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        let app = start(move |mut visit| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { visit.answer(200, "").await }
        })
        .await;
        serve_both(world, app, app).await;
        visits.store(0, Ordering::SeqCst);
        let request = |path: &str, headers: &str| {
            format!("GET /{path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n")
        };
        let header = |kib: usize| format!("X-Long: {}\r\n", "a".repeat(kib * 1024));
        for port in [world.first, world.first + 1] {
            for headers in [header(20), header(15).repeat(5)] {
                let answer = send(port, &request("", &headers)).await;
                assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
                assert!(answer.contains(r#""code":"HEADERS_TOO_LARGE""#), "{answer}");
            }
            let people = format!("Accept: text/html\r\n{}", header(20));
            let page = send(port, &request("", &people)).await;
            assert!(page.starts_with("HTTP/1.1 431") && page.contains("<h1>"), "{page}");
            let answer = send(port, &request(&"a".repeat(64 * 1024), "")).await;
            assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
            let answer = send(port, &request("", &header(15))).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(visits.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_steers_nothing_and_a_head_without_end_is_no_answer() {
    with_edge(async |world| {
        let app = start(|mut visit| async move {
            if visit.head.starts_with("GET /steer ") {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Accel-Redirect: /secret\r\n\
                     X-Accel-Limit-Rate: 1\r\nX-Accel-Charset: x\r\nSet-Cookie: a=b\r\n\r\nown";
                drop(visit.connection.write_all(answer.as_bytes()).await);
                return;
            }
            drop(visit.connection.write_all(b"HTTP/1.1 200 OK\r\n").await);
            let line = format!("X-Much: {}\r\n", "a".repeat(1000));
            for _ in 0..10_000 {
                if visit.connection.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let steer = ask_with(world.first, "GET /steer HTTP/1.1\r\nHost: x\r\n", "");
        let steered = timeout(PATIENCE, steer).await.expect("nothing slows it down");
        assert!(steered.starts_with("HTTP/1.1 200") && steered.ends_with("own"), "{steered}");
        assert!(
            !steered.contains("X-Accel") && steered.contains("Set-Cookie: a=b\r\n"),
            "{steered}"
        );
        let much = ask(world.first).await;
        assert!(much.starts_with("HTTP/1.1 502"), "{}", much.len());
        assert!(much.contains("REPLICA_UNREACHABLE"), "{}", much.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_ends_with_its_visitor_and_is_kept_nowhere() {
    with_edge(async |world| {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let endless = start(move |mut visit| {
            let sent = Arc::clone(&counted);
            async move {
                drop(visit.connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
                let piece = vec![b'x'; 64 * 1024];
                while visit.connection.write_all(&piece).await.is_ok() {
                    sent.fetch_add(64 * 1024, Ordering::SeqCst);
                }
            }
        })
        .await;
        let well = start_app(200, Arc::new(Semaphore::new(1))).await;
        let rows = [("endless", world.first, &[endless][..]), ("well", world.first + 1, &[well])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        let mut visitor = TcpStream::connect(("127.0.0.1", world.first)).await.unwrap();
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut piece = vec![0; 1024 * 1024];
        visitor.read_exact(&mut piece).await.unwrap();
        world.wait_for_under_way(endless, 1).await;
        // Who does not read is not read ahead for, but for what sockets hold.
        let ahead = async || {
            let before = sent.load(Ordering::SeqCst);
            sleep(Duration::from_millis(500)).await;
            sent.load(Ordering::SeqCst) - before
        };
        timeout(PATIENCE, async { while ahead().await > 0 {} }).await.expect("it stops");
        assert!(sent.load(Ordering::SeqCst) < 64 * 1024 * 1024);
        assert!(ask(world.first + 1).await.starts_with("HTTP/1.1 200"));
        drop(visitor);
        world.wait_for_under_way(endless, 0).await;
    })
    .await;
}
