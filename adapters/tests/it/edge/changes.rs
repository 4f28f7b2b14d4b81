//! Changes under load, and ports that somebody else has.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::query_parameters::{StartContainerOptions, StopContainerOptions};
use common::port::Edge as _;
use futures::future::join_all;
use testkit::contract::edge::{Apps as _, table};

use super::{ask, with_edge};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_cost_no_request() {
    with_edge(async |world| {
        let apps = [world.apps.start(200).await, world.apps.start(200).await];
        world.edge.load(&table(1, 1, &[("shop", world.first, &apps)])).await.unwrap();
        let is_over = AtomicBool::new(false);
        let visitor = async || {
            let (client, mut answered) = (reqwest::Client::new(), 0);
            while !is_over.load(Ordering::Relaxed) {
                let url = format!("http://127.0.0.1:{}/", world.first);
                assert_eq!(client.get(url).send().await.unwrap().status(), 200);
                answered += 1;
            }
            answered
        };
        let changes = async {
            for generation in 2..102 {
                let replicas = match generation % 3 {
                    0 => &apps[..1],
                    1 => &apps[1..],
                    _ => &apps[..],
                };
                let rows = [("shop", world.first, replicas)];
                world.edge.load(&table(1, generation, &rows)).await.unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        };
        let (answered, ()) = futures::join!(join_all((0..4).map(|_| visitor())), changes);
        assert!(answered.iter().sum::<u64>() > 100, "{answered:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_port_that_a_stranger_took_is_closed_at_the_next_start_and_the_others_serve() {
    with_edge(async |world| {
        let app = world.apps.start(200).await;
        let rows = [("shop", world.first, &[app][..]), ("blog", world.first + 1, &[app])];
        world.edge.load(&table(1, 1, &rows)).await.unwrap();
        let stop = None::<StopContainerOptions>;
        world.docker.stop_container(&world.container, stop).await.unwrap();
        let stranger = TcpListener::bind(("127.0.0.1", world.first + 1)).unwrap();
        let start = None::<StartContainerOptions>;
        world.docker.start_container(&world.container, start).await.unwrap();
        world.wait_until_it_answers().await;
        let ports = world.edge.status().await.unwrap().ports;
        assert!(ports.closed.contains(&(world.first + 1)), "{ports:?}");
        assert!(!ports.closed.contains(&world.first), "{ports:?}");
        assert!(ask(world.first).await.starts_with("HTTP/1.1 200"));
        drop(stranger);
    })
    .await;
}
