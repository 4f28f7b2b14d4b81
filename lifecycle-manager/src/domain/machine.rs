//! The next step of a machine: what it needs to be a node whose agent answers.

use std::time::Duration;

use common::port::machines::Power;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use jiff::Timestamp;

use super::sighting::Sighting;
use super::waits::{Limit, Waits, elapsed};
use crate::records::Repair;

/// When silence means something, and how often something is done about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) silent_after: Duration,
    /// So long the agent may be silent before somebody looks after the machine.
    pub(crate) repair_after: Duration,
    pub(crate) waits: Waits,
    /// How often one machine may be restarted.
    pub(crate) restarts: Limit,
}

/// What a step is planned from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) record: &'a MachineRecord,
    pub(crate) repair: &'a Repair,
    pub(crate) seen: &'a Sighting,
    /// Too many machines look dead at once.
    pub(crate) braked: bool,
    pub(crate) rules: &'a Rules,
    pub(crate) now: Timestamp,
}

/// What to do, as far as it can be said without asking the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Rest,
    Note {
        state: MachineState,
        reason: String,
    },
    /// Ask the backend how it is; then [`remedy`].
    Look,
    /// Nothing of it should be left.
    Delete,
}

/// What to do about a machine whose agent does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It is on its way.
    Wait,
    /// Everything that makes it a node, from the machine itself to its agent.
    Enrol,
    Restart,
}

impl Remedy {
    /// What is being done, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Remedy::Wait => "it is on its way",
            Remedy::Enrol => "it is being made a node",
            Remedy::Restart => "it is being restarted",
        }
    }
}

/// What the backend says of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    /// Somebody made it anew since it was seen to.
    Anew,
    There(Power),
}

/// The next step.
pub(crate) fn plan(facts: &Facts<'_>) -> Step {
    let record = facts.record;
    if record.goal == MachineGoal::Absent {
        return if is_due(facts) { Step::Delete } else { Step::Rest };
    }
    let lasting = match facts.seen {
        Sighting::Unknown => return Step::Rest,
        Sighting::Answers { .. } => return answered(record),
        Sighting::Silent { lasting } => *lasting,
    };
    match record.state {
        MachineState::Ready if lasting >= facts.rules.silent_after => {
            let reason = format!("its agent has not answered for {} s", lasting.as_secs());
            Step::Note { state: MachineState::Silent, reason }
        }
        MachineState::Ready | MachineState::Quarantined => Step::Rest,
        MachineState::Silent if lasting < facts.rules.repair_after => Step::Rest,
        MachineState::Preparing
        | MachineState::Silent
        | MachineState::Leaving
        | MachineState::Failed => {
            if facts.braked || !is_due(facts) {
                Step::Rest
            } else {
                Step::Look
            }
        }
    }
}

fn answered(record: &MachineRecord) -> Step {
    match record.state {
        // Its agent may answer: whoever else it is, it gets nothing before an operator has looked.
        MachineState::Ready | MachineState::Quarantined => Step::Rest,
        MachineState::Preparing
        | MachineState::Silent
        | MachineState::Leaving
        | MachineState::Failed => {
            Step::Note { state: MachineState::Ready, reason: "its agent answers".to_owned() }
        }
    }
}

fn is_due(facts: &Facts<'_>) -> bool {
    let repair = facts.repair;
    facts.rules.waits.left(repair.attempts, repair.last, facts.now).is_zero()
}

/// What to do once the backend has said how it is: all that makes it a node first, and only where that did not help a
/// restart, in turns.
pub(crate) fn remedy(facts: &Facts<'_>, found: Found, can_restart: bool) -> Remedy {
    match found {
        Found::Absent | Found::Anew | Found::There(Power::Stopped) => Remedy::Enrol,
        Found::There(Power::Changing) => Remedy::Wait,
        Found::There(Power::Running | Power::Unknown) if is_booting(facts) => Remedy::Wait,
        Found::There(Power::Running | Power::Unknown) => {
            let had_its_turn = facts.repair.attempts % 2 == 1;
            let has_room = facts.rules.restarts.has_room(&facts.record.restarts, facts.now);
            let restart = can_restart && had_its_turn && facts.repair.was_ready && has_room;
            if restart { Remedy::Restart } else { Remedy::Enrol }
        }
    }
}

/// Whether it was restarted a moment ago, whoever wanted it.
fn is_booting(facts: &Facts<'_>) -> bool {
    let newest = facts.record.restarts.iter().max();
    newest.is_some_and(|newest| elapsed(*newest, facts.now) < facts.rules.waits.first)
}

#[cfg(test)]
mod tests {
    use common::id::Generation;
    use common::port::host::Credential;
    use common::port::machines::{LocalShape, Shape};
    use jiff::SignedDuration;

    use super::*;

    const RULES: Rules = Rules {
        silent_after: Duration::from_secs(6),
        repair_after: Duration::from_secs(20),
        waits: Waits {
            first: Duration::from_secs(15),
            last: Duration::from_mins(10),
            calm: Duration::from_mins(10),
        },
        restarts: Limit { attempts: 2, within: Duration::from_hours(1) },
    };

