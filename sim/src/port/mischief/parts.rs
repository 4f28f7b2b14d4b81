//! Careless agents of parts.

use common::id::Epoch;
use common::name::PartName;
use common::port::container::ContainerState;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartRemoval, PartSpec};
use common::port::{Containers as _, Parts as _};
use jiff::Timestamp;

use crate::gate::Gate;
use crate::plant::Plant;

/// The epoch that the agent would rather hear.
fn flattered(gate: &Gate, agent: &Agent, issuer: Issuer) -> Issuer {
    if !gate.world.has(Plant::PartsTakeStaleEpochs) {
        return issuer;
    }
    let seen = gate.world.truth.fleet.parts.seen_epoch(&agent.node).unwrap_or(Epoch(0));
    Issuer { epoch: issuer.epoch.max(seen), ..issuer }
}

pub(in crate::port) async fn ensure_part(
    gate: &Gate,
    agent: &Agent,
    issuer: Issuer,
    spec: &PartSpec,
) -> Result<Part, Error> {
    let parts = &gate.world.truth.fleet.parts;
    parts.ensure_part(agent, flattered(gate, agent, issuer), spec).await
}

pub(in crate::port) async fn remove_part(
    gate: &Gate,
    agent: &Agent,
    issuer: Issuer,
    removal: &PartRemoval,
) -> Result<(), Error> {
    let truth = &gate.world.truth;
    if gate.world.has(Plant::PartsRemoveNothing) {
        return Ok(());
    }
    let removed =
        truth.fleet.parts.remove_part(agent, flattered(gate, agent, issuer), removal).await;
    if removed.is_ok() && gate.world.has(Plant::PartsTakeApps) {
        let engine = truth.nodes.engine(&agent.node);
        for container in engine.containers() {
            // An engine that is not well keeps what it has.
            drop(engine.ensure_absent(&container.name).await);
        }
    }
    removed
}

pub(in crate::port) async fn restart_part(
    gate: &Gate,
    agent: &Agent,
    issuer: Issuer,
    name: &PartName,
) -> Result<Part, Error> {
    let parts = &gate.world.truth.fleet.parts;
    parts.restart_part(agent, flattered(gate, agent, issuer), name).await
}

pub(in crate::port) fn listed_parts(gate: &Gate, mut parts: Vec<Part>) -> Vec<Part> {
    for part in &mut parts {
        let runs = matches!(part.state, ContainerState::Running { .. });
        if runs && gate.world.has(Plant::PartsHideRestarts) {
            part.state = ContainerState::Running { since: Timestamp::UNIX_EPOCH };
        }
    }
    parts
}
