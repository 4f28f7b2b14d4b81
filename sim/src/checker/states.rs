//! I8 and I2: the table of allowed changes of state.

use std::collections::BTreeSet;

use common::record::course::DecisionKind;
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};
use common::record::instance::{Instance, State as Told};
use common::record::node::{Alive, Verdict};
use common::record::route::{Route, RouteGoal};
use common::record::scale::DecisionKind as Why;
use testkit::store::Committed;

use super::served::AFTERMATH;
use super::{Change, Checker, Invariant, decoded};
use crate::world::Truth;

/// The changes that a deployment may make within a generation.
const WITHIN: &[(State, State)] = &[
    (State::Placing, State::Building),
    (State::Placing, State::Starting),
    (State::Placing, State::Undoing),
    (State::Building, State::Starting),
    (State::Building, State::Undoing),
    (State::Starting, State::Routing),
    (State::Starting, State::Undoing),
    (State::Routing, State::Running),
    (State::Routing, State::Undoing),
    (State::Undoing, State::Failed),
    (State::Stopping, State::Stopped),
    (State::Stopping, State::Failed),
    (State::Stopped, State::Removed),
];

/// What a new generation begins as.
const BEGINNINGS: &[State] = &[State::Placing, State::Stopping];

/// What one begins as that takes over replicas that are there: a canary's, or those beside it.
const ADOPTIONS: &[State] = &[State::Routing];

/// The same where some of them are being replaced, or all are lost; a run need not visit it.
const RARE_ADOPTIONS: &[State] = &[State::Accepted, State::Placing, State::Starting];

/// What is decided of releases and places.
const DECISIONS: [DecisionKind; 7] = [
    DecisionKind::Canary,
    DecisionKind::Promoted,
    DecisionKind::CanaryEnded,
    DecisionKind::BackedOut,
    DecisionKind::Moving,
    DecisionKind::Moved,
    DecisionKind::NotMoved,
];

/// By what the number of replicas changes.
const SCALING: [Why; 2] = [Why::Processor, Why::Idle];

/// The changes that a replica may make under one placement.
const SLOTS: &[(SlotState, SlotState)] = &[
    (SlotState::Asked, SlotState::Placed),
    (SlotState::Placed, SlotState::Started),
    (SlotState::Started, SlotState::Ready),
    (SlotState::Ready, SlotState::Routed),
    (SlotState::Routed, SlotState::Ready),
    (SlotState::Ready, SlotState::Leaving),
    (SlotState::Routed, SlotState::Leaving),
    (SlotState::Asked, SlotState::Drained),
    (SlotState::Placed, SlotState::Drained),
    (SlotState::Started, SlotState::Drained),
    (SlotState::Ready, SlotState::Drained),
    (SlotState::Routed, SlotState::Drained),
    (SlotState::Leaving, SlotState::Drained),
];

/// The changes of the verdict on a node.
const VERDICTS: &[(Verdict, Verdict)] = &[
    (Verdict::Live, Verdict::Suspect),
    (Verdict::Suspect, Verdict::Live),
    (Verdict::Live, Verdict::Dead),
    (Verdict::Suspect, Verdict::Dead),
    (Verdict::Dead, Verdict::Suspect),
    (Verdict::Live, Verdict::Draining),
    (Verdict::Draining, Verdict::Live),
];

/// One that a leader may make who was not scheduled while the node came back, and those of a node that is drained while it is
/// not well, or dies so, and is returned before it has been heard for long enough; a run need not visit them.
const RARE_VERDICTS: [(Verdict, Verdict); 5] = [
    (Verdict::Dead, Verdict::Live),
    (Verdict::Suspect, Verdict::Draining),
    (Verdict::Dead, Verdict::Draining),
    (Verdict::Draining, Verdict::Dead),
    (Verdict::Draining, Verdict::Suspect),
];

/// A replica that may get requests does not vanish.
const VANISHING: &[SlotState] =
    &[SlotState::Asked, SlotState::Placed, SlotState::Started, SlotState::Drained];

