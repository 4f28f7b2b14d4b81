//! How nodes' agents are asked from here: at their own addresses, or through their machines' gates where one signs in
//! elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::digest::{Digest, ImageRef};
use common::name::{NodeName, PartName, ShareName};
use common::port::host::{self, Access, ChunkStream, Credential, Forward};
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{Hosts, Parts, share};
use rollout::platform::{PlannedMachine, Platform};
use tokio::sync::Mutex as Turn;

/// Ways through gates that are open.
#[derive(Debug)]
pub(crate) struct Ways {
    hosts: Arc<dyn Hosts>,
    open: Mutex<BTreeMap<NodeName, Arc<Turn<Option<Way>>>>>,
}

#[derive(Debug)]
struct Way {
    access: Access,
    to: SocketAddr,
    forward: Box<dyn Forward>,
}

impl Ways {
    pub(crate) fn of(hosts: &Arc<dyn Hosts>) -> Self {
        Ways { hosts: Arc::clone(hosts), open: Mutex::default() }
    }

    /// The port here that leads there, through this gate. It stays open for the next one who asks.
    async fn to(
        &self,
        node: &NodeName,
        access: &Access,
        to: SocketAddr,
    ) -> Result<SocketAddr, host::Error> {
        let turn = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(open.entry(node.clone()).or_default())
        };
        let mut way = turn.lock().await;
        if let Some(way) = way.as_ref().filter(|way| way.access == *access && way.to == to) {
            return Ok(way.forward.at());
        }
        let forward = self.hosts.connect(access).await?.forward(to).await?;
        let at = forward.at();
        *way = Some(Way { access: access.clone(), to, forward });
        Ok(at)
    }
}

/// Agents of a platform's nodes, as they are reached from here.
#[derive(Debug)]
pub(crate) struct Reached {
    parts: Arc<dyn Parts>,
    ways: Arc<Ways>,
    /// Of machines behind their gates.
    gates: BTreeMap<NodeName, Access>,
}

impl Reached {
    /// `key`: what every machine of the platform lets in by the time its agent is asked.
    pub(crate) fn of(
        platform: &Platform,
        parts: &Arc<dyn Parts>,
        ways: &Arc<Ways>,
        key: &Path,
    ) -> Self {
        let behind = platform.machines.iter().filter(|machine| machine.is_behind_its_gate());
        let gates = behind.filter_map(|machine| Some((machine.name.clone(), gate(machine, key)?)));
        Reached { parts: Arc::clone(parts), ways: Arc::clone(ways), gates: gates.collect() }
    }

    /// The same agent, where it is reached from here.
    async fn reached(&self, agent: &Agent) -> Result<Agent, Error> {
        let Some(access) = self.gates.get(&agent.node) else { return Ok(agent.clone()) };
        let found = self.ways.to(&agent.node, access, agent.address).await;
        let address = found.map_err(|err| {
            let (node, source) = (agent.node.clone(), Box::new(err));
            Error::Unreachable { node, source }
        })?;
        Ok(Agent { address, ..agent.clone() })
    }
}

fn gate(machine: &PlannedMachine, key: &Path) -> Option<Access> {
    let PlannedMachine { gate, user, host_key, .. } = machine.clone();
    let credential = Credential::KeyFile(key.to_owned());
    Some(Access { at: gate?, user, credential, host_key: host_key? })
}

#[async_trait]
impl Parts for Reached {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error> {
        self.parts.ensure_part(&self.reached(agent).await?, issuer, spec).await
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        self.parts.remove_part(&self.reached(agent).await?, issuer, removal).await
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        self.parts.restart_part(&self.reached(agent).await?, issuer, name).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        self.parts.parts(&self.reached(agent).await?).await
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        self.parts.part_logs(&self.reached(agent).await?, name, tail).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        self.parts.images(&self.reached(agent).await?).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        self.parts.push_image(&self.reached(agent).await?, issuer, image, repository).await
    }

    async fn image_archive(&self, agent: &Agent, image: &Digest) -> Result<ChunkStream, Error> {
        self.parts.image_archive(&self.reached(agent).await?, image).await
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        self.parts.registry_at(&self.reached(agent).await?, issuer, registry).await
    }

    async fn share_is(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &ShareName,
        access: &share::Access,
    ) -> Result<(), Error> {
        self.parts.share_is(&self.reached(agent).await?, issuer, name, access).await
    }

    async fn build_code(
        &self,
        agent: &Agent,
        issuer: Issuer,
        code: &share::Code,
    ) -> Result<(), Error> {
        self.parts.build_code(&self.reached(agent).await?, issuer, code).await
    }
}
