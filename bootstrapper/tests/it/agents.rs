//! Nodes' agents, on the machines of a world.

use std::sync::Arc;

use async_trait::async_trait;
use bootstrapper::ports::Agents;
use common::digest::ImageRef;
use common::id::Epoch;
use common::name::PartName;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{Authority, Cause, Parts};
use common::service::ServiceName;
use testkit::MemoryParts;
use testkit::hosts::{Health, machine_programs as engine};

use crate::power::{Power, Powered};
use crate::world::World;

/// Where an agent keeps what it was told.
pub(crate) const LEDGER: &str = "/var/lib/avishkar/agent/ledger.json";
/// Where a lifecycle manager is given what opens shares.
pub(crate) const GIVEN: &str =
    "/var/lib/avishkar/agent/parts/lifecycle-manager/volumes/lifecycle-manager/credentials.json";

/// An agent answers where its container runs, and trusts whoever its machine's authority vouches for.
#[derive(Debug, Clone)]
pub(crate) struct AgentsOnMachines {
    pub(crate) world: World,
    pub(crate) power: Power,
}

impl Agents for AgentsOnMachines {
    fn trusting(&self, _: &dyn Authority) -> Result<Arc<dyn Parts>, Cause> {
        let parts: Arc<dyn Parts> = Arc::new(self.clone());
        Ok(Arc::new(Powered::new(&self.power, parts)))
    }
}

impl AgentsOnMachines {
    fn of(&self, agent: &Agent) -> Result<&MemoryParts, Error> {
        let address = agent.address.ip().to_string();
        let runs = self.world.is_there(&agent.node)
            && self.world.hosts.with(&address, |system| {
                system.health != Health::Off && engine::running_agent(system).is_some()
            });
        let silent = || Error::Unreachable { node: agent.node.clone(), source: "refused".into() };
        if runs { Ok(&self.world.parts) } else { Err(silent()) }
    }

    /// What an agent keeps of what it was told.
    fn note(&self, agent: &Agent) {
        let parts = &self.world.parts;
        let told = parts.parts_of(&agent.node).into_iter().filter_map(|part| {
            let spec = parts.told(&agent.node, &part.name)?;
            Some((part.name.to_string(), serde_json::json!({"epoch": 0, "spec": spec})))
        });
        let told: serde_json::Map<_, _> = told.collect();
        let ledger =
            serde_json::json!({"schema": 2, "epochs": {}, "containers": {}, "parts": told});
        self.world.hosts.with(&agent.address.ip().to_string(), |system| {
            engine::put(system, LEDGER, &ledger.to_string());
        });
    }

    /// A lifecycle manager that was given something else begins anew with it; that its agent sees.
    async fn take_what_is_given(&self, agent: &Agent) -> Result<(), Error> {
        let given = self.world.hosts.with(&agent.address.ip().to_string(), |system| {
            system.files.get(GIVEN).map(|file| file.bytes.to_vec())
        });
        let Some(given) = given else { return Ok(()) };
        let before = self.world.taken.lock().unwrap().insert(agent.node.clone(), given.clone());
        if before.is_none_or(|before| before != given) {
            let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
            let manager = "lifecycle-manager".parse().unwrap();
            self.world.parts.restart_part(agent, leader, &manager).await?;
        }
        Ok(())
    }

    /// What was loaded into the machine's engine.
    fn load(&self, agent: &Agent, image: &PartImage) {
        let PartImage::Id(id) = image else { return };
        let names = self.world.names_in(&agent.address.ip().to_string(), "/var/lib/docker/images");
        if names.contains(&id.to_string()) {
            self.world.parts.place_image(&agent.node, image);
        }
    }
}

#[async_trait]
impl Parts for AgentsOnMachines {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error> {
        let parts = self.of(agent)?;
        self.load(agent, &spec.image);
        let part = parts.ensure_part(agent, issuer, spec).await?;
        self.note(agent);
        Ok(part)
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        self.of(agent)?.remove_part(agent, issuer, removal).await
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        self.of(agent)?.restart_part(agent, issuer, name).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        let parts = self.of(agent)?;
        self.take_what_is_given(agent).await?;
        parts.parts(agent).await
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        self.of(agent)?.part_logs(agent, name, tail).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        self.of(agent)?.images(agent).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let parts = self.of(agent)?;
        self.load(agent, image);
        parts.push_image(agent, issuer, image, repository).await
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: std::net::SocketAddr,
    ) -> Result<(), Error> {
        self.of(agent)?.registry_at(agent, issuer, registry).await
    }
}
