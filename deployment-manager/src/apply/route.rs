//! The way in: telling the load balancer, and asking through the front door.

use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::port::routes;
use common::record::deployment::{Slot, SlotState};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Effect, Round, placements};
use crate::domain::change::Change;
use crate::domain::replicas::is_advancing;
use crate::domain::spec;
use crate::domain::verdict::{self, Verdict};
use crate::reconcile::Error;

/// How long one step asks before others have their turn.
const ASK_FOR: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Has the edge serve these replicas and no others; those that leave are drained when this is done.
pub(super) async fn route(
    round: &Round<'_>,
    slots: &[Slot],
    waiting: &[Slot],
) -> Result<Effect, Error> {
    let (deployment, rising) = (round.deployment, round.deployment.rising());
    let of_deploy = is_advancing(deployment) && slots.iter().any(|slot| slot.generation == rising);
    // A canary is served as its release before says: it is beside it, behind the same door.
    let served =
        slots.iter().find(|slot| deployment.serves(slot.generation)).or_else(|| slots.first());
    // Without a replica it is the route of an app at rest.
    let at_rest = deployment.serving.as_ref().map(|serving| serving.generation);
    let Some(generation) = served.map(|slot| slot.generation).or(at_rest) else {
        return Ok(Effect::default());
    };
    let image = spec::image_of(deployment, generation);
    let (release, image) = match (round.release_of(generation), image) {
        (Ok(release), Some(image)) => (release, image),
        (Err(failure), _) => return Ok(refused(Verdict::Bad(failure), of_deploy)),
        (Ok(_), None) => {
            let failure = Failure::new(FailureCode::Internal, "the replicas have no image");
            return Ok(refused(Verdict::Bad(failure), of_deploy));
        }
    };
    let wanted = spec::route((round.deployment, round.version), slots, image, release);
    match round.shared.ports.routes.set(&wanted).await {
        Ok(routed) => Ok(Effect::of(Change::Routed {
            slots: placements(slots),
            waiting: placements(waiting),
            endpoint: routed.endpoint.to_string(),
        })),
        Err(err) => {
            let patience = &round.shared.config.patience;
            let verdict =
                verdict::of_route(&err, waited_since(round, slots), patience, round.now());
            Ok(refused(verdict, of_deploy))
        }
    }
}

/// A deploy can be given up for it; what is served is tried again.
fn refused(verdict: Verdict, of_deploy: bool) -> Effect {
    match verdict {
        Verdict::Good => Effect::default(),
        Verdict::Bad(failure) if of_deploy => Effect::of(Change::GivenUp { failure }),
        Verdict::Wait(failure) | Verdict::Bad(failure) => Effect::hindered(failure),
    }
}

/// Has the edge serve the instance no longer; requests under way are drained when this is done.
pub(super) async fn unroute(round: &Round<'_>, waiting: &[Slot]) -> Result<Effect, Error> {
    let deployment = round.deployment;
    let routes = round.shared.ports.routes.as_ref();
    Ok(match routes.remove(&deployment.instance, deployment.generation).await {
        Ok(()) => Effect::of(Change::Unrouted { waiting: placements(waiting) }),
        Err(routes::Error::Failed(failure)) => Effect::hindered(failure),
        Err(err @ (routes::Error::Unavailable(_) | routes::Error::Stale(_))) => {
            Effect::hindered(Failure::new(FailureCode::RouteFailed, err.to_string()))
        }
    })
}

/// Says that the deployment runs once the app answers through the front door.
pub(super) async fn finish(round: &Round<'_>) -> Result<Effect, Error> {
    let deployment = round.deployment;
    let release = round.found.releases.get(&deployment.release);
    let path = release.and_then(|release| release.health_path.as_deref()).unwrap_or("/");
    let routed: Vec<Slot> =
        deployment.slots.iter().filter(|slot| slot.state == SlotState::Routed).cloned().collect();
    let until = Instant::now() + ASK_FOR;
    loop {
        let status = match round.shared.ports.routes.probe(&deployment.instance, path).await {
            Ok(status) => status,
            Err(err @ routes::Error::Unavailable(_)) => {
                let failure = Failure::new(FailureCode::RouteFailed, err.to_string());
                return Ok(Effect::hindered(failure));
            }
            Err(routes::Error::Stale(_) | routes::Error::Failed(_)) => None,
        };
        let patience = &round.shared.config.patience;
        match verdict::of_front(status, waited_since(round, &routed), patience, round.now()) {
            Verdict::Good => return Ok(Effect::of(Change::Running)),
            Verdict::Bad(failure) => return Ok(Effect::of(Change::GivenUp { failure })),
            Verdict::Wait(_) if Instant::now() >= until => return Ok(Effect::default()),
            Verdict::Wait(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Since when the last of them has been as it is, and no longer than the deploy is under way: its replicas may have been
/// served for long.
fn waited_since(round: &Round<'_>, slots: &[Slot]) -> Timestamp {
    let latest = slots.iter().map(|slot| slot.since).max().unwrap_or_default();
    if !is_advancing(round.deployment) {
        return latest;
    }
    latest.max(round.deployment.deadline - round.shared.config.patience.deploy)
}
