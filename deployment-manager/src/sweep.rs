//! Keeps each node free of containers that nobody wants, and lists what is there.
//!
//! A container of ours is wanted exactly by the replica of its instance that has its number, its
//! generation and its node. What a stale leader made, what a dead node brought back, what could not be
//! removed while its node was away: all of it is found here, by label. What was made before an operator
//! accepted another store, and this one knows nothing of, is not judged: it goes on, and is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Refused;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records;
use common::name::{InstanceName, LegacyName, NodeName};
use common::port::container::Container;
use common::port::nodes::{self, Agent, Removal};
use common::port::store;
use common::record::deployment::{Deployment, Goal, Slot, SlotState};
use common::record::path;
use common::record::restored::RestoredRecord;
use futures::stream::{self, StreamExt as _};
use tokio::time::timeout;

use crate::fleet::News;
use crate::records as stored;
use crate::shared::Shared;

const REMOVED_AT_ONCE: usize = 8;
/// What is not there may be on its way: its agent removes it once its image is pulled, and the other containers of the
/// node do not wait for that.
const UNMADE_WITHIN: Duration = Duration::from_secs(5);

/// Why a node could not be swept for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Node(#[from] nodes::Error),
}

/// The reconciler of nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    shared: Arc<Shared>,
}

impl Nodes {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Nodes { shared }
    }

    async fn sweep(&self, agent: &Agent) -> Result<(), Error> {
        let node = &agent.node;
        if !self.shared.fleet.is_announced(node) {
            announce(&self.shared, agent).await?;
        }
        let asked_at = self.shared.ports.clock.now();
        let containers = self.shared.ports.nodes.list(agent).await?;
        for instance in self.shared.fleet.note_listed(node, asked_at, containers.clone()) {
            self.shared.deployments.wake(instance);
        }
        if containers.is_empty() {
            return Ok(());
        }
        // A replica is placed in its record before its container is made, so a record that is read
        // after the listing knows every container in it.
        self.shared.ports.store.sync().await?;
        // One that cannot be removed keeps none of the others.
        let unwanted = self.unwanted(node, containers).await?;
        let removed: Vec<Result<(), Error>> = stream::iter(unwanted)
            .map(|container| async move { self.remove(agent, &container).await })
            .buffer_unordered(REMOVED_AT_ONCE)
            .collect()
            .await;
        removed.into_iter().collect()
    }

    async fn unwanted(
        &self,
        node: &NodeName,
        containers: Vec<Container>,
    ) -> Result<Vec<Container>, Error> {
        let store = self.shared.ports.store.as_ref();
        let restored = records::load::<RestoredRecord>(store, &path::restored()).await?;
        let restored = restored.map(|stored| stored.record);
        let mut deployments: BTreeMap<InstanceName, Option<Deployment>> = BTreeMap::new();
        let (mut unwanted, mut left) = (Vec::new(), BTreeSet::new());
        for container in containers {
            if !deployments.contains_key(&container.instance) {
                let name = LegacyName::from(container.instance.clone());
                let found = stored::deployment(store, &name).await?;
                let found = found.map(|stored| stored.record);
                deployments.insert(container.instance.clone(), found);
            }
            let deployment = deployments.get(&container.instance).and_then(Option::as_ref);
            if deployment.is_some_and(|deployment| wants(deployment, node, &container)) {
                continue;
            }
            if is_left_alone(deployment, restored.as_ref(), &container) {
                left.insert(container.name);
            } else {
                unwanted.push(container);
            }
        }
        if self.shared.fleet.note_left(node, left.clone()) == News::Changed {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            tracing::warn!(%node, containers = %left.join(", "), "the store does not know these containers, which were there when it was accepted: they go on until their instance is deployed again");
        }
        Ok(unwanted)
    }

    async fn remove(&self, agent: &Agent, container: &Container) -> Result<(), Error> {
        tracing::warn!(node = %agent.node, container = %container.name, generation = %container.generation, "nobody wants this container; removing it");
        let removal = Removal { name: container.name.clone(), generation: container.generation };
        let removed = self.shared.ports.nodes.remove(agent, self.shared.seat.issuer(), &removal);
        if container.is_made() {
            removed.await?;
        } else if let Ok(removed) = timeout(UNMADE_WITHIN, removed).await {
            removed?;
        } else {
            tracing::debug!(node = %agent.node, container = %container.name, "it is being made; the next look removes it");
            return Ok(());
        }
        self.shared.metrics.swept.inc();
        Ok(())
    }
}

fn wants(deployment: &Deployment, node: &NodeName, container: &Container) -> bool {
    let is_it = |slot: &Slot| {
        slot.number == container.slot
            && slot.generation == container.generation
            && slot.state > SlotState::Asked
            && slot.place.as_ref().is_some_and(|place| place.node == *node)
    };
    deployment.slots.iter().any(is_it)
}

/// Whether a container that nobody wants is of a store before this one, which did not say that it should go:
/// this one has no word on it until it serves the instance itself.
fn is_left_alone(
    deployment: Option<&Deployment>,
    restored: Option<&RestoredRecord>,
    container: &Container,
) -> bool {
    restored.is_some_and(|restored| container.epoch <= restored.epoch)
        && deployment.is_none_or(|deployment| {
            deployment.goal == Goal::Running && deployment.serving.is_none()
        })
}

/// Tells an agent who leads, before anything else is asked of it.
pub(crate) async fn announce(shared: &Shared, agent: &Agent) -> Result<(), nodes::Error> {
    shared.ports.nodes.announce(agent, shared.seat.issuer()).await?;
    shared.fleet.note_announced(&agent.node);
    Ok(())
}

#[async_trait]
impl Reconcile for Nodes {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        Ok(self.shared.fleet.names())
    }

    async fn reconcile(&self, node: &NodeName) -> Result<Outcome, Error> {
        let Some(agent) = self.shared.fleet.agent(node) else { return Ok(Outcome::Settled) };
        match self.sweep(&agent).await {
            Ok(()) => Ok(Outcome::Again(self.shared.config.sweep_every)),
            Err(Error::Node(err @ nodes::Error::StaleEpoch { seen, .. })) => {
                match self.shared.held.refused(&self.shared.seat, node, seen).await {
                    Refused::Deposed => Err(err.into()),
                    Refused::Held => Ok(Outcome::Again(self.shared.config.sweep_every)),
                }
            }
            // A node that is away is the node manager's business; it is looked at again in its turn.
            Err(Error::Node(nodes::Error::Unreachable { .. })) => {
                Ok(Outcome::Again(self.shared.config.sweep_every))
            }
            Err(err) => Err(err),
        }
    }
}
