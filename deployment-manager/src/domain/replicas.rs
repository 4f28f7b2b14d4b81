//! Which replicas a deployment should have, and which of those it has may get requests.
//!
//! A deployment has at most two live generations: the one that is served, and a newer one on its
//! way. Each should have as many replicas as are wanted; what belongs to neither is to go.

use common::id::Generation;
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};

use super::observed::{Footing, Observed};
use super::share;

/// Whom the route should name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// Nobody: there should be no route.
    Nobody,
    /// These; sorted by number.
    Replicas(Vec<&'a Slot>),
}

/// Whether the newest generation is on its way up.
pub(crate) fn is_advancing(deployment: &Deployment) -> bool {
    deployment.goal == Goal::Running && deployment.state < State::Running
}

/// Whether the request that set the goal has no outcome yet.
pub(crate) fn is_in_progress(deployment: &Deployment) -> bool {
    is_advancing(deployment) || matches!(deployment.state, State::Undoing | State::Stopping)
}

/// Whether the edge may send requests to this replica.
pub(crate) fn may_be_routed(slot: &Slot) -> bool {
    matches!(slot.state, SlotState::Ready | SlotState::Routed | SlotState::Leaving)
}

/// Whether what is on its way can be another build: one release never runs as two of them.
pub(crate) fn can_be_rebuilt(deployment: &Deployment) -> bool {
    let rising = deployment.rising();
    let mut own = deployment.slots.iter().filter(|slot| slot.generation == rising);
    is_advancing(deployment) && own.all(|slot| slot.state < SlotState::Started)
}

/// Whether the newest generation is to get a share only.
pub(crate) fn is_canary(deployment: &Deployment) -> bool {
    deployment.canary.as_ref().is_some_and(|canary| !canary.promoted)
}

/// Whether a canary is there and has come to its share; what was asked of it since may have failed.
pub(crate) fn gets_share(deployment: &Deployment) -> bool {
    let is_there = matches!(deployment.state, State::Running | State::Undoing | State::Failed);
    deployment.goal == Goal::Running && is_there && is_canary(deployment)
}

/// The generations that should have replicas, the one on its way first.
pub(crate) fn live_generations(deployment: &Deployment) -> Vec<Generation> {
    let rising = (is_advancing(deployment) || gets_share(deployment)).then(|| deployment.rising());
    let served = served_generation(deployment).filter(|served| Some(*served) != rising);
    rising.into_iter().chain(served).collect()
}

/// The generation that should stay served; none while a stop is under way.
pub(crate) fn served_generation(deployment: &Deployment) -> Option<Generation> {
    let stopping = deployment.state == State::Stopping;
    deployment.serving.as_ref().filter(|_| !stopping).map(|serving| serving.generation)
}

/// How many replicas a generation should have: a canary its share of them, what is served one more while one moves.
pub(crate) fn wanted_count(
    deployment: &Deployment,
    seen: &Observed,
    generation: Generation,
) -> usize {
    let is_served = deployment.serves(generation);
    // What is on its way shows that it serves, also where the app is at rest; a canary beside what is served.
    let is_shown = generation == deployment.rising() || is_canary(deployment);
    let rises = is_advancing(deployment) && is_shown;
    let replicas = if rises { seen.replicas.max(1) } else { seen.replicas };
    match &deployment.canary {
        _ if replicas == 0 => 0,
        Some(canary) if !canary.promoted && !is_served => share::replicas(canary.share, replicas),
        Some(_) | None => replicas + usize::from(is_served && deployment.moving.is_some()),
    }
}

/// The replicas of a generation that should stay, sorted by number: at most as many as are wanted,
/// those that serve before those that do not yet, then lower numbers before higher ones.
pub(crate) fn staying<'a>(
    deployment: &'a Deployment,
    seen: &Observed,
    generation: Generation,
) -> Vec<&'a Slot> {
    let stays = |slot: &&Slot| {
        slot.generation == generation
            && slot.state < SlotState::Leaving
            && seen.footing(slot) == Footing::Firm
    };
    let mut chosen: Vec<&Slot> = deployment.slots.iter().filter(stays).collect();
    chosen.sort_by_key(|slot| (slot.state < SlotState::Ready, slot.number));
    chosen.truncate(wanted_count(deployment, seen, generation));
    chosen.sort_by_key(|slot| slot.number);
    chosen
}

