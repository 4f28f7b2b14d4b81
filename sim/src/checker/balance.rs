//! I10 of the number of replicas that follows the load: it is decided by what was measured, one replica at a time, with a
//! pause after each, within the app's bounds; and not at all by what was not measured.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use common::name::{LegacyName, NodeName};
use common::record::deployment::Deployment;
use common::record::path;
use common::record::scale::{Decision, DecisionKind, Scale};
use jiff::Timestamp;
use testkit::store::Committed;

use super::{Checker, Invariant, decoded};
use crate::load::{COOLDOWN, Load, MOST};
use crate::world::Truth;

/// What was decided may be written so much later: calls are slow.
const LATE: Duration = Duration::from_secs(6);
/// A node that was away for so long is not measured any more.
const UNHEARD: Duration = Duration::from_secs(4);

/// What is measured, and of whom.
#[derive(Debug, Default)]
pub(super) struct Balance {
    load: Load,
    since: u64,
    /// Since when nodes cannot be reached.
    away: BTreeMap<NodeName, u64>,
    /// When the load balancer went on after it was not scheduled.
    resumed: Option<u64>,
    /// The last additions.
    added: BTreeMap<LegacyName, Timestamp>,
}

impl Checker {
    /// From now on this is measured.
    pub(crate) fn load_is(&mut self, load: Load, now: u64) {
        if self.balance.load != load {
            (self.balance.load, self.balance.since) = (load, now);
        }
    }

    /// Samples of a node arrive from now on, or do not.
    pub(crate) fn node_is(&mut self, node: &NodeName, is_heard: bool, now: u64) {
        if is_heard {
            self.balance.away.remove(node);
        } else {
            self.balance.away.entry(node.clone()).or_insert(now);
        }
    }

    /// The load balancer goes on with what it was about to do.
    pub(crate) fn balancer_resumed(&mut self, now: u64) {
        self.balance.resumed = Some(now);
    }

    /// Another number of replicas is wanted.
    pub(super) fn check_scale(&mut self, committed: &Committed, truth: &Truth, now: u64) {
        let Some(scale) = decoded::<Scale>(committed.after.as_ref()) else { return };
        self.forget_move(&scale.instance);
        let before: Option<Scale> = decoded(committed.before.as_ref());
        let known = before.map(|before| before.decisions).unwrap_or_default();
        let new = scale.decisions.iter().filter(|one| !known.contains(one));
        for decision in new.filter(|one| is_by_load(one.kind)) {
            self.visit("scaling", "Any".to_owned(), format!("{:?}", decision.kind));
            if let Some(flaw) = self.flaw(&scale.instance, decision, truth, now) {
                let Decision { from, to, kind, .. } = decision;
                let instance = &scale.instance;
                let what = format!("{instance} went from {from} to {to} by {kind:?} {flaw}");
                self.violate(Invariant::I10HonestStatus, what);
            }
        }
    }

    fn flaw(
        &mut self,
        instance: &LegacyName,
        decision: &Decision,
        truth: &Truth,
        now: u64,
    ) -> Option<&'static str> {
        let Decision { at, from, to, kind, .. } = *decision;
        let adds = kind != DecisionKind::Idle;
        if to > MOST || to == 0 {
            return Some("which is out of its bounds");
        }
        if (adds && to != from + 1) || (!adds && to + 1 != from) {
            return Some("which is more than one step");
        }
        if kind == DecisionKind::Memory {
            return Some("though its replicas take little memory");
        }
        if matches!(kind, DecisionKind::Requests | DecisionKind::Latency) {
            return Some("though nobody asked for that");
        }
        let last = self.balance.added.get(instance).copied();
        if adds {
            self.balance.added.insert(instance.clone(), at);
        }
        let age = last.map(|last| Duration::try_from(at.duration_since(last)).unwrap_or_default());
        if adds && self.jumped.is_none() && age.is_some_and(|age| age < COOLDOWN) {
            return Some("before the one before could help");
        }
        let for_long = |since: u64, long: Duration| Duration::from_micros(now - since) > long;
        if self.balance.resumed.is_some_and(|at| !for_long(at, LATE)) {
            return None;
        }
        let table = truth.edge.row(instance);
        let canary = of_canary(truth, instance);
        let upstreams = table.iter().flat_map(|row| &row.upstreams);
        let mut counted = upstreams.filter(|upstream| !canary.contains(&upstream.address()));
        let is_unheard = counted.any(|upstream| {
            let on = truth.agents.iter().find(|agent| agent.address.ip() == upstream.ip);
            let away = on.and_then(|agent| self.balance.away.get(&agent.node));
            away.is_some_and(|since| for_long(*since, UNHEARD))
        });
        if is_unheard {
            return Some("though a replica of it is not heard of");
        }
        let steady = Some(self.balance.load).filter(|_| for_long(self.balance.since, LATE));
        match (steady, adds) {
            (Some(Load::Nonsense), _) => Some("though nothing is measured"),
            (Some(Load::Calm), true) => Some("though it has little to do"),
            (Some(Load::Busy), false) => Some("though it has much to do"),
            (Some(Load::Calm | Load::Busy) | None, _) => None,
        }
    }
}

/// Where the replicas of an instance's canary are: they come on top of those that are wanted, in the number that their
/// share asks for, so that what they take, or that they are not heard of, decides nothing.
fn of_canary(truth: &Truth, instance: &LegacyName) -> BTreeSet<SocketAddr> {
    let path = path::deployment(instance);
    let value = truth.store.records(&path).into_iter().next().map(|(_, value)| value);
    let deployment = decoded::<Deployment>(value.as_ref()).filter(|one| one.canary.is_some());
    let Some(Deployment { serving: Some(serving), slots, .. }) = deployment else {
        return BTreeSet::new();
    };
    let beside = slots.into_iter().filter(|slot| slot.generation != serving.generation);
    let places = beside.filter_map(|slot| slot.place);
    places.map(|place| (place.ip, place.host_port).into()).collect()
}

fn is_by_load(kind: DecisionKind) -> bool {
    use DecisionKind::{Idle, Latency, Memory, Processor, Requests};
    matches!(kind, Processor | Memory | Requests | Latency | Idle)
}

#[cfg(test)]
mod tests;
