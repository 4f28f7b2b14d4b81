//! Every service, Kafka, `ZooKeeper` and the registry are dead at once: visitors notice nothing of it.

use std::time::Duration;

use anyhow::ensure;
use e2e::cluster::{self, SERVICES};
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth::{self, Container};
use e2e::wait;
use tokio::time::sleep;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

/// `make chaos` has ten minutes of it, on a fleet.
const DEAD_FOR: Duration = Duration::from_mins(1);
/// The edge is one process: while it starts anew, nobody answers. How long that takes is for the benches.
const EDGE_IS_BACK_WITHIN: Duration = Duration::from_secs(30);
const BASE: [&str; 3] = ["zookeeper", "kafka", "registry"];

fn services() -> [&'static str; 5] {
    SERVICES.map(|(service, _)| service)
}

async fn no_request_failed(crowd: Crowd, at_least: u64) {
    let tally = crowd.finish_without_failure().await.unwrap();
    assert!(tally.answered > at_least, "{tally:?}");
}

/// Ends a replica as the kernel would that is short of memory; its node starts it again by itself.
async fn kill(replica: &Container) {
    let began = async || {
        let asked = ["docker", "inspect", "-f", "{{.State.Running}} {{.State.StartedAt}}"];
        let said = cluster::exec(&replica.node, &[&asked[..], &[&replica.name]].concat()).await?;
        let (running, began) = said.trim().split_once(' ').unwrap_or_default();
        ensure!(running == "true", "it does not run");
        Ok(began.to_owned())
    };
    let before = began().await.unwrap();
    let end = ["docker", "kill", "-s", "KILL", &replica.name];
    cluster::exec(&replica.node, &end).await.unwrap();
    wait::until("its node starts it again", SOON, async || {
        ensure!(began().await? != before, "it was never dead");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_minute_without_services_kafka_and_zookeeper_costs_no_request() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "orphan", 2).await.unwrap();
    let before = truth::read().await.unwrap();
    let crowd = Crowd::start(&url, 4, "orphan");
    for part in services().into_iter().chain(BASE) {
        cluster::kill(part).await.unwrap();
    }
    let asked = crowd.answered();
    sleep(DEAD_FOR).await;
    no_request_failed(crowd, asked + 1000).await;

    // Nobody is there who could tell the edge anything: it serves what it has written down.
    cluster::kill("edge").await.unwrap();
    cluster::start("edge").await.unwrap();
    let back = async || Ok(reqwest::get(&url).await?.error_for_status()?);
    wait::until("the edge serves", EDGE_IS_BACK_WITHIN, back).await.unwrap();
    let crowd = Crowd::start(&url, 4, "orphan");
    kill(&before.of("orphan").into_iter().next().unwrap()).await;

    for part in BASE.into_iter().chain(services()) {
        cluster::start(part).await.unwrap();
    }
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    all_is_true_and_settled().await;
    no_request_failed(crowd, 100).await;
    let after = truth::read().await.unwrap();
    assert_eq!(after.routes, before.routes);
    assert_eq!(after.front_ports, before.front_ports);
    user.does(&["stop", "orphan"]).await.unwrap();
}
