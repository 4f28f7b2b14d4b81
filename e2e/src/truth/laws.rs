//! What must hold of the truth once nothing changes any more: I2 to I5 and I10 of the platform's invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use common::port::edge::{Table, Upstream};
use common::record::deployment::{SlotState, State};
use common::record::instance;
use common::record::route::RouteGoal;

use super::{Edge, Served, Truth};

/// How many networks without a container a node may keep: four for the next apps, and one for builds.
const KEPT_NETWORKS: usize = 5;

/// Where one replica is, and which container it is.
#[derive(Debug, PartialEq, Eq)]
struct Placed {
    node: String,
    address: String,
    generation: u64,
    id: Option<String>,
}

/// By instance and slot.
type Replicas = BTreeMap<(String, u32), Placed>;
/// Upstreams by instance: slot and `ip:port`.
type Ways = BTreeMap<String, BTreeSet<(u32, String)>>;

impl Truth {
    /// All of it.
    pub fn is_consistent(&self) -> anyhow::Result<()> {
        self.each_replica_is_once().context("I2, effect once")?;
        self.each_port_has_one_owner().context("I3, port exclusive")?;
        self.each_route_leads_to_its_own().context("I4, no misroute")?;
        self.nothing_else_is_there().context("I5, no orphan")?;
        self.what_is_said_is_so().context("I10, honest status")
    }

    /// What deployments want is what runs, in the generation that is served, or gets a share beside it, and in no other.
    fn each_replica_is_once(&self) -> anyhow::Result<()> {
        let mut running = Replicas::new();
        for container in &self.containers {
            ensure!(container.running, "it does not run: {container:?}");
            let place = Placed {
                node: container.node.clone(),
                address: container.address.clone(),
                generation: container.generation,
                id: Some(container.id.clone()),
            };
            let other = running.insert((container.instance.clone(), container.slot), place);
            ensure!(other.is_none(), "a replica has two containers: {container:?} and {other:?}");
        }
        let mut wanted = Replicas::new();
        for (instance, deployment) in &self.deployments {
            let serving = deployment.serving.as_ref().map(|serving| serving.generation);
            for slot in &deployment.slots {
                ensure!(slot.state == SlotState::Routed, "{instance} is not settled: {slot:?}");
                let shares = deployment.canary.is_some() && slot.generation == deployment.rising();
                let serves = serving == Some(slot.generation) || shares;
                ensure!(serves, "{instance} does not serve {slot:?}");
                let place = slot.place.as_ref().with_context(|| format!("no place: {slot:?}"))?;
                let place = Placed {
                    node: place.node.to_string(),
                    address: SocketAddr::new(place.ip, place.host_port).to_string(),
                    generation: slot.generation.0,
                    id: slot.container_id.clone(),
                };
                wanted.insert((instance.clone(), slot.number.0), place);
            }
        }
        same("containers", &running, "slots of deployments", &wanted)?;
        self.parts.each_is_once()
    }

    /// A leased port belongs to the replica that listens on it, and to nobody else.
    fn each_port_has_one_owner(&self) -> anyhow::Result<()> {
        let mut used = BTreeMap::new();
        for container in &self.containers {
            let slots = self.deployments.get(&container.instance).map(|found| &found.slots);
            let slot = slots.into_iter().flatten().find(|slot| slot.number.0 == container.slot);
            let request = slot.map(|slot| slot.placement_request);
            let port = (container.node.clone(), container.host_port);
            let other = used.insert(port, (container.instance.clone(), request));
            ensure!(other.is_none(), "two containers have one port: {container:?}, {other:?}");
        }
        let owners = self
            .leases
            .iter()
            .map(|(port, lease)| (port.clone(), (lease.instance.to_string(), Some(lease.request))));
        let leased: BTreeMap<_, _> = owners.collect();
        same("ports of containers", &used, "leases", &leased)?;
        let listened: Vec<_> = leased.into_keys().collect();
        same("listeners of nodes", &self.listeners, "leases", &listened)?;

        let doors: BTreeMap<u16, String> =
            self.front_ports.iter().map(|(instance, port)| (*port, instance.clone())).collect();
        ensure!(
            doors.len() == self.front_ports.len(),
            "two instances have one front port: {:?}",
            self.front_ports
        );
        same("front ports of the edge", &doors, "their leases", &self.front_leases)
    }

    /// The edge leads to the containers of the instance itself; the registry and the records say the same.
    fn each_route_leads_to_its_own(&self) -> anyhow::Result<()> {
        let mut real = Ways::new();
        for container in &self.containers {
            let way = (container.slot, container.address.clone());
            real.entry(container.instance.clone()).or_default().insert(way);
        }
        let routes = self.table.iter().flat_map(|table| &table.routes);
        // An app at rest has a route, and nobody there. Where a service's route leads, its parts say.
        let served = routes.filter(|route| {
            !route.upstreams.is_empty() && !self.parts.have_route(route.instance.as_str())
        });
        let accepted: Ways =
            served.map(|route| (route.instance.to_string(), ways(&route.upstreams))).collect();
        same("containers", &real, "upstreams of the edge", &accepted)?;
        let mut registered = Ways::new();
        for ((instance, slot), address) in &self.registry {
            registered.entry(instance.clone()).or_default().insert((*slot, address.clone()));
        }
        same("containers", &real, "the registry", &registered)?;
        let mut recorded = Ways::new();
        for (instance, route) in &self.recorded {
            ensure!(route.goal == RouteGoal::Served, "a route is still to go: {route:?}");
            ensure!(route.leaving.is_empty(), "a replica is still leaving: {route:?}");
            if !route.upstreams.is_empty() && !self.parts.have_route(instance) {
                recorded.insert(instance.clone(), ways(&route.upstreams));
            }
            let port = self.front_ports.get(instance);
            ensure!(port == Some(&route.front_port), "the edge has {port:?} for {route:?}");
        }
        same("containers", &real, "recorded routes", &recorded)?;
        for (instance, door) in &self.doors {
            let other = door.instance.as_ref().filter(|said| *said != instance);
            ensure!(other.is_none(), "the front door of {instance} leads to {other:?}");
        }
        self.parts.each_is_found(&self.recorded)
    }

