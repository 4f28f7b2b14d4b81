//! The nodes' agents, as who orders parts of the platform talks to them.

use std::net::SocketAddr;

use async_trait::async_trait;
use common::digest::ImageRef;
use common::name::{NodeName, PartName};
use common::port::Parts;
use common::port::container::ContainerState;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use testkit::MemoryParts;

use super::mischief;
use super::nodes::{lost, way};
use crate::call::CallKind;
use crate::fleet::{self, Look, Spot};
use crate::gate::{Call, Gate};
use crate::trace::Essence;

#[derive(Debug)]
pub(crate) struct SimParts {
    gate: Gate,
}

impl SimParts {
    pub(crate) fn new(gate: Gate) -> Self {
        SimParts { gate }
    }

    fn inner(&self) -> &MemoryParts {
        &self.gate.world.truth.fleet.parts
    }

    fn essence(&self, what: std::fmt::Arguments<'_>) -> Essence {
        self.gate.world.essence(what)
    }
}

fn call(kind: CallKind, what: Essence) -> Call<'static> {
    Call { kind, what, step: &|| None }
}

/// An agent has done what it was told, or a part of it.
fn obeyed(gate: &Gate, agent: &Agent, issuer: Issuer, is_done: bool) {
    fleet::attend(&gate.world);
    if is_done {
        gate.world.checker().order_taken(&agent.node, issuer, &gate.life);
    }
}

#[async_trait]
impl Parts for SimParts {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error> {
        let (name, node) = (&spec.name, &agent.node);
        let what = self.essence(format_args!(
            "ensure part {name} of generation {} on {node}, epoch {}",
            spec.generation, issuer.epoch
        ));
        let (gate, agent, spec) = (self.gate.clone(), agent.clone(), spec.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let made = mischief::ensure_part(&gate, &agent, issuer, &spec).await;
            obeyed(&gate, &agent, issuer, made.is_ok());
            made
        };
        self.gate.order(call(CallKind::PartsEnsure, what), lost(node), body).await
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        let (name, node) = (&removal.name, &agent.node);
        let what = self.essence(format_args!(
            "remove part {name} of generation {} from {node}, epoch {}",
            removal.generation, issuer.epoch
        ));
        let (gate, agent, removal) = (self.gate.clone(), agent.clone(), removal.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let removed = mischief::remove_part(&gate, &agent, issuer, &removal).await;
            obeyed(&gate, &agent, issuer, removed.is_ok());
            removed
        };
        self.gate.order(call(CallKind::PartsRemove, what), lost(node), body).await
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        let node = &agent.node;
        let what =
            self.essence(format_args!("restart part {name} on {node}, epoch {}", issuer.epoch));
        let (gate, agent, name) = (self.gate.clone(), agent.clone(), name.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let spot = Spot { node: agent.node.clone(), part: name };
            let restarted = mischief::restart_part(&gate, &agent, issuer, &spot.part).await;
            obeyed(&gate, &agent, issuer, restarted.is_ok());
            if restarted.is_ok() {
                gate.world.checker().part_restarted(&spot, gate.world.stage.now());
            }
            restarted
        };
        self.gate.order(call(CallKind::PartsRestart, what), lost(node), body).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        let node = &agent.node;
        let what = self.essence(format_args!("parts of {node}"));
        let listed = async {
            way(&self.gate, node).await?;
            self.inner().parts(agent).await
        };
        let mut listed = self.gate.ask(CallKind::PartsList, what, lost(node), listed).await?;
        for part in &mut listed {
            part.healthy = self.healthy(node, part);
        }
        Ok(mischief::listed_parts(&self.gate, listed))
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        let what = self.essence(format_args!("output of part {name} on {}", agent.node));
        let logs = self.inner().part_logs(agent, name, tail);
        self.gate.ask(CallKind::PartsList, what, lost(&agent.node), logs).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        let node = &agent.node;
        let what = self.essence(format_args!("images of {node}"));
        let listed = async {
            way(&self.gate, node).await?;
            self.inner().images(agent).await
        };
        self.gate.ask(CallKind::PartsImages, what, lost(node), listed).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let node = &agent.node;
        let what = self.essence(format_args!("push {repository} from {node}"));
        let (gate, agent) = (self.gate.clone(), agent.clone());
        let (image, repository) = (image.clone(), repository.to_owned());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let parts = &gate.world.truth.fleet.parts;
            let pushed = parts.push_image(&agent, issuer, &image, &repository).await;
            obeyed(&gate, &agent, issuer, pushed.is_ok());
            pushed
        };
        self.gate.order(call(CallKind::PartsPush, what), lost(node), body).await
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        let node = &agent.node;
        let what = self.essence(format_args!("tell {node} of the registry at {registry}"));
        let (gate, agent) = (self.gate.clone(), agent.clone());
        let body = move |_| async move {
            way(&gate, &agent.node).await?;
            let parts = &gate.world.truth.fleet.parts;
            let told = parts.registry_at(&agent, issuer, registry).await;
            obeyed(&gate, &agent, issuer, told.is_ok());
            told
        };
        self.gate.order(call(CallKind::PartsRegistry, what), lost(node), body).await
    }
}

impl SimParts {
    /// As the agent saw it at its last look.
    fn healthy(&self, node: &NodeName, part: &Part) -> Option<bool> {
        if !matches!(part.state, ContainerState::Running { .. }) {
            return None;
        }
        let spot = Spot { node: node.clone(), part: part.name.clone() };
        let now = self.gate.world.stage.now();
        let look = self.gate.world.truth.fleet.look(&spot, now)?;
        Some(look == Look::Ready)
    }
}
