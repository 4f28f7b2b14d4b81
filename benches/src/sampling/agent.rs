//! The real agent, over an engine in memory with a thousand containers.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::system::SystemClock;
use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, SlotNumber};
use common::name::LegacyName;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{self, Issuer};
use common::port::{Cause, Clock};
use common::service::ServiceName;
use node_agent::ports::{Alone, Firewall, Rules};
use node_agent::{Config, NodeAgent, Ports};
use testkit::{MemoryBlobs, MemoryContainers, MemoryPartContainers, MemoryRegistry, MemoryShares};

pub(super) const APPS: u32 = 100;
pub(super) const REPLICAS: u32 = 10;
pub(super) const NODE: &str = "node-1";
/// Nobody listens there.
const FIRST_PORT: u16 = 20_000;

/// An agent whose engine is in memory.
pub(super) fn open(data: &Path, groups: &Path) -> anyhow::Result<NodeAgent> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry = MemoryRegistry::default();
    registry.offer(&image()?);
    let ports = Ports {
        containers: Arc::new(MemoryContainers::new(Arc::clone(&clock), registry)),
        parts: Arc::new(MemoryPartContainers::new(Arc::clone(&clock), MemoryRegistry::default())),
        shares: Arc::new(MemoryShares::default()),
        blobs: Arc::new(MemoryBlobs::new()),
        firewall: Arc::new(NoFirewall),
        neighbours: Arc::new(Alone),
        clock,
    };
    Ok(NodeAgent::open(ports, config(data, groups)?)?)
}

#[derive(Debug)]
struct NoFirewall;

#[async_trait]
impl Firewall for NoFirewall {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        Ok(())
    }
}

fn config(data: &Path, cgroups: &Path) -> anyhow::Result<Config> {
    Ok(Config {
        node: NODE.parse()?,
        ip: Ipv4Addr::LOCALHOST.into(),
        data_folder: data.to_owned(),
        socket: data.to_owned(),
        subnets: String::new(),
        build_env_folder: data.to_owned(),
        registry: None,
        relay: None,
        machines_socket: data.to_owned(),
        restart_ill_after: Duration::from_mins(1),
        restart_after: Duration::from_mins(1),
        shares_folder: data.to_owned(),
        shares_root: "/".into(),
        blob_bytes: 1024,
        keep_unused: Duration::from_hours(1),
        build_context_bytes: 1024,
        firewall: None,
        cgroup_folder: cgroups.to_owned(),
        proc_folder: "/proc".into(),
        disk: data.to_owned(),
        clean_above_percent: 100.0,
        clean_until_percent: 100.0,
        keep_newest: 0,
    })
}

/// Has the agent start all of them; their ids.
pub(super) async fn start(agent: &NodeAgent) -> anyhow::Result<Vec<String>> {
    let nodes = agent.local_nodes();
    let node = nodes::Agent { node: NODE.parse()?, address: (Ipv4Addr::LOCALHOST, 1).into() };
    let issuer = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(1) };
    let mut ids = Vec::new();
    for number in 0..APPS {
        for slot in 1..=REPLICAS {
            let spec = spec(number, slot)?;
            ids.push(nodes.ensure(&node, issuer, &spec).await?.id);
        }
    }
    Ok(ids)
}

/// The name of an app.
pub(super) fn app(number: u32) -> anyhow::Result<LegacyName> {
    Ok(format!("app-{number}").parse()?)
}

/// Where a replica is reached.
pub(super) fn port(number: u32, slot: u32) -> anyhow::Result<u16> {
    Ok(FIRST_PORT + u16::try_from(number * REPLICAS + slot)?)
}

fn spec(number: u32, slot: u32) -> anyhow::Result<ContainerSpec> {
    Ok(ContainerSpec {
        instance: app(number)?.as_str().parse()?,
        slot: SlotNumber(slot),
        generation: Generation(1),
        image: image()?,
        container_port: 8080,
        host_port: port(number, slot)?,
        environment: [].into(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    })
}

pub(super) fn image() -> anyhow::Result<ImageRef> {
    Ok(ImageRef::new("example.org/bench", Digest::of(b"bench"))?)
}
