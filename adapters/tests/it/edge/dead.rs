//! Replicas that are dead beside one that answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::port::Edge as _;
use common::port::edge::EdgeOptions;
use testkit::contract::edge::{Apps as _, table};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, ask, with_edge};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_replica_costs_a_visitor_less_than_two_seconds() {
    with_edge(async |world| {
        let alive = world.apps.start(200).await;
        let asking =
            EdgeOptions { timeout_seconds: Some(30), sticky: true, ..EdgeOptions::default() };
        for (epoch, options) in [(1, EdgeOptions::default()), (2, asking)] {
            let table = |generation, replicas: &[SocketAddr]| {
                let mut table = table(epoch, generation, &[("shop", world.first, replicas)]);
                table.routes[0].options = options.clone();
                table
            };
            world.edge.load(&table(1, &[alive])).await.unwrap();
            let counts = async {
                while ask(world.first).await.contains("avishkar-shop=") != options.sticky {}
            };
            timeout(PATIENCE, counts).await.expect("what the app asks for counts");
            let mut waited = Vec::new();
            for generation in 2..=4 {
                let (dead, _dead) = black_hole().await;
                world.edge.load(&table(generation, &[dead, alive])).await.unwrap();
                waited.push(longest_of_four(world.first).await);
            }
            // The least of three: the machine may be busy.
            let least = waited.iter().min().unwrap();
            assert!(*least >= Duration::from_secs(1), "nobody met the dead one: {waited:?}");
            assert!(*least < Duration::from_millis(1950), "{waited:?}, with {options:?}");
        }
    })
    .await;
}

/// One after another, so that one of two workers has two of them, and meets both of two replicas.
async fn longest_of_four(port: u16) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..4 {
        let asked = Instant::now();
        assert!(ask(port).await.starts_with("HTTP/1.1 200"));
        longest = longest.max(asked.elapsed());
    }
    longest
}
