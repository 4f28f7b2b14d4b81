//! The cluster as `compose.yaml` makes it: its services, its nodes, and how to hurt them.

use std::time::Duration;

use anyhow::ensure;

use crate::docker::{container_of, docker};
use crate::wait;

/// The nodes of the cluster.
pub const NODES: [&str; 2] = ["node-1", "node-2"];
/// The platform's services that listen on loopback, with their ports.
pub const SERVICES: [(&str, u16); 4] = [
    ("app-manager", 8010),
    ("deployment-manager", 8030),
    ("node-manager", 8040),
    ("load-balancer", 8050),
];

/// Kills a service as `kill -9` would.
pub async fn kill(service: &str) -> anyhow::Result<()> {
    docker(&["kill", "-s", "KILL", &container_of(service).await?]).await.map(drop)
}

/// Starts a service or node that was killed.
pub async fn start(service: &str) -> anyhow::Result<()> {
    docker(&["start", &container_of(service).await?]).await.map(drop)
}

/// Stops a service in order, as for maintenance.
pub async fn stop(service: &str) -> anyhow::Result<()> {
    docker(&["stop", "-t", "10", &container_of(service).await?]).await.map(drop)
}

/// Runs a command inside a node or service, by an argument vector.
pub async fn exec(service: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let id = container_of(service).await?;
    let mut all = vec!["exec", id.as_str()];
    all.extend(arguments);
    docker(&all).await
}

/// Waits until every service says it is ready.
pub async fn ready(within: Duration) -> anyhow::Result<()> {
    for (service, port) in SERVICES {
        let url = format!("http://127.0.0.1:{port}/readyz?verbose");
        wait::until(service, within, async || {
            let answer = reqwest::get(&url).await?;
            let status = answer.status();
            ensure!(status == 200, "{status}: {}", answer.text().await?);
            Ok(())
        })
        .await?;
    }
    Ok(())
}
