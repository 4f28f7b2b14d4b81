//! Whether the agent's question to members of an ensemble is answered by a real `ZooKeeper` and a real Kafka.

use std::net::SocketAddr;
use std::time::Duration;

use common::port::part::Member;
use node_agent::takes_part;
use tokio::net::lookup_host;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "the variables say where the test's servers are")]
async fn server(variable: &str) -> SocketAddr {
    let server =
        std::env::var(variable).expect("run `make test`: it starts the servers and says where");
    let found = lookup_host(server).await.unwrap();
    found.into_iter().find(SocketAddr::is_ipv4).unwrap()
}

async fn says(address: SocketAddr, member: Member) -> bool {
    timeout(PATIENCE, takes_part(address, &member)).await.expect("it answers in time").unwrap()
}

#[tokio::test]
async fn a_real_zookeeper_that_serves_takes_part() {
    assert!(says(server("AVISHKAR_TEST_ZOOKEEPER").await, Member::ZooKeeper).await);
}

#[tokio::test]
async fn a_real_kafka_takes_part_as_the_broker_that_it_is_and_as_no_other() {
    let address = server("AVISHKAR_TEST_KAFKA").await;
    assert!(says(address, Member::Kafka { id: 1 }).await);
    assert!(!says(address, Member::Kafka { id: 2 }).await, "nobody knows that one");
}
