//! Looking how a release does that has just taken over, or that gets a share: whether its replicas stay, and how many of
//! its requests fail. What cannot be seen is no reason to go back.

use std::sync::PoisonError;
use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::port::container::{Container, ContainerState};
use common::port::routes::{ReplicaShare, Share};
use common::record::deployment::{Place, Slot, SlotState};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::container::Placed;
use super::{Round, last_words};
use crate::domain::verdict;
use crate::reconcile::Error;

const WITHIN: Duration = Duration::from_secs(2);

/// Why the release should not stay, if it was seen to fail.
pub(crate) async fn watch(round: &Round<'_>) -> Result<Option<Failure>, Error> {
    let (ended, rose) = futures::join!(ended(round), rose(round));
    Ok(ended.or(rose))
}

/// The replicas that are watched.
fn watched<'a>(round: &Round<'a>) -> impl Iterator<Item = &'a Slot> {
    let rising = round.deployment.rising();
    let slots = round.deployment.slots.iter();
    slots.filter(move |slot| slot.generation == rising && slot.state == SlotState::Routed)
}

/// A replica that ended, be it that its agent has started it again.
async fn ended(round: &Round<'_>) -> Option<Failure> {
    let looked = join_all(watched(round).map(|slot| ended_one(round, slot))).await;
    looked.into_iter().flatten().next()
}

async fn ended_one(round: &Round<'_>, slot: &Slot) -> Option<Failure> {
    let placed = Placed::of(round, slot).ok()?;
    let listed = round.shared.ports.nodes.list(&placed.agent);
    let containers = timeout(WITHIN, listed).await.ok()?.ok()?;
    let is_it = |name: &_, generation| *name == placed.name && generation == slot.generation;
    let found = containers.into_iter().find(|one| is_it(&one.name, one.generation))?;
    let mut failure = match found.state {
        ContainerState::Exited { code, out_of_memory, .. } => {
            why_ended(round, slot, &found, None)?;
            let release = round.release(slot).ok()?;
            verdict::exited(code, out_of_memory, false, release)
        }
        ContainerState::Running { since } => {
            let why = why_ended(round, slot, &found, Some(since))?;
            Failure::new(FailureCode::AppExited, why)
        }
        ContainerState::Created => return None,
    };
    failure.output = last_words::of(round, &placed).await;
    Some(failure)
}

/// What is known of a replica's container that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    container_id: String,
    /// Since when it ran, as it was seen last.
    since: Option<Timestamp>,
    /// When it was seen last that it had ended.
    ended: Option<Timestamp>,
    /// Why it should not stay.
    why: Option<&'static str>,
}

/// Two ends within so long are the release's own fault; one may be its node's.
const TWICE_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Why a replica that ended is not to stay: it did so while it was new, or twice. Another container under its name, as of
/// a restore, is looked at anew; a life of this service that has just begun has not looked yet. `since` it runs; none where
/// it has ended, and has not begun again.
fn why_ended(
    round: &Round<'_>,
    slot: &Slot,
    found: &Container,
    since: Option<Timestamp>,
) -> Option<&'static str> {
    let mut watched = round.shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
    if watched.len() > MOST_WATCHED {
        watched.clear();
    }
    let placement: RequestId = slot.placement_request;
    let now = round.now();
    let fresh = || Watched { container_id: found.id.clone(), since, ended: None, why: None };
    let seen = watched.entry(placement).or_insert_with(fresh);
    if seen.container_id != found.id {
        *seen = fresh();
    }
    // An end that is seen as such is counted when it has begun again.
    let has_ended = since.is_none_or(|since| seen.since.is_some_and(|before| before != since));
    if has_ended {
        let is_new = now.duration_since(slot.since) <= round.shared.config.patience.watch + SLACK;
        let again = seen.ended.is_some_and(|ended| now.duration_since(ended) <= TWICE_WITHIN);
        if is_new {
            seen.why = Some("it ended soon after it was ready, and was started again");
        } else if again {
            seen.why = Some("it ended twice within ten minutes, and was started again");
        }
    }
    if since.is_some() {
        seen.ended = if has_ended { Some(now) } else { seen.ended };
        seen.since = since;
    }
    seen.why
}

/// How much later than it happened an end is seen.
const SLACK: SignedDuration = SignedDuration::from_secs(2);

/// What is forgotten is looked at anew.
const MOST_WATCHED: usize = 10_000;

/// Whether more requests fail than of the release before.
async fn rose(round: &Round<'_>) -> Option<Failure> {
    let deployment = round.deployment;
    let asked = round.shared.ports.routes.traffic(&deployment.instance);
    let traffic = timeout(WITHIN, asked).await.ok()?.ok()?;
    let of = |slots: Vec<&Slot>| -> Share {
        let theirs =
            traffic.replicas.iter().filter(|one| slots.iter().any(|slot| is_of(one, slot)));
        theirs.map(Share::from).sum()
    };
    let before = deployment.slots.iter().filter(|slot| deployment.serves(slot.generation));
    let new = of(watched(round).collect());
    let old = of(before.collect());
    let why = new.is_worse_than(old)?;
    Some(Failure::new(FailureCode::ErrorsRose, format!("release {}: {why}", deployment.release)))
}

/// Whether a replica got this. What left is not what gets requests now: it had the same address before.
fn is_of(share: &ReplicaShare, slot: &Slot) -> bool {
    let is_there = |place: &Place| (place.ip, place.host_port) == (share.ip, share.port);
    let is_it = share.is_served || slot.state != SlotState::Routed;
    is_it && slot.place.as_ref().is_some_and(is_there)
}