/// Whether a replica is one of those that should be.
pub(crate) fn is_wanted(deployment: &Deployment, seen: &Observed, slot: &Slot) -> bool {
    live_generations(deployment).contains(&slot.generation)
        && staying(deployment, seen, slot.generation).contains(&slot)
}

/// Whom the route should name now.
pub(crate) fn target<'a>(deployment: &'a Deployment, seen: &Observed) -> Target<'a> {
    let served = served_generation(deployment);
    let beside = served.map(|generation| serving(deployment, seen, generation, seen.replicas));
    let beside = beside.unwrap_or_default();
    if !is_advancing(deployment) && !is_canary(deployment) {
        return if served.is_some() { Target::Replicas(beside) } else { Target::Nobody };
    }
    let rising = deployment.rising();
    let wanted = wanted_count(deployment, seen, rising);
    let stays = ready(staying(deployment, seen, rising)).len();
    let complete = stays >= wanted && stays > 0;
    let newest = serving(deployment, seen, rising, wanted);
    if is_canary(deployment) && live_generations(deployment).contains(&rising) {
        // A share is of something: alone it would begin with all requests.
        let begins = complete && !beside.is_empty();
        let shares = |slot: &&Slot| begins || slot.state == SlotState::Routed;
        return Target::Replicas(together(newest.into_iter().filter(shares), beside));
    }
    if is_advancing(deployment) && (complete || has_taken_over(deployment, &newest)) {
        return Target::Replicas(newest);
    }
    // What is promoted keeps its share until it can have all.
    let shared = newest.into_iter().filter(|slot| slot.state == SlotState::Routed);
    match served {
        Some(generation) if generation != rising && deployment.canary.is_some() => {
            Target::Replicas(together(shared, beside))
        }
        Some(_) => Target::Replicas(beside),
        None => Target::Nobody,
    }
}

/// Whether visitors get the newest generation already, beside one that they could get again.
pub(crate) fn is_in_front(deployment: &Deployment) -> bool {
    let rising = deployment.rising();
    let newest: Vec<&Slot> =
        deployment.slots.iter().filter(|slot| slot.generation == rising).collect();
    let has_way_back = deployment.serving.is_some() && !deployment.serves(rising);
    is_advancing(deployment) && has_way_back && has_taken_over(deployment, &newest)
}

/// Whether the newest generation is in the route, and the one before it is not any more.
fn has_taken_over(deployment: &Deployment, newest: &[&Slot]) -> bool {
    let before = |slot: &Slot| {
        slot.state == SlotState::Routed
            && slot.generation != deployment.rising()
            && deployment.serves(slot.generation)
    };
    newest.iter().any(|slot| slot.state == SlotState::Routed)
        && !deployment.slots.iter().any(before)
}

fn together<'a>(one: impl Iterator<Item = &'a Slot>, other: Vec<&'a Slot>) -> Vec<&'a Slot> {
    let mut all: Vec<&Slot> = one.chain(other).collect();
    all.sort_by_key(|slot| slot.number);
    all
}

/// Those that stay, and as many from nodes that are being emptied as are missing.
fn serving<'a>(
    deployment: &'a Deployment,
    seen: &Observed,
    generation: Generation,
    wanted: usize,
) -> Vec<&'a Slot> {
    let mut chosen = ready(staying(deployment, seen, generation));
    let missing = wanted.saturating_sub(chosen.len());
    let drains = |slot: &&Slot| {
        slot.generation == generation
            && slot.state == SlotState::Routed
            && seen.footing(slot) == Footing::Draining
    };
    chosen.extend(deployment.slots.iter().filter(drains).take(missing));
    chosen.sort_by_key(|slot| slot.number);
    chosen
}

fn ready(slots: Vec<&Slot>) -> Vec<&Slot> {
    let is_ready = |slot: &&Slot| matches!(slot.state, SlotState::Ready | SlotState::Routed);
    slots.into_iter().filter(is_ready).collect()
}
