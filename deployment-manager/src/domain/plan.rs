//! The next step of a deployment: decided from its record and what was observed, and from nothing
//! else, so that a restart decides the same.
//!
//! The rules are asked in order; the first that has something to do wins. None of them asks how a
//! deployment came to be as it is: a deploy, a redeploy, a scale, a dead node and a stop are the same
//! rules over other records.

use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::ContainerName;
use common::port::edge::Upstream;
use common::record::deployment::{Deployment, Slot, SlotState, State};
use jiff::Timestamp;

use super::change::TOO_LATE;
use super::observed::{Footing, Observed, Standing};
use super::patience::Patience;
use super::placement;
use super::replicas::{
    Target, gets_share, is_advancing, is_in_progress, is_wanted, live_generations, may_be_routed,
    staying, target, wanted_count,
};
use super::spec::{image_of, upstreams};
use super::step::Step;
use super::{course, moving};

/// Decides what to do next.
pub(crate) fn next_step(
    deployment: &Deployment,
    seen: &Observed,
    patience: &Patience,
    now: Timestamp,
) -> Step {
    let plan = Plan { deployment, seen, patience, now };
    plan.expire()
        .or_else(|| plan.back_out())
        .or_else(|| plan.move_on())
        .or_else(|| plan.ask())
        .or_else(|| plan.route())
        .or_else(|| plan.ask_again())
        .or_else(|| plan.build())
        .or_else(|| plan.start())
        .or_else(|| plan.probe())
        .or_else(|| plan.remove())
        .or_else(|| plan.conclude())
        .or_else(|| plan.repair())
        .unwrap_or_else(|| plan.rest())
}

struct Plan<'a> {
    deployment: &'a Deployment,
    seen: &'a Observed,
    patience: &'a Patience,
    now: Timestamp,
}