    fn record(state: MachineState) -> MachineRecord {
        let local =
            LocalShape { memory_bytes: 1, cpu_millis: 1, address: None, machines_socket: false };
        MachineRecord {
            schema: 1,
            name: "node-1".parse().unwrap(),
            shape: Shape::Local(local),
            goal: MachineGoal::Node,
            generation: Generation(1),
            gate: None,
            user: "root".to_owned(),
            credential: Credential::KeyFile("/key".into()),
            id: None,
            host_key: None,
            address: None,
            state,
            reason: String::new(),
            since: Timestamp::UNIX_EPOCH,
            restarts: Vec::new(),
        }
    }

    fn planned(state: MachineState, silent: u64, braked: bool, repair: &Repair) -> Step {
        let record = record(state);
        let seen = Sighting::Silent { lasting: Duration::from_secs(silent) };
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9);
        plan(&Facts { record: &record, repair, seen: &seen, braked, rules: &RULES, now })
    }

    #[test]
    fn a_machine_that_falls_silent_is_said_to_be_before_anything_is_done() {
        let fresh = Repair::default();
        assert_eq!(planned(MachineState::Ready, 5, false, &fresh), Step::Rest);
        let Step::Note { state: MachineState::Silent, reason } =
            planned(MachineState::Ready, 6, false, &fresh)
        else {
            panic!("it is silent")
        };
        assert_eq!(reason, "its agent has not answered for 6 s");
        assert_eq!(planned(MachineState::Silent, 19, false, &fresh), Step::Rest);
        assert_eq!(planned(MachineState::Silent, 20, false, &fresh), Step::Look);
    }

    #[test]
    fn the_brake_and_the_quarantine_keep_hands_off() {
        let fresh = Repair::default();
        assert_eq!(planned(MachineState::Silent, 900, true, &fresh), Step::Rest);
        assert_eq!(planned(MachineState::Quarantined, 900, false, &fresh), Step::Rest);
    }

    #[test]
    fn the_next_attempt_waits_for_its_turn() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9);
        let ago = |seconds| now - SignedDuration::from_secs(seconds);
        for (seconds, step) in [(29, Step::Rest), (30, Step::Look)] {
            let last = Some(ago(seconds));
            let repair = Repair { attempts: 2, last, ..Repair::default() };
            assert_eq!(planned(MachineState::Silent, 900, false, &repair), step);
        }
    }

    #[test]
    fn a_machine_is_restarted_only_where_enrolling_it_did_not_help_and_not_for_ever() {
        let mut now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9);
        let mut record = record(MachineState::Silent);
        let seen = Sighting::Silent { lasting: Duration::from_mins(5) };
        let mut done = Vec::new();
        for attempts in 0..6 {
            now += SignedDuration::from_mins(1);
            let repair = Repair { attempts, was_ready: true, ..Repair::default() };
            let facts = Facts {
                record: &record,
                repair: &repair,
                seen: &seen,
                braked: false,
                rules: &RULES,
                now,
            };
            let remedy = remedy(&facts, Found::There(Power::Running), true);
            done.push(remedy);
            if remedy == Remedy::Restart {
                record.restarts.push(now);
            }
        }
        let (enrol, restart) = (Remedy::Enrol, Remedy::Restart);
        assert_eq!(done, [enrol, restart, enrol, restart, enrol, enrol]);
    }

    #[test]
    fn a_machine_that_was_restarted_a_moment_ago_is_given_time() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(9);
        let seen = Sighting::Silent { lasting: Duration::from_mins(5) };
        let repair = Repair { attempts: 1, was_ready: true, ..Repair::default() };
        for (ago, expected) in [(14, Remedy::Wait), (15, Remedy::Restart)] {
            let mut record = record(MachineState::Silent);
            record.restarts.push(now - SignedDuration::from_secs(ago));
            let (rules, braked) = (&RULES, false);
            let facts = Facts { record: &record, repair: &repair, seen: &seen, braked, rules, now };
            assert_eq!(remedy(&facts, Found::There(Power::Running), true), expected, "{ago}");
        }
    }

    #[test]
    fn what_is_gone_or_stands_still_is_enrolled_and_what_is_on_its_way_is_waited_for() {
        let record = record(MachineState::Silent);
        let seen = Sighting::Silent { lasting: Duration::from_mins(5) };
        let repair = Repair::default();
        let (rules, now) = (&RULES, Timestamp::UNIX_EPOCH);
        let facts =
            Facts { record: &record, repair: &repair, seen: &seen, braked: false, rules, now };
        assert_eq!(remedy(&facts, Found::Absent, true), Remedy::Enrol);
        assert_eq!(remedy(&facts, Found::There(Power::Stopped), true), Remedy::Enrol);
        assert_eq!(remedy(&facts, Found::There(Power::Changing), true), Remedy::Wait);
    }
}
