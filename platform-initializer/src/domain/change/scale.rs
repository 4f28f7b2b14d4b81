//! Another number of instances: on which machines those that are new go, which ones go, and when it is done.

use std::num::NonZeroU16;

use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::record::change::{Change, ServiceChange};
use common::record::platform::{InstanceState, PlacedService};
use common::service::ServiceName;

use super::super::placement::{Machine, Rule, Standing, place};
use super::super::plan::{Entry, Seen};
use super::{Scene, Verdict, at, given_up, is_told, not_started};

/// The wish for so many, and what differs in it. A machine has one instance of a service at most.
pub(super) fn scale(
    placed: PlacedService,
    instances: NonZeroU16,
    scene: &Scene<'_>,
) -> Result<(Change, PlacedService), Failure> {
    let service = placed.service;
    if service == ServiceName::LoadBalancer {
        let message = "a load balancer stands beside each edge, and nowhere else";
        return Err(Failure::new(FailureCode::NoNodeFits, message));
    }
    let wanted = usize::from(instances.get());
    let nodes = if placed.nodes.len() < wanted {
        more(&placed, wanted, scene)?
    } else {
        fewer(&placed, wanted, scene.machines)
    };
    let missing = |from: &[NodeName], to: &[NodeName]| -> Vec<NodeName> {
        from.iter().filter(|node| !to.contains(node)).cloned().collect()
    };
    let (added, removed) = (missing(&nodes, &placed.nodes), missing(&placed.nodes, &nodes));
    let change = Change::Scale { instances, before: placed.instances, added, removed };
    Ok((change, PlacedService { nodes, instances: Some(instances), ..placed }))
}

fn answers(machine: &Machine) -> bool {
    machine.standing == Standing::Ready
}

/// Only on machines that answer; what it has stays where it is.
fn more(
    placed: &PlacedService,
    wanted: usize,
    scene: &Scene<'_>,
) -> Result<Vec<NodeName>, Failure> {
    let able = |machine: &&Machine| answers(machine) || placed.nodes.contains(&machine.name);
    let machines: Vec<Machine> = scene.machines.iter().filter(able).cloned().collect();
    let others = scene.services.iter().filter(|other| other.service != placed.service);
    let known: Vec<&PlacedService> = others.chain([placed]).collect();
    let nodes = place(placed.service, Rule { instances: wanted, pinned: None }, &machines, &known)?;
    if nodes.len() < wanted {
        let message = format!(
            "{wanted} instances of {} need as many machines that answer, and there are {}",
            placed.service,
            nodes.len()
        );
        return Err(Failure::new(FailureCode::NoNodeFits, message));
    }
    Ok(nodes)
}

/// What is on machines that do not answer goes first, then what came last.
fn fewer(placed: &PlacedService, wanted: usize, machines: &[Machine]) -> Vec<NodeName> {
    let mut nodes = placed.nodes.clone();
    let is_well = |node: &NodeName| machines.iter().any(|one| one.name == *node && answers(one));
    while nodes.len() > wanted {
        let away = nodes.iter().rposition(|node| !is_well(node));
        nodes.remove(away.unwrap_or(nodes.len() - 1));
    }
    nodes
}

/// Done when all are ready, the service is found, and what is not wanted any more is gone. Only the last of these is not
/// waited for beyond the deadline.
pub(super) fn scaled(
    change: &ServiceChange,
    (added, removed): (&[NodeName], &[NodeName]),
    seen: &Seen,
    is_due: bool,
) -> Verdict {
    if !is_told(change, seen) {
        return given_up(seen, is_due);
    }
    let mut new = added.iter().filter_map(|node| at(seen, node));
    if let Some(failed) = new.find(|one| one.state == InstanceState::Failed) {
        return not_started(seen, failed);
    }
    let is_found = matches!(seen.entry, Entry::Right(_));
    let are_ready = seen.laggard().is_none() && is_found;
    let are_gone = removed.iter().all(|node| at(seen, node).is_none());
    // What is left behind on a machine that is away is ended when it comes back.
    if are_ready && (are_gone || (is_due && added.is_empty())) {
        return Verdict::Done;
    }
    given_up(seen, is_due)
}
