//! The node agent on this machine's Docker engine and packet filter.

use std::path::Path;
use std::sync::Arc;

use adapters::docker::{self, DockerContainers};
use adapters::firewall::{self, ContainerFirewall};
use adapters::{AgentClient, KnownShares};
use anyhow::Context as _;
use async_trait::async_trait;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::agent::{Consent, Consented};
use common::port::Cause;
use common::port::nodes::Agent;
use common::service::ServiceName;
use node_agent::config::{
    Raw, RawApps, RawBlobs, RawDocker, RawFirewall, RawImages, RawMeter, RawNode, RawParts,
    RawRegistry, RawShares,
};
use node_agent::ports::{Firewall, Neighbours, Rules};
use node_agent::{Config, NodeAgent, Ports};
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, blobs, nodes, take};

/// `config/node-agent.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    node: RawNode,
    docker: RawDocker,
    registry: RawRegistry,
    apps: RawApps,
    parts: RawParts,
    shares: RawShares,
    blobs: RawBlobs,
    firewall: RawFirewall,
    meter: RawMeter,
    images: RawImages,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::NodeAgent;
    const DEFAULTS: &'static str = include_str!("../../../config/node-agent.toml");
    type Meant = Config;

    fn resolve(self) -> Result<(Frame, Config), Vec<Problem>> {
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let own = Raw {
            node: self.node,
            docker: self.docker,
            registry: self.registry,
            apps: self.apps,
            parts: self.parts,
            shares: self.shares,
            blobs: self.blobs,
            firewall: self.firewall,
            meter: self.meter,
            images: self.images,
        };
        let config = take(own.resolve(), &mut problems);
        match (http, config) {
            (Some(http), Some(config)) if problems.is_empty() => {
                Ok((Frame { http, telemetry: self.telemetry }, config))
            }
            _ => Err(problems),
        }
    }

    async fn connect(config: Config, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let client = AgentClient::new(&identity.ca, &identity.client_pem());
        let others = Others(client.context("the agent's certificate is not usable")?);
        Ok(Arc::new(make(config, Arc::new(Iptables), Arc::new(others), None)?))
    }
}

/// The agent of this machine, for callers of the same process too; `home` is the folder of a platform that is
/// on this machine alone.
pub(crate) fn make(
    config: Config,
    firewall: Arc<dyn Firewall>,
    neighbours: Arc<dyn Neighbours>,
    home: Option<&Path>,
) -> anyhow::Result<NodeAgent> {
    let subnets = config.subnets.parse().context("docker.subnets is not a range of addresses")?;
    let settings = docker::Settings {
        socket: config.socket.clone(),
        host_ip: config.ip,
        subnets,
        build_env: config.build_env_folder.clone(),
        registry: config.registry.clone(),
        home: home.map(|home| home.display().to_string()),
    };
    let engine = Arc::new(DockerContainers::new(settings));
    let clock = Arc::new(SystemClock);
    let shares = KnownShares::new(&config.shares_folder, &config.shares_root, clock.clone());
    let ports = Ports {
        containers: Arc::clone(&engine) as _,
        parts: engine,
        shares: Arc::new(shares),
        blobs: blobs::open(&config.blobs_folder())?,
        firewall,
        neighbours,
        clock,
    };
    NodeAgent::open(ports, config).context("the ledger cannot be opened")
}

/// The machine's packet filter as this user can reach it: root by itself, others by a container.
pub(crate) fn firewall(socket: &Path, image: &str) -> anyhow::Result<Arc<dyn Firewall>> {
    if rustix::process::geteuid().is_root() {
        return Ok(Arc::new(Iptables));
    }
    Ok(Arc::new(InContainer(ContainerFirewall::new(socket, image)?)))
}

/// Takes down what [`firewall()`] put up.
pub(crate) async fn remove_firewall(socket: &Path, image: &str) -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(firewall::remove().await?);
    }
    Ok(ContainerFirewall::new(socket, image)?.remove().await?)
}

fn as_adapters(rules: &Rules) -> firewall::Rules {
    let deny = rules.deny.iter().map(ToString::to_string).collect();
    firewall::Rules { deny, resolvers: rules.resolvers.clone() }
}

/// The machine's packet filter, for root.
#[derive(Debug)]
struct Iptables;

#[async_trait]
impl Firewall for Iptables {
    async fn apply(&self, rules: &Rules) -> Result<(), Cause> {
        Ok(firewall::apply(&as_adapters(rules)).await?)
    }
}

/// The same, for whoever may use the container engine.
#[derive(Debug)]
struct InContainer(ContainerFirewall);

#[async_trait]
impl Firewall for InContainer {
    async fn apply(&self, rules: &Rules) -> Result<(), Cause> {
        Ok(self.0.apply(&as_adapters(rules)).await?)
    }
}

/// The agents of other machines, asked as one of them.
#[derive(Debug)]
struct Others(AgentClient);

#[async_trait]
impl Neighbours for Others {
    async fn consent(&self, agent: &Agent, asked: &Consent) -> Result<Consented, Cause> {
        Ok(self.0.consent(agent, asked).await?)
    }
}
