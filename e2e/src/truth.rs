//! What is true, read independently of the platform: Docker on every node, the `ZooKeeper` tree, the
//! edge's live table. And what must hold between them (`reliability.md` 2.1).

use std::collections::{BTreeMap, BTreeSet};

use adapters::zookeeper::{ZkStore, ZooKeeperSettings};
use anyhow::{Context as _, ensure};
use common::port::Store as _;
use common::port::store::Path;
use serde_json::Value;

use crate::cluster::{self, NODES};

/// How many networks without a container a node may keep for the next app.
const KEPT_NETWORKS: usize = 4;

/// One container of the platform on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    pub node: String,
    pub name: String,
    pub instance: String,
    pub slot: u32,
    pub host_port: u16,
    pub running: bool,
}

/// Everything that is true at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pub containers: BTreeSet<Container>,
    /// `/apps/<instance>/instance<n>` and its `ip:port`.
    pub registry: BTreeMap<(String, u32), String>,
    /// Upstreams by instance, as the edge serves them.
    pub routes: BTreeMap<String, BTreeSet<String>>,
    /// Front ports by instance, as the edge serves them.
    pub front_ports: BTreeMap<String, u16>,
    /// Leased host ports that are not in quarantine: `(node, port)` and the instance.
    pub leases: BTreeMap<(String, u16), String>,
    /// The replicas that deployment records want.
    pub slots: BTreeSet<(String, u32)>,
    pub networks: usize,
}

/// Looks at every node, the tree and the edge.
pub async fn read() -> anyhow::Result<Truth> {
    let mut truth = Truth::default();
    for node in NODES {
        containers_of(node, &mut truth).await?;
    }
    let store = ZkStore::connect(&ZooKeeperSettings::new("127.0.0.1:2181"))?;
    store.sync().await?;
    registry(&store, &mut truth).await?;
    leases(&store, &mut truth).await?;
    slots(&store, &mut truth).await?;
    table(&mut truth).await?;
    Ok(truth)
}

async fn containers_of(node: &str, truth: &mut Truth) -> anyhow::Result<()> {
    let listed = ["docker", "ps", "-a", "-q", "--no-trunc", "--filter", "label=avishkar.platform"];
    let ids = cluster::exec(node, &listed).await?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if !ids.is_empty() {
        let mut inspect = vec!["docker", "inspect"];
        inspect.extend(&ids);
        let found: Vec<Value> = serde_json::from_str(&cluster::exec(node, &inspect).await?)?;
        for container in &found {
            truth.containers.insert(one(node, container)?);
        }
    }
    let networks = ["docker", "network", "ls", "-q", "--filter", "name=^avishkar_"];
    truth.networks += cluster::exec(node, &networks).await?.lines().count();
    Ok(())
}

