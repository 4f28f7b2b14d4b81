//! Careless agents.

use std::net::SocketAddr;

use common::id::Epoch;
use common::port::container::{Container, ContainerSpec, ContainerState};
use common::port::nodes::{Agent, Error, Issuer, Removal, Sample};
use common::port::{Containers as _, Nodes as _};
use jiff::SignedDuration;
use testkit::MemoryNodes;

use super::now_and_then;
use crate::gate::Gate;
use crate::plant::Plant;
use crate::script::app;
use crate::user::image;
use crate::world::runs;

/// A release that can be pulled, and that nobody asks for.
const ELSE: u32 = 60;

/// The epoch that the agent would rather hear.
fn flattered(gate: &Gate, nodes: &MemoryNodes, agent: &Agent, issuer: Issuer) -> Issuer {
    if !gate.world.has(Plant::NodesTakeStaleEpochs) {
        return issuer;
    }
    let seen = nodes.seen_epoch(&agent.node, issuer.service).unwrap_or(Epoch(0));
    Issuer { epoch: issuer.epoch.max(seen), ..issuer }
}

pub(in crate::port) async fn ensure(
    gate: &Gate,
    agent: &Agent,
    issuer: Issuer,
    spec: &ContainerSpec,
) -> Result<Container, Error> {
    let nodes = &gate.world.truth.nodes;
    if gate.world.has(Plant::NodesAdoptByName) {
        let there = nodes.list(agent).await?;
        let same = |one: &Container| one.name == spec.name();
        if there.iter().all(|one| !same(one)) && now_and_then(gate, 6) {
            // Somebody runs something else under that name.
            let image = image(&app(1), ELSE);
            let other = ContainerSpec { image, ..spec.clone() };
            nodes.ensure(agent, issuer, &other).await?;
        }
        if let Some(found) = nodes.list(agent).await?.into_iter().filter(runs).find(same) {
            return Ok(found);
        }
    }
    nodes.ensure(agent, flattered(gate, nodes, agent, issuer), spec).await
}

pub(in crate::port) async fn remove(
    gate: &Gate,
    agent: &Agent,
    issuer: Issuer,
    removal: &Removal,
) -> Result<(), Error> {
    let nodes = &gate.world.truth.nodes;
    if gate.world.has(Plant::NodesRemoveNothing) && agent.node.as_str().ends_with('2') {
        return Ok(());
    }
    let removed = nodes.remove(agent, flattered(gate, nodes, agent, issuer), removal).await;
    if removed.is_ok() && gate.world.has(Plant::NodesRemoveMore) && now_and_then(gate, 4) {
        let served = |one: &Container| {
            let address = SocketAddr::new(agent.address.ip(), one.host_port);
            let table = gate.world.truth.edge.table();
            let mut rows = table.iter().flat_map(|table| &table.routes);
            rows.any(|row| row.upstreams.iter().any(|upstream| upstream.address() == address))
        };
        if let Some(other) = nodes.containers(&agent.node).into_iter().find(served) {
            let engine = nodes.engine(&agent.node);
            // An engine that is not well keeps what it has.
            drop(engine.ensure_absent(&other.name).await);
        }
    }
    removed
}

pub(in crate::port) fn listed(gate: &Gate, mut containers: Vec<Container>) -> Vec<Container> {
    if gate.world.has(Plant::NodesHideOrphans) {
        let newest = containers.iter().max_by_key(|one| one.epoch).map(|one| one.epoch);
        let half = now_and_then(gate, 2);
        containers.retain(|one| Some(one.epoch) == newest && half);
    }
    if gate.world.has(Plant::EndsAreInvented) && now_and_then(gate, 10) {
        for container in &mut containers {
            if let ContainerState::Running { since } = &mut container.state {
                *since += SignedDuration::from_secs(1);
            }
        }
    }
    containers
}

pub(in crate::port) fn sampled(gate: &Gate, sample: &mut Sample) {
    for measured in sample.containers.iter_mut().filter_map(|one| one.measured.as_mut()) {
        if gate.world.has(Plant::NonsenseIsLoad) {
            measured.cpu_percent = measured.cpu_percent.abs();
        }
        if gate.world.has(Plant::MemoryIsProcessor) {
            std::mem::swap(&mut measured.cpu_percent, &mut measured.memory_percent);
        }
    }
}
