//! Changes of single services that somebody waits for: seen to their end, and told once.

use chassis::records::{self, Stored};
use chassis::{operations, owed};
use common::port::store::Op;
use common::record::change::{ChangeStage, ServiceChange};
use common::record::operation::Outcome;
use common::record::path;
use common::record::platform::PlacedService;
use jiff::Timestamp;

use crate::domain::change::{Verdict, Why, is_underway, judge, left, undone};
use crate::domain::order::PLACEABLE;
use crate::domain::plan::Seen;
use crate::observe::see;
use crate::outcome::{change_operation, change_owed, service};
use crate::records::{Error, commit};
use crate::shared::Shared;

/// Whether somebody has to look again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    Something,
}

/// Looks at every change once.
pub(crate) async fn follow(shared: &Shared) -> Result<Left, Error> {
    let mut left = Left::Nothing;
    for service in PLACEABLE {
        let at = path::service_change(service);
        let stored = records::load::<ServiceChange>(shared.ports.store.as_ref(), &at).await;
        let Some(stored) = records::readable(stored)? else { continue };
        if is_underway(stored.record.stage) {
            left = Left::Something;
            let seen = see(shared, service).await?;
            step(shared, &stored, &seen).await?;
        } else if !stored.record.owed.is_empty() {
            left = Left::Something;
            tell(shared, stored).await?;
        }
    }
    Ok(left)
}

/// Tells what is owed. A bus that is away holds up nothing.
async fn tell(shared: &Shared, stored: Stored<ServiceChange>) -> Result<(), Error> {
    let Stored { mut record, version } = stored;
    if let Err(err) = owed::publish(shared.ports.bus.as_ref(), &record.owed).await {
        tracing::warn!(
            error = &err as &dyn std::error::Error,
            "the bus does not take the outcome yet"
        );
        return Ok(());
    }
    record.owed.clear();
    let put = records::put(path::service_change(record.service), &record, Some(version));
    commit(shared, vec![put]).await
}

async fn step(shared: &Shared, stored: &Stored<ServiceChange>, seen: &Seen) -> Result<(), Error> {
    let (change, now) = (&stored.record, shared.ports.clock.now());
    match judge(change, seen, now) {
        Verdict::Wait => Ok(()),
        Verdict::Leave => leave(shared, stored, seen, now).await,
        Verdict::Done => {
            let outcome = Outcome::Succeeded { details: Some(service(seen)) };
            end(shared, stored, (ChangeStage::Done, outcome), Vec::new()).await
        }
        Verdict::Undo(why) => {
            let outcome = match why {
                Why::Failed(failure) => Outcome::Failed { failure, details: Some(service(seen)) },
                Why::Superseded => Outcome::Superseded,
            };
            let wish = wish(shared, seen, |placed| undone(change, placed)).await?;
            let wish = wish.map(|(op, _)| op).into_iter().collect();
            end(shared, stored, (ChangeStage::Failed, outcome), wish).await
        }
    }
}

/// What was moved from is not wanted any more.
async fn leave(
    shared: &Shared,
    stored: &Stored<ServiceChange>,
    seen: &Seen,
    now: Timestamp,
) -> Result<(), Error> {
    let mut change = stored.record.clone();
    tracing::info!(service = %change.service, request.id = %change.request, "the instance on the other machine is ready and registered");
    let wish = wish(shared, seen, |placed| left(&change, placed)).await?;
    let Some((op, placed)) = wish else { return Ok(()) };
    change.stage = ChangeStage::Leaving;
    change.generation = placed.generation;
    change.since = now;
    change.deadline = now.saturating_add(shared.config.rules.stop_within).unwrap_or(Timestamp::MAX);
    commit(shared, vec![op, put(stored, &change)]).await
}

fn put(stored: &Stored<ServiceChange>, change: &ServiceChange) -> Op {
    records::put(path::service_change(change.service), change, Some(stored.version))
}

/// The next wish, if it stands as it was seen; none where nothing was ever wished.
async fn wish(
    shared: &Shared,
    seen: &Seen,
    next: impl FnOnce(&PlacedService) -> PlacedService,
) -> Result<Option<(Op, PlacedService)>, Error> {
    let at = path::placed_service(seen.service);
    let stored: Option<Stored<PlacedService>> =
        records::load(shared.ports.store.as_ref(), &at).await?;
    let Some(Stored { record, version }) = stored else { return Ok(None) };
    if seen.placed.as_ref() != Some(&record) {
        return Err(records::Error::Changed.into());
    }
    let placed = PlacedService { generation: record.generation.next(), ..next(&record) };
    Ok(Some((records::put(at, &placed, Some(version)), placed)))
}

/// The end of the request, in one transaction with the wish that goes with it.
async fn end(
    shared: &Shared,
    stored: &Stored<ServiceChange>,
    (stage, outcome): (ChangeStage, Outcome),
    mut ops: Vec<Op>,
) -> Result<(), Error> {
    let mut change = stored.record.clone();
    let (service, request) = (change.service, change.request);
    change.stage = stage;
    change.failure = match &outcome {
        Outcome::Failed { failure, .. } => {
            tracing::warn!(%service, request.id = %request, %failure, "a change of a service was taken back");
            Some(failure.clone())
        }
        Outcome::Succeeded { .. } | Outcome::Superseded => {
            tracing::info!(%service, request.id = %request, ?stage, "a change of a service has ended");
            None
        }
    };
    change.owed.push(change_owed(&change, &outcome));
    let store = shared.ports.store.as_ref();
    ops.extend(operations::conclude(store, &change_operation(&change), outcome).await?);
    ops.push(put(stored, &change));
    commit(shared, ops).await
}
