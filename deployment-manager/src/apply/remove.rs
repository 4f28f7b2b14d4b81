//! Making containers go.

use common::failure::{Failure, FailureCode};
use common::port::nodes;
use common::record::deployment::Slot;
use futures::future::try_join_all;

use super::container::{Placed, unless_deposed};
use super::{Effect, Round, placements};
use crate::domain::change::Change;
use crate::reconcile::Error;

/// Removes replicas' containers, all at once. What cannot be told to go in good time is left to the
/// sweep, which finds it by its labels as soon as its node can be reached.
pub(super) async fn remove(
    round: &Round<'_>,
    slots: &[Slot],
    lost: &[Slot],
) -> Result<Effect, Error> {
    let mut removed = try_join_all(slots.iter().map(|slot| remove_one(round, slot))).await?;
    if !lost.is_empty() {
        removed.push(Effect::of(Change::Removed { slots: placements(lost) }));
    }
    Ok(Effect::gathered(removed))
}

async fn remove_one(round: &Round<'_>, slot: &Slot) -> Result<Effect, Error> {
    let gone = || Effect::of(Change::Removed { slots: vec![slot.placement_request] });
    let Ok(placed) = Placed::of(round, slot) else { return Ok(gone()) };
    let Err(err) = placed.remove(round).await else { return Ok(gone()) };
    let err = unless_deposed(err)?;
    if round.now().duration_since(slot.since) < round.shared.config.patience.node {
        return Ok(Effect::hindered(failure(err)));
    }
    let err = &err as &dyn std::error::Error;
    tracing::warn!(error = err, container = %placed.name, "left to the sweep");
    Ok(gone())
}

fn failure(err: nodes::Error) -> Failure {
    match err {
        nodes::Error::Failed { failure, .. } => failure,
        nodes::Error::Unreachable { .. } | nodes::Error::StaleEpoch { .. } => {
            Failure::new(FailureCode::NodeUnavailable, err.to_string())
        }
    }
}
