//! Docker Swarm on the nodes' own engines, for as long as it is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::cluster::{self, NODES};
use e2e::wait;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{LOOK_EVERY, Node, REPLICAS, all_serve, ports};

const SERVICE: &str = "avishkar-bench";
const LABEL: &str = "com.docker.swarm.service.name=avishkar-bench";
const PORT: u16 = 2377;
/// What a swarm puts beside its own networks, and leaves behind.
const BRIDGE: &str = "docker_gwbridge";
const GONE_WITHIN: Duration = Duration::from_mins(1);
/// How long a replica may take to end, in nanoseconds; nobody asks it then.
const GRACE: u64 = 1_000_000_000;

/// Makes the nodes a swarm; the first is its manager.
pub(super) async fn start(nodes: &mut [Node]) -> anyhow::Result<()> {
    let (manager, workers) = nodes.split_first_mut().context("there are no nodes")?;
    let at = SocketAddr::new(manager.ip, PORT);
    let init = json!({ "ListenAddr": at.to_string(), "AdvertiseAddr": manager.ip });
    manager.engine.ask("POST", "/swarm/init", &init).await?;
    let token = manager.engine.question("/swarm").await?["JoinTokens"]["Worker"].take();
    for worker in workers {
        let own = SocketAddr::new(worker.ip, PORT);
        let join = json!({
            "ListenAddr": own.to_string(),
            "AdvertiseAddr": worker.ip,
            "RemoteAddrs": [at.to_string()],
            "JoinToken": token,
        });
        worker.engine.ask("POST", "/swarm/join", &join).await?;
    }
    Ok(())
}

/// From the request for a service to the answers of all its replicas.
pub(super) async fn create(nodes: &mut [Node], container: &Value) -> anyhow::Result<Duration> {
    let service = service(container)?;
    let began = Instant::now();
    let manager = nodes.first_mut().context("there are no nodes")?;
    manager.engine.ask("POST", "/services/create", &service).await?;
    all_serve(nodes, LABEL).await?;
    Ok(began.elapsed())
}

pub(super) async fn remove(nodes: &mut [Node]) -> anyhow::Result<()> {
    let manager = nodes.first_mut().context("there are no nodes")?;
    manager.engine.ask("DELETE", &format!("/services/{SERVICE}"), &Value::Null).await?;
    let give_up = Instant::now() + GONE_WITHIN;
    while !ports(nodes, LABEL).await?.is_empty() {
        ensure!(Instant::now() < give_up, "the swarm keeps what it was told to remove");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Replicas like this container, limits and all, each at a port of its node that the engine chooses.
fn service(container: &Value) -> anyhow::Result<Value> {
    let (config, host) = (&container["Config"], &container["HostConfig"]);
    let bindings = host["PortBindings"].as_object().context("it publishes no port")?;
    let port = bindings.keys().next().and_then(|port| port.split('/').next());
    let port: u16 = port.context("it publishes no port")?.parse()?;
    Ok(json!({
        "Name": SERVICE,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": config["Image"],
                "Env": config["Env"],
                "User": config["User"],
                "Init": host["Init"],
                "ReadOnly": host["ReadonlyRootfs"],
                "CapabilityDrop": host["CapDrop"],
                "Ulimits": host["Ulimits"],
                "Mounts": [{ "Type": "tmpfs", "Target": "/tmp" }],
                "StopGracePeriod": GRACE,
            },
            "Resources": {
                "Limits": {
                    "MemoryBytes": host["Memory"],
                    "NanoCPUs": host["NanoCpus"],
                    "Pids": host["PidsLimit"],
                },
            },
        },
        "Mode": { "Replicated": { "Replicas": REPLICAS } },
        "EndpointSpec": {
            "Ports": [{ "Protocol": "tcp", "TargetPort": port, "PublishMode": "host" }],
        },
    }))
}

/// Has every node leave, of this run or of one that was killed; what a swarm made there is gone then.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    for node in NODES {
        outcomes.push(leave(node).await);
    }
    outcomes.into_iter().collect()
}

async fn leave(node: &str) -> anyhow::Result<()> {
    let state = ["docker", "info", "-f", "{{.Swarm.LocalNodeState}}"];
    if cluster::exec(node, &state).await?.trim() != "inactive" {
        cluster::exec(node, &["docker", "swarm", "leave", "--force"]).await?;
    }
    let filter = format!("name=^{BRIDGE}$");
    let left = ["docker", "network", "ls", "-q", "--filter", &filter];
    if cluster::exec(node, &left).await?.trim().is_empty() {
        return Ok(());
    }
    // What still hangs on it is let go a moment after the node has left.
    wait::until("the swarm's bridge is gone", GONE_WITHIN, async || {
        cluster::exec(node, &["docker", "network", "rm", BRIDGE]).await.map(drop)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_swarm_gets_the_same_image_limits_and_port() {
        let container = json!({
            "Config": { "Image": "sha256:00", "Env": ["PORT=8080"], "User": "10001:10001" },
            "HostConfig": {
                "PortBindings": { "8080/tcp": [{ "HostIp": "192.0.2.11", "HostPort": "20000" }] },
                "Memory": 1, "NanoCpus": 2, "PidsLimit": 3, "Init": true, "ReadonlyRootfs": false,
                "CapDrop": ["ALL"],
            },
        });
        let service = service(&container).unwrap();
        let task = &service["TaskTemplate"];
        assert_eq!(task["ContainerSpec"]["Image"], "sha256:00");
        let limits = json!({ "MemoryBytes": 1, "NanoCPUs": 2, "Pids": 3 });
        assert_eq!(task["Resources"]["Limits"], limits);
        let ports = json!([{ "Protocol": "tcp", "TargetPort": 8080, "PublishMode": "host" }]);
        assert_eq!(service["EndpointSpec"]["Ports"], ports);
        assert!(super::service(&json!({})).is_err());
    }
}
