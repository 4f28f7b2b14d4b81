//! Whose certificate is renewed next. The authority gives another one a year before the one that it gave last ends, so
//! there is time: one after another, each once everything that was renewed before it does what it is for, and never where
//! another instance of the same service does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use common::digest::Digest;
use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::record::platform::InstanceState;
use common::service::ServiceName;
use jiff::Timestamp;

use super::note::Sightings;
use super::sighting::{Sighting, is_ready};
use super::waits::elapsed;
use crate::records::{Instance, NodePapers, Paper, Rollout};

const DAY: Duration = Duration::from_hours(24);
/// A certificate that somebody else gave is replaced after so long: it may be a year older than one that is known.
const UNKNOWN_FOR: Duration = Duration::from_hours(24 * 30);
/// So long it may wait until it can be replaced without harm. Then its end would be the greater one.
const PATIENCE: Duration = Duration::from_hours(24 * 90);
/// What was renewed is waited for that long before something else is.
pub(crate) const PROBATION: Duration = DAY;
/// How soon what could not be renewed has its next turn.
const AGAIN_AFTER: Duration = Duration::from_mins(10);
/// The same for one of the base that lacks what was given later: `avishkar bootstrap apply` waits minutes for it.
const GIVEN_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How often certificates are looked at while none is to be renewed, and while one has to wait.
const LOOK_EVERY: Duration = Duration::from_mins(10);
const LOOK_SOON: Duration = Duration::from_secs(5);
const LOOK_LATER: Duration = Duration::from_mins(1);

/// What the next step is planned from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// What is known of every machine, whether it answers or not.
    pub(crate) notes: &'a BTreeMap<NodeName, NodePapers>,
    /// The machines on which something may be renewed.
    pub(crate) open: &'a BTreeSet<NodeName>,
    pub(crate) seen: &'a Sightings,
    /// The services that are placed. What has none is of the base.
    pub(crate) rollouts: &'a BTreeMap<PartName, Rollout>,
    /// Where the services of the base belong.
    pub(crate) base: &'a [NodeName],
    /// The machine of the process that decides: it renews itself last.
    pub(crate) own: Option<&'a NodeName>,
    /// Too much looks dead at once.
    pub(crate) braked: bool,
    /// Which of all that was given this process goes by.
    pub(crate) given: u64,
    pub(crate) now: Timestamp,
}

/// Somebody who has a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Part { node: NodeName, part: PartName },
    Agent { node: NodeName },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// All are as they should be.
    Rest,
    Wait(Why),
    Renew(Holder),
}

/// Why nobody has a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    Braked,
    /// It was renewed of late, or was to be, and does not do what it is for.
    Unproven(Holder),
    /// An instance of it is on its way.
    Starting(PartName),
    /// Each waits for others of its kind, or for its next attempt.
    Turns,
}

/// The next step.
pub(crate) fn plan(facts: &Facts<'_>) -> Step {
    let due = facts.due();
    if due.is_empty() {
        return Step::Rest;
    }
    if facts.braked {
        return Step::Wait(Why::Braked);
    }
    if let Some(starting) = facts.starting() {
        return Step::Wait(Why::Starting(starting));
    }
    let mut why = Why::Turns;
    for (holder, paper) in due {
        let is_urgent = is_urgent(paper, facts.now);
        match facts.hindrance(&holder, paper, is_urgent) {
            None => return Step::Renew(holder),
            Some(Why::Turns) => {}
            Some(hindrance) => why = hindrance,
        }
    }
    Step::Wait(why)
}

impl Step {
    /// How long nobody has to look again.
    pub(crate) fn lasts(&self) -> Duration {
        match self {
            Step::Rest => LOOK_EVERY,
            Step::Wait(Why::Braked | Why::Unproven(_) | Why::Starting(_)) => LOOK_SOON,
            Step::Wait(Why::Turns) => LOOK_LATER,
            Step::Renew(_) => Duration::ZERO,
        }
    }
}

impl<'a> Facts<'a> {
    /// Everybody who should have another certificate, in the order of their turns: services, agents, this process.
    fn due(&self) -> Vec<(Holder, &'a Paper)> {
        let is_due = |(holder, paper): &(Holder, &Paper)| {
            paper.due.is_some() && self.open.contains(holder.node()) && self.is_there(holder)
        };
        let mut due: Vec<_> = self.holders().filter(is_due).collect();
        due.sort_by_key(|(holder, _)| match holder {
            Holder::Part { .. } if self.is_this(holder) => 2,
            Holder::Agent { .. } => 1,
            Holder::Part { .. } => 0,
        });
        due
    }

    fn holders(&self) -> impl Iterator<Item = (Holder, &'a Paper)> {
        self.notes.iter().flat_map(|(node, notes)| {
            let part = |part: &PartName| Holder::Part { node: node.clone(), part: part.clone() };
            let parts = notes.parts.iter().map(move |(name, paper)| (part(name), paper));
            let agent = || Holder::Agent { node: node.clone() };
            parts.chain(notes.agent.iter().map(move |paper| (agent(), paper)))
        })
    }

    fn is_this(&self, holder: &Holder) -> bool {
        match holder {
            Holder::Part { node, part } => {
                part.as_str() == ServiceName::LifecycleManager.as_str() && self.own == Some(node)
            }
            Holder::Agent { .. } => false,
        }
    }

