//! What each node's own Docker engine and kernel say.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

use crate::cluster;
use crate::docker::{container_of, docker};

/// The host ports that node manager leases.
const LEASABLE: std::ops::RangeInclusive<u16> = 20_000..=29_999;

/// One container of the platform on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    pub node: String,
    pub name: String,
    pub id: String,
    pub instance: String,
    pub slot: u32,
    pub generation: u64,
    pub host_port: u16,
    /// `ip:port` at which the node leads to it.
    pub address: String,
    /// `ip:port` inside its network; the ip is empty while it does not run.
    pub inner: String,
    pub running: bool,
}

/// What one node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) containers: BTreeSet<Container>,
    /// Names of containers that do not carry the platform's label: a build's, or a stranger's.
    pub(super) unlabelled: BTreeSet<String>,
    /// Ports of the leasable range on which something listens.
    pub(super) listeners: Vec<u16>,
    pub(super) networks: usize,
}

/// Looks at one node.
pub(super) async fn look(node: &str) -> anyhow::Result<Node> {
    let listing = async {
        let ids = cluster::exec(node, &["docker", "ps", "-a", "-q", "--no-trunc"]).await?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return anyhow::Ok(Vec::new());
        }
        let mut inspect = vec!["docker", "inspect"];
        inspect.extend(&ids);
        Ok(serde_json::from_str::<Vec<Value>>(&cluster::exec(node, &inspect).await?)?)
    };
    let networks = ["docker", "network", "ls", "-q", "--filter", "name=^avishkar_"];
    let (ip, found, networks, listeners) = futures::try_join!(
        ip_of(node),
        listing,
        cluster::exec(node, &networks),
        cluster::exec(node, &["ss", "-Hltn"]),
    )?;
    let mut seen = Node { networks: networks.lines().count(), ..Node::default() };
    for container in &found {
        if container["Config"]["Labels"]["avishkar.platform"].is_null() {
            seen.unlabelled.insert(format!("{node}:{}", name_of(container)));
        } else {
            seen.containers.insert(one(node, &ip, container)?);
        }
    }
    let ports = listeners
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3)?.rsplit(':').next()?.parse::<u16>().ok());
    seen.listeners = ports.filter(|port| LEASABLE.contains(port)).collect();
    seen.listeners.sort_unstable();
    Ok(seen)
}

/// The address of a node on the cluster's network.
async fn ip_of(node: &str) -> anyhow::Result<String> {
    let id = container_of(node).await?;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    Ok(docker(&["inspect", "--format", format, &id]).await?.trim().to_owned())
}

fn name_of(container: &Value) -> String {
    container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned()
}

fn one(node: &str, ip: &str, container: &Value) -> anyhow::Result<Container> {
    let label = |name: &str| {
        let text = container["Config"]["Labels"][name].as_str();
        text.with_context(|| format!("a container on {node} has no label {name}"))
    };
    let bindings = container["HostConfig"]["PortBindings"].as_object();
    let (inside, outside) =
        bindings.and_then(|ports| ports.iter().next()).context("a container has no host port")?;
    let host_port: u16 =
        outside[0]["HostPort"].as_str().context("a container has no host port")?.parse()?;
    let networks = container["NetworkSettings"]["Networks"].as_object();
    let inner_ip = networks
        .and_then(|networks| networks.values().next()?["IPAddress"].as_str())
        .unwrap_or_default();
    Ok(Container {
        node: node.to_owned(),
        name: name_of(container),
        id: container["Id"].as_str().unwrap_or_default().to_owned(),
        instance: label("avishkar.instance")?.to_owned(),
        slot: label("avishkar.slot")?.parse()?,
        generation: label("avishkar.generation")?.parse()?,
        host_port,
        address: format!("{ip}:{host_port}"),
        inner: format!("{inner_ip}:{}", inside.trim_end_matches("/tcp")),
        running: container["State"]["Running"] == true,
    })
}
