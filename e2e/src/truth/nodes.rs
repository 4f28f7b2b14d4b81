//! What each node's own Docker engine and kernel say.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

use super::parts::Part;
use crate::sources::Place;

/// The container of an agent, which nobody but the bootstrapper and lifecycle managers made.
const AGENT: &str = "avishkar-agent";
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
    /// What of the platform itself runs on it, or should.
    pub(super) parts: Vec<Part>,
    /// Names of containers that do not carry the platform's label: a build's, or a stranger's.
    pub(super) unlabelled: BTreeSet<String>,
    /// Ports of the leasable range on which something listens.
    pub(super) listeners: Vec<u16>,
    pub(super) networks: usize,
}

/// Looks at one node.
pub(super) async fn look(node: &Place) -> anyhow::Result<Node> {
    let listing = async {
        let ids = node.exec(&["docker", "ps", "-a", "-q", "--no-trunc"]).await?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return anyhow::Ok(Vec::new());
        }
        let mut inspect = vec!["docker", "inspect"];
        inspect.extend(&ids);
        Ok(serde_json::from_str::<Vec<Value>>(&node.exec(&inspect).await?)?)
    };
    let networks = ["docker", "network", "ls", "-q", "--filter", "name=^avishkar_"];
    let (found, networks, listeners) =
        futures::try_join!(listing, node.exec(&networks), node.exec(&["ss", "-Hltn"]))?;
    let mut seen = Node { networks: networks.lines().count(), ..Node::default() };
    for container in &found {
        let labels = &container["Config"]["Labels"];
        if let Some(part) = labels["avishkar.part"].as_str() {
            let (name, running) = (part.to_owned(), container["State"]["Running"] == true);
            seen.parts.push(Part { node: node.name.clone(), name, running });
        } else if labels["avishkar.platform"].is_string() {
            seen.containers.insert(one(node, container)?);
        } else if name_of(container) != AGENT {
            seen.unlabelled.insert(format!("{}:{}", node.name, name_of(container)));
        }
    }
    let ports = listeners
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3)?.rsplit(':').next()?.parse::<u16>().ok());
    seen.listeners = ports.filter(|port| LEASABLE.contains(port)).collect();
    seen.listeners.sort_unstable();
    Ok(seen)
}

fn name_of(container: &Value) -> String {
    container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned()
}

fn one(node: &Place, container: &Value) -> anyhow::Result<Container> {
    let label = |name: &str| {
        let text = container["Config"]["Labels"][name].as_str();
        text.with_context(|| format!("a container on {} has no label {name}", node.name))
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
        node: node.name.clone(),
        name: name_of(container),
        id: container["Id"].as_str().unwrap_or_default().to_owned(),
        instance: label("avishkar.instance")?.to_owned(),
        slot: label("avishkar.slot")?.parse()?,
        generation: label("avishkar.generation")?.parse()?,
        host_port,
        address: format!("{}:{host_port}", node.address),
        inner: format!("{inner_ip}:{}", inside.trim_end_matches("/tcp")),
        running: container["State"]["Running"] == true,
    })
}
