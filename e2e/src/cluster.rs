//! The cluster as `compose.yaml` makes it: its services, its nodes, and how to hurt them.

use std::time::Duration;

use anyhow::ensure;

use crate::docker::{container_of, docker};
use crate::sources::{Place, Sources};
use crate::wait;

/// The nodes of the cluster.
pub const NODES: [&str; 2] = ["node-1", "node-2"];
/// The platform's services that listen on loopback, with their ports.
pub const SERVICES: [(&str, u16); 5] = [
    ("app-manager", 8010),
    ("deployment-manager", 8030),
    ("node-manager", 8040),
    ("load-balancer", 8050),
    ("monitoring", 8070),
];

/// Where all of it is read. Its base parts and front doors are ports of this computer.
pub async fn sources() -> anyhow::Result<Sources> {
    let mut nodes = Vec::new();
    for node in NODES {
        let id = container_of(node).await?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = docker(&["inspect", "--format", format, &id]).await?;
        nodes.push(Place::container(node, address.trim(), &id));
    }
    let here = "127.0.0.1";
    let part = async |name: &str| {
        anyhow::Ok(vec![Place::container(name, here, &container_of(name).await?)])
    };
    Ok(Sources {
        zookeeper: format!("{here}:2181"),
        kafka: format!("{here}:9092"),
        nodes,
        edges: part("edge").await?,
        app_managers: part("app-manager").await?,
    })
}

/// Kills a service as `kill -9` would.
pub async fn kill(service: &str) -> anyhow::Result<()> {
    docker(&["kill", "-s", "KILL", &container_of(service).await?]).await.map(drop)
}

/// Starts a service or node that was killed.
pub async fn start(service: &str) -> anyhow::Result<()> {
    docker(&["start", &container_of(service).await?]).await.map(drop)
}

/// Empties folders of a part that is dead, as if it had another disk.
pub async fn lose_disk(service: &str, folders: &[&str]) -> anyhow::Result<()> {
    let id = container_of(service).await?;
    let image = docker(&["inspect", "-f", "{{.Image}}", &id]).await?;
    let mut run = vec!["run", "--rm", "--user", "0", "--network", "none", "--volumes-from", &id];
    run.extend(["--entrypoint", "find", image.trim()]);
    run.extend(folders);
    run.extend(["-mindepth", "1", "-delete"]);
    docker(&run).await.map(drop)
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

/// Kills the agent's process on a node, and nothing else there; waits until the node's own supervision has
/// another one listening.
pub async fn restart_agent(node: &str, within: Duration) -> anyhow::Result<()> {
    let before = agent_of(node).await?;
    exec(node, &["kill", "-s", "KILL", &before]).await?;
    wait::until("another agent listens", within, async || {
        let now = agent_of(node).await?;
        ensure!(now != before, "the agent {before} is still there");
        let listeners = exec(node, &["ss", "-Hltn"]).await?;
        ensure!(listeners.contains(":7443"), "the agent {now} does not listen yet");
        Ok(())
    })
    .await
}

/// The process of a node's agent.
async fn agent_of(node: &str) -> anyhow::Result<String> {
    Ok(exec(node, &["pidof", "avishkar"]).await?.trim().to_owned())
}

/// How often the engine has started the service again by itself, and its last words.
pub async fn restarts(service: &str) -> anyhow::Result<(u64, String)> {
    let id = container_of(service).await?;
    let count = docker(&["inspect", "-f", "{{.RestartCount}}", &id]).await?;
    let words = docker(&["logs", "--tail", "20", &id]).await?;
    Ok((count.trim().parse()?, words))
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
