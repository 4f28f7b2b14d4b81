//! What the edge keeps: connections to replicas, and its count of how often each was chosen.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::port::Edge as _;
use common::port::edge::EdgeOptions;
use futures::future::join_all;
use serde_json::Value;
use testkit::contract::edge::{Apps as _, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, World, ask, ask_with, with_edge};

/// How long the app keeps a connection on which nothing comes; of the usual servers none less.
const KEPT_FOR: Duration = Duration::from_secs(2);
const POSTS: usize = 8;

/// What became of an app's connections.
#[derive(Debug, Default)]
struct Connections {
    opened: AtomicUsize,
    /// Now.
    idle: AtomicUsize,
    /// Those that nobody else ended before their time was over.
    outlived: AtomicUsize,
}

/// An app that keeps connections for a while: what comes later meets their end.
#[expect(clippy::disallowed_methods, reason = "the app runs beside the test")]
async fn start_keeping(connections: &Arc<Connections>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::clone(connections);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(keep(connection, Arc::clone(&connections)));
        }
    });
    address
}

async fn keep(mut connection: TcpStream, connections: Arc<Connections>) {
    connections.opened.fetch_add(1, Ordering::SeqCst);
    while was_asked(&mut connection).await {
        connections.idle.fetch_add(1, Ordering::SeqCst);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkept";
        drop(connection.write_all(answer).await);
        let next = timeout(KEPT_FOR, connection.readable()).await;
        connections.idle.fetch_sub(1, Ordering::SeqCst);
        if next.is_err() {
            connections.outlived.fetch_add(1, Ordering::SeqCst);
            // Its end and the next request cross.
            drop(connection.readable().await);
            return;
        }
    }
}

/// Whether a whole request came.
async fn was_asked(connection: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\nbody") {
        match connection.read_buf(&mut request).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

async fn post(port: u16) -> String {
    ask_with(port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n", "body").await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_post_meets_the_end_of_a_connection_that_its_app_kept_for_a_while() {
    with_edge(async |world| {
        let (plain, asking) = (Arc::default(), Arc::default());
        let apps = [start_keeping(&plain).await, start_keeping(&asking).await];
        let (first, second) = (world.first, world.first + 1);
        let mut table = table(1, 1, &[("shop", first, &apps[..1]), ("blog", second, &apps[1..])]);
        table.routes[1].options = EdgeOptions { sticky: true, ..EdgeOptions::default() };
        world.edge.load(&table).await.unwrap();
        let asks = async {
            while !post(second).await.contains("Set-Cookie: avishkar-blog=") {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, asks).await.expect("options count within a second");
        for (port, connections) in [(first, &plain), (second, &asking)] {
            for _ in 0..3 {
                let before = connections.opened.load(Ordering::SeqCst);
                for _ in 0..POSTS {
                    let answer = post(port).await;
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                }
                let opened = connections.opened.load(Ordering::SeqCst) - before;
                assert!(opened < POSTS, "{opened} connections: none is kept");
                let over = async {
                    while connections.idle.load(Ordering::SeqCst) > 0 {
                        sleep(Duration::from_millis(20)).await;
                    }
                };
                timeout(PATIENCE, over).await.expect("none is kept for ever");
            }
            assert_eq!(connections.outlived.load(Ordering::SeqCst), 0);
        }
    })
    .await;
}

/// How often a replica was chosen, as the edge says at this moment.
async fn picks(world: &World, of: SocketAddr) -> u64 {
    let socket = world.folder.path().join("run/control.sock");
    let mut connection = UnixStream::connect(socket).await.unwrap();
    connection.write_all(b"GET /counts HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let counts: Value = serde_json::from_str(body).unwrap();
    counts.pointer(&format!("/picks/{of}")).and_then(Value::as_u64).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_table_is_served_all_that_the_former_one_chose_is_counted() {
    with_edge(async |world| {
        let app = world.apps.start(200).await;
        let rows = [("shop", world.first, &[app][..])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        let mut asked = 0;
        for generation in 2..12 {
            let answers = join_all((0..16).map(|_| ask(world.first))).await;
            assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
            asked += 16;
            world.edge.load(&table(1, generation, &rows)).await.unwrap();
            assert_eq!(picks(world, app).await, asked);
        }
    })
    .await;
}
