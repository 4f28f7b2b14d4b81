//! The base on each node: what is absent is made. What is there is the agent's to keep: it restarts what ends.

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::record::machine::MachineState;
use rollout::parts::{BasePart, base_parts};
use tokio::time::timeout;

use super::{LATER, SOON, refusal};
use crate::draft::{Order, draft};
use crate::fleet;
use crate::records::Error;
use crate::shared::Shared;

/// The reconciler of the base, by node.
#[derive(Debug)]
pub(crate) struct Bases<'a>(pub(crate) &'a Shared);

#[async_trait]
impl Reconcile for Bases<'_> {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        Ok(fleet::names(self.0).await?)
    }

    async fn reconcile(&self, node: &NodeName) -> Result<Outcome, Error> {
        if !self.0.is_settled() {
            return Ok(Outcome::Again(SOON));
        }
        let seen = self.0.sight.of(node, self.0.config.window);
        let ready = self.0.sight.state(node) == Some(MachineState::Ready);
        if !ready || !seen.answers() {
            return Ok(Outcome::Again(LATER));
        }
        for part in self.parts(node).await? {
            if seen.part(&part).is_none() {
                return self.make(node, &part).await;
            }
        }
        Ok(Outcome::Again(LATER))
    }
}

impl Bases<'_> {
    /// The registry has its own reconciler: it may be anywhere.
    async fn parts(&self, node: &NodeName) -> Result<Vec<PartName>, Error> {
        let Some(platform) = fleet::platform(self.0).await? else { return Ok(Vec::new()) };
        let parts = base_parts(&platform, node).into_iter();
        Ok(parts.filter(|part| *part != BasePart::Registry).map(BasePart::name).collect())
    }

    /// One that a machine does not know has no specification there that this one could contradict: the epoch is
    /// generation enough.
    async fn make(&self, node: &NodeName, part: &PartName) -> Result<Outcome, Error> {
        let generation = Generation(self.0.issuer().epoch.0);
        let made = ensure(self.0, &Order { node, part, generation, image: None }).await?;
        match made {
            Ok(()) => {
                tracing::info!(node.id = %node, %part, "a part of the base was made");
                Ok(Outcome::Again(SOON))
            }
            Err(failure) => {
                tracing::warn!(node.id = %node, %part, %failure, "a part of the base could not be made; trying again");
                Ok(Outcome::Again(LATER))
            }
        }
    }
}

/// Has a node's agent make a part; why not, where it could not.
pub(super) async fn ensure(
    shared: &Shared,
    order: &Order<'_>,
) -> Result<Result<(), Failure>, Error> {
    let unavailable =
        |message: &str| Ok(Err(Failure::new(FailureCode::NodeUnavailable, message.to_owned())));
    let Some(platform) = fleet::platform(shared).await? else {
        return unavailable("no platform is described here");
    };
    let Some(vault) = &shared.ports.vault else {
        return unavailable("there is nobody here who vouches for parts");
    };
    let Some(agent) = shared.sight.agent(order.node) else {
        return unavailable("its machine has no address yet");
    };
    let spec = match draft(&platform, vault, order) {
        Ok(spec) => spec,
        Err(failure) => return Ok(Err(failure)),
    };
    match shared.ports.parts.ensure_part(&agent, shared.issuer(), &spec).await {
        Ok(_) => {
            look_again(shared, &agent).await;
            Ok(Ok(()))
        }
        Err(err) => refusal(shared, order.node, err).await.map(Err),
    }
}

/// What was just changed is seen at once, and nothing that was asked before is believed any more.
pub(super) async fn look_again(shared: &Shared, agent: &Agent) {
    shared.sight.changed(&agent.node);
    let turn = shared.sight.turn();
    let asked = timeout(shared.config.answer_within, shared.ports.parts.parts(agent)).await;
    if let Ok(Ok(parts)) = asked {
        shared.sight.answered(&agent.node, turn, parts);
    }
}
