//! Replicas that are dead beside one that answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::port::Edge as _;
use testkit::contract::edge::{Apps as _, table};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::{ask, with_edge};

/// An address that takes no connection and refuses none, like a machine without power, for as long as what
/// is returned with it lives: a listener whose queue is full.
async fn black_hole() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(connection) =
        timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(connection.unwrap());
    }
    (address, (listener, waiting))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_replica_answers_no_request_fails_for_those_that_are_dead() {
    with_edge(async |world| {
        let alive = world.apps.start(200).await;
        let (first, _first) = black_hole().await;
        let (second, _second) = black_hole().await;
        let rows = [("shop", world.first, &[first, second, alive][..])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        // Long enough for both to be found dead, forgiven and found dead again, by both workers.
        let until = Instant::now() + Duration::from_secs(10);
        let crowd = (0..16).map(async |_| {
            let mut answers = Vec::new();
            while Instant::now() < until {
                answers.push(ask(world.first).await);
            }
            answers
        });
        let answers: Vec<String> =
            futures::future::join_all(crowd).await.into_iter().flatten().collect();
        let failed: Vec<&String> =
            answers.iter().filter(|answer| !answer.starts_with("HTTP/1.1 200")).collect();
        assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), answers.len(), failed.first());
    })
    .await;
}
