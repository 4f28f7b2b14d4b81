//! A node dies and comes back: replicas are brought to it one at a time, the new one first, and no visitor notices.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cluster;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::twin::{Twin, leads};
use e2e::{truth, wait};
use jiff::Timestamp;
use serde_json::Value;

use crate::{SOON, cluster_is_ready};

const APPS: [&str; 2] = ["moving-one", "moving-two"];
const AWAY: &str = "node-1";
const STAYS: &str = "node-2";
/// A thirtieth of the usual interval: two moves take some seconds.
const OFTEN: &str = "AVISHKAR_DEPLOYMENT__REBALANCE_SECONDS=2";
/// The states of those that the edge sends requests to.
const ROUTED: [&str; 3] = ["ready", "unhealthy", "unreachable"];
/// Two intervals, two moves, and a machine that has other things to do.
const MOVED_WITHIN: Duration = Duration::from_mins(2);

/// The nodes of an instance's replicas in one of these states, in order.
async fn homes(user: &User, name: &str, states: &[&str]) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["status", name]).await?;
    let replicas = status["replicas"].as_array().context("it has no replicas")?;
    let is_so = |one: &&Value| one["state"].as_str().is_some_and(|state| states.contains(&state));
    let found = replicas.iter().filter(is_so);
    let mut homes: Vec<String> =
        found.filter_map(|one| Some(one["node"].as_str()?.to_owned())).collect();
    homes.sort();
    Ok(homes)
}

async fn all_are_at(user: &User, wanted: [&str; 2]) -> anyhow::Result<()> {
    for app in APPS {
        let homes = homes(user, app, &["ready"]).await?;
        ensure!(homes == wanted, "{app} is on {homes:?}");
    }
    Ok(())
}

/// From when to when the one move of an instance went.
async fn moved(user: &User, name: &str) -> anyhow::Result<(Timestamp, Timestamp)> {
    let why = user.does(&["why", name]).await?;
    let course = why["course"].as_array().context("nothing was decided")?;
    let kinds: Vec<&Value> = course.iter().map(|one| &one["kind"]).collect();
    ensure!(kinds == ["moved", "moving"], "{name}: {why}");
    let at = |one: &Value| anyhow::Ok(one["at"].as_str().context("without a time")?.parse()?);
    let (Some(last), Some(first)) = (course.first(), course.last()) else {
        anyhow::bail!("{name}: {why}");
    };
    Ok((at(first)?, at(last)?))
}

/// The node dies, is replaced, and comes back; the crowds ask from when they can be harmed by moves only.
async fn story(user: &User, urls: &[String]) -> anyhow::Result<()> {
    cluster::kill(AWAY).await?;
    let replaced = async || all_are_at(user, [STAYS, STAYS]).await;
    let replaced = wait::until("the dead node's replicas are replaced", SOON, replaced).await;
    let crowds: Vec<Crowd> = urls.iter().map(|url| Crowd::start(url, 2, "moving-")).collect();
    // Whatever went wrong, the next tests need it.
    cluster::start(AWAY).await?;
    replaced?;
    let fewest = Cell::new(usize::MAX);
    let even = async || {
        for app in APPS {
            fewest.set(fewest.get().min(homes(user, app, &ROUTED).await?.len()));
        }
        all_are_at(user, [AWAY, STAYS]).await
    };
    wait::until("each node has one of each", MOVED_WITHIN, even).await?;
    ensure!(fewest.get() >= 2, "only {} replicas of an app were in the route", fewest.get());
    wait::until("the truth holds", SOON, async || truth::read().await?.is_consistent()).await?;
    for crowd in crowds {
        let first_failure = crowd.first_failure();
        let tally = crowd.finish().await;
        ensure!(tally.failed == 0 && tally.answered > 100, "{tally:?}: {first_failure:?}");
    }
    let (one, other) = (moved(user, APPS[0]).await?, moved(user, APPS[1]).await?);
    ensure!(one.1 <= other.0 || other.1 <= one.0, "both moved at once: {one:?}, {other:?}");
    Ok(())
}

#[tokio::test]
async fn replicas_move_back_to_a_node_that_died_one_at_a_time_and_no_visitor_notices() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let mut urls = Vec::new();
    for app in APPS {
        urls.push(user.deploy(&sample("hello"), app, 2).await.unwrap());
    }
    let (service, port) = ("deployment-manager", 8030);
    let twin = Twin::start_with(service, port, SOON, &[OFTEN]).await.unwrap();
    cluster::stop(service).await.unwrap();
    let led = wait::until("the twin leads", SOON, async || twin.leads().await).await;
    let told = match led {
        Ok(()) => story(&user, &urls).await,
        Err(err) => Err(err),
    };
    cluster::start(service).await.unwrap();
    twin.kill().await.unwrap();
    let own = format!("127.0.0.1:{port}");
    wait::until("the first leads again", SOON, async || leads(&own).await).await.unwrap();
    told.unwrap();
    for app in APPS {
        user.does(&["stop", app]).await.unwrap();
    }
}
