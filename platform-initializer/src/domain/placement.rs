//! Where a service runs: round robin over the machines, and what is placed stays where it is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::record::platform::PlacedService;
use common::service::ServiceName;

/// A machine that services may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) name: NodeName,
    pub(crate) ip: IpAddr,
    pub(crate) standing: Standing,
}

/// Whether a machine can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Its agent answers, as far as is known.
    Ready,
    /// It does not answer, or is being prepared: it keeps what it has.
    Away,
    /// It has been away for so long that what it has is placed elsewhere.
    Lost,
}

/// How many instances a service has, and on which machine, if it must be that one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<'a> {
    pub(crate) instances: usize,
    /// The machines of the edges: each load balancer shares its edge's table.
    pub(crate) pinned: Option<&'a [&'a str]>,
}

/// The machines on which a service should run. Those that it has already stay, unless they are gone or lost; the
/// others are those with the fewest services, in the order of the machines.
pub(crate) fn place(
    service: ServiceName,
    rule: Rule<'_>,
    machines: &[Machine],
    placed: &[&PlacedService],
) -> Result<Vec<NodeName>, Failure> {
    let before = placed.iter().find(|other| other.service == service);
    if let Some(edges) = rule.pinned {
        return beside(
            service,
            edges,
            machines,
            before.map_or(&[][..], |before| &before.nodes[..]),
        );
    }
    let stays = |node: &&NodeName| {
        machines.iter().any(|machine| machine.name == **node && machine.standing != Standing::Lost)
    };
    let mut nodes: Vec<NodeName> =
        before.into_iter().flat_map(|before| &before.nodes).filter(stays).cloned().collect();
    let mut load: BTreeMap<&NodeName, usize> = BTreeMap::new();
    for node in placed.iter().flat_map(|other| &other.nodes) {
        *load.entry(node).or_default() += 1;
    }
    while nodes.len() < rule.instances {
        let free = machines.iter().enumerate().filter(|(_, machine)| {
            machine.standing != Standing::Lost && !nodes.contains(&machine.name)
        });
        let fewest = free.min_by_key(|(position, machine)| {
            let carried = load.get(&machine.name).copied().unwrap_or_default();
            (machine.standing, carried, *position)
        });
        let Some((_, machine)) = fewest else { break };
        nodes.push(machine.name.clone());
    }
    if nodes.is_empty() { Err(nowhere(service, "there is no machine for it")) } else { Ok(nodes) }
}

/// The edges' machines that are nodes, or were: another edge is served meanwhile.
fn beside(
    service: ServiceName,
    edges: &[&str],
    machines: &[Machine],
    before: &[NodeName],
) -> Result<Vec<NodeName>, Failure> {
    let known = |edge: &&str| {
        machines.iter().map(|machine| &machine.name).find(|name| name.as_str() == *edge)
    };
    if !edges.iter().any(|edge| known(edge).is_some()) {
        let missing = format!("the machine of the edge, {}, is no node", edges.join(", "));
        return Err(nowhere(service, &missing));
    }
    let had = |edge: &&str| before.iter().find(|name| name.as_str() == *edge);
    Ok(edges.iter().filter_map(|edge| known(edge).or_else(|| had(edge)).cloned()).collect())
}

fn nowhere(service: ServiceName, why: &str) -> Failure {
    Failure::new(FailureCode::NoNodeFits, format!("{service} cannot be placed: {why}"))
}

#[cfg(test)]
mod tests {
    use common::id::Generation;
    use common::record::platform::PlatformGoal;
    use proptest::prelude::*;

    use super::super::order::PLACEABLE;
    use super::*;

    const EDGE: &[&str] = &["node-1"];

    fn machines(count: usize) -> Vec<Machine> {
        let machine = |number: usize| Machine {
            name: format!("node-{number}").parse().unwrap(),
            ip: format!("192.0.2.{number}").parse().unwrap(),
            standing: Standing::Ready,
        };
        (1..=count).map(machine).collect()
    }

    fn placed(service: ServiceName, nodes: Vec<NodeName>) -> PlacedService {
        let (generation, goal) = (Generation(1), PlatformGoal::On);
        PlacedService { schema: 1, service, generation, goal, nodes, image: None, instances: None }
    }

