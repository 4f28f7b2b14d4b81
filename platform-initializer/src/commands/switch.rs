//! `start platform` and `stop platform`: records what is wanted and ends what it takes the place of; the reconciler
//! makes it so.

use chassis::operations::{self, Acceptance, Request};
use chassis::records::{self, Stored};
use common::id::RequestId;
use common::message::BootstrapperCommand;
use common::port::store::Op;
use common::record::operation::{Outcome, fingerprint};
use common::record::path;
use common::record::platform::PlatformRecord;
use common::service::ServiceName;
use common::topic::Topic;

use crate::domain::switch::{self, switch};
use crate::outcome::{goal, operation, owed};
use crate::reconcile::Single;
use crate::records::{Error, commit, platform};
use crate::shared::Shared;

/// How often a record that changed in between is read again.
const ATTEMPTS: usize = 8;
/// So many answers may wait for the bus: the record has room for them.
const MOST_OWED: usize = 40;

/// Accepts a request once. What is asked counts, not how it is worded. Any instance may: whoever leads sees it.
pub(crate) async fn accept(
    shared: &Shared,
    id: RequestId,
    command: BootstrapperCommand,
) -> Result<Acceptance, Error> {
    let request = Request {
        id,
        service: ServiceName::PlatformInitializer,
        kind: command.kind(),
        fingerprint: fingerprint(Topic::Bootstrapper, &command.encode()),
    };
    for _ in 0..ATTEMPTS {
        match try_accept(shared, &request, command).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => {
                shared.changed();
                shared.wake.wake(Single);
                return done;
            }
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_accept(
    shared: &Shared,
    request: &Request,
    command: BootstrapperCommand,
) -> Result<Acceptance, Error> {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    if let Some(known) = operations::look_up(store, request).await? {
        return Ok(known);
    }
    let stored = platform(shared).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    let before = stored.map(|stored| stored.record);
    let asked = switch::Request {
        id: request.id,
        goal: goal(command),
        at: clock.now(),
        within: shared.config.within,
    };
    let switched = switch(before.as_ref(), asked);
    let mut record = switched.record;
    let mut changes: Vec<Op> = Vec::new();
    for (ended, goal, outcome) in switched.ended {
        record.owed.push(owed(ended, goal, &outcome));
        changes.extend(operations::conclude(store, &operation(ended, goal), outcome).await?);
    }
    if record.owed.len() > MOST_OWED {
        return Err(Error::TooMuchOwed);
    }
    changes.push(records::put(path::platform(), &record, version));
    Ok(operations::accept(store, clock, request, changes).await?)
}

/// The request was answered before: the answer is told once more, under the same message id.
pub(crate) async fn tell_again(
    shared: &Shared,
    request: RequestId,
    command: BootstrapperCommand,
    outcome: &Outcome,
) -> Result<(), Error> {
    let answer = owed(request, goal(command), outcome);
    let Some(Stored { mut record, version }) = platform(shared).await? else { return Ok(()) };
    if record.owed.iter().any(|other| other.message_id == answer.message_id) {
        return Ok(());
    }
    if record.owed.len() >= MOST_OWED {
        return Err(Error::TooMuchOwed);
    }
    record.owed.push(answer);
    let record: PlatformRecord = record;
    commit(shared, vec![records::put(path::platform(), &record, Some(version))]).await?;
    shared.wake.wake(Single);
    Ok(())
}
