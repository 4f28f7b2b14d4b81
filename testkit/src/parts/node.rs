//! One simulated node: the rules of its agent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::id::Epoch;
use common::name::{PartName, ShareName};
use common::port::PartContainers as _;
use common::port::container::ContainerState;
use common::port::containers;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::part_containers::PartSite;
use common::service::ServiceName;

use crate::nodes::Reach;
use crate::part_containers::MemoryPartContainers;

/// What a node was last told about a part.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) epoch: Epoch,
    pub(super) spec: PartSpec,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) agent: Agent,
    pub(super) reach: Reach,
    pub(super) delay: Duration,
    pub(super) engine: MemoryPartContainers,
    pub(super) epochs: BTreeMap<ServiceName, Epoch>,
    pub(super) ledger: BTreeMap<PartName, Told>,
    pub(super) registry: Option<SocketAddr>,
    pub(super) shares: BTreeSet<ShareName>,
    pub(super) health: BTreeMap<PartName, bool>,
    /// Those that take no part in their ensemble.
    pub(super) apart: BTreeSet<PartName>,
    pub(super) lost_answers: u32,
    pub(super) failures: VecDeque<Failure>,
}

impl Node {
    pub(super) fn new(agent: Agent, engine: MemoryPartContainers) -> Self {
        Node {
            agent,
            reach: Reach::Up,
            delay: Duration::ZERO,
            engine,
            epochs: BTreeMap::new(),
            ledger: BTreeMap::new(),
            registry: None,
            shares: BTreeSet::new(),
            health: BTreeMap::new(),
            apart: BTreeSet::new(),
            lost_answers: 0,
            failures: VecDeque::new(),
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

    /// Writes what was told, unless something newer or something else was told before; gives what stood there.
    pub(super) fn note(&mut self, issuer: Issuer, spec: &PartSpec) -> Result<Option<Told>, Error> {
        if let Some(told) = self.ledger.get(&spec.name) {
            if told.spec.generation > spec.generation {
                return Err(self.refused(FailureCode::Superseded, "a newer generation was told"));
            }
            let same = (told.epoch, told.spec.generation) == (issuer.epoch, spec.generation);
            if same && told.spec != *spec && issuer.epoch > Epoch(0) {
                let message = "the same epoch and generation were told with another content";
                return Err(self.refused(FailureCode::Internal, message));
            }
        }
        let told = Told { epoch: issuer.epoch, spec: spec.clone() };
        Ok(self.ledger.insert(spec.name.clone(), told))
    }

    pub(super) fn refused(&self, code: FailureCode, message: &str) -> Error {
        Error::Failed { node: self.agent.node.clone(), failure: Failure::new(code, message) }
    }

    /// What is built of code on a share that the node was told of is there from now on.
    pub(super) fn build(&self, image: &PartImage) -> Result<(), Error> {
        let PartImage::Built(code) = image else { return Ok(()) };
        if !self.shares.contains(&code.share) {
            let message = format!("this machine knows of no share {}", code.share);
            return Err(self.refused(FailureCode::ShareUnknown, &message));
        }
        self.engine.place_image(image);
        Ok(())
    }

    pub(super) fn holds_newer_than(&self, removal: &PartRemoval) -> bool {
        let newer = |held: &Part| held.name == removal.name && held.generation > removal.generation;
        self.ledger.get(&removal.name).is_some_and(|told| told.spec.generation > removal.generation)
            || self.engine.parts().iter().any(newer)
    }

    /// What the agent says of the engine's parts.
    pub(super) fn told(&self, parts: Vec<Part>) -> Vec<Part> {
        let told = |part: Part| {
            let running = matches!(part.state, ContainerState::Running { .. });
            let scripted = self.health.get(&part.name).copied().unwrap_or(true);
            let restarts = self.engine.starts(&part.name).saturating_sub(1);
            let apart = running && scripted && self.apart.contains(&part.name);
            Part { healthy: running.then_some(scripted), apart, restarts, ..part }
        };
        parts.into_iter().map(told).collect()
    }
}

/// Makes what was told run; fetches its image if it is missing.
pub(super) async fn make_run(
    engine: &MemoryPartContainers,
    epoch: Epoch,
    spec: &PartSpec,
) -> Result<Part, containers::Error> {
    engine.fetch_image(&spec.image).await?;
    engine.ensure_part_running(spec, epoch, &PartSite::default()).await
}
