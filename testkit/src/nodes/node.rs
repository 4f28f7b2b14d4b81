//! One simulated node: the rules of its agent.

use std::collections::{BTreeMap, VecDeque};

use common::failure::{Failure, FailureCode};
use common::id::Epoch;
use common::name::{ContainerName, NodeName};
use common::port::Containers as _;
use common::port::container::{Container, ContainerSpec};
use common::port::containers;
use common::port::disk::{Disk, Needs, Pin};
use common::port::nodes::{Agent, EndedIll, Error, Issuer, NodeUse, Removal};
use common::service::ServiceName;

use super::Reach;
use crate::containers::MemoryContainers;

/// What a node was last told about a name.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) epoch: Epoch,
    pub(super) spec: ContainerSpec,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) agent: Agent,
    pub(super) reach: Reach,
    pub(super) engine: MemoryContainers,
    pub(super) epochs: BTreeMap<ServiceName, Epoch>,
    pub(super) ledger: BTreeMap<ContainerName, Told>,
    pub(super) lost_answers: u32,
    pub(super) failures: VecDeque<Failure>,
    pub(super) measured: NodeUse,
    pub(super) uses: BTreeMap<ContainerName, (f64, f64)>,
    pub(super) failed_looks: BTreeMap<ContainerName, u32>,
    pub(super) ended_ill: BTreeMap<ContainerName, EndedIll>,
    /// None of an agent that says nothing of it.
    pub(super) disk: Option<Disk>,
    pub(super) pins: Vec<Pin>,
    pub(super) needs: Option<Needs>,
}

impl Node {
    pub(super) fn new(agent: Agent, engine: MemoryContainers) -> Self {
        let measured = NodeUse {
            cpu_percent: 5.0,
            memory_percent: 10.0,
            disk_percent: 10.0,
            memory_total_bytes: 8 * 1024 * 1024 * 1024,
            cpu_millis_total: 4000,
            memory_promised_bytes: 0,
            cpu_millis_promised: 0,
        };
        Node {
            agent,
            reach: Reach::Up,
            engine,
            epochs: BTreeMap::new(),
            ledger: BTreeMap::new(),
            lost_answers: 0,
            failures: VecDeque::new(),
            measured,
            uses: BTreeMap::new(),
            failed_looks: BTreeMap::new(),
            ended_ill: BTreeMap::new(),
            disk: None,
            pins: Vec::new(),
            needs: None,
        }
    }

    /// Refuses who is not the latest leader of its service.
    pub(super) fn admit(&mut self, issuer: Issuer) -> Result<(), Error> {
        let seen = self.epochs.entry(issuer.service).or_insert(issuer.epoch);
        if *seen > issuer.epoch {
            return Err(Error::StaleEpoch { node: self.agent.node.clone(), seen: *seen });
        }
        *seen = issuer.epoch;
        Ok(())
    }

    /// Writes what was told, unless something newer or something else was told before.
    pub(super) fn note(&mut self, issuer: Issuer, spec: &ContainerSpec) -> Result<(), Error> {
        let name = spec.name();
        let refused = |code, message: &str| Error::Failed {
            node: self.agent.node.clone(),
            failure: Failure::new(code, message),
        };
        if let Some(told) = self.ledger.get(&name) {
            if told.spec.generation > spec.generation {
                return Err(refused(FailureCode::Superseded, "a newer generation was told"));
            }
            let same = (told.epoch, told.spec.generation) == (issuer.epoch, spec.generation);
            if same && told.spec != *spec {
                let message = "the same epoch and generation were told with another content";
                return Err(refused(FailureCode::Internal, message));
            }
        }
        let of_port = self.ledger.values().filter(|told| told.spec.host_port == spec.host_port);
        if of_port.map(|told| told.spec.name()).any(|holder| holder != name) {
            return Err(refused(FailureCode::PortTaken, "another container has this host port"));
        }
        self.ledger.insert(name, Told { epoch: issuer.epoch, spec: spec.clone() });
        Ok(())
    }

    /// What was told and is not there.
    pub(super) fn not_made(&self, made: &[Container]) -> Vec<Container> {
        let is_there = |name: &ContainerName| made.iter().any(|one| one.name == *name);
        let missing = self.ledger.iter().filter(|(name, _)| !is_there(name));
        missing.map(|(_, told)| Container::not_made(&told.spec, told.epoch)).collect()
    }

    pub(super) fn holds_newer_than(&self, removal: &Removal) -> bool {
        let containers = self.engine.containers();
        let newer =
            |held: &Container| held.name == removal.name && held.generation > removal.generation;
        self.ledger.get(&removal.name).is_some_and(|told| told.spec.generation > removal.generation)
            || containers.iter().any(newer)
    }
}

/// Makes what was told run; pulls its image if it is missing.
pub(super) async fn make_run(
    engine: &MemoryContainers,
    told: &Told,
) -> Result<Container, containers::Error> {
    if !engine.has_image(&told.spec.image).await? {
        engine.pull(&told.spec.image).await?;
    }
    engine.ensure_running(&told.spec, told.epoch).await
}

/// After a power cut. What cannot be brought back stays away, as on a real node.
pub(super) async fn bring_back(engine: &MemoryContainers, told: &Told) {
    drop(make_run(engine, told).await);
}

pub(super) fn failed(node: &NodeName, err: &containers::Error) -> Error {
    Error::Failed { node: node.clone(), failure: err.to_failure() }
}
