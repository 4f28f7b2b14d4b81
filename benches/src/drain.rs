//! Requests that fail while a node is drained and returned, and then the other one, over and over.

use std::time::Duration;

use anyhow::ensure;
use e2e::cluster::NODES;
use e2e::wait;
use serde_json::Value;
use tokio::time::Instant;

use crate::command_line::avishkar;
use crate::crowd::{self, Tally};
use crate::deploy::{FRONT_DOOR, deploy_sample};
use crate::figure::Figure;
use crate::report::progress;
use crate::stage::{self, APP};

const CLIENTS: usize = 16;
/// Of which a rate says little.
const AT_LEAST: u64 = 100_000;
const LONGEST: Duration = Duration::from_mins(5);
/// A verdict, of which there are four a second.
const LIVE_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    progress("drain: each node drained and returned in turn, under load");
    deploy_sample(NODES.len()).await?;
    let host = format!("{APP}.example.org");
    let (mut rounds, mut sum, began) = (0, Tally::default(), Instant::now());
    while sum.answered < AT_LEAST && began.elapsed() < LONGEST {
        rounds += 1;
        let each = async {
            for node in NODES {
                emptied(node).await?;
            }
            anyhow::Ok(())
        };
        let (emptied, tally) = crowd::during(FRONT_DOOR.into(), &host, CLIENTS, each).await;
        emptied?;
        sum.add(tally);
    }
    let note = format!(
        "{rounds} rounds of each node drained and returned, with all {} replicas on the other one meanwhile: {}",
        NODES.len(),
        sum.told()
    );
    Ok(sum.none_failed_of("failed_in_node_drain", AT_LEAST)?.with_note(note))
}

/// All replicas go to the other nodes; then this one may have some again.
async fn emptied(node: &str) -> anyhow::Result<()> {
    avishkar(&["nodes", "drain", node]).await?;
    let status = avishkar(&["status", APP]).await?;
    let replicas = status["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let elsewhere = replicas.iter().all(|one| one["node"] != node);
    ensure!(replicas.len() == NODES.len() && elsewhere, "{node} was drained, and {status}");
    avishkar(&["nodes", "return", node]).await?;
    wait::until("it is live again", LIVE_WITHIN, async || {
        let nodes = avishkar(&["nodes"]).await?;
        let is_live = |one: &Value| one["name"] == node && one["verdict"] == "live";
        ensure!(nodes.as_array().is_some_and(|all| all.iter().any(is_live)), "{nodes}");
        Ok(())
    })
    .await
}

/// Nothing that was drained stays so.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for node in NODES {
        outcomes.push(avishkar(&["nodes", "return", node]).await.map(drop));
    }
    outcomes.push(stage::clear().await);
    outcomes.into_iter().collect()
}