fn one(node: &str, container: &Value) -> anyhow::Result<Container> {
    let label = |name: &str| container["Config"]["Labels"][name].as_str().map(str::to_owned);
    let bindings = container["HostConfig"]["PortBindings"].as_object();
    let port = bindings
        .and_then(|ports| ports.values().next())
        .and_then(|list| list[0]["HostPort"].as_str());
    Ok(Container {
        node: node.to_owned(),
        name: container["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
        instance: label("avishkar.instance").context("a container has no instance")?,
        slot: label("avishkar.slot").context("a container has no slot")?.parse()?,
        host_port: port.context("a container has no host port")?.parse()?,
        running: container["State"]["Running"] == true,
    })
}

async fn registry(store: &ZkStore, truth: &mut Truth) -> anyhow::Result<()> {
    let apps: Path = "/apps".parse()?;
    for instance in store.children(&apps).await? {
        let folder = apps.join(&instance)?;
        for name in store.children(&folder).await? {
            let slot: u32 = name.trim_start_matches("instance").parse()?;
            if let Some(entry) = store.get(&folder.join(&name)?).await? {
                let address = String::from_utf8(entry.value.to_vec())?;
                truth.registry.insert((instance.clone(), slot), address);
            }
        }
    }
    Ok(())
}

async fn leases(store: &ZkStore, truth: &mut Truth) -> anyhow::Result<()> {
    for node in NODES {
        let folder: Path = format!("/avishkar/ports/{node}").parse()?;
        for port in store.children(&folder).await? {
            let Some(entry) = store.get(&folder.join(&port)?).await? else { continue };
            let lease: Value = serde_json::from_slice(&entry.value)?;
            if lease["released_at"].is_null() {
                let instance = lease["instance"].as_str().unwrap_or_default().to_owned();
                truth.leases.insert((node.to_owned(), port.parse()?), instance);
            }
        }
    }
    Ok(())
}

async fn slots(store: &ZkStore, truth: &mut Truth) -> anyhow::Result<()> {
    let folder: Path = "/avishkar/deployments".parse()?;
    for shard in store.children(&folder).await? {
        let shard = folder.join(&shard)?;
        for name in store.children(&shard).await? {
            let Some(entry) = store.get(&shard.join(&name)?).await? else { continue };
            let deployment: Value = serde_json::from_slice(&entry.value)?;
            for slot in deployment["slots"].as_array().into_iter().flatten() {
                let number = slot["number"].as_u64().context("a slot has no number")?;
                truth.slots.insert((name.clone(), u32::try_from(number)?));
            }
        }
    }
    Ok(())
}

async fn table(truth: &mut Truth) -> anyhow::Result<()> {
    let text = cluster::exec("edge", &["cat", "/var/lib/avishkar/edge/table.json"]).await?;
    let table: Value = serde_json::from_str(&text)?;
    for route in table["routes"].as_array().into_iter().flatten() {
        let instance = route["instance"].as_str().context("a route has no instance")?.to_owned();
        let port = route["front_port"].as_u64().context("a route has no front port")?;
        truth.front_ports.insert(instance.clone(), u16::try_from(port)?);
        let upstreams = route["upstreams"].as_array().into_iter().flatten();
        let addresses = upstreams.filter_map(|upstream| {
            Some(format!("{}:{}", upstream["ip"].as_str()?, upstream["port"].as_u64()?))
        });
        truth.routes.insert(instance, addresses.collect());
    }
    Ok(())
}

impl Truth {
    /// I2, I3, I5: containers, registry, leases, upstreams and wanted replicas are the same set.
    pub fn is_consistent(&self) -> anyhow::Result<()> {
        let containers: BTreeSet<(String, u32)> = self
            .containers
            .iter()
            .map(|container| (container.instance.clone(), container.slot))
            .collect();
        ensure!(
            containers.len() == self.containers.len(),
            "a replica has two containers: {:?}",
            self.containers
        );
        let stopped: Vec<_> =
            self.containers.iter().filter(|container| !container.running).collect();
        ensure!(stopped.is_empty(), "these do not run: {stopped:?}");
        ensure!(
            containers == self.slots,
            "containers {containers:?} are not the slots {:?}",
            self.slots
        );
        let registered: BTreeSet<(String, u32)> = self.registry.keys().cloned().collect();
        ensure!(
            containers == registered,
            "containers {containers:?} are not the registry {registered:?}"
        );
        let ports: BTreeSet<(String, u16)> = self
            .containers
            .iter()
            .map(|container| (container.node.clone(), container.host_port))
            .collect();
        let leased: BTreeSet<(String, u16)> = self.leases.keys().cloned().collect();
        ensure!(ports == leased, "host ports {ports:?} are not the leases {leased:?}");
        let upstreams: BTreeSet<&String> = self.routes.values().flatten().collect();
        let addresses: BTreeSet<&String> = self.registry.values().collect();
        ensure!(
            upstreams == addresses,
            "upstreams {upstreams:?} are not the registry {addresses:?}"
        );
        let fronts: BTreeSet<u16> = self.front_ports.values().copied().collect();
        ensure!(
            fronts.len() == self.front_ports.len(),
            "two instances have one front port: {:?}",
            self.front_ports
        );
        Ok(())
    }

    /// Nothing of any app is left, but for the few networks that each node keeps ready.
    pub fn is_empty(&self) -> anyhow::Result<()> {
        let rest = Truth { networks: 0, ..self.clone() };
        ensure!(rest == Truth::default(), "something is left over: {self:?}");
        ensure!(self.networks <= NODES.len() * KEPT_NETWORKS, "too many networks: {self:?}");
        Ok(())
    }
}
