//! Which replica should move to another node: one at a time, from a node with more to one with fewer.
//!
//! Each move makes smaller how many replicas of one app share a node, or leaves that as it is and makes the numbers of all
//! replicas on the nodes more even. So the moves come to an end, whatever the node manager makes of each of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use common::id::{RequestId, SlotNumber};
use common::name::{LegacyName, NodeName};
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};
use common::record::node::Verdict;
use jiff::Timestamp;

use super::moving;
use super::patience::Patience;
use super::replicas::is_in_progress;

/// A node as moves see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) verdict: Verdict,
    /// Whether it has been live for long enough to get something.
    pub(crate) is_steady: bool,
}

/// A move that makes things more even.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) instance: LegacyName,
    /// The request under which the replica that moves was placed.
    pub(crate) replica: RequestId,
    /// The nodes that it may move to.
    pub(crate) to: BTreeSet<NodeName>,
    pub(crate) reason: String,
}

/// The moves that may be next, the best first; none where all is even, or something else is under way.
pub(crate) fn next_moves(
    deployments: &[Deployment],
    nodes: &BTreeMap<NodeName, Home>,
    patience: &Patience,
    now: Timestamp,
) -> Vec<Proposal> {
    let is_uncertain = nodes.values().any(|home| home.verdict == Verdict::Suspect);
    let away = nodes.values().filter(|home| home.verdict == Verdict::Dead).count();
    let is_under_way = |one: &Deployment| is_in_progress(one) || one.moving.is_some();
    // Where half of the nodes look dead, they may be only unheard.
    if is_uncertain || 2 * away >= nodes.len() || deployments.iter().any(is_under_way) {
        return Vec::new();
    }
    let board = Board { nodes, totals: totals(deployments) };
    let movable = deployments.iter().filter(|one| board.is_at_rest(one));
    let options = movable.filter(|one| !moving::is_left_alone(one, patience, now));
    let mut options: Vec<Choice> = options.flat_map(|one| board.options(one)).collect();
    options.sort_by(|one, other| one.rank.cmp(&other.rank));
    options.into_iter().map(|option| option.proposal).collect()
}

/// How many replicas of all apps each node has.
fn totals(deployments: &[Deployment]) -> BTreeMap<&NodeName, usize> {
    let mut totals = BTreeMap::new();
    for slot in deployments.iter().flat_map(|one| &one.slots) {
        if let Some(place) = slot.place.as_ref().filter(|_| slot.state < SlotState::Leaving) {
            *totals.entry(&place.node).or_default() += 1;
        }
    }
    totals
}

struct Board<'a> {
    nodes: &'a BTreeMap<NodeName, Home>,
    totals: BTreeMap<&'a NodeName, usize>,
}

struct Choice {
    rank: Rank,
    proposal: Proposal,
}

/// How much a move is wanted; the lowest is the best. The order is that of the fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Replicas of the same app on its node: what shares a node dies together.
    together: Reverse<usize>,
    /// By how many replicas of all apps the nodes differ.
    apart: Reverse<usize>,
    instance: LegacyName,
    slot: Reverse<SlotNumber>,
}

impl Board<'_> {
    fn total(&self, node: &NodeName) -> usize {
        self.totals.get(node).copied().unwrap_or_default()
    }

    /// Whether all of an instance's replicas serve, on nodes that stay, and nothing else of it is there.
    fn is_at_rest(&self, deployment: &Deployment) -> bool {
        let stays = |slot: &Slot| {
            let home = slot.place.as_ref().and_then(|place| self.nodes.get(&place.node));
            slot.state == SlotState::Routed
                && deployment.serves(slot.generation)
                && home.is_some_and(|home| home.verdict == Verdict::Live)
        };
        deployment.goal == Goal::Running
            && matches!(deployment.state, State::Running | State::Failed)
            && deployment.canary.is_none()
            && deployment.slots.iter().all(stays)
    }

    fn options(&self, deployment: &Deployment) -> Vec<Choice> {
        let mut own: BTreeMap<&NodeName, Vec<&Slot>> = BTreeMap::new();
        for slot in &deployment.slots {
            if let Some(place) = &slot.place {
                own.entry(&place.node).or_default().push(slot);
            }
        }
        own.iter().filter_map(|(from, slots)| self.option(deployment, from, slots, &own)).collect()
    }

    /// The best move of an instance from a node, to one that has none of it.
    fn option(
        &self,
        deployment: &Deployment,
        from: &NodeName,
        slots: &[&Slot],
        own: &BTreeMap<&NodeName, Vec<&Slot>>,
    ) -> Option<Choice> {
        let here = self.total(from);
        let is_fewer = |node: &NodeName| slots.len() > 1 || self.total(node) + 2 <= here;
        let takes = |(node, home): &(&NodeName, &Home)| {
            home.verdict == Verdict::Live
                && home.is_steady
                && !own.contains_key(*node)
                && is_fewer(node)
        };
        let to: BTreeSet<NodeName> =
            self.nodes.iter().filter(takes).map(|(node, _)| node.clone()).collect();
        let least = to.iter().min_by_key(|node| (self.total(node), (*node).clone()))?;
        let slot = slots.iter().max_by_key(|slot| slot.number)?;
        let there = self.total(least);
        let reason = if slots.len() > 1 {
            let (together, instance) = (slots.len(), &deployment.instance);
            format!("{from} has {together} replicas of {instance}, and {least} has none")
        } else {
            format!("{from} has {here} replicas of all apps, and {least} has {there}")
        };
        let instance = deployment.instance.clone();
        let rank = Rank {
            together: Reverse(slots.len()),
            apart: Reverse(here.saturating_sub(there)),
            instance: instance.clone(),
            slot: Reverse(slot.number),
        };
        let proposal = Proposal { instance, replica: slot.placement_request, to, reason };
        Some(Choice { rank, proposal })
    }
}

#[cfg(test)]
mod tests;
