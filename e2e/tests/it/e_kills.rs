//! A container, a whole node and every service are killed while users ask.

use std::time::Duration;

use e2e::cluster::{self, NODES, SERVICES};
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

/// Suspect, dead, placed elsewhere, started, probed, routed.
const REPLACED_WITHIN: Duration = Duration::from_mins(1);
/// The edge is one process: while it starts anew, nobody answers. How long that takes is for the benches.
const EDGE_IS_BACK_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_killed_container_and_a_dead_node_cost_little_and_are_replaced() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "sturdy", 3).await.unwrap();
    let crowd = Crowd::start(&url, 4, "sturdy");
    let ours = async || {
        let truth = truth::read().await?;
        anyhow::Ok(truth.of("sturdy").into_iter().collect::<Vec<_>>())
    };
    let victim = ours().await.unwrap().remove(0);
    cluster::exec(&victim.node, &["docker", "kill", "-s", "KILL", &victim.name]).await.unwrap();
    let three_run = async || {
        let containers = ours().await?;
        anyhow::ensure!(containers.len() == 3, "{containers:?}");
        truth::read().await?.is_consistent()
    };
    wait::until("the killed container is back", SOON, three_run).await.unwrap();

    let dead = "node-2";
    let survivors = "node-1";
    cluster::kill(dead).await.unwrap();
    let moved = async || {
        let listed = ["docker", "ps", "-q", "--filter", "label=avishkar.instance=sturdy"];
        let running = cluster::exec(survivors, &listed).await?.lines().count();
        anyhow::ensure!(running == 3, "{running} of 3 replicas run on {survivors}");
        let status = user.does(&["status", "sturdy"]).await?;
        let replicas = status["replicas"].as_array().into_iter().flatten();
        let ready = replicas
            .filter(|replica| replica["state"] == "ready" && replica["node"] == survivors)
            .count();
        anyhow::ensure!(ready == 3, "{status}");
        Ok(())
    };
    wait::until("replicas of the dead node are replaced", REPLACED_WITHIN, moved).await.unwrap();

    cluster::start(dead).await.unwrap();
    wait::until("what came back with the node is swept away", REPLACED_WITHIN, three_run)
        .await
        .unwrap();
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    let all = tally.answered + tally.failed;
    assert!(
        tally.failed * 1000 <= all,
        "{tally:?}: more than one in a thousand failed: {first_failure:?}"
    );
    user.does(&["stop", "sturdy"]).await.unwrap();
}

#[tokio::test]
async fn every_service_restarts_under_load_without_a_failed_request() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "calm", 2).await.unwrap();
    let before = truth::read().await.unwrap();
    let crowd = Crowd::start(&url, 4, "calm");
    for service in SERVICES.map(|(service, _)| service).into_iter().chain(["registry"]) {
        cluster::kill(service).await.unwrap();
        cluster::start(service).await.unwrap();
        cluster::ready(Duration::from_mins(2)).await.unwrap();
    }
    for node in NODES {
        cluster::restart_agent(node, SOON).await.unwrap();
    }
    all_is_true_and_settled().await;
    let tally = crowd.finish_without_failure().await.unwrap();
    assert!(tally.answered > 0);
    let after = truth::read().await.unwrap();
    assert_eq!(after.containers, before.containers, "the same containers run");
    // The registry and the agents do their work again.
    user.deploy(&sample("hello"), "calm", 2).await.unwrap();
    user.does(&["stop", "calm"]).await.unwrap();
}

#[tokio::test]
async fn the_edge_comes_back_by_itself_with_the_table_it_had() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "guarded", 2).await.unwrap();
    let before = truth::read().await.unwrap();
    let crowd = Crowd::start(&url, 4, "guarded");
    // Without the load balancer nobody can tell it anything.
    cluster::kill("load-balancer").await.unwrap();
    cluster::kill("edge").await.unwrap();
    cluster::start("edge").await.unwrap();
    let back = async || Ok(reqwest::get(&url).await?.error_for_status()?);
    wait::until("the edge serves", EDGE_IS_BACK_WITHIN, back).await.unwrap();
    let healed = Crowd::start(&url, 4, "guarded");
    cluster::start("load-balancer").await.unwrap();
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    all_is_true_and_settled().await;
    healed.finish_without_failure().await.unwrap();
    let tally = crowd.finish().await;
    assert!(tally.longest_gap < EDGE_IS_BACK_WITHIN, "{tally:?}");
    let after = truth::read().await.unwrap();
    assert_eq!(after.containers, before.containers, "the same containers run");
    assert_eq!(after.routes, before.routes);
    assert_eq!(after.front_ports, before.front_ports);
    user.does(&["stop", "guarded"]).await.unwrap();
}
