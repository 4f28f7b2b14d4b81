//! What is seen of the nodes: every agent is asked for its parts, again and again. In memory only: who has just taken
//! the lead says nothing of anybody before it has looked for a whole window.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::NodeName;
use common::port::nodes::Agent;
use common::port::part::Part;
use common::record::machine::MachineState;
use tokio::time::Instant;

use crate::domain::brake::Count;
use crate::domain::note::Sightings;
use crate::domain::sighting::Sighting;

/// What was seen. One for the whole service.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    members: Mutex<BTreeMap<NodeName, Member>>,
    /// Counts looks and changes, in the order in which they began.
    turns: AtomicU64,
}

/// When a look began, among all looks and changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

#[derive(Debug)]
struct Member {
    state: MachineState,
    /// None before the machine has an address.
    agent: Option<Agent>,
    looked_at_since: Instant,
    answered_at: Option<Instant>,
    answers: bool,
    /// Since when nobody believes what answers there: its machine is quarantined.
    disbelieved_since: Option<Instant>,
    parts: Vec<Part>,
    /// What was asked before this turn is out of date.
    valid_from: Turn,
    announced: bool,
}

/// Whether an answer differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Changed,
    Same,
}

impl Sight {
    /// These machines are looked at from now on, and no others.
    pub(crate) fn set_members(&self, machines: BTreeMap<NodeName, (MachineState, Option<Agent>)>) {
        let mut members = self.members();
        let mut before = std::mem::take(&mut *members);
        for (name, (state, agent)) in machines {
            let kept = before.remove(&name).filter(|member| member.agent == agent);
            let member = kept.unwrap_or_else(|| Member::new(state, agent));
            members.insert(name, member.now_in(state));
        }
    }

    pub(crate) fn agents(&self) -> Vec<Agent> {
        self.members().values().filter_map(|member| member.agent.clone()).collect()
    }

    pub(crate) fn agent(&self, node: &NodeName) -> Option<Agent> {
        self.members().get(node).and_then(|member| member.agent.clone())
    }

    pub(crate) fn is_announced(&self, node: &NodeName) -> bool {
        self.members().get(node).is_some_and(|member| member.announced)
    }

    pub(crate) fn note_announced(&self, node: &NodeName) {
        if let Some(member) = self.members().get_mut(node) {
            member.announced = true;
        }
    }

    /// A look begins, or a change has ended.
    pub(crate) fn turn(&self) -> Turn {
        Turn(self.turns.fetch_add(1, Ordering::Relaxed))
    }

    /// An agent has changed something: what it was asked before that shows it as it was.
    pub(crate) fn changed(&self, node: &NodeName) {
        let turn = self.turn();
        if let Some(member) = self.members().get_mut(node) {
            member.valid_from = turn;
        }
    }

    /// An agent has changed a part, and said how it is now.
    pub(crate) fn part_is(&self, node: &NodeName, part: Part) {
        self.changed(node);
        let mut members = self.members();
        let known = members.get_mut(node).map(|member| &mut member.parts);
        if let Some(old) = known.into_iter().flatten().find(|old| old.name == part.name) {
            *old = part;
        }
    }

    /// What an agent said, which was asked at that turn.
    pub(crate) fn answered(&self, node: &NodeName, asked: Turn, parts: Vec<Part>) -> News {
        let mut members = self.members();
        let Some(member) = members.get_mut(node) else { return News::Same };
        if asked < member.valid_from {
            return News::Same;
        }
        member.valid_from = asked;
        let news = !member.answers || member.parts != parts;
        member.answered_at = Some(Instant::now());
        member.answers = true;
        member.parts = parts;
        if news { News::Changed } else { News::Same }
    }

    pub(crate) fn did_not_answer(&self, node: &NodeName) -> News {
        let mut members = self.members();
        let Some(member) = members.get_mut(node) else { return News::Same };
        let news = std::mem::take(&mut member.answers);
        if news { News::Changed } else { News::Same }
    }

    /// How a machine looks, for who has looked for at least `window` before saying that it is silent.
    pub(crate) fn of(&self, node: &NodeName, window: Duration) -> Sighting {
        self.members().get(node).map_or(Sighting::Unknown, |member| member.sighting(window))
    }

    pub(crate) fn all(&self, window: Duration) -> Sightings {
        let members = self.members();
        members.iter().map(|(name, member)| (name.clone(), member.sighting(window))).collect()
    }

    pub(crate) fn state(&self, node: &NodeName) -> Option<MachineState> {
        self.members().get(node).map(|member| member.state)
    }

    /// Machines whose agents should answer, and how many do not.
    pub(crate) fn count(&self, window: Duration, silent_after: Duration) -> Count {
        let members = self.members();
        let known = members
            .values()
            .filter(|member| matches!(member.state, MachineState::Ready | MachineState::Silent));
        let mut count = Count::default();
        for member in known {
            let silence = member.sighting(window).silence();
            count.known += 1;
            count.bad += usize::from(silence.is_some_and(|silence| silence >= silent_after));
        }
        count
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<NodeName, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn new(state: MachineState, agent: Option<Agent>) -> Self {
        Member {
            state,
            agent,
            looked_at_since: Instant::now(),
            answered_at: None,
            answers: false,
            disbelieved_since: None,
            parts: Vec::new(),
            valid_from: Turn(0),
            announced: false,
        }
    }

    fn now_in(self, state: MachineState) -> Self {
        let since = self.disbelieved_since.unwrap_or_else(|| self.heard_of_at());
        let disbelieved_since = (state == MachineState::Quarantined).then_some(since);
        Member { state, disbelieved_since, ..self }
    }

    fn heard_of_at(&self) -> Instant {
        if self.answers {
            return Instant::now();
        }
        self.answered_at.unwrap_or(self.looked_at_since)
    }

    /// Whoever answers in the name of a machine whose host key changed, that machine is as good as silent.
    fn sighting(&self, window: Duration) -> Sighting {
        if let Some(since) = self.disbelieved_since {
            return Sighting::Silent { lasting: since.elapsed() };
        }
        if self.answers {
            return Sighting::Answers { parts: self.parts.clone() };
        }
        if self.looked_at_since.elapsed() < window {
            return Sighting::Unknown;
        }
        Sighting::Silent { lasting: self.heard_of_at().elapsed() }
    }
}
