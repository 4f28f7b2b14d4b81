//! `start platform` and `stop platform`: records what is wanted and ends what it takes the place of; the reconciler
//! makes it so.

use chassis::operations::{self, Acceptance, Request};
use chassis::owed::publish;
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::port::store::Op;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::platform::{PlatformGoal, PlatformRecord};

use super::{ATTEMPTS, request, seen};
use crate::domain::switch::{self, switch};
use crate::outcome::{command, operation, owed};
use crate::reconcile::Single;
use crate::records::{Error, commit, platform};
use crate::shared::Shared;

/// So many answers may wait for the bus: the record has room for them.
const MOST_OWED: usize = 40;
const SINGLE_PROCESS: &str = "the services of this platform are one process: end that, and apps go on; `avishkar down` ends both";

/// Accepts a request once. What is asked counts, not how it is worded.
pub(crate) async fn accept(
    shared: &Shared,
    id: RequestId,
    goal: PlatformGoal,
) -> Result<Acceptance, Error> {
    let request = request(id, &command(goal));
    for _ in 0..ATTEMPTS {
        match try_accept(shared, &request, goal).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return seen(shared, done),
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_accept(
    shared: &Shared,
    request: &Request,
    goal: PlatformGoal,
) -> Result<Acceptance, Error> {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    if let Some(known) = operations::look_up(store, request).await? {
        return Ok(known);
    }
    if shared.config.single_process && goal == PlatformGoal::Off {
        return refuse(shared, request, goal).await;
    }
    let stored = platform(shared).await?;
    let version = stored.as_ref().map(|stored| stored.version);
    let before = stored.map(|stored| stored.record);
    let asked =
        switch::Request { id: request.id, goal, at: clock.now(), within: shared.config.within };
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

/// The request ends as it is accepted: nothing else is changed. It is told first, so that a crash tells it again, under
/// the same message id.
async fn refuse(
    shared: &Shared,
    request: &Request,
    goal: PlatformGoal,
) -> Result<Acceptance, Error> {
    let failure = Failure::new(FailureCode::SingleProcess, SINGLE_PROCESS);
    let outcome = Outcome::Failed { failure, details: None };
    let answer = owed(request.id, goal, &outcome);
    publish(shared.ports.bus.as_ref(), &[answer]).await?;
    let mut operation = Operation::accepted(request.fingerprint.clone(), shared.ports.clock.now());
    operation.outcome = Some(outcome);
    records::save(shared.ports.store.as_ref(), &request.path(), &operation, None).await?;
    Ok(Acceptance::Fresh)
}

/// The request was answered before: the answer is told once more, under the same message id.
pub(crate) async fn tell_again(
    shared: &Shared,
    request: RequestId,
    goal: PlatformGoal,
    outcome: &Outcome,
) -> Result<(), Error> {
    let answer = owed(request, goal, outcome);
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
