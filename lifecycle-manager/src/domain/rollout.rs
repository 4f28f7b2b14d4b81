//! The next step of a service: where its instances should be, in which version, and which of them to touch.
//!
//! A move starts the new instance, waits until it is ready, then ends the old one. An upgrade replaces one instance
//! at a time, the next only when all are ready, and backs out where the new version does not become ready in time.

mod take;

use std::time::Duration;

use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::record::platform::{InstanceState, PlacedService, PlatformGoal, ServiceImage};
use jiff::Timestamp;

use super::note::Sightings;
use super::restart::machine::ran_since;
use super::sighting::Sighting;
use super::waits::{Waits, elapsed};
use crate::records::{Instance, InstanceRestart, Rollout, Version};

pub(crate) use take::take;

/// So long a machine may take to build a version that it does not have.
const BUILT_WITHIN: Duration = Duration::from_mins(15);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// From being made to being ready.
    pub(crate) ready_within: Duration,
    /// So long an instance may be silent on a machine that answers, before it is restarted.
    pub(crate) restart_after: Duration,
    /// So long a machine may be silent before its instances are made on another.
    pub(crate) move_after: Duration,
    pub(crate) waits: Waits,
}

/// What a step is planned from, besides the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) wish: &'a PlacedService,
    pub(crate) part: &'a PartName,
    pub(crate) seen: &'a Sightings,
    /// The machines that could take an instance, the best first.
    pub(crate) spare: &'a [NodeName],
    /// The instance that is being restarted because somebody asked for it.
    pub(crate) asked: Option<&'a InstanceRestart>,
    pub(crate) bound: Bound,
    pub(crate) brakes: Brakes,
    pub(crate) rules: &'a Rules,
    pub(crate) now: Timestamp,
}

/// Whether an instance can do its work on another machine than the wished one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Anywhere,
    /// It shares folders with another part of its machine.
    ToItsMachine,
}

/// Which brakes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Brakes {
    pub(crate) machines: bool,
    pub(crate) services: bool,
}

/// One step. Steps that only change the record are done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another wish is followed from now on.
    Follow,
    /// A machine has an instance that the record does not know.
    Adopt {
        node: NodeName,
        generation: Generation,
    },
    Start {
        node: NodeName,
        place: NodeName,
        version: Version,
    },
    /// An instance on a machine that is gone is made elsewhere.
    Move {
        from: NodeName,
        to: NodeName,
    },
    /// What should be there and is not is made again.
    Ensure {
        node: NodeName,
    },
    Replace {
        node: NodeName,
        version: Version,
    },
    Restart {
        node: NodeName,
    },
    /// It is not wanted any more.
    Leave {
        node: NodeName,
    },
    Remove {
        node: NodeName,
    },
    BackOut {
        version: Version,
        failure: Failure,
    },
    Fail {
        node: NodeName,
        failure: Failure,
    },
    /// All instances are ready.
    Settle {
        version: Version,
    },
    Rest,
}

/// The version that should run: the wished one, unless it was backed out of.
pub(crate) fn target(wish: &PlacedService, rollout: &Rollout) -> Version {
    let wished = Version { image: wish.image.clone(), configured: rollout.configured.clone() };
    let refused = rollout
        .refused
        .as_ref()
        .is_some_and(|refusal| refusal.version == wished && refusal.wish == wish.generation);
    match &rollout.good {
        Some(good) if refused => good.clone(),
        Some(_) | None => wished,
    }
}

/// Whether an instance is as good as gone: it is to go, and its machine is away. It is ended when the machine comes back.
pub(crate) fn is_behind(instance: &Instance, seen: &Sightings, rules: &Rules) -> bool {
    let is_away = match seen.get(&instance.node).unwrap_or(&Sighting::Unknown) {
        Sighting::Unknown => true,
        Sighting::Silent { lasting } => *lasting >= rules.move_after,
        Sighting::Answers { .. } => false,
    };
    is_away && instance.state == InstanceState::Stopping
}

/// The next step.
pub(crate) fn plan(rollout: &Rollout, scene: &Scene<'_>) -> Step {
    let round = Round { rollout, scene };
    if rollout.wish < scene.wish.generation {
        return Step::Follow;
    }
    let steps = match scene.wish.goal {
        PlatformGoal::Off => round.leave_all().or_else(|| round.remove()),
        PlatformGoal::On => round
            .adopt()
            .or_else(|| round.remove())
            .or_else(|| round.fill())
            .or_else(|| round.rescue())
            .or_else(|| round.replace_down())
            .or_else(|| round.mend())
            .or_else(|| round.upgrade())
            .or_else(|| round.leave())
            .or_else(|| round.settle()),
    };
    steps.unwrap_or(Step::Rest)
}

/// A record and what it is planned from.
struct Round<'a> {
    rollout: &'a Rollout,
    scene: &'a Scene<'a>,
}

