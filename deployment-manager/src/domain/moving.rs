//! A replica on its way to another node: the new one is started and served first, then the old one goes. Whatever comes
//! between, as many as are wanted stay: what has no end is forgotten, and the replica stays where it is.

use std::collections::BTreeSet;

use common::id::RequestId;
use common::name::NodeName;
use common::record::course::{Decision, DecisionKind, Move, Stay};
use common::record::deployment::{Deployment, Slot, SlotState};
use jiff::{SignedDuration, Timestamp};

use super::change::Change;
use super::observed::{Footing, Observed};
use super::patience::Patience;
use super::placement;

/// How many intervals an instance is left alone of which a replica was to move; doubles with each move that came to nothing.
const LEFT_FOR: i32 = 5;
/// How often that doubles.
const MOST_DOUBLED: u32 = 6;

/// What is to be done about a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Wait,
    /// The new replica serves: the old one goes.
    Leave,
    /// It has no end, for this reason.
    Forget(String),
}

/// What is next; none where nothing moves.
pub(super) fn next(
    deployment: &Deployment,
    seen: &Observed,
    patience: &Patience,
    now: Timestamp,
) -> Option<Next> {
    let one = deployment.moving.as_ref()?;
    let (Some(new), Some(old)) = (find(deployment, one.new), find(deployment, one.old)) else {
        return Some(Next::Forget("one of the two replicas is gone".to_owned()));
    };
    let is_firm = |slot: &Slot| seen.footing(slot) == Footing::Firm;
    let goes = |slot: &Slot| {
        let is_lost = slot.state < SlotState::Leaving && !is_firm(slot);
        slot.generation == old.generation && (is_lost || slot.state == SlotState::Leaving)
    };
    Some(if !is_firm(new) || !is_firm(old) || old.state != SlotState::Routed {
        Next::Forget("a node or a replica failed meanwhile".to_owned())
    } else if deployment.slots.iter().any(goes) {
        // With the old one gone too, fewer would be served than are wanted.
        Next::Forget("the new replica takes the place of another one that goes".to_owned())
    } else if new.place.as_ref().is_some_and(|place| !one.to.contains(&place.node)) {
        let node = new.place.as_ref().map(|place| place.node.to_string()).unwrap_or_default();
        Next::Forget(format!("the node manager chose {node}, where it is no better off"))
    } else if new.attempt > 0 || now.duration_since(one.since) >= patience.moving {
        Next::Forget("the new replica did not come up".to_owned())
    } else if new.state == SlotState::Routed {
        Next::Leave
    } else {
        Next::Wait
    })
}

fn find(deployment: &Deployment, placement: RequestId) -> Option<&Slot> {
    let stays =
        |slot: &&Slot| slot.placement_request == placement && slot.state < SlotState::Leaving;
    deployment.slots.iter().find(stays)
}

/// What was done about a move is noted.
pub(super) fn note(
    deployment: &mut Deployment,
    change: &Change,
    patience: &Patience,
    now: Timestamp,
) {
    if let Change::Moving { replica, to, reason } = change {
        if begin(deployment, *replica, to, reason, now) {
            leave_alone(deployment, patience, now);
        }
    } else if let Change::NotMoved { reason } = change {
        forget(deployment, reason, now);
    } else {
        leave(deployment, now);
    }
}

/// One more replica is asked for, in the place of this one; says whether there is one.
fn begin(
    deployment: &mut Deployment,
    old: RequestId,
    to: &BTreeSet<NodeName>,
    reason: &str,
    now: Timestamp,
) -> bool {
    let Some(serving) = deployment.serving.as_ref().filter(|_| deployment.moving.is_none()) else {
        return false;
    };
    let generation = serving.generation;
    let Some(number) = find(deployment, old).map(|slot| slot.number) else { return false };
    let before: BTreeSet<RequestId> =
        deployment.slots.iter().map(|slot| slot.placement_request).collect();
    placement::ask(deployment, generation, 1, now);
    let added = deployment.slots.iter().find(|slot| !before.contains(&slot.placement_request));
    let Some(new) = added.map(|slot| slot.placement_request) else { return false };
    deployment.moving =
        Some(Move { new, old, to: to.clone(), since: now, reason: reason.to_owned() });
    forget_last_in_vain(deployment);
    let reason = format!("replica {number} moves: {reason}");
    deployment.decided(Decision { at: now, kind: DecisionKind::Moving, reason });
    true
}

/// Until when it is left alone, which stands in its record: a restart asks for nothing in vain again.
fn leave_alone(deployment: &mut Deployment, patience: &Patience, now: Timestamp) {
    let in_vain = deployment.stays.map_or(0, |stay| stay.in_vain);
    let until = now + alone_for(patience, in_vain);
    deployment.stays = Some(Stay { until, in_vain });
}

fn alone_for(patience: &Patience, in_vain: u32) -> SignedDuration {
    patience.rebalance * (LEFT_FOR * 2_i32.pow(in_vain.min(MOST_DOUBLED)))
}

/// Whether none of its replicas is to move yet. For longer than ever it was a clock that was ahead who said so.
pub(super) fn is_left_alone(deployment: &Deployment, patience: &Patience, now: Timestamp) -> bool {
    let longest = alone_for(patience, MOST_DOUBLED);
    deployment
        .stays
        .is_some_and(|stay| now < stay.until && stay.until.duration_since(now) <= longest)
}

/// Of moves that come to nothing again and again the last one is enough: other decisions are not to go for them.
fn forget_last_in_vain(deployment: &mut Deployment) {
    let kinds = deployment.decisions.iter().rev().map(|one| one.kind);
    if kinds.take(2).eq([DecisionKind::NotMoved, DecisionKind::Moving]) {
        deployment.decisions.truncate(deployment.decisions.len() - 2);
    }
}

/// The old replica goes.
fn leave(deployment: &mut Deployment, now: Timestamp) {
    let Some(one) = deployment.moving.take() else { return };
    let place = |slot: &Slot| slot.place.as_ref().map(|place| place.node.to_string());
    let node = find(deployment, one.new).and_then(place).unwrap_or_default();
    let old = deployment.slots.iter_mut().find(|slot| slot.placement_request == one.old);
    let Some(old) = old.filter(|old| old.state == SlotState::Routed) else { return };
    old.state = SlotState::Leaving;
    old.since = now;
    if let Some(stay) = &mut deployment.stays {
        stay.in_vain = 0;
    }
    let from = place(old).unwrap_or_default();
    let reason = format!("replica {} of {from} is served from {node} now", old.number);
    deployment.decided(Decision { at: now, kind: DecisionKind::Moved, reason });
}

/// The replica stays where it is, if it still is.
pub(super) fn forget(deployment: &mut Deployment, why: &str, now: Timestamp) {
    if deployment.moving.take().is_some() {
        if let Some(stay) = &mut deployment.stays {
            stay.in_vain = (stay.in_vain + 1).min(MOST_DOUBLED);
        }
        let reason = why.to_owned();
        deployment.decided(Decision { at: now, kind: DecisionKind::NotMoved, reason });
    }
}
