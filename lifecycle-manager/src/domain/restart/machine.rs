//! How far the restart of a machine is, seen by its parts: all that it had run anew and are ready.

use std::collections::BTreeMap;
use std::time::Duration;

use common::id::Epoch;
use common::name::PartName;
use common::port::container::ContainerState;
use common::port::part::Part;
use jiff::Timestamp;

use crate::domain::sighting::{Sighting, is_ready};
use crate::domain::waits::elapsed;

/// So long a machine may go on as before after it was told to restart: its parts are asked to end first, and an agent
/// gives none of them longer.
const STOPPED_WITHIN: Duration = Duration::from_mins(2);

/// What a machine had before, by name, and since when it had run; none for what did not.
pub(crate) type Before = BTreeMap<PartName, Option<Timestamp>>;

/// That a backend was asked: by which leader, when, and whether it said that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) by: Epoch,
    pub(crate) at: Timestamp,
    pub(crate) answered: bool,
}

/// What is known of a machine that is being restarted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) seen: &'a Sighting,
    /// The parts that have to be there again.
    pub(crate) before: &'a Before,
    /// None before the backend was asked.
    pub(crate) order: Option<Order>,
    /// Of the leader that looks.
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    AskBackend,
    Wait,
    Done,
}

/// The next step.
pub(crate) fn next(facts: &Facts<'_>) -> Step {
    let Some(order) = facts.order else { return Step::AskBackend };
    let has_stopped = elapsed(order.at, facts.now) >= STOPPED_WITHIN;
    // Without parts only the backend's answer says that it was restarted.
    let is_asked = order.answered || order.by == facts.epoch;
    let is_told = !facts.before.is_empty() || is_asked;
    if facts.seen.answers() && is_told && missing(facts.seen, facts.before).is_empty() {
        return Step::Done;
    }
    // Who came after a leader that wrote down that it would ask, and no answer, does not know whether it did. A machine that
    // goes on as before, or is as silent as before, says that it did not, but only once it has had its time to stop.
    if !is_asked && has_stopped && goes_on(facts) {
        return Step::AskBackend;
    }
    Step::Wait
}

/// The parts that are not back: not there, not started anew, or not ready.
pub(crate) fn missing<'a>(seen: &Sighting, before: &'a Before) -> Vec<&'a PartName> {
    let is_back = |name: &PartName, ran: Option<Timestamp>| {
        let found = seen.part(name);
        found.is_some_and(|part| is_ready(part) && (ran.is_none() || ran_since(part) != ran))
    };
    before.iter().filter(|(name, ran)| !is_back(name, **ran)).map(|(name, _)| name).collect()
}

fn goes_on(facts: &Facts<'_>) -> bool {
    match facts.seen {
        Sighting::Unknown => return false,
        // One that had parts did answer: silent now, it did stop.
        Sighting::Silent { .. } => return facts.before.is_empty(),
        Sighting::Answers { .. } if facts.before.is_empty() => return true,
        Sighting::Answers { .. } => {}
    }
    let runs_on = |(name, ran): (&PartName, &Option<Timestamp>)| {
        ran.is_some() && facts.seen.part(name).and_then(ran_since) == *ran
    };
    facts.before.iter().any(runs_on)
}

pub(crate) fn ran_since(part: &Part) -> Option<Timestamp> {
    match part.state {
        ContainerState::Running { since } => Some(since),
        ContainerState::Created | ContainerState::Exited { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use common::id::Generation;
    use jiff::SignedDuration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100_000 + seconds)
    }

    fn part(name: &str, since: i64, healthy: bool) -> Part {
        Part {
            name: name.parse().unwrap(),
            generation: Generation(1),
            epoch: Epoch(1),
            spec_hash: String::new(),
            state: ContainerState::Running { since: at(since) },
            healthy: Some(healthy),
            apart: false,
            restarts: 0,
        }
    }

    fn before() -> Before {
        let parts = ["kafka", "zookeeper"].map(|name| (name.parse().unwrap(), Some(at(-90))));
        parts.into()
    }

    /// What the leader of this epoch does, this long after another one's order.
    fn step(parts: Option<Vec<Part>>, epoch: u64, seconds: i64) -> Step {
        let seen = match parts {
            Some(parts) => Sighting::Answers { parts },
            None => Sighting::Silent { lasting: Duration::from_secs(9) },
        };
        let order = Some(Order { by: Epoch(1), at: at(0), answered: false });
        let before = before();
        let epoch = Epoch(epoch);
        next(&Facts { seen: &seen, before: &before, order, epoch, now: at(seconds) })
    }

    fn both(since: i64) -> Vec<Part> {
        vec![part("kafka", since, true), part("zookeeper", since, true)]
    }

    #[test]
    fn it_is_back_when_all_that_it_had_run_anew_and_are_ready() {
        assert_eq!(step(None, 1, 5), Step::Wait);
        assert_eq!(step(Some(vec![part("kafka", 9, true)]), 1, 10), Step::Wait);
        let sick = vec![part("kafka", 9, true), part("zookeeper", 9, false)];
        assert_eq!(step(Some(sick), 1, 10), Step::Wait);
        let half = vec![part("kafka", 9, true), part("zookeeper", -90, true)];
        assert_eq!(step(Some(half), 1, 10), Step::Wait);
        assert_eq!(step(Some(both(9)), 1, 10), Step::Done);
    }

    #[test]
    fn what_did_not_run_before_has_to_be_ready_only() {
        let seen = Sighting::Answers { parts: both(9) };
        let before: Before = [("kafka".parse().unwrap(), None)].into();
        assert!(missing(&seen, &before).is_empty());
    }

    #[test]
    fn who_comes_after_asks_again_only_when_the_machine_has_had_its_time_to_stop() {
        for seconds in [1, 60, 119] {
            assert_eq!(step(Some(both(-90)), 2, seconds), Step::Wait);
        }
        assert_eq!(step(Some(both(-90)), 2, 120), Step::AskBackend);
        assert_eq!(step(Some(both(-90)), 1, 600), Step::Wait, "nobody asks twice");
        assert_eq!(step(None, 1, 600), Step::Wait, "it is on its way");
        assert_eq!(step(None, 2, 600), Step::Wait, "it answered before, so it did stop");
    }

    /// What a successor does about a machine without parts.
    fn next_without_parts(seen: &Sighting, answered: bool, seconds: i64) -> Step {
        let (before, epoch, now) = (Before::new(), Epoch(2), at(seconds));
        let order = Some(Order { by: Epoch(1), at: at(0), answered });
        next(&Facts { seen, before: &before, order, epoch, now })
    }

    #[test]
    fn a_machine_that_stays_silent_was_not_restarted_unless_the_backend_has_said_so() {
        let silent = Sighting::Silent { lasting: Duration::from_mins(4) };
        assert_eq!(next_without_parts(&silent, false, 119), Step::Wait);
        assert_eq!(next_without_parts(&silent, false, 120), Step::AskBackend);
        assert_eq!(next_without_parts(&silent, true, 600), Step::Wait, "it boots");
        assert_eq!(next_without_parts(&Sighting::Unknown, false, 120), Step::Wait);
    }

    #[test]
    fn a_machine_without_parts_is_back_when_the_backend_has_said_so_and_else_asked_for_again() {
        let seen = Sighting::Answers { parts: Vec::new() };
        assert_eq!(next_without_parts(&seen, true, 5), Step::Done, "nobody waits in vain");
        assert_eq!(next_without_parts(&seen, false, 5), Step::Wait);
        assert_eq!(next_without_parts(&seen, false, 120), Step::AskBackend);
    }
}