    /// Why it is not its turn; none if it is.
    fn hindrance(&self, holder: &Holder, paper: &Paper, is_urgent: bool) -> Option<Why> {
        let is_given_more = self.is_given_more(holder, paper);
        let may_be_mended = is_given_more && self.is_unproven(holder, paper, is_urgent);
        if !may_be_mended && let Some(unproven) = self.unproven(is_urgent) {
            return Some(Why::Unproven(unproven));
        }
        let pause = if is_given_more { GIVEN_AGAIN_AFTER } else { AGAIN_AFTER };
        let tried = paper.attempt.as_ref().map(|attempt| elapsed(attempt.at, self.now));
        if tried.is_some_and(|tried| tried < pause) {
            return Some(Why::Turns);
        }
        match holder {
            Holder::Agent { .. } => None,
            Holder::Part { node, part } => self.others_hinder(node, part, is_urgent),
        }
    }

    /// Whether something was given later than what one of the base goes by: that may be just what it lacks. It goes by it once
    /// it was ordered, so an order that failed is given again.
    fn is_given_more(&self, holder: &Holder, paper: &Paper) -> bool {
        match holder {
            Holder::Part { part, .. } => {
                !self.rollouts.contains_key(part) && paper.given < self.given
            }
            Holder::Agent { .. } => false,
        }
    }

    /// What was renewed of late, or was to be, and does not do what it is for: whatever is wrong with its certificate may
    /// be wrong with all of them.
    fn unproven(&self, is_urgent: bool) -> Option<Holder> {
        let mut holders = self.holders();
        let unproven = holders.find(|(holder, paper)| self.is_unproven(holder, paper, is_urgent));
        unproven.map(|(holder, _)| holder)
    }

    fn is_unproven(&self, holder: &Holder, paper: &Paper, is_urgent: bool) -> bool {
        let attempt = paper.attempt.as_ref();
        let newest = attempt.map_or(paper.since, |attempt| attempt.at.max(paper.since));
        let is_open = attempt.is_some_and(|attempt| !attempt.outlived) && !is_urgent;
        (is_open || elapsed(newest, self.now) < PROBATION) && !self.stands(holder)
    }

    fn is_there(&self, holder: &Holder) -> bool {
        self.is_seen(holder, |_| true)
    }

    /// Whether it does what it is for.
    fn stands(&self, holder: &Holder) -> bool {
        self.is_seen(holder, is_ready)
    }

    fn is_seen(&self, holder: &Holder, demand: impl Fn(&Part) -> bool) -> bool {
        let Some(sighting) = self.seen.get(holder.node()) else { return false };
        match holder {
            Holder::Agent { .. } => sighting.answers(),
            Holder::Part { part, .. } => sighting.part(part).is_some_and(demand),
        }
    }

    fn answers(&self, node: &NodeName) -> bool {
        self.seen.get(node).is_some_and(Sighting::answers)
    }

    /// A service of which an instance is on its way, on a machine that answers.
    fn starting(&self) -> Option<PartName> {
        let is_starting =
            |one: &Instance| one.state == InstanceState::Starting && self.answers(&one.node);
        let mut rollouts = self.rollouts.iter();
        let found = rollouts.find(|(_, rollout)| rollout.instances.iter().any(is_starting));
        found.map(|(part, _)| part.clone())
    }

    fn others_hinder(&self, node: &NodeName, part: &PartName, is_urgent: bool) -> Option<Why> {
        let others = self.seen.iter().filter(|(other, _)| *other != node);
        let mut others = others.filter_map(|(_, sighting)| sighting.part(part));
        if !is_urgent && !others.all(is_ready) {
            return Some(Why::Turns);
        }
        let Some(rollout) = self.rollouts.get(part) else {
            let is_away = |other: &NodeName| other != node && !self.answers(other);
            return (!is_urgent && self.base.iter().any(is_away)).then_some(Why::Turns);
        };
        let is_ready = rollout.instance(node).map(|one| one.state) == Some(InstanceState::Ready);
        let all_are = rollout.instances.iter().all(|one| one.state == InstanceState::Ready);
        let may = is_ready && (all_are || is_urgent);
        (!may).then_some(Why::Turns)
    }
}

impl Holder {
    pub(crate) fn node(&self) -> &NodeName {
        match self {
            Holder::Part { node, .. } | Holder::Agent { node } => node,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Part { node, part } => write!(f, "{part} on {node}"),
            Holder::Agent { node } => write!(f, "the agent of {node}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Rest => f.write_str("rest"),
            Step::Wait(why) => write!(f, "wait: {why}"),
            Step::Renew(holder) => write!(f, "renew the certificate of {holder}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Braked => f.write_str("too much looks dead at once"),
            Why::Unproven(holder) => {
                write!(f, "{holder} does not do what it is for since it was to be renewed")
            }
            Why::Starting(part) => write!(f, "an instance of {part} is on its way"),
            Why::Turns => f.write_str("it is nobody's turn"),
        }
    }
}

/// Since when another certificate should be in its place, if one should. `current` is what the authority gives now.
pub(crate) fn due_since(paper: &Paper, current: &Digest, now: Timestamp) -> Option<Timestamp> {
    let is_due = match &paper.certificate {
        Some(certificate) => certificate != current,
        None => elapsed(paper.since, now) >= UNKNOWN_FOR,
    };
    is_due.then(|| paper.due.unwrap_or(now))
}

/// Whether it is replaced even where that does harm.
fn is_urgent(paper: &Paper, now: Timestamp) -> bool {
    paper.due.is_some_and(|due| elapsed(due, now) >= PATIENCE)
}

#[cfg(test)]
mod tests;
