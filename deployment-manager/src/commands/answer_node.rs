//! Message 7, `ans-node$<map>`: the node manager's answer. What nobody waits for any more changes nothing.

use std::sync::PoisonError;

use chassis::consumer::Disposition;
use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::message::{NodeAnswer, NodeChoice};
use common::record::deployment::{Deployment, Place, Slot, SlotState};
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;

use super::{Error, conflict, decided};
use crate::domain::change::{Change, note};
use crate::domain::{need, placement};
use crate::records as stored;
use crate::shared::Shared;

/// The kind of the node manager's operation.
const GIVE_BEST_NODE: &str = "give-best-node";

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
    let moves = after.moving.as_ref().is_some_and(|one| one.new == request.id);
    let change = match &answer.node {
        Ok(choice) => Change::Placed { slot: request.id, place: place(choice) },
        Err(code) => {
            let why = if moves {
                told(shared, request.id, "no node where it is better off takes it").await?
            } else {
                why(shared, request.id, *code).await?
            };
            let failure = Failure::new(*code, why);
            Change::Unfit { slot: request.id, failure }
        }
    };
    let now = shared.ports.clock.now();
    note(&mut after, &[change], &shared.config.patience, now);
    // The answer proves that the question has arrived.
    after.owed.retain(|owed| !placement::asks(owed, request.id));
    // Nobody needs a machine for what runs already.
    let needed = needed(shared, answer, now).filter(|_| !moves);
    after.owed.extend(needed.map(need::message));
    let path = path::deployment(&after.instance);
    let changes = vec![records::put(path, &after, Some(before.version))];
    let accepted = operations::accept(store, shared.ports.clock.as_ref(), request, changes).await?;
    if needed.is_some() && accepted == Acceptance::Fresh {
        tracing::warn!(instance = %after.instance, "no node has room; a machine is asked for");
        *shared.needed.lock().unwrap_or_else(PoisonError::into_inner) = needed;
    }
    shared.deployments.wake(after.instance);
    Ok(Some(accepted))
}

/// The request for a machine, where no node has room, unless it was made already: the next one is that of the next
/// period. After a crash it is made again, under the same id.
fn needed(shared: &Shared, answer: &NodeAnswer, now: Timestamp) -> Option<RequestId> {
    if answer.node != Err(FailureCode::NoNodeFits) {
        return None;
    }
    let request = need::request(now, shared.config.need_node_every);
    let last = *shared.needed.lock().unwrap_or_else(PoisonError::into_inner);
    (last != Some(request)).then_some(request)
}

fn waits_for(deployment: &Deployment, placement: RequestId) -> bool {
    let asked = |slot: &Slot| slot.placement_request == placement && slot.state == SlotState::Asked;
    deployment.slots.iter().any(asked)
}

fn place(choice: &NodeChoice) -> Place {
    Place { node: choice.name.clone(), ip: choice.ip, host_port: choice.port }
}

async fn why(
    shared: &Shared,
    request: RequestId,
    code: FailureCode,
) -> Result<String, records::Error> {
    let why = if code == FailureCode::NoNodeFits {
        "no live node has room for one more replica"
    } else if code == FailureCode::PortsExhausted {
        "the chosen node has no free port"
    } else if code == FailureCode::InsufficientStorage {
        return told(shared, request, "no live node has room for it on its disk").await;
    } else {
        "the node manager has no place for it"
    };
    Ok(why.to_owned())
}

/// In the node manager's own words: how much is missing, and where, is in the outcome of the request only.
async fn told(
    shared: &Shared,
    request: RequestId,
    otherwise: &str,
) -> Result<String, records::Error> {
    let path = path::operation(request, ServiceName::NodeManager, GIVE_BEST_NODE);
    let store = shared.ports.store.as_ref();
    let operation = records::load::<Operation>(store, &path).await?;
    Ok(match operation.and_then(|operation| operation.record.outcome) {
        Some(Outcome::Failed { failure, .. }) => failure.message,
        Some(Outcome::Succeeded { .. } | Outcome::Superseded) | None => otherwise.to_owned(),
    })
}
