//! A replica whose machine goes without a word while requests are under way there.

use std::net::SocketAddr;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, NetworkDisconnectRequest};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, StartContainerOptions,
};
use common::port::Edge as _;
use testkit::contract::edge::{Apps as _, table};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::{PATIENCE, World, ask_with, image, with_container, with_edge};

/// Answers what asks for it, on connections that it keeps; of all else it only takes the request.
const REPLICA: &str = r#"
    my $door = IO::Socket::INET->new(LocalPort => 8080, Listen => 64) or die;
    $SIG{CHLD} = "IGNORE";
    while (my $visitor = $door->accept) {
        next if fork;
        while (sysread($visitor, my $request, 4096)) {
            syswrite($visitor, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") if $request =~ /quick/;
        }
        exit;
    }
"#;

/// A replica on a network of its own, in a container.
async fn far_away(world: &World) -> String {
    let body = ContainerCreateBody {
        image: Some(image()),
        entrypoint: Some(["perl", "-MIO::Socket::INET", "-e", REPLICA].map(str::to_owned).into()),
        ..ContainerCreateBody::default()
    };
    let docker = &world.docker;
    let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
    docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
    made.id
}

async fn address_of(world: &World, container: &str) -> SocketAddr {
    let inspected = world.docker.inspect_container(container, None::<InspectContainerOptions>);
    let networks = inspected.await.unwrap().network_settings.unwrap().networks.unwrap();
    let ip = networks.get("bridge").unwrap().ip_address.clone().unwrap();
    let address = SocketAddr::new(ip.parse().unwrap(), 8080);
    let listens = async { while TcpStream::connect(address).await.is_err() {} };
    timeout(PATIENCE, listens).await.expect("the replica listens");
    address
}

/// Its machine has no power any more: nothing comes, not even an end.
async fn cut_off(world: &World, container: &str) {
    let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
    world.docker.disconnect_network("bridge", request).await.unwrap();
}

async fn asks(port: u16, path: &str) -> String {
    ask_with(port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n"), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_to_a_machine_that_lost_its_power_is_asked_of_another() {
    with_edge(async |world| {
        let alive = world.apps.start(200).await;
        let container = far_away(world).await;
        let story = async {
            let dead = address_of(world, &container).await;
            let rows = [("shop", world.first, &[dead, alive][..])];
            world.edge.load(&table(1, 1, &rows)).await.unwrap();
            // On connections that are kept: what is sent there after the cut is acknowledged by nobody.
            let until = Instant::now() + Duration::from_secs(4);
            let crowd = (0..4).map(async |_| {
                while Instant::now() < until {
                    assert!(asks(world.first, "/quick").await.starts_with("HTTP/1.1 200"));
                }
            });
            // Some of these wait there for an answer; who has done so for long is not asked for again.
            let waiting = (0..4).map(async |_| {
                let answer = asks(world.first, "/slow").await;
                assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 502"));
            });
            let cut = async {
                while world.under_way(dead).await == 0 {
                    sleep(Duration::from_millis(20)).await;
                }
                cut_off(world, &container).await;
            };
            let all = async {
                futures::join!(
                    futures::future::join_all(crowd),
                    futures::future::join_all(waiting),
                    cut
                )
            };
            timeout(PATIENCE, all).await.expect("all are answered");
        };
        with_container(&world.docker, &container, Box::pin(story)).await;
    })
    .await;
}
