//! Looking at containers.

use std::time::Duration;

use common::port::nodes::{self, Probe};
use common::record::deployment::Slot;
use futures::future::try_join_all;
use tokio::time::Instant;

use super::container::{Placed, unless_deposed};
use super::{Effect, Round, last_words, start};
use crate::domain::change::Change;
use crate::domain::verdict::{self, Verdict};
use crate::reconcile::Error;

/// How long one step looks before others have their turn.
const LOOK_FOR: Duration = Duration::from_secs(1);
/// The next look is an eighth of the time that was waited later, within these: what answers soon is seen soon.
const LEAST_PAUSE: Duration = Duration::from_millis(5);
const MOST_PAUSE: Duration = Duration::from_millis(100);

/// Looks at replicas that were started, again and again, until each answers or cannot.
pub(super) async fn probe(round: &Round<'_>, slots: &[Slot]) -> Result<Effect, Error> {
    let probed = try_join_all(slots.iter().map(|slot| probe_one(round, slot))).await?;
    Ok(Effect::gathered(probed))
}

async fn probe_one(round: &Round<'_>, slot: &Slot) -> Result<Effect, Error> {
    let placement = slot.placement_request;
    let placed = match Placed::of(round, slot) {
        Ok(placed) => placed,
        Err(failure) => return Ok(Effect::of(Change::Unfit { slot: placement, failure })),
    };
    let until = Instant::now() + LOOK_FOR;
    loop {
        match look(round, &placed).await? {
            Verdict::Good => return Ok(Effect::of(Change::Ready { slot: placement })),
            Verdict::Wait(_) if Instant::now() < until => {}
            Verdict::Wait(_) => return Ok(Effect::default()),
            Verdict::Bad(mut failure) => {
                failure.output = last_words::of(round, &placed).await;
                placed.discard(round).await;
                return Ok(Effect::of(Change::Unfit { slot: placement, failure }));
            }
        }
        let waited = Duration::try_from(round.now().duration_since(slot.since));
        let pause = waited.map_or(MOST_PAUSE, |waited| waited / 8);
        tokio::time::sleep(pause.clamp(LEAST_PAUSE, MOST_PAUSE)).await;
    }
}

async fn look(round: &Round<'_>, placed: &Placed<'_>) -> Result<Verdict, Error> {
    let release = match round.release(placed.slot) {
        Ok(release) => release,
        Err(failure) => return Ok(Verdict::Bad(failure)),
    };
    let patience = &round.shared.config.patience;
    let found = round.shared.ports.nodes.probe(&placed.agent, &placed.name).await;
    let found = match found {
        Ok(found) => found,
        Err(err) => {
            let err = unless_deposed(err)?;
            return Ok(unreached(&err, placed, round));
        }
    };
    if found == Probe::Absent {
        bring_back(round, placed).await?;
    }
    Ok(verdict::of_probe(&found, placed.slot, release, patience, round.now()))
}

/// A container that cannot be looked at has as long to answer as one that can.
fn unreached(err: &nodes::Error, placed: &Placed<'_>, round: &Round<'_>) -> Verdict {
    let mut patience = round.shared.config.patience;
    patience.node = patience.health;
    verdict::of_start(err, placed.slot, &patience, round.now())
}

/// A node that lost its power may have lost the container.
async fn bring_back(round: &Round<'_>, placed: &Placed<'_>) -> Result<(), Error> {
    let deployment = round.deployment;
    let serving = deployment.serving.as_ref();
    let served = serving.filter(|serving| serving.generation == placed.slot.generation);
    let image = served.map(|serving| &serving.image).or(deployment.image.as_ref());
    if let Some(image) = image {
        drop(start::ensure(round, placed, image).await?);
    }
    Ok(())
}

/// Looks at served replicas that ended. The agent restarts them; one that ends again and again is
/// replaced.
pub(super) async fn examine(round: &Round<'_>, slots: &[Slot]) -> Result<Effect, Error> {
    let examined = try_join_all(slots.iter().map(|slot| examine_one(round, slot))).await?;
    Ok(Effect::gathered(examined))
}

async fn examine_one(round: &Round<'_>, slot: &Slot) -> Result<Effect, Error> {
    let Ok(placed) = Placed::of(round, slot) else { return Ok(Effect::default()) };
    let found = round.shared.ports.nodes.probe(&placed.agent, &placed.name).await;
    match (found, round.release(slot)) {
        (Ok(Probe::Exited { code, out_of_memory: _, crash_loop: true }), Ok(release)) => {
            let mut failure = verdict::exited(code, false, true, release);
            failure.output = last_words::of(round, &placed).await;
            Ok(Effect::of(Change::Condemned { slot: slot.placement_request, failure }))
        }
        (Err(err), _) => {
            unless_deposed(err)?;
            Ok(Effect::default())
        }
        (Ok(_), _) => Ok(Effect::default()),
    }
}
