//! I2 and I6 of releases that share an instance's requests, of releases that the platform goes back from by itself, and of
//! replicas that move.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::failure::FailureCode;
use common::id::{Generation, RequestId};
use common::name::{LegacyName, NodeName};
use common::port::container::Container;
use common::port::edge::{Table, TableRoute, Upstream};
use common::record::course::{Decision, DecisionKind, Share};
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::instance::Instance;
use common::record::path;
use common::record::scale::Scale;

use super::settled::{Checked, all, demand};
use super::{Change, Checker, Invariant, decoded};
use crate::world::Truth;

/// By how much a share may be off, in tenths of a percent: weights are whole numbers.
const MOST_OFF: u64 = 25;

/// What is said of containers that end.
const ENDS: [FailureCode; 3] =
    [FailureCode::AppExited, FailureCode::CrashLoop, FailureCode::OomKilled];

/// What is known of the ways of releases and replicas.
#[derive(Debug, Default)]
pub(super) struct Courses {
    /// The shares that canaries of each instance may have, and when they were accepted.
    shares: BTreeMap<LegacyName, BTreeSet<(u64, Share)>>,
    /// When the platform went back from a release of an instance last.
    backed_out: BTreeMap<LegacyName, u64>,
    moves: BTreeMap<LegacyName, Moving>,
    /// When something befell a node last that ended its containers.
    harmed: BTreeMap<NodeName, u64>,
    /// The newest of each instance's generations that run, and since when it is known.
    risen: BTreeMap<LegacyName, (Generation, u64)>,
}

/// A replica that is brought to another node, until the old one is gone.
#[derive(Debug)]
struct Moving {
    old: RequestId,
    generation: Generation,
    /// How many the edge served when it began.
    served: usize,
}

impl Courses {
    /// When the platform went back from a release of this instance by itself, if it did.
    pub(super) fn backed_out(&self, instance: &LegacyName) -> Option<u64> {
        self.backed_out.get(instance).copied()
    }
}

impl Checker {
    /// Something that befell a node ended its containers.
    pub(crate) fn harmed(&mut self, node: &NodeName, now: u64) {
        self.courses.harmed.insert(node.clone(), now);
    }

    /// A share of an instance's requests was accepted.
    pub(super) fn note_share(&mut self, instance: LegacyName, share: Share, now: u64) {
        self.courses.shares.entry(instance).or_default().insert((now, share));
    }

    /// A request came to its end that was accepted at this time: what was asked for before holds no more.
    pub(super) fn forget_shares(&mut self, instance: &LegacyName, before: u64) {
        if let Some(shares) = self.courses.shares.get_mut(instance) {
            shares.retain(|(at, _)| *at >= before);
        }
    }

    /// How many are wanted, or who is there, changed for another reason than a move.
    pub(super) fn forget_move(&mut self, instance: &LegacyName) {
        self.courses.moves.remove(instance);
    }

    /// Nodes that fail, or are taken for such, take replicas with them.
    pub(crate) fn forget_moves(&mut self) {
        self.courses.moves.clear();
    }

    /// No two releases are in full charge of an instance: the younger one has the share that was asked for.
    pub(super) fn check_shares(&mut self, table: &Table, truth: &Truth) {
        for row in table.routes.iter().filter(|row| row.upstreams.len() > 1) {
            let Some(weights) = weights(row, truth) else { continue };
            let total: u64 = weights.values().sum();
            let Some((_, young)) = weights.last_key_value().filter(|_| weights.len() > 1) else {
                continue;
            };
            let tenths = young * 1000 / total.max(1);
            let asked = self.courses.shares.get(&row.instance);
            let fits = |(_, share): &(u64, Share)| {
                tenths.abs_diff(u64::from(share.percent()) * 10) <= MOST_OFF
            };
            if weights.len() > 2 || !asked.is_some_and(|asked| asked.iter().any(fits)) {
                let what = format!(
                    "{} releases share the requests of {}, the newest has {tenths} of 1000, and {asked:?} was asked for",
                    weights.len(),
                    row.instance
                );
                self.violate(Invariant::I2EffectOnce, what);
            }
        }
    }

