//! A start: one service after the other, every instance of it ready and the service registered before the next. At the end
//! all of them still have to be.

use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::record::platform::PlatformGoal;
use common::service::ServiceName;

use super::{Entry, Observed, Rules, Seen, Step};

pub(super) fn next(observed: &Observed, rules: &Rules) -> Step {
    let configured = || observed.services.iter().filter(|seen| seen.is_configured);
    let step = configured().find_map(|seen| bring(observed, rules, seen));
    match step.or_else(|| configured().find_map(|seen| complete(observed, rules, seen))) {
        None => Step::Conclude,
        Some(Step::Wait(_) | Step::Enter(_) | Step::Register(_))
            if observed.now >= observed.record.deadline =>
        {
            let message = format!("the platform did not start in time{}", slowest(observed));
            Step::GiveUp(Failure::new(FailureCode::DeadlineExceeded, message))
        }
        Some(step) => step,
    }
}

fn slowest(observed: &Observed) -> String {
    let stage = observed.record.stage.as_ref();
    let seen = stage.and_then(|stage| observed.seen(stage.service));
    match seen.and_then(|seen| Some((seen.service, seen.laggard()?))) {
        Some((service, (node, why))) => format!(": {service} on {node}: {why}"),
        None => String::new(),
    }
}

/// The next step for one service; none if it is as it should be.
fn bring(observed: &Observed, rules: &Rules, seen: &Seen) -> Option<Step> {
    let service = seen.service;
    let nodes = match observed.place(seen, rules) {
        Ok(nodes) => nodes,
        Err(failure) => return Some(Step::GiveUp(failure)),
    };
    let is_placed = seen.placed.as_ref().is_some_and(|placed| placed.nodes == nodes);
    if !(seen.is_wished() && is_placed) {
        if service == ServiceName::Monitoring && !observed.is_lifecycle_ready {
            return Some(await_lifecycle_manager(observed, rules, &nodes));
        }
        return Some(Step::Wish { service, goal: PlatformGoal::On, nodes });
    }
    // One that has fallen again while later services start is awaited at the end.
    let has_come = observed.is_complete(seen) || (observed.is_past(service) && seen.ready() > 0);
    if !has_come {
        return Some(awaited(observed, rules, seen));
    }
    match seen.entry {
        Entry::Right(_) => None,
        Entry::Absent | Entry::Wrong => Some(register(observed, rules, seen)),
    }
}

/// Waits until every instance is ready; none if each is.
fn complete(observed: &Observed, rules: &Rules, seen: &Seen) -> Option<Step> {
    (!observed.is_complete(seen)).then(|| awaited(observed, rules, seen))
}

fn awaited(observed: &Observed, rules: &Rules, seen: &Seen) -> Step {
    if observed.is_due(seen.service, rules.ready_within) {
        Step::GiveUp(not_ready(seen, rules))
    } else {
        observed.stay_at(seen.service, rules.ready_within)
    }
}

fn await_lifecycle_manager(observed: &Observed, rules: &Rules, nodes: &[NodeName]) -> Step {
    if observed.is_due(ServiceName::Monitoring, rules.ready_within) {
        let on = nodes.first().map(|node| format!(" on {node}")).unwrap_or_default();
        let message =
            format!("monitoring{on} was not started, because no lifecycle manager is ready");
        return Step::GiveUp(Failure::new(FailureCode::DeadlineExceeded, message));
    }
    observed.stay_at(ServiceName::Monitoring, rules.ready_within)
}

/// Being registered may take as long again as becoming ready.
fn register(observed: &Observed, rules: &Rules, seen: &Seen) -> Step {
    let within = rules.ready_within.saturating_mul(2);
    if observed.is_due(seen.service, within) {
        return Step::GiveUp(not_registered(seen));
    }
    if observed.is_at(seen.service) || observed.is_past(seen.service) {
        Step::Register(seen.service)
    } else {
        Step::Enter(seen.service)
    }
}

fn not_ready(seen: &Seen, rules: &Rules) -> Failure {
    let seconds = rules.ready_within.as_secs();
    let message = match seen.laggard() {
        Some((node, why)) => {
            format!("{} on {node} was not ready within {seconds} s: {why}", seen.service)
        }
        None => format!("{} was not ready within {seconds} s", seen.service),
    };
    Failure::new(FailureCode::HealthTimeout, message)
}

fn not_registered(seen: &Seen) -> Failure {
    let why = seen.refusal.as_deref().unwrap_or("the load balancer did not answer");
    let message = format!("{} could not be registered: {why}", seen.named());
    Failure::new(FailureCode::RouteFailed, message)
}
