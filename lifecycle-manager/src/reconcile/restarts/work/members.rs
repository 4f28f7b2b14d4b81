//! The members of ensembles on a machine that is to be restarted: none is ended that the others cannot spare.

use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::record::machine::MachineState;
use futures::future::join_all;
use rollout::parts::BasePart;
use tokio::time::timeout;

use crate::domain::restart::ensemble::{Ensemble, Needed, needed};
use crate::domain::sighting::is_ready;
use crate::fleet;
use crate::reconcile::restarts::Restarts;
use crate::records::Error;

const ENSEMBLES: [BasePart; 2] = [BasePart::ZooKeeper, BasePart::Kafka];

impl Restarts<'_> {
    /// Why a machine is not restarted, whoever asks: what stands on it is needed until another member is well again.
    pub(super) async fn is_needed(&self, node: &NodeName) -> Result<Option<Failure>, Error> {
        let Some(platform) = fleet::platform(self.0).await? else { return Ok(None) };
        let has_member = ENSEMBLES.iter().any(|part| part.nodes(&platform).contains(node));
        if !has_member {
            return Ok(None);
        }
        let asked = ENSEMBLES.map(|part| self.ensemble(part, part.nodes(&platform)));
        let ensembles = join_all(asked).await;
        Ok(needed(node, &ensembles).map(|Needed { part, ill, members }| {
            let message = format!(
                "{part} on {ill} is not ready: without the one on {node} too few of {members} were left; see to {ill} first"
            );
            Failure::new(FailureCode::RestartHeld, message)
        }))
    }

    async fn ensemble(&self, part: BasePart, members: &[NodeName]) -> Ensemble {
        let name = &part.name();
        let looks = members
            .iter()
            .map(|member| async move { (member.clone(), self.is_well(member, name).await) });
        Ensemble { part, looks: join_all(looks).await }
    }

    /// Asked now: what was seen last may be over. Who is in quarantine is not believed.
    async fn is_well(&self, node: &NodeName, part: &PartName) -> bool {
        if self.0.sight.state(node) == Some(MachineState::Quarantined) {
            return false;
        }
        let Some(agent) = self.0.sight.agent(node) else { return false };
        let asked = timeout(self.0.config.answer_within, self.0.ports.parts.parts(&agent)).await;
        let Ok(Ok(parts)) = asked else { return false };
        parts.iter().any(|one| one.name == *part && is_ready(one))
    }
}
