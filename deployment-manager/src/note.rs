//! Notes what was done in the record of a deployment, and ends its request in the same transaction.

use chassis::records::{Error as RecordsError, Stored, put};
use chassis::{leading, operations, records};
use common::failure::Failure;
use common::id::MessageId;
use common::port::store::{self, Done, Op, Version};
use common::record::deployment::{Deployment, Goal, State};
use common::record::operation::Outcome;
use common::record::owed::Owed;
use common::record::path;
use common::service::ServiceName;

use crate::domain::change::{self, Change};
use crate::domain::releases;
use crate::domain::replicas::is_in_progress;
use crate::notice::{self, Details};
use crate::reconcile::Error;
use crate::records as stored;
use crate::registry;
use crate::shared::Shared;

/// How often a note is made anew because answers were noted in between.
const TRIES: usize = 8;

/// A deployment's record while it is worked on.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) record: Deployment,
    pub(crate) version: Version,
    /// What was published and may be taken from the record.
    told: Vec<MessageId>,
}

impl Held {
    pub(crate) fn new(stored: Stored<Deployment>) -> Self {
        Held { record: stored.record, version: stored.version, told: Vec::new() }
    }

    pub(crate) fn untold(&self) -> Vec<Owed> {
        let untold = |owed: &&Owed| !self.told.contains(&owed.message_id);
        self.record.owed.iter().filter(untold).cloned().collect()
    }

    pub(crate) fn told(&mut self, owed: &[Owed]) {
        self.told.extend(owed.iter().map(|owed| owed.message_id));
    }

    fn clear_told(&self, record: &mut Deployment) {
        record.owed.retain(|owed| !self.told.contains(&owed.message_id));
    }
}

/// Takes what was published from the record, if nothing else has to be noted.
pub(crate) async fn settle(shared: &Shared, held: &mut Held) -> Result<(), Error> {
    let settled = held.record.owed.iter().all(|owed| !held.told.contains(&owed.message_id));
    if settled { Ok(()) } else { note(shared, held, &[]).await }
}

/// Notes changes. What was changed by commands in the meantime stays; a newer generation wins.
pub(crate) async fn note(
    shared: &Shared,
    held: &mut Held,
    changes: &[Change],
) -> Result<(), Error> {
    for _ in 0..TRIES {
        if try_note(shared, held, changes).await? == Written::Yes {
            return Ok(());
        }
        let store = shared.ports.store.as_ref();
        store.sync().await.map_err(RecordsError::Store)?;
        let newer = stored::deployment(store, &held.record.instance).await?;
        let Some(newer) = newer.filter(|newer| newer.record.generation == held.record.generation)
        else {
            return Err(RecordsError::Changed.into());
        };
        held.record = newer.record;
        held.version = newer.version;
    }
    Err(RecordsError::Changed.into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    /// Another version stands there; nothing was written.
    Conflict,
}

async fn try_note(shared: &Shared, held: &mut Held, changes: &[Change]) -> Result<Written, Error> {
    let store = shared.ports.store.as_ref();
    let before = &held.record;
    let mut after = before.clone();
    let now = shared.ports.clock.now();
    change::note(&mut after, changes, &shared.config.patience, now);
    releases::keep(&mut after, shared.config.kept_releases);
    held.clear_told(&mut after);
    let ended = ended(before, &after);
    let mut more = Vec::new();
    if registry::is_concerned(before, &after) || changes.contains(&Change::Registered) {
        more.extend(registry::follow(store, &after).await.map_err(RecordsError::Store)?);
    }
    if let Some(outcome) = &ended {
        after.owed.push(notice::notice(&after.instance, after.goal, after.request, outcome));
        more.extend(conclude(shared, &after, outcome).await?);
    }
    let gone = changes.iter().find_map(backed_out).filter(|_| !is_in_progress(before));
    if let Some(failure) = gone {
        tracing::warn!(instance = %after.instance, generation = %after.generation, %failure, "went back");
        after.owed.push(notice::backed_out(before, failure));
    }
    let mut ops = vec![put(path::deployment(&after.instance), &after, Some(held.version))];
    ops.extend(more);
    let version = match shared.seat.attempt(ops).await {
        Ok(done) => done.first().and_then(Done::version).ok_or(RecordsError::Changed)?,
        Err(leading::Error::Records(RecordsError::Store(store::Error::Conflict { .. }))) => {
            return Ok(Written::Conflict);
        }
        Err(leading::Error::Records(RecordsError::Store(store::Error::OutcomeUnknown(_)))) => {
            found_again(shared, &after).await?
        }
        Err(err) => return Err(err.into()),
    };
    if let Some(outcome) = &ended {
        report(shared, &after, outcome);
    }
    held.record = after;
    held.version = version;
    Ok(Written::Yes)
}

/// Why a canary goes although its request has ended well.
fn backed_out(change: &Change) -> Option<&Failure> {
    if let Change::BackedOut { failure } = change { Some(failure) } else { None }
}

/// After a lost connection: what stands there was written if it is what was to be written.
async fn found_again(shared: &Shared, after: &Deployment) -> Result<Version, Error> {
    let store = shared.ports.store.as_ref();
    store.sync().await.map_err(RecordsError::Store)?;
    let found = stored::deployment(store, &after.instance).await?;
    let same = found.filter(|found| found.record == *after).map(|found| found.version);
    Ok(same.ok_or(RecordsError::Changed)?)
}

/// How the request ended by this change, if it did.
fn ended(before: &Deployment, after: &Deployment) -> Option<Outcome> {
    if !is_in_progress(before) || is_in_progress(after) {
        return None;
    }
    let details = Details::of(after);
    match &after.failure {
        Some(failure) if after.state == State::Failed => Some(notice::failed(failure, &details)),
        Some(_) | None => Some(notice::succeeded(&details)),
    }
}

async fn conclude(
    shared: &Shared,
    after: &Deployment,
    outcome: &Outcome,
) -> Result<Option<Op>, records::Error> {
    let service = ServiceName::DeploymentManager;
    let path = path::operation(after.request, service, notice::kind(after.goal));
    operations::conclude(shared.ports.store.as_ref(), &path, outcome.clone()).await
}

fn report(shared: &Shared, after: &Deployment, outcome: &Outcome) {
    shared.metrics.ended(after.goal, outcome);
    let Deployment { instance, request, generation, .. } = after;
    match &after.failure {
        Some(failure) if after.state == State::Failed => {
            tracing::warn!(%instance, %request, %generation, %failure, "failed");
        }
        Some(_) | None => {
            let patience = &shared.config.patience;
            let within = if after.goal == Goal::Running { patience.deploy } else { patience.stop };
            let accepted_at = after.deadline - within;
            let took = after.updated_at.duration_since(accepted_at).as_secs_f64();
            shared.metrics.took(after.goal, took);
            tracing::info!(%instance, %request, %generation, state = ?after.state, "done");
        }
    }
}

/// Removes the record.
pub(crate) async fn forget(shared: &Shared, held: &Held) -> Result<(), Error> {
    let path = path::deployment(&held.record.instance);
    let delete = Op::Delete { path, version: held.version };
    shared.seat.commit(vec![delete]).await?;
    Ok(())
}
