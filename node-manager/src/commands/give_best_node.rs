//! `give best node$<instance>`: records that somebody waits for a node; the reconciler answers.

use chassis::consumer::Disposition;
use chassis::leading::Error;
use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::id::RequestId;
use common::message::{Envelope, NodeCommand, Reject, RejectCode};
use common::name::LegacyName;
use common::port::store;
use common::record::operation::fingerprint;
use common::service::ServiceName;
use common::topic::Topic;

use crate::records::{Placement, placement_path};
use crate::shared::Shared;

/// The kind of the operation that accepts this command.
pub(crate) const KIND: &str = "give-best-node";

pub(super) async fn accept(
    shared: &Shared,
    envelope: &Envelope,
    command: NodeCommand,
) -> Result<Disposition, Error> {
    let NodeCommand::GiveBestNode { instance } = command;
    let id = envelope.request_id;
    let request = Request {
        id,
        service: ServiceName::NodeManager,
        kind: KIND,
        fingerprint: fingerprint(Topic::NodeManager, &envelope.msg),
    };
    let placement = Placement::asked(id, instance.clone(), shared.ports.clock.now());
    let asked = records::put(placement_path(id), &placement, None);
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    match operations::accept(store, clock, &request, vec![asked]).await? {
        Acceptance::Fresh => {}
        Acceptance::Repeat(operation) if operation.outcome.is_none() => {}
        Acceptance::Repeat(_) => ask_again(shared, id, instance).await?,
        Acceptance::Conflict => {
            let detail = "the request id was used for another instance";
            return Ok(Disposition::Refused(Reject::new(RejectCode::IdConflict, detail)));
        }
    }
    shared.placement_wake.wake(id);
    Ok(Disposition::Done)
}

/// The request was answered before: the reconciler finds its outcome, and tells it once more.
async fn ask_again(shared: &Shared, request: RequestId, instance: LegacyName) -> Result<(), Error> {
    let placement = Placement::asked(request, instance, shared.ports.clock.now());
    let asked = records::put(placement_path(request), &placement, None);
    match shared.ports.store.commit(vec![asked]).await {
        // There already: the answer is still owed.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(err) => Err(err.into()),
    }
}