impl Plan<'_> {
    /// Nothing is in progress past its deadline.
    fn expire(&self) -> Option<Step> {
        if !is_in_progress(self.deployment) || self.now < self.deployment.deadline {
            return None;
        }
        if !is_advancing(self.deployment) {
            return Some(Step::Fail);
        }
        let hindrance = self.deployment.failure.clone();
        let late = || Failure::new(FailureCode::DeadlineExceeded, TOO_LATE);
        Some(Step::GiveUp { failure: hindrance.unwrap_or_else(late) })
    }

    /// What was seen to fail while it is watched goes.
    fn back_out(&self) -> Option<Step> {
        let failure = self.seen.regress.clone()?;
        let is_watched = is_advancing(self.deployment) || gets_share(self.deployment);
        is_watched.then_some(Step::BackOut { failure })
    }

    /// A move goes on or is forgotten, before what is missing is asked for.
    fn move_on(&self) -> Option<Step> {
        match moving::next(self.deployment, self.seen, self.patience, self.now)? {
            moving::Next::Wait => None,
            moving::Next::Leave => Some(Step::Leave),
            moving::Next::Forget(reason) => Some(Step::Stay { reason }),
        }
    }

    /// Every live generation has as many replicas as are wanted.
    fn ask(&self) -> Option<Step> {
        live_generations(self.deployment).into_iter().find_map(|generation| {
            let present = staying(self.deployment, self.seen, generation).len();
            let count =
                wanted_count(self.deployment, self.seen, generation).saturating_sub(present);
            (count > 0).then_some(Step::Ask { generation, count })
        })
    }

    /// The route names who is ready, and nobody who is to go. While nobody is ready it stays as it is.
    fn route(&self) -> Option<Step> {
        match target(self.deployment, self.seen) {
            Target::Nobody => {
                let routed = self.deployment.slots.iter().any(|slot| self.is_misrouted(slot, &[]));
                let open = self.deployment.endpoint.is_some() && !is_advancing(self.deployment);
                (routed || open).then(|| Step::Unroute { waiting: self.waiting(&[]) })
            }
            Target::Replicas(slots) if slots.is_empty() => {
                self.rest_the_route().or_else(|| self.let_go())
            }
            Target::Replicas(slots) => {
                let complete = slots.iter().all(|slot| slot.state == SlotState::Routed);
                let exact =
                    !self.deployment.slots.iter().any(|slot| self.is_misrouted(slot, &slots));
                let untold = self.deployment.canary.as_ref().is_some_and(|canary| !canary.told)
                    && course::has_its_due(self.deployment, slots.iter().copied());
                (!complete || !exact || untold).then(|| self.route_to(&slots))
            }
        }
    }

    /// The route of an app at rest stays, and names nobody: who asks waits at the edge.
    fn rest_the_route(&self) -> Option<Step> {
        let rests = self.seen.replicas == 0 && !is_advancing(self.deployment);
        let routed = || self.deployment.slots.iter().any(|slot| self.is_misrouted(slot, &[]));
        (rests && routed()).then(|| self.route_to(&[]))
    }

    /// Those of before do not wait until somebody is ready where the route names none of them: their room may be what is
    /// missing. It is told as it is once more, so that no earlier call leads to them.
    fn let_go(&self) -> Option<Step> {
        let found = self.seen.upstreams.as_ref().filter(|_| self.seen.route_failed.is_none())?;
        let of_state = |state| self.deployment.slots.iter().filter(move |slot| slot.state == state);
        let leaving: Vec<&Slot> = of_state(SlotState::Leaving).collect();
        let is_served = |slot: &&Slot| self.deployment.serves(slot.generation);
        let served: Vec<&Slot> = of_state(SlotState::Routed).filter(is_served).collect();
        let is_named = |one: &Upstream| found.iter().any(|other| other.address() == one.address());
        let goes = leaving.iter().any(|slot| self.is_of_before(slot))
            && !upstreams(self.deployment, &leaving).iter().any(is_named);
        (goes && !served.is_empty()).then(|| self.route_to(&served))
    }

    /// Whether it belongs to what was served before, and goes once the edge is told so.
    fn is_of_before(&self, slot: &Slot) -> bool {
        slot.state == SlotState::Leaving && !self.deployment.serves(slot.generation)
    }

    fn route_to(&self, slots: &[&Slot]) -> Step {
        Step::Route { slots: owned(slots), waiting: self.waiting(slots) }
    }

    /// Whether the edge may send requests to a replica that should get none. What was before waits while the edge cannot be told,
    /// and nothing else waits with it.
    fn is_misrouted(&self, slot: &Slot, target: &[&Slot]) -> bool {
        let waits = if slot.state == SlotState::Ready {
            is_wanted(self.deployment, self.seen, slot)
        } else {
            self.seen.route_failed.is_some() && self.is_of_before(slot)
        };
        may_be_routed(slot) && !target.contains(&slot) && !waits
    }

    /// Those that could be served and are kept: for the switch to their generation, or back to it.
    fn waiting(&self, target: &[&Slot]) -> Vec<Slot> {
        let waits = |slot: &&Slot| may_be_routed(slot) && !target.contains(slot);
        self.wanted().filter(waits).cloned().collect()
    }

    /// A question without an answer is repeated, under the same id.
    fn ask_again(&self) -> Option<Step> {
        let due = |slot: &&Slot| self.asked_until(slot).is_some_and(|until| until <= self.now);
        some(self.wanted().filter(due)).map(|slots| Step::AskAgain { slots })
    }

    fn asked_until(&self, slot: &Slot) -> Option<Timestamp> {
        let asked = slot.state == SlotState::Asked;
        asked.then(|| slot.since + self.patience.ask_again(slot.attempt))
    }

    fn build(&self) -> Option<Step> {
        if !is_advancing(self.deployment) || self.deployment.image.is_some() {
            return None;
        }
        let node = placement::builder(&self.deployment.app, self.seen.live_nodes())?;
        Some(Step::Build { node: node.clone() })
    }

    /// Replicas of a generation start together: the first ones to be placed wait a moment for the rest.
    fn start(&self) -> Option<Step> {
        live_generations(self.deployment).into_iter().find_map(|generation| {
            let image = image_of(self.deployment, generation).cloned();
            if self.gathered_until(generation).is_some() {
                return None;
            }
            let placed =
                |slot: &&Slot| slot.generation == generation && slot.state == SlotState::Placed;
            let slots = some(self.wanted().filter(placed))?;
            image.map(|image| Step::Start { slots, image })
        })
    }

    /// When no further answers are waited for; none if that is over.
    fn gathered_until(&self, generation: Generation) -> Option<Timestamp> {
        let fresh = |slot: &&Slot| {
            slot.generation == generation && slot.state == SlotState::Asked && slot.attempt == 0
        };
        let until = self.wanted().filter(fresh).map(|slot| slot.since + self.patience.gather).max();
        until.filter(|until| *until > self.now)
    }

    fn probe(&self) -> Option<Step> {
        let started = |slot: &&Slot| slot.state == SlotState::Started;
        some(self.wanted().filter(started)).map(|slots| Step::Probe { slots })
    }

    /// What is not wanted goes, once it gets no requests. The record says so before a node is told: a
    /// removal that arrives late must not find a replica that is wanted again. What a node holds that
    /// cannot be told is left to the sweep.
    fn remove(&self) -> Option<Step> {
        let goes =
            |slot: &&Slot| !may_be_routed(slot) && !is_wanted(self.deployment, self.seen, slot);
        let (lost, slots): (Vec<&Slot>, Vec<&Slot>) =
            self.deployment.slots.iter().filter(goes).partition(|slot| self.is_out_of_reach(slot));
        let undecided = slots.iter().copied().filter(|slot| slot.state != SlotState::Drained);
        if let Some(slots) = some(undecided) {
            return Some(Step::Withdraw { slots });
        }
        let nothing = lost.is_empty() && slots.is_empty();
        (!nothing).then(|| Step::Remove { slots: owned(&slots), lost: owned(&lost) })
    }

    fn is_out_of_reach(&self, slot: &Slot) -> bool {
        slot.place.is_none() || self.seen.footing(slot) == Footing::Lost
    }

    /// The request ends once everything it asked for is so.
    fn conclude(&self) -> Option<Step> {
        let deployment = self.deployment;
        match deployment.state {
            State::Routing if is_advancing(deployment) => {
                let newest = staying(deployment, self.seen, deployment.rising());
                let routed = newest.iter().all(|slot| slot.state == SlotState::Routed);
                let watched = course::watched_until(deployment, self.patience);
                let is_over = watched.is_none_or(|until| until <= self.now);
                (routed && !newest.is_empty() && is_over).then_some(Step::Finish)
            }
            State::Undoing => {
                let rising = deployment.rising();
                let left = !deployment.serves(rising)
                    && deployment.canary.is_none()
                    && deployment.slots.iter().any(|slot| slot.generation == rising);
                (!left).then_some(Step::Fail)
            }
            State::Stopping => deployment.slots.is_empty().then_some(Step::Stopped),
            State::Stopped => Some(Step::Bury),
            State::Removed => {
                self.forgotten_at().is_some_and(|at| self.now >= at).then_some(Step::Forget)
            }
            State::Accepted
            | State::Placing
            | State::Building
            | State::Starting
            | State::Routing
            | State::Running
            | State::Failed => None,
        }
    }

    /// What is owed to others, as while the bus is away, would be forgotten with the record.
    fn forgotten_at(&self) -> Option<Timestamp> {
        let Deployment { owed, updated_at, .. } = self.deployment;
        owed.is_empty().then(|| *updated_at + self.patience.tombstone)
    }

    /// What runs is what was started, and the edge serves what it was told.
    fn repair(&self) -> Option<Step> {
        self.deployment.serving.as_ref()?;
        if is_in_progress(self.deployment) {
            return None;
        }
        let routed: Vec<&Slot> =
            self.wanted().filter(|slot| slot.state == SlotState::Routed).collect();
        let found = |standing| {
            let stands = move |slot: &&&Slot| self.standing(slot) == standing;
            some(routed.iter().filter(stands).copied())
        };
        if let Some(mut slots) = found(Standing::Missing) {
            let generation = slots.first()?.generation;
            slots.retain(|slot| slot.generation == generation);
            let image = image_of(self.deployment, generation)?.clone();
            return Some(Step::Restore { slots, image });
        }
        if let Some(drifted) = self.drifted() {
            return Some(self.route_to(&drifted));
        }
        if self.seen.misregistered {
            return Some(Step::Register);
        }
        let reported = self.deployment.failure.as_ref().map(|failure| failure.code);
        if reported == Some(FailureCode::CrashLoop) {
            return None;
        }
        found(Standing::Exited).map(|slots| Step::Examine { slots })
    }

    /// Whom the route should name, where it was found to name others: also who serves until there is a replacement.
    fn drifted(&self) -> Option<Vec<&Slot>> {
        let found = self.seen.upstreams.as_ref()?;
        match target(self.deployment, self.seen) {
            Target::Nobody => None,
            Target::Replicas(slots) => {
                let differs = !slots.is_empty() && upstreams(self.deployment, &slots) != *found;
                differs.then_some(slots)
            }
        }
    }

    fn standing(&self, slot: &Slot) -> Standing {
        let instance = self.deployment.instance.as_str().parse();
        instance.map_or(Standing::Unknown, |instance| {
            self.seen.standing(slot, &ContainerName::new(&instance, slot.number))
        })
    }

    /// Until something changes, or the next deadline.
    fn rest(&self) -> Step {
        let asked = self.wanted().filter_map(|slot| self.asked_until(slot));
        let gathered = live_generations(self.deployment)
            .into_iter()
            .filter_map(|one| self.gathered_until(one));
        let deadline = is_in_progress(self.deployment).then_some(self.deployment.deadline);
        let removed = self.deployment.state == State::Removed;
        let grave = if removed { self.forgotten_at() } else { None };
        let moved = self.deployment.moving.as_ref().map(|one| one.since + self.patience.moving);
        let look = course::look_again(self.deployment, self.patience, self.now);
        let moments = asked.chain(gathered).chain(deadline).chain(grave).chain(moved).chain(look);
        Step::Rest { until: moments.min() }
    }

    fn wanted(&self) -> impl Iterator<Item = &Slot> {
        self.deployment.slots.iter().filter(|slot| is_wanted(self.deployment, self.seen, slot))
    }
}

fn some<'a>(slots: impl Iterator<Item = &'a Slot>) -> Option<Vec<Slot>> {
    let slots: Vec<Slot> = slots.cloned().collect();
    (!slots.is_empty()).then_some(slots)
}

fn owned(slots: &[&Slot]) -> Vec<Slot> {
    slots.iter().copied().cloned().collect()
}

#[cfg(test)]
mod tests;
