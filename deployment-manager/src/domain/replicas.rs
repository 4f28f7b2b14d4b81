//! Which replicas a deployment should have, and which of those it has may get requests.
//!
//! A deployment has at most two live generations: the one that is served, and a newer one on its
//! way. Each should have as many replicas as are wanted; what belongs to neither is to go.

use common::id::Generation;
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};

use super::observed::{Footing, Observed};

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

/// The generations that should have replicas, the one on its way first.
pub(crate) fn live_generations(deployment: &Deployment) -> Vec<Generation> {
    let advancing = is_advancing(deployment).then_some(deployment.generation);
    advancing.into_iter().chain(served_generation(deployment)).collect()
}

/// The generation that should stay served; none while a stop is under way.
pub(crate) fn served_generation(deployment: &Deployment) -> Option<Generation> {
    let stopping = deployment.state == State::Stopping;
    deployment.serving.as_ref().filter(|_| !stopping).map(|serving| serving.generation)
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
    chosen.truncate(seen.replicas);
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
    if is_advancing(deployment) {
        let newest = ready(staying(deployment, seen, deployment.generation));
        let switched = newest.iter().any(|slot| slot.state == SlotState::Routed);
        if switched || (newest.len() >= seen.replicas && !newest.is_empty()) {
            return Target::Replicas(newest);
        }
    }
    match served_generation(deployment) {
        Some(generation) => Target::Replicas(served(deployment, seen, generation)),
        None => Target::Nobody,
    }
}

/// Those that stay, and as many from nodes that are being emptied as are missing.
fn served<'a>(
    deployment: &'a Deployment,
    seen: &Observed,
    generation: Generation,
) -> Vec<&'a Slot> {
    let mut chosen = ready(staying(deployment, seen, generation));
    let missing = seen.replicas.saturating_sub(chosen.len());
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
