//! One step, done: one arm each.

use chassis::operations;
use chassis::records::{self, Stored};
use common::failure::Failure;
use common::id::Generation;
use common::name::NodeName;
use common::port::routes;
use common::port::store::Op;
use common::record::operation::Outcome;
use common::record::path;
use common::record::platform::{
    PlacedService, PlatformGoal, PlatformReached, PlatformRecord, PlatformStage, PlatformState,
};
use common::service::ServiceName;

use crate::domain::plan::{Observed, Seen, Step};
use crate::domain::switch::{is_on_its_way, requests, undo};
use crate::entries;
use crate::outcome::{details, operation, owed};
use crate::records::{Error, commit};
use crate::shared::Shared;

/// Does one step. The record in `stored` is the one that the step was decided from.
pub(crate) async fn apply(
    shared: &Shared,
    stored: &Stored<PlatformRecord>,
    observed: &Observed,
    step: Step,
) -> Result<(), Error> {
    match step {
        Step::Wish { service, goal, nodes } => {
            wish(shared, stored, observed, (service, goal, nodes)).await
        }
        Step::Enter(service) => {
            let record = at(shared, &stored.record, service);
            commit(shared, vec![put(stored, &record)]).await
        }
        Step::Register(service) => match observed.seen(service) {
            Some(seen) => told(shared, seen, entries::register(shared, seen).await),
            None => Ok(()),
        },
        Step::Deregister(service) => match observed.seen(service) {
            Some(seen) => told(shared, seen, entries::deregister(shared, seen).await),
            None => Ok(()),
        },
        Step::GiveUp(failure) => give_up(shared, stored, observed, failure).await,
        Step::Conclude => conclude(shared, stored, observed).await,
        Step::Wait(_) | Step::Rest => Ok(()),
    }
}

fn put(stored: &Stored<PlatformRecord>, record: &PlatformRecord) -> Op {
    records::put(path::platform(), record, Some(stored.version))
}

/// The platform is on its way, and has come to this service.
fn at(shared: &Shared, record: &PlatformRecord, service: ServiceName) -> PlatformRecord {
    let stage = PlatformStage { service, since: shared.ports.clock.now() };
    let state = match record.state {
        PlatformState::Accepted => PlatformState::Changing,
        PlatformState::Changing
        | PlatformState::Undoing
        | PlatformState::Running
        | PlatformState::Stopped
        | PlatformState::Failed => record.state,
    };
    PlatformRecord { state, stage: Some(stage), ..record.clone() }
}

/// The wish, and in the same transaction what the platform's record says of it.
async fn wish(
    shared: &Shared,
    stored: &Stored<PlatformRecord>,
    observed: &Observed,
    (service, goal, nodes): (ServiceName, PlatformGoal, Vec<NodeName>),
) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    let at_path = path::placed_service(service);
    let before: Option<Stored<PlacedService>> = records::load(store, &at_path).await?;
    let version = before.as_ref().map(|stored| stored.version);
    let before = before.map(|stored| stored.record);
    if before != observed.seen(service).and_then(|seen| seen.placed.clone()) {
        return Err(records::Error::Changed.into());
    }
    let was_on = before.as_ref().is_some_and(|before| before.goal == PlatformGoal::On);
    let generation = before.as_ref().map_or(Generation(1), |before| before.generation.next());
    let instances = before.as_ref().and_then(|before| before.instances);
    let image = before.and_then(|before| before.image);
    let placed = PlacedService { schema: 1, service, generation, goal, nodes, image, instances };
    let mut ops = vec![records::put(at_path, &placed, version)];
    if is_on_its_way(stored.record.state) {
        let mut record = at(shared, &stored.record, service);
        let is_begun = goal == PlatformGoal::On && !was_on && !record.begun.contains(&service);
        if is_begun {
            record.begun.push(service);
        }
        ops.push(put(stored, &record));
    } else {
        // A newer request must not be overtaken by keeping what the last one reached.
        ops.push(Op::Check { path: path::platform(), version: stored.version });
    }
    commit(shared, ops).await
}

/// What the load balancer said of the service is remembered for whoever has to be told.
fn told(shared: &Shared, seen: &Seen, result: Result<(), Error>) -> Result<(), Error> {
    match &result {
        Ok(()) => shared.taken(seen.service),
        Err(Error::Routes(routes::Error::Failed(failure))) => {
            shared.refused(seen.service, failure.to_string());
        }
        Err(err @ (Error::Routes(_) | Error::Unanswered)) => {
            shared.refused(seen.service, err.to_string());
        }
        Err(
            Error::Records(_)
            | Error::Deposed
            | Error::NotLeading
            | Error::Bus(_)
            | Error::TooMuchOwed,
        ) => {}
    }
    result
}

/// A start takes back what it began; a stop stays where it has come to.
async fn give_up(
    shared: &Shared,
    stored: &Stored<PlatformRecord>,
    observed: &Observed,
    failure: Failure,
) -> Result<(), Error> {
    tracing::warn!(code = %failure.code, request.id = %stored.record.request, "the platform's goal is given up: {}", failure.message);
    let record = &stored.record;
    if record.goal == PlatformGoal::On && !record.begun.is_empty() {
        let undoing = undo(record, failure, observed.now);
        return commit(shared, vec![put(stored, &undoing)]).await;
    }
    let failed = PlatformRecord { failure: Some(failure), ..record.clone() };
    end(shared, stored, observed, failed).await
}

async fn conclude(
    shared: &Shared,
    stored: &Stored<PlatformRecord>,
    observed: &Observed,
) -> Result<(), Error> {
    end(shared, stored, observed, stored.record.clone()).await
}

/// The end of all requests that wait for the goal, in one transaction with their outcomes.
async fn end(
    shared: &Shared,
    stored: &Stored<PlatformRecord>,
    observed: &Observed,
    mut record: PlatformRecord,
) -> Result<(), Error> {
    let details = Some(details(observed));
    let outcome = match record.failure.clone() {
        Some(failure) => Outcome::Failed { failure, details },
        None => Outcome::Succeeded { details },
    };
    let goal = record.goal;
    let mut ops = Vec::new();
    for request in requests(&stored.record) {
        let ending = operation(request, goal);
        let store = shared.ports.store.as_ref();
        ops.extend(operations::conclude(store, &ending, outcome.clone()).await?);
        record.owed.push(owed(request, goal, &outcome));
    }
    record.state = match (&record.failure, goal) {
        (Some(_), _) => PlatformState::Failed,
        (None, PlatformGoal::On) => PlatformState::Running,
        (None, PlatformGoal::Off) => PlatformState::Stopped,
    };
    if record.failure.is_none() {
        record.reached = Some(PlatformReached { goal, at: observed.now });
    }
    record.since = observed.now;
    record.stage = None;
    record.joined = Vec::new();
    record.begun = Vec::new();
    ops.push(put(stored, &record));
    commit(shared, ops).await?;
    let (goal, label) = match (goal, &record.failure) {
        (PlatformGoal::On, Some(failure)) => ("on", failure.code.as_str()),
        (PlatformGoal::Off, Some(failure)) => ("off", failure.code.as_str()),
        (PlatformGoal::On, None) => ("on", "SUCCEEDED"),
        (PlatformGoal::Off, None) => ("off", "SUCCEEDED"),
    };
    shared.metrics.requests.with_label_values(&[goal, label]).inc();
    tracing::info!(request.id = %record.request, goal, outcome = label, "the request has ended");
    Ok(())
}
