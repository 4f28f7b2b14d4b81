//! The members of ensembles on a machine that is to be restarted: none is ended that the others cannot spare, whoever wants
//! it and whyever.

use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use futures::future::join_all;
use rollout::parts::BasePart;
use tokio::time::timeout;

use crate::domain::restart::ensemble::{Ensemble, Needed, needed, perhaps_needed};
use crate::domain::sighting::is_ready;
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::records::{Error, load};
use crate::shared::Shared;

const ENSEMBLES: [BasePart; 2] = [BasePart::ZooKeeper, BasePart::Kafka];
/// How long a machine that is silent is left alone for a member that may still work on it: as long as another one that was
/// restarted has to become ready. A machine that does nothing is not left for ever.
const LEFT_FOR: Duration = Duration::from_mins(5);

/// Why a machine is not restarted for a person: what stands on it is needed until another member is well again.
pub(super) async fn is_needed(shared: &Shared, node: &NodeName) -> Result<Option<Failure>, Error> {
    let ensembles = ensembles(shared, node).await?;
    Ok(needed(node, &ensembles).map(|Needed { part, ill, members }| {
        let message = format!(
            "{part} on {ill} is not ready: without the one on {node} too few of {members} were left; see to {ill} first"
        );
        Failure::new(FailureCode::RestartHeld, message)
    }))
}

/// The same where no person has looked, and its agent does not answer: what stands on it may work all the same.
pub(super) async fn is_perhaps_needed(
    shared: &Shared,
    node: &NodeName,
) -> Result<Option<Failure>, Error> {
    if silence(shared, node).await? >= LEFT_FOR {
        return Ok(None);
    }
    let ensembles = ensembles(shared, node).await?;
    Ok(perhaps_needed(node, &ensembles).map(|Needed { part, ill, members }| {
        let message = format!(
            "{part} on {ill} is not ready: if the one on {node} still works, too few of {members} were left without it; it is left alone for {} min at most",
            LEFT_FOR.as_secs() / 60
        );
        Failure::new(FailureCode::RestartHeld, message)
    }))
}

/// How long it has not answered: who has begun to lead a moment ago goes by what the one before has written down.
async fn silence(shared: &Shared, node: &NodeName) -> Result<Duration, Error> {
    let seen = shared.sight.of(node, shared.config.window).silence();
    let stored = load::<MachineRecord>(shared, &path::machine(node)).await?;
    let record = stored.map(|stored| stored.record);
    let is_silent = |state| matches!(state, MachineState::Silent | MachineState::Failed);
    let written = record.filter(|record| is_silent(record.state));
    let written = written.map(|record| elapsed(record.since, shared.ports.clock.now()));
    Ok(seen.max(written).unwrap_or_default())
}

/// Those that have a member on this machine, if any has.
async fn ensembles(shared: &Shared, node: &NodeName) -> Result<Vec<Ensemble>, Error> {
    let Some(platform) = fleet::platform(shared).await? else { return Ok(Vec::new()) };
    let has_member = ENSEMBLES.iter().any(|part| part.nodes(&platform).contains(node));
    if !has_member {
        return Ok(Vec::new());
    }
    let asked = ENSEMBLES.map(|part| ensemble(shared, part, part.nodes(&platform)));
    Ok(join_all(asked).await)
}

async fn ensemble(shared: &Shared, part: BasePart, members: &[NodeName]) -> Ensemble {
    let name = &part.name();
    let looks = members
        .iter()
        .map(|member| async move { (member.clone(), is_well(shared, member, name).await) });
    Ensemble { part, looks: join_all(looks).await }
}

/// Asked now: what was seen last may be over. Who is in quarantine is not believed.
async fn is_well(shared: &Shared, node: &NodeName, part: &PartName) -> bool {
    if shared.sight.state(node) == Some(MachineState::Quarantined) {
        return false;
    }
    let Some(agent) = shared.sight.agent(node) else { return false };
    let asked = timeout(shared.config.answer_within, shared.ports.parts.parts(&agent)).await;
    let Ok(Ok(parts)) = asked else { return false };
    parts.iter().any(|one| one.name == *part && is_ready(one))
}
