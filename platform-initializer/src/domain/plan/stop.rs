//! A stop, and the undoing of a start: in reverse order, each service deregistered first and gone before the next.

use common::failure::{Failure, FailureCode};
use common::record::platform::{PlatformGoal, RunningInstance};

use super::{Entry, Observed, Rules, Seen, Step};

/// A stop that cannot go on stays where it has come to: what is stopped stays stopped, and the next stop goes on.
pub(super) fn next(observed: &Observed, rules: &Rules) -> Step {
    for seen in observed.services.iter().rev() {
        match end(observed, rules, seen) {
            Ending::Done => {}
            Ending::Step(step) => return step,
            Ending::Overdue(failure) => return Step::GiveUp(failure),
        }
    }
    Step::Conclude
}

/// Only what the failed start began. What does not end in time is passed over: it stays unwanted.
pub(super) fn undo(observed: &Observed, rules: &Rules) -> Step {
    for service in observed.record.begun.iter().rev() {
        let Some(seen) = observed.seen(*service).filter(|_| !observed.is_before(*service)) else {
            continue;
        };
        match end(observed, rules, seen) {
            Ending::Step(step) => return step,
            Ending::Overdue(_) if seen.is_wished() => return wish_off(seen),
            Ending::Done | Ending::Overdue(_) => {}
        }
    }
    Step::Conclude
}

enum Ending {
    Done,
    Step(Step),
    /// It had its time.
    Overdue(Failure),
}

fn end(observed: &Observed, rules: &Rules, seen: &Seen) -> Ending {
    if seen.placed.is_none() {
        return Ending::Done;
    }
    let is_due = observed.is_due(seen.service, rules.stop_within);
    if seen.entry != Entry::Absent {
        return if is_due {
            Ending::Overdue(not_deregistered(seen))
        } else if observed.is_at(seen.service) {
            Ending::Step(Step::Deregister(seen.service))
        } else {
            Ending::Step(Step::Enter(seen.service))
        };
    }
    if seen.is_wished() {
        Ending::Step(wish_off(seen))
    } else if seen.is_gone() {
        Ending::Done
    } else if is_due {
        Ending::Overdue(not_gone(seen, rules))
    } else {
        Ending::Step(observed.stay_at(seen.service, rules.stop_within))
    }
}

/// Where it was placed stays noted: it comes back to the same machines.
fn wish_off(seen: &Seen) -> Step {
    let nodes = seen.placed.as_ref().map(|placed| placed.nodes.clone()).unwrap_or_default();
    Step::Wish { service: seen.service, goal: PlatformGoal::Off, nodes }
}

fn not_deregistered(seen: &Seen) -> Failure {
    let why = seen.refusal.as_deref().unwrap_or("the load balancer did not answer");
    let message = format!("{} could not be deregistered: {why}", seen.named());
    Failure::new(FailureCode::RouteFailed, message)
}

fn not_gone(seen: &Seen, rules: &Rules) -> Failure {
    let seconds = rules.stop_within.as_secs();
    let left = seen.running.iter().flat_map(|running| &running.instances).next();
    let (node, why) = match left {
        Some(RunningInstance { node, failure: Some(failure), .. }) => {
            (format!(" on {node}"), failure.to_string())
        }
        Some(RunningInstance { node, .. }) => (format!(" on {node}"), "it still runs".to_owned()),
        None => (String::new(), "the lifecycle manager has not taken it up".to_owned()),
    };
    let message = format!("{}{node} was not gone within {seconds} s: {why}", seen.service);
    Failure::new(FailureCode::DeadlineExceeded, message)
}
