//! A node is drained under load, and returned: its replicas are made on the other one first, and no visitor notices.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::{truth, wait};
use serde_json::Value;

use crate::{SOON, cluster_is_ready};

const APP: &str = "drained";
const AWAY: &str = "node-1";
const STAYS: &str = "node-2";
/// Everything that other trials left running on the node goes with it.
const DRAINED_WITHIN: Duration = Duration::from_mins(3);

/// The nodes of its replicas that serve, in order.
async fn homes(user: &User) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["status", APP]).await?;
    let replicas = status["replicas"].as_array().context("it has no replicas")?;
    let ready = replicas.iter().filter(|one| one["state"] == "ready");
    let mut homes: Vec<String> =
        ready.filter_map(|one| Some(one["node"].as_str()?.to_owned())).collect();
    homes.sort();
    Ok(homes)
}

async fn are_at(user: &User, wanted: &[&str]) -> anyhow::Result<()> {
    let there = async || {
        let homes = homes(user).await?;
        ensure!(homes == wanted, "{APP} is on {homes:?}");
        Ok(())
    };
    wait::until("its replicas serve there", SOON, there).await
}

/// What `avishkar nodes` says of a node.
async fn listed(user: &User, node: &str) -> anyhow::Result<Value> {
    let nodes = user.does(&["nodes"]).await?;
    let found = nodes.as_array().and_then(|all| all.iter().find(|one| one["name"] == node));
    found.cloned().with_context(|| format!("{node} is not listed: {nodes}"))
}

/// The command ends once nothing of apps is on the node, and then it is so.
async fn is_drained(user: &User) -> anyhow::Result<()> {
    let told = user.does(&["nodes", "drain", AWAY]).await?;
    ensure!(told["state"] == "drained", "{told}");
    let node = listed(user, AWAY).await?;
    let empty = node["verdict"] == "draining" && node["replicas"] == 0;
    ensure!(empty && node["drained_since"].is_string(), "{node}");
    are_at(user, &[STAYS, STAYS]).await?;
    wait::until("the truth holds", SOON, async || truth::read().await?.is_consistent()).await
}

/// The last node that takes apps stays, and what is new goes there.
async fn gets_nothing(user: &User) -> anyhow::Result<()> {
    let refused = user.run(&["nodes", "drain", STAYS]).await?;
    ensure!(refused.code == 1 && refused.stderr.contains("LAST_NODE"), "{}", refused.stderr);
    user.does(&["scale", APP, "3"]).await?;
    are_at(user, &[STAYS; 3]).await?;
    user.does(&["scale", APP, "2"]).await?;
    are_at(user, &[STAYS; 2]).await
}

/// Whoever is returned gets what is new again.
async fn is_returned(user: &User) -> anyhow::Result<()> {
    user.does(&["nodes", "return", AWAY]).await?;
    let live = async || {
        let node = listed(user, AWAY).await?;
        ensure!(node["verdict"] == "live" && node["drained_since"].is_null(), "{node}");
        Ok(())
    };
    wait::until("it is live", SOON, live).await?;
    user.does(&["scale", APP, "4"]).await?;
    let used = async || {
        let homes = homes(user).await?;
        ensure!(homes.len() == 4 && homes.contains(&AWAY.to_owned()), "{APP} is on {homes:?}");
        Ok(())
    };
    wait::until("it has something again", SOON, used).await
}

async fn story(user: &User) -> anyhow::Result<()> {
    let drained = tokio::time::timeout(DRAINED_WITHIN, is_drained(user)).await;
    drained.context("the drain took too long")??;
    gets_nothing(user).await?;
    is_returned(user).await
}

#[tokio::test]
async fn a_node_is_drained_and_returned_and_no_visitor_notices() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), APP, 2).await.unwrap();
    are_at(&user, &[AWAY, STAYS]).await.unwrap();
    let crowd = Crowd::start(&url, 4, APP);
    let told = story(&user).await;
    // Whatever went wrong, the next trials need both nodes.
    user.does(&["nodes", "return", AWAY]).await.unwrap();
    let tally = crowd.finish_without_failure().await;
    told.unwrap();
    assert!(tally.unwrap().answered > 200, "hardly anybody asked");
    user.does(&["stop", APP]).await.unwrap();
}