/// Every change of state that a run may visit: kind, from, to.
pub(crate) fn table() -> BTreeSet<(&'static str, String, String)> {
    let name = |state: &dyn std::fmt::Debug| format!("{state:?}");
    let within = WITHIN.iter().map(|(from, to)| ("deployment", name(from), name(to)));
    let slots = SLOTS.iter().map(|(from, to)| ("slot", name(from), name(to)));
    let new = BEGINNINGS.iter().map(|to| ("generation", "Any".to_owned(), name(to)));
    let adopted = ADOPTIONS.iter().map(|to| ("generation", "Adopted".to_owned(), name(to)));
    let decisions = DECISIONS.iter().map(|kind| ("decision", "Any".to_owned(), name(kind)));
    let gone = VANISHING.iter().map(|from| ("slot", name(from), "Gone".to_owned()));
    let verdicts = VERDICTS.iter().map(|(from, to)| ("verdict", name(from), name(to)));
    let scaling = SCALING.iter().map(|kind| ("scaling", "Any".to_owned(), name(kind)));
    let new = new.chain(adopted).chain(decisions).chain(scaling);
    within.chain(slots).chain(new).chain(gone).chain(verdicts).collect()
}

/// What is allowed too, and rare: a run may visit it.
pub(crate) fn rare() -> BTreeSet<(&'static str, String, String)> {
    let name = |state: &dyn std::fmt::Debug| format!("{state:?}");
    let adopted = RARE_ADOPTIONS.iter().map(|to| ("generation", "Adopted".to_owned(), name(to)));
    let late = RARE_VERDICTS.iter().map(|(from, to)| ("verdict", name(from), name(to)));
    let ways = ON_ITS_WAY.iter().flat_map(|from| {
        let to = ON_ITS_WAY.iter().chain(&[State::Undoing]).copied();
        to.filter(|to| is_allowed(*from, *to) && !WITHIN.contains(&(*from, *to)))
            .map(|to| ("deployment", name(from), name(&to)))
    });
    adopted.chain(late).chain(ways).collect()
}

impl Checker {
    pub(super) fn visit(&mut self, kind: &'static str, from: String, to: String) {
        self.edges.insert((kind, from, to));
    }

    pub(super) fn check_deployment(&mut self, change: &Change<'_>, now: u64) {
        self.check_releases(change);
        let Change { path, before, after } = *change;
        let Some(after) = after else {
            let forgotten = before.filter(|before| before.state != State::Removed);
            if let Some(before) = forgotten {
                let what = format!("{path} was forgotten in state {:?}", before.state);
                self.violate(Invariant::I8Monotone, what);
            }
            return;
        };
        let instance = after.instance.clone();
        if after.goal == Goal::Stopped {
            self.stops.insert(instance.clone(), after.generation);
        }
        let is_new = before.is_none_or(|before| before.generation != after.generation);
        if is_new {
            self.began.insert(instance, (after.generation, now));
            self.count_foreign(change);
            let (from, allowed) = match after.adopted {
                None => ("Any", BEGINNINGS),
                Some(_) if RARE_ADOPTIONS.contains(&after.state) => ("Adopted", RARE_ADOPTIONS),
                Some(_) => ("Adopted", ADOPTIONS),
            };
            self.visit("generation", from.to_owned(), format!("{:?}", after.state));
            if !allowed.contains(&after.state) {
                let what = format!("{path} begins a generation as {:?}", after.state);
                self.violate(Invariant::I8Monotone, what);
            }
        }
        if let Some(before) = before {
            self.check_generation(before, after);
            if !is_new && before.state != after.state {
                self.visit(
                    "deployment",
                    format!("{:?}", before.state),
                    format!("{:?}", after.state),
                );
                if !is_allowed(before.state, after.state) {
                    let (from, to) = (before.state, after.state);
                    let what = format!("{path} went from {from:?} to {to:?}");
                    self.violate(Invariant::I8Monotone, what);
                }
            }
            self.check_slots(before, after);
        }
        let numbers: BTreeSet<_> = after.slots.iter().map(|slot| slot.number).collect();
        if numbers.len() != after.slots.len() {
            let what = format!("two replicas of {} have the same number", after.instance);
            self.violate(Invariant::I2EffectOnce, what);
        }
    }

    fn check_generation(&mut self, before: &Deployment, after: &Deployment) {
        let (from, to) = (before.generation, after.generation);
        if to != from && to != from.next() {
            let what = format!("{} went from generation {from} to {to}", after.instance);
            self.violate(Invariant::I8Monotone, what);
        }
    }