    /// While a replica moves, none that runs is taken out of the route so that fewer are served than before.
    pub(super) fn check_moving(&mut self, table: &Table, truth: &Truth) {
        let row_of = |table: &Table, instance: &LegacyName| -> Option<TableRoute> {
            table.routes.iter().find(|row| row.instance == *instance).cloned()
        };
        let held = self.held_ports(truth);
        let mut short = Vec::new();
        for (instance, moving) in &self.courses.moves {
            let row = row_of(table, instance);
            let Some(before) = self.last.as_ref().and_then(|last| row_of(last, instance)) else {
                continue;
            };
            if row.is_none() && held.contains(&before.front_port) {
                continue;
            }
            let now = row.map(|row| row.upstreams).unwrap_or_default();
            let stays = |one: &Upstream| now.iter().any(|now| now.address() == one.address());
            let mut gone = before.upstreams.iter().filter(|one| !stays(one));
            let is_taken = gone.any(|one| truth.listener(one.address()).is_some());
            if now.len() < moving.served && is_taken {
                short.push(format!(
                    "a move left {instance} with {} replicas of {}",
                    now.len(),
                    moving.served
                ));
            }
        }
        for what in short {
            self.violate(Invariant::I6KeepServing, what);
        }
    }

    /// What was decided of releases and places, as the record says it.
    pub(super) fn check_courses(&mut self, change: &Change<'_>, truth: &Truth, now: u64) {
        let Change { before, after: Some(after), .. } = *change else { return };
        let rising = after.rising();
        let risen = self.courses.risen.entry(after.instance.clone()).or_insert((rising, now));
        let (known, since) = *risen;
        if known != rising {
            *risen = (rising, now);
        }
        if let Some(before) = before {
            self.note_alone(before, after);
        }
        for decision in new_decisions(before, after) {
            self.visit("decision", "Any".to_owned(), format!("{:?}", decision.kind));
            if decision.kind == DecisionKind::BackedOut {
                self.courses.backed_out.insert(after.instance.clone(), now);
                self.check_cause(before, after, truth, since);
            }
        }
        self.follow_move(before, after, truth);
    }

    /// A release is not gone back from for what nobody saw while it ran.
    fn check_cause(
        &mut self,
        before: Option<&Deployment>,
        after: &Deployment,
        truth: &Truth,
        since: u64,
    ) {
        let Some(failure) = &after.failure else {
            let what = format!("{} went back from a release without a reason", after.instance);
            return self.violate(Invariant::I10HonestStatus, what);
        };
        let Some((before, image)) =
            before.and_then(|before| before.image.as_ref().map(|image| (before, image)))
        else {
            let what = format!("{} went back from a release that never ran", after.instance);
            return self.violate(Invariant::I10HonestStatus, what);
        };
        let rising = before.rising();
        let on = before.slots.iter().filter(|slot| slot.generation == rising);
        let mut nodes = on.filter_map(|slot| slot.place.as_ref()).map(|place| &place.node);
        let is_seen = if failure.code == FailureCode::ErrorsRose {
            truth.errs(image)
        } else if ENDS.contains(&failure.code) {
            let harmed = &self.courses.harmed;
            let ended = |node: &NodeName| harmed.get(node).is_some_and(|at| *at >= since);
            truth.crashes(image) || nodes.any(ended)
        } else {
            true
        };
        if !is_seen {
            let what =
                format!("{} went back from {image} without a cause: {failure}", after.instance);
            self.violate(Invariant::I10HonestStatus, what);
        }
    }

    fn follow_move(&mut self, before: Option<&Deployment>, after: &Deployment, truth: &Truth) {
        let instance = &after.instance;
        let began = before.is_none_or(|before| before.moving.is_none());
        if let Some(moving) = after.moving.as_ref().filter(|_| began) {
            let row = truth.edge.row(instance);
            // Fewer may be wanted by now than the edge serves yet.
            let served = row.map_or(0, |row| row.upstreams.len()).min(wanted(after, truth));
            let (old, generation) = (moving.old, after.generation);
            let moving = Moving { old, generation, served };
            self.courses.moves.insert(instance.clone(), moving);
            return;
        }
        let left = before.and_then(|before| before.moving.as_ref());
        if let Some(left) = left.filter(|_| after.moving.is_none()) {
            let stands = |request, state| {
                let is_it = |slot: &&Slot| slot.placement_request == request;
                after.slots.iter().find(is_it).filter(|slot| slot.state == state)
            };
            let new = stands(left.new, SlotState::Routed);
            // One whose container is gone goes for that, and not for the move.
            let old = stands(left.old, SlotState::Leaving);
            let leaves = old.and_then(address).is_some_and(|at| truth.listener(at).is_some());
            let is_calm = self.courses.moves.contains_key(instance);
            let serves = new.is_some_and(|new| serves(truth, instance, new));
            if is_calm && leaves && !serves {
                let what =
                    format!("a replica of {instance} goes before the one it moved for serves");
                self.violate(Invariant::I6KeepServing, what);
            }
            if !leaves {
                self.forget_move(instance);
            }
        }
        let is_over = self.courses.moves.get(instance).is_some_and(|moving| {
            let is_old = |slot: &Slot| slot.placement_request == moving.old;
            moving.generation != after.generation || !after.slots.iter().any(is_old)
        });
        if is_over {
            self.forget_move(instance);
        }
    }
}

