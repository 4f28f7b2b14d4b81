//! The machines and nodes there are, as their records say; this service is their only writer.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use chassis::records::{self, Stored, readable};
use common::name::NodeName;
use common::port::nodes::Agent;
use common::port::store::Op;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::node::{Node, PortLease};
use common::record::path;
use futures::future::try_join_all;
use rollout::platform::{AGENT_PORT, PlannedMachine, Platform};

use crate::domain::target::Family;
use crate::domain::waits::elapsed;
use crate::records::{RegistryPlace, Restart, Stage, load, registry_path, restart_path, restarts};
use crate::shared::Shared;

pub(crate) async fn names(shared: &Shared) -> Result<Vec<NodeName>, records::Error> {
    let names = shared.ports.store.children(&path::folder("machines")).await?;
    Ok(names.into_iter().filter_map(|name| name.parse().ok()).collect())
}

/// Every machine that can be read, in the order of their names.
pub(crate) async fn machines(shared: &Shared) -> Result<Vec<MachineRecord>, records::Error> {
    let names = names(shared).await?;
    let read = names.iter().map(|name| async move {
        readable(load::<MachineRecord>(shared, &path::machine(name)).await)
    });
    let found = try_join_all(read).await?;
    Ok(found.into_iter().flatten().map(|stored| stored.record).collect())
}

/// From now on these machines are looked at.
pub(crate) async fn refresh(shared: &Shared) -> Result<(), records::Error> {
    let machines = machines(shared).await?;
    shared.metrics.machines_are(machines.iter().map(|machine| machine.state));
    let member = |machine: MachineRecord| {
        let address = machine.address.map(|ip| SocketAddr::new(ip, AGENT_PORT));
        let agent = address.map(|address| Agent { node: machine.name.clone(), address });
        (machine.name, (machine.state, agent))
    };
    shared.sight.set_members(machines.into_iter().map(member).collect());
    Ok(())
}

/// The node of a machine that has an address.
pub(crate) fn node_of(machine: &MachineRecord) -> Option<Node> {
    let ip = machine.address?;
    let agent = SocketAddr::new(ip, AGENT_PORT);
    let (name, leaves) = (machine.name.clone(), machine.goal == MachineGoal::Absent);
    Some(Node { schema: 1, name, ip, agent, os: "Linux".to_owned(), leaves })
}

/// The platform as it is described, with everything that is known of its machines by now, and with those that were added
/// since. None where no platform is described.
pub(crate) async fn platform(shared: &Shared) -> Result<Option<Platform>, records::Error> {
    let Some(described) = &shared.config.platform else { return Ok(None) };
    let mut platform = described.clone();
    if let Some(registry) = registry(shared).await? {
        platform.placement.registry = registry.record.node;
    }
    for record in machines(shared).await? {
        let known = planned(record);
        match platform.machines.iter_mut().find(|machine| machine.name == known.name) {
            Some(machine) => *machine = known,
            None => platform.machines.push(known),
        }
    }
    Ok(Some(platform))
}

/// Where the registry is, once that was written down.
pub(crate) async fn registry(
    shared: &Shared,
) -> Result<Option<Stored<RegistryPlace>>, records::Error> {
    load(shared, &registry_path()).await
}

fn planned(record: MachineRecord) -> PlannedMachine {
    let MachineRecord { name, shape, gate, user, credential, id, host_key, address, .. } = record;
    PlannedMachine { name, shape, gate, address, user, credential, id, host_key }
}

pub(crate) async fn addresses(
    shared: &Shared,
) -> Result<BTreeMap<NodeName, IpAddr>, records::Error> {
    let machines = machines(shared).await?;
    Ok(machines.into_iter().filter_map(|machine| Some((machine.name, machine.address?))).collect())
}

/// The node that this process runs on, where its address is that of one.
pub(crate) fn own_node(shared: &Shared) -> Option<NodeName> {
    let plain = &shared.config.advertised.plain;
    let host = plain.rsplit_once(':').map_or(plain.as_str(), |(host, _)| host);
    let ip: IpAddr = host.parse().ok()?;
    let agents = shared.sight.agents();
    agents.into_iter().find(|agent| agent.address.ip() == ip).map(|agent| agent.node)
}

/// Whether the restart of another machine was asked for, and has not ended yet.
pub(crate) async fn another_is_asked_for(
    shared: &Shared,
    node: &NodeName,
) -> Result<bool, records::Error> {
    for name in shared.ports.store.children(&restarts(Family::Nodes)).await? {
        let Some(other) = Family::Nodes.target(&name).filter(|_| name != node.as_str()) else {
            continue;
        };
        let stored = load::<Restart>(shared, &restart_path(&other)).await?;
        if stored.is_some_and(|stored| stored.record.stage != Stage::Idle) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether another machine was restarted, by whomever, and has still its time to come back.
pub(crate) async fn another_boots(
    shared: &Shared,
    node: &NodeName,
) -> Result<bool, records::Error> {
    let (now, within) = (shared.ports.clock.now(), shared.config.machine_within);
    let boots = |machine: &MachineRecord| {
        let is_young = machine.restarts.iter().any(|at| elapsed(*at, now) < within);
        // Nobody waits for a person who has to look first.
        let is_waited_for = machine.state != MachineState::Quarantined;
        is_young && is_waited_for && !shared.sight.of(&machine.name, shared.config.window).answers()
    };
    Ok(machines(shared).await?.iter().any(|machine| machine.name != *node && boots(machine)))
}

/// How many host ports apps have on a node: each replica has one.
pub(crate) async fn leases(shared: &Shared, node: &NodeName) -> Result<usize, records::Error> {
    let ports = shared.ports.store.children(&path::folder(&format!("ports/{node}"))).await?;
    let mut leases = 0;
    for port in ports.iter().filter_map(|port| port.parse().ok()) {
        let lease = load::<PortLease>(shared, &path::node_port(node, port)).await?;
        leases += usize::from(lease.is_some_and(|lease| lease.record.released_at.is_none()));
    }
    Ok(leases)
}

/// What makes a machine's node stand in the store as it is; none if it does.
pub(crate) async fn node_change(
    shared: &Shared,
    machine: &MachineRecord,
) -> Result<Option<Op>, records::Error> {
    let Some(node) = node_of(machine) else { return Ok(None) };
    let path = path::node(&node.name);
    let stored: Option<Stored<Node>> = load(shared, &path).await?;
    match stored {
        // Somebody may know its system better.
        Some(Stored { record, .. })
            if (record.ip, record.agent, record.leaves) == (node.ip, node.agent, node.leaves) =>
        {
            Ok(None)
        }
        stored => Ok(Some(records::put(path, &node, stored.map(|stored| stored.version)))),
    }
}

pub(crate) async fn node_removal(
    shared: &Shared,
    name: &NodeName,
) -> Result<Option<Op>, records::Error> {
    let path = path::node(name);
    let entry = shared.ports.store.get(&path).await?;
    Ok(entry.map(|entry| Op::Delete { path, version: entry.version }))
}
