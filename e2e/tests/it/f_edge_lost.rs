//! The load balancer and the edge lose their disks, are away when it matters, and are asked by many at once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cluster;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use futures::future::join_all;
use reqwest::Client;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

/// An edge that starts with nothing is told everything.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// Suspect, dead, placed elsewhere, started, probed, routed.
const REPLACED_WITHIN: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(2);
const TABLES: &str = "/var/lib/avishkar/edge";
const BALANCER: &str = "http://127.0.0.1:8050";

#[tokio::test]
async fn a_load_balancer_and_an_edge_that_lose_their_disks_serve_the_same_again() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "rebuilt", 2).await.unwrap();
    let before = truth::read().await.unwrap();
    let crowd = Crowd::start(&url, 4, "rebuilt");
    cluster::kill("load-balancer").await.unwrap();
    cluster::lose_disk("load-balancer", &["/data", TABLES]).await.unwrap();
    cluster::start("load-balancer").await.unwrap();
    cluster::ready(READY_WITHIN).await.unwrap();
    all_is_true_and_settled().await;
    crowd.finish_without_failure().await.unwrap();
    let rows = |truth: &truth::Truth| truth.table.as_ref().map(|table| table.routes.clone());
    let after = truth::read().await.unwrap();
    assert_eq!(rows(&after), rows(&before), "the table is what it was");

    cluster::kill("edge").await.unwrap();
    cluster::lose_disk("edge", &[TABLES]).await.unwrap();
    cluster::start("edge").await.unwrap();
    let told = async || Ok(reqwest::get(&url).await?.error_for_status()?);
    wait::until("the edge is told again", TOLD_WITHIN, told).await.unwrap();
    all_is_true_and_settled().await;
    assert_eq!(rows(&truth::read().await.unwrap()), rows(&before), "and so is the edge's");
    user.does(&["stop", "rebuilt"]).await.unwrap();
}

#[tokio::test]
async fn a_node_may_die_while_the_load_balancer_is_dead() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "untold", 3).await.unwrap();
    let crowd = Crowd::start(&url, 4, "untold");
    cluster::kill("load-balancer").await.unwrap();
    cluster::kill("node-2").await.unwrap();
    // Nobody takes the dead out of the route: the edge passes them over by itself.
    let goes_on = crowd.answered() + 1000;
    let answered = async || {
        ensure!(crowd.answered() > goes_on, "{} were answered", crowd.answered());
        Ok(())
    };
    wait::until("visitors are answered", REPLACED_WITHIN, answered).await.unwrap();
    cluster::start("load-balancer").await.unwrap();
    wait::until("three replicas serve on the other node", REPLACED_WITHIN * 2, async || {
        let status = user.does(&["status", "untold"]).await?;
        let replicas = status["replicas"].as_array().into_iter().flatten();
        let here = |one: &&serde_json::Value| one["state"] == "ready" && one["node"] == "node-1";
        ensure!(replicas.filter(here).count() == 3, "{status}");
        Ok(())
    })
    .await
    .unwrap();
    cluster::start("node-2").await.unwrap();
    cluster::ready(READY_WITHIN).await.unwrap();
    all_is_true_and_settled().await;
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    let all = tally.answered + tally.failed;
    assert!(
        tally.failed * 1000 <= all,
        "{tally:?}: more than one in a thousand failed: {first_failure:?}"
    );
    user.does(&["stop", "untold"]).await.unwrap();
}

/// Asks by one of document 001's paths; insists until it is done.
async fn insist(http: &Client, path: &str, asked: &[(&str, &str)]) -> String {
    wait::until(path, SOON, async || {
        let answer = http.get(format!("{BALANCER}{path}")).query(asked).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status == 200, "{status}: {text}");
        Ok(text)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn front_ports_that_are_asked_for_at_once_are_one_apps_each_whoever_dies_meanwhile() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "neighbour", 1).await.unwrap();
    let before = truth::read().await.unwrap();
    let address = before.of("neighbour").into_iter().next().unwrap().address;
    let ip = address.split(':').next().unwrap();
    let http = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let held = Mutex::new(BTreeMap::new());
    let client = async |number: u16| {
        let (name, port) = (format!("porter-{number}"), (31_000 + number).to_string());
        for _ in 0..10 {
            let asked = [
                ("vmIp", ip),
                ("containerId", name.as_str()),
                ("appName", name.as_str()),
                ("imageName", "none"),
                ("containerPort", port.as_str()),
                ("hostPort", port.as_str()),
            ];
            let endpoint = insist(&http, "/registerApp", &asked).await.trim().to_owned();
            let other = held.lock().unwrap().insert(endpoint.clone(), name.clone());
            assert_eq!(other, None, "{endpoint} is given to {name} as well");
            held.lock().unwrap().remove(&endpoint);
            insist(&http, "/deregisterApp", &[("appName", name.as_str())]).await;
        }
    };
    let clients = join_all((0..8).map(client));
    let dies = async {
        for _ in 0..2 {
            cluster::kill("load-balancer").await.unwrap();
            cluster::start("load-balancer").await.unwrap();
            cluster::ready(READY_WITHIN).await.unwrap();
        }
    };
    futures::join!(clients, dies);
    all_is_true_and_settled().await;
    let after = truth::read().await.unwrap();
    let of_ours = |name: &&String| name.starts_with("porter-");
    let left: Vec<_> = after.front_leases.values().filter(of_ours).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(after.front_ports, before.front_ports);
    let none = reqwest::get(format!("{BALANCER}/api/v1/routes")).await.context("routes").unwrap();
    assert!(!none.text().await.unwrap().contains("porter-"));
    user.does(&["stop", "neighbour"]).await.unwrap();
}
