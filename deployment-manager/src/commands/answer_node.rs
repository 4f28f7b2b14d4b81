//! Message 7, `ans-node$<map>`: the node manager's answer. What nobody waits for any more changes nothing.

use chassis::consumer::Disposition;
use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::message::{NodeAnswer, NodeChoice};
use common::record::deployment::{Deployment, Place, Slot, SlotState};
use common::record::path;

use super::{Error, conflict, decided};
use crate::domain::change::{Change, note};
use crate::domain::placement;
use crate::records as stored;
use crate::shared::Shared;

pub(super) async fn accept(
    shared: &Shared,
    request: Request,
    answer: NodeAnswer,
) -> Result<Disposition, Error> {
    match decided(shared, || offer(shared, &request, &answer)).await? {
        Some(Acceptance::Conflict) => Ok(conflict()),
        Some(Acceptance::Fresh | Acceptance::Repeat(_)) | None => Ok(Disposition::Done),
    }
}

/// None if nobody waits for the answer, and nobody has ever taken it.
async fn offer(
    shared: &Shared,
    request: &Request,
    answer: &NodeAnswer,
) -> Result<Option<Acceptance>, records::Error> {
    let store = shared.ports.store.as_ref();
    let before = stored::deployment(store, &answer.instance).await?;
    let waiting = before.filter(|before| waits_for(&before.record, request.id));
    let Some(before) = waiting else { return operations::look_up(store, request).await };
    let mut after = before.record;
    let change = match &answer.node {
        Ok(choice) => Change::Placed { slot: request.id, place: place(choice) },
        Err(code) => Change::Unfit { slot: request.id, failure: Failure::new(*code, why(*code)) },
    };
    note(&mut after, &[change], &shared.config.patience, shared.ports.clock.now());
    // The answer proves that the question has arrived.
    after.owed.retain(|owed| !placement::asks(owed, request.id));
    let path = path::deployment(&after.instance);
    let changes = vec![records::put(path, &after, Some(before.version))];
    let accepted = operations::accept(store, shared.ports.clock.as_ref(), request, changes).await?;
    shared.deployments.wake(after.instance);
    Ok(Some(accepted))
}

fn waits_for(deployment: &Deployment, placement: RequestId) -> bool {
    let asked = |slot: &Slot| slot.placement_request == placement && slot.state == SlotState::Asked;
    deployment.slots.iter().any(asked)
}

fn place(choice: &NodeChoice) -> Place {
    Place { node: choice.name.clone(), ip: choice.ip, host_port: choice.port }
}

fn why(code: FailureCode) -> &'static str {
    if code == FailureCode::NoNodeFits {
        "no live node has room for one more replica"
    } else if code == FailureCode::PortsExhausted {
        "the chosen node has no free port"
    } else {
        "the node manager has no place for it"
    }
}