/// How much of the requests each generation behind a row gets; none where somebody does not listen.
fn weights(row: &TableRoute, truth: &Truth) -> Option<BTreeMap<Generation, u64>> {
    let mut weights = BTreeMap::new();
    for upstream in &row.upstreams {
        let generation = truth.listener(upstream.address())?.generation;
        *weights.entry(generation).or_default() += u64::from(u16::from(upstream.weight));
    }
    Some(weights)
}

/// The decisions that a change adds.
fn new_decisions<'a>(
    before: Option<&'a Deployment>,
    after: &'a Deployment,
) -> impl Iterator<Item = &'a Decision> {
    let known = before.map(|before| before.decisions.as_slice()).unwrap_or_default();
    after.decisions.iter().filter(move |decision| !known.contains(decision))
}

/// How many replicas an instance should have: as the newest change of their number says, else as its user has it.
fn wanted(deployment: &Deployment, truth: &Truth) -> usize {
    let scales = all::<Scale>(truth, "scale").into_iter();
    let mut its = scales.filter(|(_, scale)| scale.instance == deployment.instance);
    let newest = its.find(|(_, scale)| scale.is_for(deployment));
    let value = truth.store.records(&path::instance(&deployment.instance)).into_iter().next();
    let kept: Option<Instance> = decoded(value.map(|(_, value)| value).as_ref());
    let count = newest.map(|(_, scale)| scale.replicas).or_else(|| kept.map(|kept| kept.replicas));
    count.and_then(|count| count.try_into().ok()).unwrap_or(usize::MAX)
}

/// Where a replica listens.
fn address(slot: &Slot) -> Option<SocketAddr> {
    slot.place.as_ref().map(|place| (place.ip, place.host_port).into())
}

/// Whether the edge serves a replica, and it runs.
fn serves(truth: &Truth, instance: &LegacyName, slot: &Slot) -> bool {
    let Some(address) = address(slot) else { return false };
    let row = truth.edge.row(instance);
    let is_served = row.is_some_and(|row| row.upstreams.iter().any(|one| one.address() == address));
    is_served && truth.listener(address).is_some()
}

/// Whether the platform went back from a release by itself, and nothing was decided of releases since.
pub(super) fn has_gone_back(deployment: &Deployment) -> bool {
    use DecisionKind::{BackedOut, Moved, Moving, NotMoved};
    let kinds = deployment.decisions.iter().rev().map(|decision| decision.kind);
    let mut of_releases = kinds.filter(|kind| !matches!(kind, Moving | Moved | NotMoved));
    of_releases.next() == Some(BackedOut)
}

/// How many replicas a canary adds to so many.
pub(super) fn added(deployment: &Deployment, wanted: u32) -> u32 {
    match deployment.canary.as_ref().filter(|canary| !canary.promoted && wanted > 0) {
        Some(canary) => (wanted * u32::from(canary.share.percent())).div_ceil(100).max(1),
        None => 0,
    }
}

/// The generation of a canary that gets its share, with what it runs.
pub(super) fn is_beside(deployment: &Deployment, container: &Container) -> bool {
    deployment.canary.is_some()
        && deployment.rising() == container.generation
        && deployment.image.as_ref() == Some(&container.image)
}

/// No move has no end, and visitors are not left with a canary that answers with errors.
pub(super) fn ended(truth: &Truth, deployments: &[Deployment]) -> Checked {
    for one in deployments {
        let instance = &one.instance;
        demand(one.moving.is_none(), Invariant::I7Converge, || {
            format!("a replica of {instance} has not moved")
        })?;
        // A release is not worse where the one beside it answers with errors too.
        let is_good = one.serving.as_ref().is_some_and(|serving| !truth.errs(&serving.image));
        let canary = one.canary.as_ref().and(one.image.as_ref()).filter(|_| is_good);
        let bad = canary.filter(|image| truth.errs(image));
        demand(bad.is_none(), Invariant::I6KeepServing, || {
            format!("visitors of {instance} get errors of its canary, and it stays")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
