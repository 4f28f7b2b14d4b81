//! Keeping what was reached: services of machines that are gone find others, and entries stay right.

use common::record::platform::PlatformGoal;
use common::service::ServiceName;

use super::{Entry, Observed, Rules, Seen, Step};

pub(super) fn next(observed: &Observed, rules: &Rules) -> Step {
    let moved = observed.services.iter().find_map(|seen| place_again(observed, rules, seen));
    if let Some(step) = moved {
        return step;
    }
    // The load balancer may be what does not answer: what needs no front door comes first.
    let needs = |has_front_door: bool| {
        observed.services.iter().filter(move |seen| seen.has_front_door == has_front_door)
    };
    needs(false).chain(needs(true)).find_map(mend).unwrap_or(Step::Rest)
}

fn place_again(observed: &Observed, rules: &Rules, seen: &Seen) -> Option<Step> {
    // An edge's machine that is a node again has its load balancer again.
    let is_beside_edges = seen.service == ServiceName::LoadBalancer && !rules.edges.is_empty();
    if !seen.is_wished() || !(is_beside_edges || observed.has_lost_a_machine(seen)) {
        return None;
    }
    let nodes = observed.place(seen, rules).ok()?;
    let differs = seen.placed.as_ref().is_some_and(|placed| placed.nodes != nodes);
    differs.then_some(Step::Wish { service: seen.service, goal: PlatformGoal::On, nodes })
}

fn mend(seen: &Seen) -> Option<Step> {
    match (seen.is_wished(), seen.entry) {
        (true, Entry::Absent | Entry::Wrong) if seen.ready() > 0 => {
            Some(Step::Register(seen.service))
        }
        (false, Entry::Right(_) | Entry::Wrong) if seen.placed.is_some() => {
            Some(Step::Deregister(seen.service))
        }
        (true | false, Entry::Absent | Entry::Right(_) | Entry::Wrong) => None,
    }
}
