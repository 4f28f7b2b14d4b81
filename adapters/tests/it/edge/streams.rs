//! Requests and answers that are streams: uploads, server-sent events, web sockets.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use common::port::Edge as _;
use testkit::contract::edge::table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{World, ask_with, start, with_edge};

const SOON: Duration = Duration::from_secs(5);

/// Reads until the text has come.
async fn read_until(connection: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            let mut piece = [0; 4096];
            let count = connection.read(&mut piece).await.unwrap();
            assert!(count > 0, "it ended before {text:?}: {}", String::from_utf8_lossy(&read));
            read.extend(piece.iter().take(count));
        }
    };
    let in_time = timeout(SOON, reading).await.is_ok();
    let read = String::from_utf8_lossy(&read).into_owned();
    assert!(in_time, "{text:?} did not come, but {read:?}");
    read
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, world.first)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_reaches_its_replica_while_it_is_sent() {
    with_edge(async |world| {
        let arrived = Arc::new(Semaphore::new(0));
        let arrivals = Arc::clone(&arrived);
        let app = start(move |mut visit| {
            let arrivals = Arc::clone(&arrivals);
            async move {
                let mut body = std::mem::take(&mut visit.body);
                for wanted in ["begin", "begin-end"] {
                    while body.len() < wanted.len() {
                        body.push(visit.connection.read_u8().await.unwrap());
                    }
                    assert_eq!(String::from_utf8_lossy(&body), wanted);
                    arrivals.add_permits(1);
                }
                visit.answer(201, "").await;
            }
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut visitor = connect(world).await;
        let head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbegin";
        visitor.write_all(head).await.unwrap();
        timeout(SOON, arrived.acquire()).await.expect("the beginning arrives").unwrap().forget();
        visitor.write_all(b"-end").await.unwrap();
        read_until(&mut visitor, "HTTP/1.1 201").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_its_visitor_when_it_is_sent() {
    with_edge(async |world| {
        let more = Arc::new(Semaphore::new(0));
        let wanted = Arc::clone(&more);
        let app = start(move |mut visit| {
            let wanted = Arc::clone(&wanted);
            async move {
                let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
                visit.connection.write_all(head).await.unwrap();
                for event in 1..=3 {
                    let event = format!("data: {event}\n\n");
                    visit.connection.write_all(event.as_bytes()).await.unwrap();
                    wanted.acquire().await.unwrap().forget();
                }
            }
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut visitor = connect(world).await;
        visitor.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        for event in 1..=3 {
            read_until(&mut visitor, &format!("data: {event}\n\n")).await;
            more.add_permits(1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_carries_both_ways_after_its_upgrade() {
    with_edge(async |world| {
        let app = start(async |mut visit| {
            assert_eq!(visit.header("upgrade"), Some("websocket"));
            assert_eq!(visit.header("connection"), Some("upgrade"));
            let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\n\r\n";
            visit.connection.write_all(head).await.unwrap();
            let mut frame = [0; 4];
            while visit.connection.read_exact(&mut frame).await.is_ok() {
                frame.reverse();
                visit.connection.write_all(&frame).await.unwrap();
            }
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut visitor = connect(world).await;
        let head =
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        visitor.write_all(head).await.unwrap();
        read_until(&mut visitor, "HTTP/1.1 101").await;
        // A table that changes does not end it.
        world.edge.load(&table(1, 2, &[("shop", world.first, &[])])).await.unwrap();
        for (sent, wanted) in [("abcd", "dcba"), ("1234", "4321")] {
            visitor.write_all(sent.as_bytes()).await.unwrap();
            read_until(&mut visitor, wanted).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_passes_whole_and_one_over_a_gibibyte_not_at_all() {
    const PIECE: usize = 1024 * 1024;
    const PIECES: usize = 96;
    with_edge(async |world| {
        let app = start(async |mut visit| {
            let mut count = visit.body.len();
            let mut piece = vec![0; PIECE];
            while count < PIECE * PIECES {
                count += visit.connection.read(&mut piece).await.unwrap();
            }
            visit.answer(200, &count.to_string()).await;
        })
        .await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let mut visitor = connect(world).await;
        let length = PIECE * PIECES;
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        visitor.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![7; PIECE];
        for _ in 0..PIECES {
            visitor.write_all(&piece).await.unwrap();
        }
        read_until(&mut visitor, &length.to_string()).await;
        let too_large = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741825\r\n";
        let answer = ask_with(world.first, too_large, "").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains(r#""code":"BODY_TOO_LARGE""#), "{answer}");
    })
    .await;
}