    fn nothing_else_is_there(&self) -> anyhow::Result<()> {
        let nothing: BTreeSet<String> = BTreeSet::new();
        same("staged files", &self.staged, "none", &nothing)?;
        same("containers without our label", &self.unlabelled, "none", &nothing)?;
        same("unanswered requests for a node", &self.placements, "none", &nothing)?;
        let of_nobody = self.scales.iter().filter(|name| !self.routes.contains_key(*name));
        same("scales of nobody", &of_nobody.cloned().collect(), "none", &nothing)?;
        let used: BTreeSet<(&str, &str)> = self
            .containers
            .iter()
            .map(|container| (container.instance.as_str(), container.node.as_str()))
            .collect();
        let networks = used.len() + self.nodes.len() * KEPT_NETWORKS;
        ensure!(self.networks <= networks, "{} networks are too many", self.networks);
        Ok(())
    }

    /// Nothing is under way, what is said to run answers, and the edge serves what it has accepted.
    fn what_is_said_is_so(&self) -> anyhow::Result<()> {
        serves_what_it_accepted(self.table.as_ref(), self.served)?;
        if let Some(table) = &self.table {
            same("the table's epoch", &table.epoch.0, "the load balancer's", &self.epoch)?;
        }
        for edge in &self.other_edges {
            self.serves_the_same(edge).with_context(|| format!("the edge on {}", edge.name))?;
        }
        for (name, door) in &self.doors {
            ensure!((200..500).contains(&door.status), "{name} answers {door:?}");
        }
        for (name, deployment) in &self.deployments {
            let ended = matches!(
                deployment.state,
                State::Running | State::Failed | State::Stopped | State::Removed
            );
            ensure!(ended, "{name} is under way until {}: {deployment:?}", deployment.deadline);
            let runs = deployment.state == State::Running;
            ensure!(!runs || self.doors.contains_key(name), "{name} runs without a route");
            let why = deployment.failure.as_ref().map(|failure| !failure.message.is_empty());
            let failed = deployment.state == State::Failed;
            ensure!(!failed || why == Some(true), "{name} does not say why: {deployment:?}");
        }
        self.instances.iter().try_for_each(|(name, instance)| self.users_are_told(name, instance))
    }

    /// Who tells an edge its tables counts their generations: of two they need not be equal.
    fn serves_the_same(&self, edge: &Edge) -> anyhow::Result<()> {
        serves_what_it_accepted(edge.table.as_ref(), edge.served)?;
        let what =
            |table: &Option<Table>| table.as_ref().map(|table| (table.epoch, table.routes.clone()));
        same("what is accepted", &what(&edge.table), "by the first edge", &what(&self.table))?;
        same("its doors", &edge.doors, "those of the first edge", &self.doors)
    }

    fn users_are_told(&self, name: &str, told: &instance::Instance) -> anyhow::Result<()> {
        let why = told.failure.as_ref().is_some_and(|failure| !failure.message.is_empty());
        let is_so = match told.state {
            instance::State::Deploying | instance::State::Stopping => false,
            instance::State::Deployed => {
                let port = self.front_ports.get(name).map(|port| format!(":{port}"));
                port.is_some_and(|port| told.url.as_ref().is_some_and(|url| url.ends_with(&port)))
            }
            instance::State::Scheduled | instance::State::Stopped => !self.doors.contains_key(name),
            instance::State::DeployFailed | instance::State::StopFailed => why,
        };
        ensure!(is_so, "users are told of {name}: {told:?}");
        Ok(())
    }
}

fn serves_what_it_accepted(table: Option<&Table>, served: Served) -> anyhow::Result<()> {
    let accepted = table.map_or((-1, -1, 0), |table| {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        (count(table.epoch.0), count(table.generation.0), table.routes.len())
    });
    let served = (served.epoch, served.generation, served.routes);
    same("what the edge serves", &served, "what it has accepted", &accepted)
}

fn ways(upstreams: &[Upstream]) -> BTreeSet<(u32, String)> {
    upstreams.iter().map(|way| (way.slot.0, way.address().to_string())).collect()
}

/// Two ways to see one thing.
fn same<T: PartialEq + Debug>(of: &str, one: &T, in_: &str, other: &T) -> anyhow::Result<()> {
    ensure!(one == other, "{of} and {in_} differ:\n  {one:?}\n  {other:?}");
    Ok(())
}

#[cfg(test)]
mod tests;
