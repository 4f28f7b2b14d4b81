//! The members of ensembles on a machine that is to be restarted: none is ended that the others cannot spare.

use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::record::machine::MachineState;
use futures::future::join_all;
use rollout::parts::BasePart;
use tokio::time::timeout;

use crate::domain::restart::ensemble::{Look, too_few_without};
use crate::domain::sighting::is_ready;
use crate::fleet;
use crate::reconcile::restarts::Restarts;
use crate::records::Error;

impl Restarts<'_> {
    /// Why a machine is not restarted, whoever asks: what stands on it is needed until another member is well again.
    pub(super) async fn is_needed(&self, node: &NodeName) -> Result<Option<Failure>, Error> {
        let Some(platform) = fleet::platform(self.0).await? else { return Ok(None) };
        for part in [BasePart::ZooKeeper, BasePart::Kafka] {
            let (name, members) = (part.name(), part.nodes(&platform));
            if !members.contains(node) {
                continue;
            }
            let name = &name;
            let looks = members
                .iter()
                .map(|member| async move { (member.clone(), self.is_well(member, name).await) });
            let looks: Vec<Look> = join_all(looks).await;
            let ill = too_few_without(node, &looks);
            if let Some(first) = ill.first() {
                let message = format!(
                    "{part} on {first} is not ready: without the one on {node} too few of {} were left; see to {first} first",
                    members.len()
                );
                return Ok(Some(Failure::new(FailureCode::RestartHeld, message)));
            }
        }
        Ok(None)
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
