//! Whether a restart that was asked for may begin: what is asked for at once is seen together first, then the brakes, the
//! turn of a machine, the back-off of the target and the budget of all of them have their say. How far a machine is:
//! [`machine`]; which instances of a service it is about: [`instances`]; what an ensemble can spare: [`ensemble`].

pub(crate) mod ensemble;
pub(crate) mod instances;
pub(crate) mod machine;

use std::time::Duration;

use common::failure::{Failure, FailureCode};
use jiff::Timestamp;

use super::brake::Count;
use super::waits::{Limit, Waits, elapsed};

/// How restarts are held back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How long a request waits, so that others that come with it are counted too.
    pub(crate) gather: Duration,
    pub(crate) waits: Waits,
    /// Of all services and machines together.
    pub(crate) limit: Limit,
    /// Above this share of a family asked for at once, nobody believes it.
    pub(crate) percent: usize,
    /// From its beginning to its end.
    pub(crate) within: Duration,
}

/// What the decision is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// Since when it waits.
    pub(crate) since: Timestamp,
    /// How often it was restarted of late, and when last.
    pub(crate) number: u32,
    pub(crate) last: Option<Timestamp>,
    pub(crate) asker: Asker,
    /// How many of its family programs have asked for within the last while, this one among them.
    pub(crate) asked_at_once: Count,
    /// Whether too many of its kind look dead from here.
    pub(crate) braked: bool,
    /// A machine is to be restarted, and another one is on its way.
    pub(crate) is_next: bool,
    /// When others were restarted.
    pub(crate) spent: &'a [Timestamp],
    pub(crate) now: Timestamp,
}

/// Whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Program,
    /// The brakes are for programs, that may be wrong about all at once.
    Operator,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Wait(Duration),
    Refuse(Failure),
    Begin { number: u32 },
}

/// How soon a machine whose turn comes after another's is looked at again.
const AFTER_ANOTHER: Duration = Duration::from_secs(1);

/// Whether it may begin.
pub(crate) fn decide(facts: &Facts<'_>, rules: &Rules) -> Decision {
    let gathered = elapsed(facts.since, facts.now);
    if facts.asker == Asker::Program {
        if gathered < rules.gather {
            return Decision::Wait(rules.gather.saturating_sub(gathered));
        }
        let Count { bad, known } = facts.asked_at_once;
        if facts.asked_at_once.is_too_many(rules.percent) {
            let message = format!("{bad} of {known} were asked for at once");
            return Decision::Refuse(Failure::new(FailureCode::RestartHeld, message));
        }
        if facts.braked {
            let message = "too many look dead at once";
            return Decision::Refuse(Failure::new(FailureCode::RestartHeld, message));
        }
    }
    if facts.is_next {
        return Decision::Wait(AFTER_ANOTHER);
    }
    let left = rules.waits.left(facts.number, facts.last, facts.now);
    if !left.is_zero() {
        let message =
            format!("it was restarted a moment ago; not again for {} s", left.as_secs().max(1));
        return Decision::Refuse(Failure::new(FailureCode::RestartTooSoon, message));
    }
    if !rules.limit.has_room(facts.spent, facts.now) {
        let minutes = rules.limit.within.as_secs() / 60;
        let message = format!("there were {} restarts within {minutes} min", rules.limit.attempts);
        return Decision::Refuse(Failure::new(FailureCode::RestartTooSoon, message));
    }
    Decision::Begin { number: rules.waits.next(facts.number, facts.last, facts.now) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const RULES: Rules = Rules {
        gather: Duration::from_secs(2),
        waits: Waits {
            first: Duration::from_secs(15),
            last: Duration::from_mins(15),
            calm: Duration::from_mins(10),
        },
        limit: Limit { attempts: 3, within: Duration::from_mins(10) },
        percent: 30,
        within: Duration::from_mins(2),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(100_000 + seconds)
    }

    fn facts(now: i64) -> Facts<'static> {
        Facts {
            since: at(0),
            number: 0,
            last: None,
            asker: Asker::Program,
            asked_at_once: Count { bad: 1, known: 7 },
            braked: false,
            is_next: false,
            spent: &[],
            now: at(now),
        }
    }

    fn code(decision: Decision) -> Option<FailureCode> {
        match decision {
            Decision::Refuse(failure) => Some(failure.code),
            Decision::Wait(_) | Decision::Begin { .. } => None,
        }
    }

    #[test]
    fn what_comes_at_once_is_seen_together_before_anything_is_done() {
        assert_eq!(decide(&facts(0), &RULES), Decision::Wait(Duration::from_secs(2)));
        assert_eq!(decide(&facts(2), &RULES), Decision::Begin { number: 1 });
        let all = Facts { asked_at_once: Count { bad: 7, known: 7 }, ..facts(2) };
        assert_eq!(code(decide(&all, &RULES)), Some(FailureCode::RestartHeld));
        let two = Facts { asked_at_once: Count { bad: 2, known: 7 }, ..facts(2) };
        assert_eq!(decide(&two, &RULES), Decision::Begin { number: 1 });
    }

    #[test]
    fn the_brake_holds_programs_and_not_people() {
        let held = Facts { braked: true, ..facts(2) };
        assert_eq!(code(decide(&held, &RULES)), Some(FailureCode::RestartHeld));
        let ordered = Facts { asker: Asker::Operator, ..held };
        assert_eq!(decide(&ordered, &RULES), Decision::Begin { number: 1 });
    }

    #[test]
    fn one_target_has_one_restart_in_each_step_of_its_back_off_whoever_asks() {
        for asker in [Asker::Program, Asker::Operator] {
            let again = Facts { number: 1, last: Some(at(0)), asker, ..facts(10) };
            assert_eq!(code(decide(&again, &RULES)), Some(FailureCode::RestartTooSoon));
            let later = Facts { now: at(15), ..again };
            assert_eq!(decide(&later, &RULES), Decision::Begin { number: 2 });
        }
    }

    #[test]
    fn a_machine_waits_while_another_is_on_its_way_whoever_asks() {
        for asker in [Asker::Program, Asker::Operator] {
            let next = Facts { is_next: true, asker, ..facts(2) };
            assert_eq!(decide(&next, &RULES), Decision::Wait(AFTER_ANOTHER));
        }
    }

    #[test]
    fn all_together_have_a_budget() {
        let spent = [at(-30), at(-20), at(-10)];
        let full = Facts { spent: &spent, ..facts(2) };
        assert_eq!(code(decide(&full, &RULES)), Some(FailureCode::RestartTooSoon));
        let later = Facts { now: at(570), since: at(560), ..full };
        assert_eq!(decide(&later, &RULES), Decision::Begin { number: 1 });
    }
}
