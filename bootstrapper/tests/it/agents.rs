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
use rollout::platform::AGENT_PORT;
use testkit::MemoryParts;
use testkit::hosts::{Health, machine_programs as engine};
use testkit::machines::inside;

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
    /// Those that answer, and this one where other machines reach it.
    fn of(&self, agent: &Agent) -> Result<(&MemoryParts, Agent), Error> {
        let silent = || Error::Unreachable { node: agent.node.clone(), source: "refused".into() };
        let (machine, inside) = self.reached(agent).ok_or_else(silent)?;
        let runs = self.world.is_there(&agent.node)
            && self.world.hosts.with(&machine, |system| {
                system.health != Health::Off && engine::running_agent(system).is_some()
            });
        if runs { Ok((&self.world.parts, inside)) } else { Err(silent()) }
    }

    /// Where one signs in to the machine that a call from this computer comes to, if it comes to any, and its agent as
    /// other machines reach it.
    fn reached(&self, agent: &Agent) -> Option<(String, Agent)> {
        if !agent.address.ip().is_loopback() {
            let machine = agent.address.ip().to_string();
            return (!self.world.is_behind_gates).then(|| (machine, agent.clone()));
        }
        let (gate, address) = self.world.hosts.leads(agent.address)?;
        let is_its_own = address == (inside(gate.parse().unwrap()), AGENT_PORT).into();
        is_its_own.then(|| (gate, Agent { address, ..agent.clone() }))
    }

    fn machine_of(&self, agent: &Agent) -> String {
        self.reached(agent).unwrap().0
    }

    /// What an agent keeps of what it was told.
    pub(crate) fn note(&self, agent: &Agent) {
        let parts = &self.world.parts;
        let told = parts.parts_of(&agent.node).into_iter().filter_map(|part| {
            let spec = parts.told(&agent.node, &part.name)?;
            Some((part.name.to_string(), serde_json::json!({"epoch": 0, "spec": spec})))
        });
        let told: serde_json::Map<_, _> = told.collect();
        let ledger =
            serde_json::json!({"schema": 2, "epochs": {}, "containers": {}, "parts": told});
        let machine = self.machine_of(agent);
        self.world.hosts.with(&machine, |system| {
            engine::put(system, LEDGER, &ledger.to_string());
        });
    }

    /// A lifecycle manager that was given something else begins anew with it; that its agent sees.
    async fn take_what_is_given(&self, agent: &Agent, inside: &Agent) -> Result<(), Error> {
        let machine = self.machine_of(agent);
        let given = self
            .world
            .hosts
            .with(&machine, |system| system.files.get(GIVEN).map(|file| file.bytes.to_vec()));
        let Some(given) = given else { return Ok(()) };
        let before = self.world.taken.lock().unwrap().insert(agent.node.clone(), given.clone());
        if before.is_none_or(|before| before != given) {
            let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
            let manager = "lifecycle-manager".parse().unwrap();
            self.world.parts.restart_part(inside, leader, &manager).await?;
            if let Some(wrong) = self.world.wrong.lock().unwrap().get(&agent.node) {
                let is_wrong = String::from_utf8_lossy(&given).contains(wrong.as_str());
                self.world.parts.set_healthy(&agent.node, &manager, !is_wrong);
            }
        }
        Ok(())
    }

    /// What was loaded into the machine's engine.
    pub(crate) fn load(&self, agent: &Agent, image: &PartImage) {
        let PartImage::Id(id) = image else { return };
        let machine = self.machine_of(agent);
        let names = self.world.names_in(&machine, "/var/lib/docker/images");
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
        let (parts, inside) = self.of(agent)?;
        self.load(agent, &spec.image);
        let part = parts.ensure_part(&inside, issuer, spec).await?;
        self.note(agent);
        Ok(part)
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        let (parts, inside) = self.of(agent)?;
        parts.remove_part(&inside, issuer, removal).await
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        let (parts, inside) = self.of(agent)?;
        parts.restart_part(&inside, issuer, name).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        let (parts, inside) = self.of(agent)?;
        self.take_what_is_given(agent, &inside).await?;
        self.replace_one().await;
        parts.parts(&inside).await
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        let (parts, inside) = self.of(agent)?;
        parts.part_logs(&inside, name, tail).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        let (parts, inside) = self.of(agent)?;
        parts.images(&inside).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let (parts, inside) = self.of(agent)?;
        self.load(agent, image);
        parts.push_image(&inside, issuer, image, repository).await
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: std::net::SocketAddr,
    ) -> Result<(), Error> {
        let (parts, inside) = self.of(agent)?;
        parts.registry_at(&inside, issuer, registry).await
    }
}