impl Round<'_> {
    fn seen(&self, node: &NodeName) -> &Sighting {
        self.scene.seen.get(node).unwrap_or(&Sighting::Unknown)
    }

    fn has_part(&self, node: &NodeName) -> bool {
        self.seen(node).part(self.scene.part).is_some()
    }

    fn is_lost(&self, node: &NodeName) -> bool {
        self.seen(node).silence().is_some_and(|silence| silence >= self.scene.rules.move_after)
    }

    fn is_due(&self, instance: &Instance) -> bool {
        let waits = &self.scene.rules.waits;
        waits.left(instance.attempts, instance.attempted_at, self.scene.now).is_zero()
    }

    fn lasts(&self, instance: &Instance) -> Duration {
        elapsed(instance.since, self.scene.now)
    }

    /// Who takes a place of the wish.
    fn holder(&self, place: &NodeName) -> Option<&Instance> {
        self.rollout.staying().find(|instance| instance.place == *place)
    }

    /// A machine that has nothing of this service and is not wished for it either.
    fn substitute(&self) -> Option<NodeName> {
        let may_move = self.scene.bound == Bound::Anywhere && !self.scene.brakes.machines;
        let free = |node: &&NodeName| {
            self.rollout.instance(node).is_none() && !self.scene.wish.nodes.contains(node)
        };
        self.scene.spare.iter().find(free).filter(|_| may_move).cloned()
    }

    fn all_ready(&self) -> bool {
        let ready = |place: &NodeName| {
            self.holder(place).is_some_and(|holder| holder.state == InstanceState::Ready)
        };
        self.scene.wish.nodes.iter().all(ready)
    }

    fn leave_all(&self) -> Option<Step> {
        let staying = self.rollout.staying().next();
        staying.map(|instance| Step::Leave { node: instance.node.clone() }).or_else(|| self.adopt())
    }

    /// Whatever a machine has of this service is known, and then kept or removed.
    fn adopt(&self) -> Option<Step> {
        self.scene.seen.iter().find_map(|(node, sighting)| {
            let part = sighting.part(self.scene.part)?;
            let is_new = self.rollout.instance(node).is_none();
            is_new.then(|| Step::Adopt { node: node.clone(), generation: part.generation })
        })
    }

    fn remove(&self) -> Option<Step> {
        let due = |instance: &&Instance| {
            instance.state == InstanceState::Stopping
                && self.has_part(&instance.node)
                && self.is_due(instance)
        };
        let found = self.rollout.instances.iter().find(due)?;
        Some(Step::Remove { node: found.node.clone() })
    }

    /// Every place of the wish has somebody.
    fn fill(&self) -> Option<Step> {
        self.scene.wish.nodes.iter().find_map(|place| {
            if self.holder(place).is_some() {
                return None;
            }
            let (place, version) = (place.clone(), target(self.scene.wish, self.rollout));
            if self.is_lost(&place) {
                let node = self.substitute()?;
                return Some(Step::Start { node, place, version });
            }
            let is_free = self.seen(&place).answers() && self.rollout.instance(&place).is_none();
            is_free.then(|| Step::Start { node: place.clone(), place, version })
        })
    }

    /// What was on a machine that is gone is made on another.
    fn rescue(&self) -> Option<Step> {
        let wished = |instance: &&Instance| self.scene.wish.nodes.contains(&instance.place);
        let mut lost = self.rollout.staying().filter(wished);
        let lost = lost.find(|instance| self.is_lost(&instance.node))?;
        let to = self.home(lost).or_else(|| self.substitute())?;
        Some(Step::Move { from: lost.node.clone(), to })
    }

    /// Its own place, where it only stood in elsewhere and the place can have it.
    fn home(&self, lost: &Instance) -> Option<NodeName> {
        let is_free = self.rollout.instance(&lost.place).is_none();
        let can = is_free && self.seen(&lost.place).answers() && !self.scene.brakes.machines;
        can.then(|| lost.place.clone())
    }

    /// What is not as it should be, on machines that answer.
    fn mend(&self) -> Option<Step> {
        let mut reachable =
            self.rollout.staying().filter(|instance| self.seen(&instance.node).answers());
        reachable.find_map(|instance| match instance.state {
            InstanceState::Starting | InstanceState::Failed => self.bring_up(instance),
            InstanceState::Silent => self.wake_up(instance),
            InstanceState::Ready | InstanceState::Stopping => None,
        })
    }

    fn bring_up(&self, instance: &Instance) -> Option<Step> {
        let node = instance.node.clone();
        let (lasts, within) = self.awaited(instance);
        let is_over = lasts > within || instance.failure.as_ref().is_some_and(is_for_good);
        if is_over && instance.state == InstanceState::Starting {
            let failure = instance.failure.clone().unwrap_or_else(|| not_ready(within));
            let good = self.rollout.good.as_ref();
            let is_upgrade = good.is_some_and(|good| *good != instance.version);
            if is_upgrade && instance.version == target(self.scene.wish, self.rollout) {
                return Some(Step::BackOut { version: instance.version.clone(), failure });
            }
            return Some(Step::Fail { node, failure });
        }
        let part = self.seen(&node).part(self.scene.part);
        let is_sent = part.is_some_and(|part| part.generation >= instance.generation);
        if !self.is_due(instance) || (is_sent && instance.state == InstanceState::Starting) {
            return None;
        }
        if is_sent { self.restart(instance) } else { Some(Step::Ensure { node }) }
    }

    /// How long it has been waited for, and how long it may be. What is built on its machine counts from when it is there.
    fn awaited(&self, instance: &Instance) -> (Duration, Duration) {
        let within = self.scene.rules.ready_within;
        match (&instance.version.image, instance.there_since) {
            (Some(ServiceImage::Built(_)), Some(there)) => (elapsed(there, self.scene.now), within),
            (Some(ServiceImage::Built(_)), None) => (self.lasts(instance), within + BUILT_WITHIN),
            (Some(ServiceImage::Named(_)) | None, _) => (self.lasts(instance), within),
        }
    }

    fn wake_up(&self, instance: &Instance) -> Option<Step> {
        let is_late = self.lasts(instance) >= self.scene.rules.restart_after;
        let may = !self.scene.brakes.services && self.is_due(instance);
        if is_late && may { self.restart(instance) } else { None }
    }

    /// Unless somebody has just done so, or was asked to and is about to.
    fn restart(&self, instance: &Instance) -> Option<Step> {
        let node = &instance.node;
        let ran_for = instance.run.map(|run| elapsed(run.seen, self.scene.now));
        if ran_for.is_some_and(|ran_for| ran_for < self.scene.rules.restart_after) {
            return None;
        }
        let ran = self.seen(node).part(self.scene.part).and_then(ran_since);
        let is_asked = self.scene.asked.is_some_and(|asked| asked.is_due(node, ran));
        (!is_asked).then(|| Step::Restart { node: node.clone() })
    }

    /// Those that run another version than they should, on machines that answer. Who is to leave needs no other.
    fn old(&self) -> impl Iterator<Item = &Instance> {
        let version = target(self.scene.wish, self.rollout);
        self.rollout.staying().filter(move |instance| {
            self.scene.wish.nodes.contains(&instance.place)
                && instance.version != version
                && self.seen(&instance.node).answers()
        })
    }

    fn replace(&self, instance: &Instance) -> Step {
        let version = target(self.scene.wish, self.rollout);
        Step::Replace { node: instance.node.clone(), version }
    }

    /// One that is not ready costs nothing, unless the version still has to prove itself elsewhere.
    fn replace_down(&self) -> Option<Step> {
        let version = target(self.scene.wish, self.rollout);
        let is_proven = self.rollout.good.as_ref().is_none_or(|good| *good == version);
        let on_trial = self
            .rollout
            .staying()
            .any(|one| one.version == version && one.state != InstanceState::Ready);
        let down = self.old().find(|instance| instance.state != InstanceState::Ready)?;
        (is_proven || !on_trial).then(|| self.replace(down))
    }

    /// One at a time; the next only when all are ready.
    fn upgrade(&self) -> Option<Step> {
        let next = self.old().next().filter(|_| self.all_ready())?;
        Some(self.replace(next))
    }

    /// What no place of the wish needs goes once every place has somebody who is ready.
    fn leave(&self) -> Option<Step> {
        let surplus = |instance: &&Instance| !self.scene.wish.nodes.contains(&instance.place);
        let found = self.rollout.staying().find(surplus).filter(|_| self.all_ready())?;
        Some(Step::Leave { node: found.node.clone() })
    }

    fn settle(&self) -> Option<Step> {
        let version = target(self.scene.wish, self.rollout);
        let all = self.all_ready() && self.rollout.staying().all(|one| one.version == version);
        let is_news =
            !self.scene.wish.nodes.is_empty() && self.rollout.good.as_ref() != Some(&version);
        (all && is_news).then_some(Step::Settle { version })
    }
}

/// Whether waiting does not help: somebody has to mend the code or its share, and then to wish for it again.
fn is_for_good(failure: &Failure) -> bool {
    matches!(
        failure.code,
        FailureCode::ShareUnknown
            | FailureCode::ShareRefused
            | FailureCode::CodeMismatch
            | FailureCode::CodeUnfit
            | FailureCode::BuildFailed
    )
}

fn not_ready(within: Duration) -> Failure {
    let seconds = within.as_secs();
    Failure::new(FailureCode::HealthTimeout, format!("it was not ready within {seconds} s"))
}

#[cfg(test)]
mod tests;
