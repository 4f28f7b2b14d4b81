//! Making containers run.

use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::port::container::Container;
use common::record::deployment::Slot;
use common::record::kept::Way;
use common::record::release::Source;
use futures::future::try_join_all;

use super::container::{Placed, unless_deposed};
use super::{Effect, Round};
use crate::builds;
use crate::domain::change::Change;
use crate::domain::replicas::{can_be_rebuilt, is_advancing};
use crate::domain::verdict::{self, Verdict};
use crate::reconcile::Error;

/// Starts replicas, all at once.
pub(super) async fn start(
    round: &Round<'_>,
    slots: &[Slot],
    image: &ImageRef,
) -> Result<Effect, Error> {
    let started = try_join_all(slots.iter().map(|slot| start_one(round, slot, image))).await?;
    Ok(Effect::gathered(started))
}

async fn start_one(round: &Round<'_>, slot: &Slot, image: &ImageRef) -> Result<Effect, Error> {
    let placement = slot.placement_request;
    let placed = match Placed::of(round, slot) {
        Ok(placed) => placed,
        Err(failure) => return Ok(Effect::of(Change::Unfit { slot: placement, failure })),
    };
    let verdict = match ensure(round, &placed, image).await? {
        Ok(container) => {
            let change = Change::Started { slot: placement, container_id: container.id };
            return Ok(Effect::of(change));
        }
        Err(verdict) => verdict,
    };
    match verdict {
        Verdict::Good => Ok(Effect::default()),
        Verdict::Wait(failure) => Ok(Effect::hindered(failure)),
        Verdict::Bad(failure) => {
            placed.discard(round).await;
            if failure.code == FailureCode::ImageUnavailable {
                if may_be_elsewhere(round, slot) {
                    return Ok(Effect::of(Change::ImageMissing { slot: placement }));
                }
                if is_to_be_rebuilt(round, slot, image).await? {
                    return Ok(Effect::of(Change::Lost { image: image.clone() }));
                }
            }
            Ok(Effect::of(Change::Unfit { slot: placement, failure }))
        }
    }
}

/// Whether a deploy that cannot have its image on this node asks for another one before anything else: an image may be gone
/// from the registry and stand on the node that ran it.
fn may_be_elsewhere(round: &Round<'_>, slot: &Slot) -> bool {
    let deployment = round.deployment;
    let rises = slot.generation == deployment.rising() && !deployment.serves(slot.generation);
    let own = slot.place.as_ref().map(|place| &place.node);
    let has_others = round.found.seen.live_nodes().any(|node| Some(node) != own);
    is_advancing(deployment) && rises && slot.images_missing == 0 && has_others
}

/// Whether an image that nobody has can be had by another build: once a deploy, only where none of its replicas runs that
/// image, and never of what was gone back to, which another build may not be.
async fn is_to_be_rebuilt(round: &Round<'_>, slot: &Slot, image: &ImageRef) -> Result<bool, Error> {
    let deployment = round.deployment;
    if slot.generation != deployment.rising() || !can_be_rebuilt(deployment) {
        return Ok(false);
    }
    if deployment.image.as_ref() != Some(image) || deployment.origin.way == Way::RolledBack {
        return Ok(false);
    }
    let Some(release) = round.found.releases.get(&deployment.release) else { return Ok(false) };
    if matches!(release.source, Source::Image { .. }) {
        return Ok(false);
    }
    let asked_at = deployment.deadline - round.shared.config.patience.deploy;
    Ok(builds::forget(round.shared.ports.store.as_ref(), release, image, asked_at).await?)
}

/// Makes a replica's container run; what is not running for lack of a release is bad.
pub(super) async fn ensure(
    round: &Round<'_>,
    placed: &Placed<'_>,
    image: &ImageRef,
) -> Result<Result<Container, Verdict>, Error> {
    let spec = match placed.spec(round, image) {
        Ok(spec) => spec,
        Err(failure) => return Ok(Err(Verdict::Bad(failure))),
    };
    let nodes = round.shared.ports.nodes.as_ref();
    match nodes.ensure(&placed.agent, round.shared.seat.issuer(), &spec).await {
        Ok(container) => {
            let fleet = &round.shared.fleet;
            fleet.note_made(&placed.agent.node, round.now(), container.clone());
            Ok(Ok(container))
        }
        Err(err) => {
            let err = unless_deposed(err)?;
            let patience = &round.shared.config.patience;
            Ok(Err(verdict::of_start(&err, placed.slot, patience, round.now())))
        }
    }
}

/// Brings missing containers of served replicas back; one that cannot be is replaced.
pub(super) async fn restore(
    round: &Round<'_>,
    slots: &[Slot],
    image: &ImageRef,
) -> Result<Effect, Error> {
    let restored = try_join_all(slots.iter().map(|slot| restore_one(round, slot, image))).await?;
    Ok(Effect::gathered(restored))
}

async fn restore_one(round: &Round<'_>, slot: &Slot, image: &ImageRef) -> Result<Effect, Error> {
    let placement = slot.placement_request;
    let condemned = |failure: Failure| Effect::of(Change::Condemned { slot: placement, failure });
    let placed = match Placed::of(round, slot) {
        Ok(placed) => placed,
        Err(failure) => return Ok(condemned(failure)),
    };
    Ok(match ensure(round, &placed, image).await? {
        Ok(container) => {
            Effect::of(Change::Restored { slot: placement, container_id: container.id })
        }
        Err(Verdict::Bad(failure)) => condemned(failure),
        Err(Verdict::Wait(failure)) => Effect::hindered(failure),
        Err(Verdict::Good) => Effect::default(),
    })
}