    /// Places every service anew or again, one after the other.
    fn all(machines: &[Machine], mut before: Vec<PlacedService>) -> Vec<PlacedService> {
        for service in PLACEABLE {
            let pinned = (service == ServiceName::LoadBalancer).then_some(EDGE);
            let rule = Rule { instances: 2, pinned };
            let known: Vec<&PlacedService> = before.iter().collect();
            let nodes = place(service, rule, machines, &known).unwrap();
            before.retain(|other| other.service != service);
            before.push(placed(service, nodes));
        }
        before
    }

    fn shown(placed: &[PlacedService]) -> Vec<String> {
        let line = |one: &PlacedService| {
            let nodes: Vec<&str> = one.nodes.iter().map(NodeName::as_str).collect();
            format!("{} {}", one.service, nodes.join(" "))
        };
        placed.iter().map(line).collect()
    }

    #[test]
    fn services_go_round_the_machines_in_turn() {
        let expected = [
            "app-manager node-1 node-2",
            "deployment-manager node-3 node-4",
            "node-manager node-1 node-2",
            "load-balancer node-1",
            "monitoring node-3 node-4",
        ];
        assert_eq!(shown(&all(&machines(4), Vec::new())), expected);
    }

    #[test]
    fn one_machine_has_one_instance_of_each() {
        let placed = all(&machines(1), Vec::new());
        assert!(placed.iter().all(|one| one.nodes.len() == 1), "{placed:?}");
    }

    #[test]
    fn without_a_machine_it_is_said_what_is_missing() {
        let rule = Rule { instances: 2, pinned: None };
        let failure = place(ServiceName::NodeManager, rule, &[], &[]).unwrap_err();
        assert_eq!(failure.code, FailureCode::NoNodeFits);
        let rule = Rule { instances: 1, pinned: Some(&["node-8", "node-9"]) };
        let failure = place(ServiceName::LoadBalancer, rule, &machines(2), &[]).unwrap_err();
        assert!(failure.message.contains("node-9"), "{failure}");
    }

    #[test]
    fn each_edge_has_a_load_balancer_whatever_became_of_the_other() {
        let mut machines = machines(4);
        machines[3].standing = Standing::Lost;
        let rule = Rule { instances: 2, pinned: Some(&["node-4", "node-2"]) };
        let nodes = place(ServiceName::LoadBalancer, rule, &machines, &[]).unwrap();
        assert_eq!(nodes.iter().map(NodeName::as_str).collect::<Vec<_>>(), ["node-4", "node-2"]);
        let before = placed(ServiceName::LoadBalancer, nodes);
        machines.pop();
        let nodes = place(ServiceName::LoadBalancer, rule, &machines, &[]).unwrap();
        assert_eq!(nodes.iter().map(NodeName::as_str).collect::<Vec<_>>(), ["node-2"]);
        let nodes = place(ServiceName::LoadBalancer, rule, &machines, &[&before]).unwrap();
        assert_eq!(nodes, before.nodes, "what is no node for a while stays wished");
    }

    #[test]
    fn a_machine_that_is_away_keeps_what_it_has_and_gets_nothing_new() {
        let mut machines = machines(3);
        let before = all(&machines, Vec::new());
        machines[1].standing = Standing::Away;
        assert_eq!(all(&machines, before.clone()), before);
        let fresh = all(&machines, Vec::new());
        assert!(shown(&fresh).iter().all(|line| !line.contains("node-2")), "{fresh:?}");
    }

    proptest! {
        #[test]
        fn placing_again_moves_nothing_and_the_loss_of_a_machine_moves_only_what_it_had(
            count in 2..9_usize,
            lost in 1..9_usize,
            is_gone in any::<bool>(),
        ) {
            let mut machines = machines(count);
            let before = all(&machines, Vec::new());
            prop_assert_eq!(&all(&machines, before.clone()), &before);
            let lost = 1 + lost % (count - 1);
            let name = machines[lost].name.clone();
            if is_gone {
                machines.remove(lost);
            } else {
                machines[lost].standing = Standing::Lost;
            }
            let after = all(&machines, before.clone());
            for (old, new) in before.iter().zip(&after) {
                let kept: Vec<_> = old.nodes.iter().filter(|node| **node != name).collect();
                prop_assert!(kept.iter().all(|node| new.nodes.contains(node)), "{old:?} {new:?}");
                prop_assert!(!new.nodes.contains(&name));
                if kept.len() == old.nodes.len() && old.nodes.len() == 2 {
                    prop_assert_eq!(old, new);
                }
            }
        }
    }
}