    fn check_slots(&mut self, before: &Deployment, after: &Deployment) {
        for old in &before.slots {
            let same = |slot: &&Slot| slot.placement_request == old.placement_request;
            let Some(new) = after.slots.iter().find(same) else {
                self.visit("slot", format!("{:?}", old.state), "Gone".to_owned());
                if !VANISHING.contains(&old.state) {
                    let what = format!(
                        "replica {} of {} vanished while it was {:?}",
                        old.number, after.instance, old.state
                    );
                    self.violate(Invariant::I8Monotone, what);
                }
                continue;
            };
            if old.state != new.state {
                self.visit("slot", format!("{:?}", old.state), format!("{:?}", new.state));
                if !SLOTS.contains(&(old.state, new.state)) {
                    let what = format!(
                        "replica {} of {} went from {:?} to {:?}",
                        old.number, after.instance, old.state, new.state
                    );
                    self.violate(Invariant::I8Monotone, what);
                }
            }
            if old.place.is_some() && old.place != new.place {
                let what = format!("replica {} of {} moved", old.number, after.instance);
                self.violate(Invariant::I2EffectOnce, what);
            }
        }
    }

    pub(super) fn check_instance(&mut self, committed: &Committed, now: u64) {
        let before: Option<Instance> = decoded(committed.before.as_ref());
        let after: Option<Instance> = decoded(committed.after.as_ref());
        if let Some(after) = after.as_ref().filter(|after| after.state == Told::Deployed) {
            self.deployed.entry(after.name.clone()).or_insert(now);
        }
        if let (Some(before), None) = (&before, &after) {
            self.note_forgotten(&before.name);
        }
        if let Some(after) = &after {
            self.count_wish(before.as_ref(), after);
        }
        let (Some(before), Some(after)) = (before, after) else { return };
        if before.replicas != after.replicas {
            self.forget_move(&after.name);
        }
        let (from, to) = (before.generation, after.generation);
        if to != from && to != from.next() {
            let what = format!("the wish for {} went from {from} to {to}", after.name);
            self.violate(Invariant::I8Monotone, what);
        }
        let is_asked = matches!(after.state, Told::Deploying | Told::Stopping);
        if is_asked && before.state != after.state && from == to {
            let what = format!("{} is {:?} without being asked", after.name, after.state);
            self.violate(Invariant::I8Monotone, what);
        }
    }

    pub(super) fn check_route(&mut self, committed: &Committed, truth: &Truth, now: u64) {
        let before: Option<Route> = decoded(committed.before.as_ref());
        let after: Option<Route> = decoded(committed.after.as_ref());
        let (Some(before), Some(after)) = (before, after) else { return };
        if after.generation < before.generation {
            let (from, to) = (before.generation, after.generation);
            let what = format!("the route of {} went from {from} to {to}", after.instance);
            self.violate(Invariant::I8Monotone, what);
        }
        let comes_back = before.goal == RouteGoal::Removed && after.goal == RouteGoal::Served;
        // Where a stop failed, what is still there is served again.
        let has_failed = |one: &Deployment| {
            one.instance == after.instance
                && one.generation == after.generation
                && (one.goal, one.state) == (Goal::Stopped, State::Failed)
        };
        let may_come_back = self.deployments.values().any(has_failed);
        if comes_back && after.generation <= before.generation && !may_come_back {
            let what = format!("the route of {} came back without being asked", after.instance);
            self.violate(Invariant::I8Monotone, what);
        }
        // What another program holds is given up; that may be written later.
        let held = self.held.get(&before.front_port);
        let was_held = truth.edge.closed_ports().contains(&before.front_port)
            || held.is_some_and(|at| now - at <= AFTERMATH);
        if after.front_port != before.front_port && !was_held {
            let what = format!("the front port of {} changed", after.instance);
            self.violate(Invariant::I3PortExclusive, what);
        }
    }

    pub(super) fn check_verdict(&mut self, committed: &Committed) {
        let before: Option<Alive> = decoded(committed.before.as_ref());
        let after: Option<Alive> = decoded(committed.after.as_ref());
        if let (Some(before), Some(after)) = (before, after) {
            let (from, to) = (before.verdict, after.verdict);
            if from == to {
                return;
            }
            self.forget_moves();
            self.visit("verdict", format!("{from:?}"), format!("{to:?}"));
            if !VERDICTS.contains(&(from, to)) && !RARE_VERDICTS.contains(&(from, to)) {
                let what = format!("{} went from {from:?} to {to:?}", after.node);
                self.violate(Invariant::I8Monotone, what);
            }
        }
    }
}

/// The states of one.
const ON_ITS_WAY: [State; 5] =
    [State::Accepted, State::Placing, State::Building, State::Starting, State::Routing];

/// A generation on its way may make several steps in one transaction, and be given up at any of them.
fn is_allowed(from: State, to: State) -> bool {
    let advances = |state: State| ON_ITS_WAY.contains(&state);
    WITHIN.contains(&(from, to))
        || (advances(from) && advances(to) && from < to)
        || (advances(from) && to == State::Undoing)
}
