//! The edge's table as a function of all routes.
//!
//! One bad route costs that route, never the table; and no front port, host name or replica is ever
//! in it twice, so that no app answers for another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::failure::FailureCode;
use common::name::{HostLabel, HostName, LegacyName};
use common::port::edge::{FrontPorts, TableRoute, Upstream};
use common::record::route::{Route, RouteGoal};

/// The content of a table, and what was kept out of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Sorted by instance.
    pub(crate) routes: Vec<TableRoute>,
    pub(crate) refused: BTreeMap<LegacyName, Refused>,
    /// Replicas that are ill, of routes that others serve.
    pub(crate) left_out: BTreeMap<LegacyName, Vec<Upstream>>,
}

/// A route that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) route: TableRoute,
    pub(crate) why: Why,
}

/// Why a route is kept out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("the edge could not open front port {0}")]
    PortClosed(u16),
    #[error("front port {port} belongs to {owner}")]
    PortTaken { port: u16, owner: LegacyName },
    #[error("the host name {host} belongs to {owner}")]
    HostTaken { host: HostLabel, owner: LegacyName },
    #[error("the host name {name} belongs to {owner}")]
    NameTaken { name: HostName, owner: LegacyName },
    #[error("the replica {address} belongs to {owner}")]
    ReplicaTaken { address: SocketAddr, owner: LegacyName },
    #[error("the edge serves the app as before, and does not take this: {code}")]
    Unfit { code: String },
}

impl Refused {
    /// Whether visitors may be sent to its former replicas.
    pub(crate) fn is_served_as_before(&self) -> bool {
        matches!(self.why, Why::Unfit { .. })
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.why, Why::PortClosed(_))
    }

    /// Whether it was kept out for its front port, which is one of these by now.
    pub(crate) fn is_open_again(&self, ports: &FrontPorts) -> bool {
        self.is_closed() && closed(&self.route, ports).is_none()
    }
}

impl Rendered {
    /// What of it is served by an edge that did not take the routes of these instances.
    pub(crate) fn without(mut self, instances: &BTreeSet<LegacyName>, code: &str) -> Self {
        let is_taken = |row: &TableRoute| !instances.contains(&row.instance);
        let (taken, others): (Vec<_>, Vec<_>) = self.routes.into_iter().partition(is_taken);
        self.routes = taken;
        for mut row in others {
            row.upstreams.extend(self.left_out.remove(&row.instance).unwrap_or_default());
            let why = Why::Unfit { code: code.to_owned() };
            self.refused.insert(row.instance.clone(), Refused { route: row, why });
        }
        self
    }
}

impl Why {
    /// How a request for such a route fails.
    pub(crate) fn code(&self) -> FailureCode {
        match self {
            Why::HostTaken { .. } | Why::NameTaken { .. } => FailureCode::HostTaken,
            Why::Unfit { .. } => FailureCode::LbConfRejected,
            Why::PortClosed(_) | Why::PortTaken { .. } | Why::ReplicaTaken { .. } => {
                FailureCode::RouteFailed
            }
        }
    }
}

/// What is in the table so far, and whose it is.
#[derive(Debug, Default)]
struct Taken {
    ports: BTreeMap<u16, LegacyName>,
    hosts: BTreeMap<HostLabel, LegacyName>,
    names: BTreeMap<HostName, LegacyName>,
    replicas: BTreeMap<SocketAddr, LegacyName>,
}

/// Renders all routes, sorted by instance; of two that collide the first stays.
pub(crate) fn render<'a>(
    routes: impl IntoIterator<Item = &'a Route>,
    ports: &FrontPorts,
) -> Rendered {
    let served = routes.into_iter().filter(|route| route.goal != RouteGoal::Removed);
    let sorted: BTreeMap<&LegacyName, &Route> =
        served.map(|route| (&route.instance, route)).collect();
    let mut taken = Taken::default();
    let mut rendered = Rendered::default();
    for route in sorted.into_values() {
        let mut row = row(route);
        match collision(&row, &taken).or_else(|| closed(&row, ports)) {
            Some(why) => {
                rendered.refused.insert(row.instance.clone(), Refused { route: row, why });
            }
            None => {
                // Those that are left out belong to it all the same.
                taken.add(&row);
                let left_out = left_out(route);
                if !left_out.is_empty() {
                    row.upstreams.retain(|upstream| !left_out.contains(upstream));
                    rendered.left_out.insert(row.instance.clone(), left_out);
                }
                rendered.routes.push(row);
            }
        }
    }
    rendered
}

/// What keeps a new route out of a table that has these routes already, the one that stands in its place among them.
pub(crate) fn clash<'a>(new: &Route, all: impl IntoIterator<Item = &'a Route>) -> Option<Why> {
    let mut taken = Taken::default();
    let mut standing: &[HostName] = &[];
    for route in all {
        if route.instance == new.instance {
            standing = &route.edge.hosts;
        } else {
            taken.add(&row(route));
        }
    }
    let claims = new.edge.hosts.iter().filter(|name| !standing.contains(name));
    collision(&row(new), &taken)
        .or_else(|| claims.into_iter().find_map(|name| hijack(name, &taken)))
}

/// A whole name goes before a label, so one that an app of this label answers for must not be claimed by another. The
/// other way round nobody loses: an app that comes later answers for all names with its label but that one.
fn hijack(name: &HostName, taken: &Taken) -> Option<Why> {
    let label = name.as_str().split('.').next().unwrap_or_default();
    let owner = taken.hosts.iter().find(|(host, _)| host.as_str() == label);
    owner.map(|(_, owner)| Why::NameTaken { name: name.clone(), owner: owner.clone() })
}

fn row(route: &Route) -> TableRoute {
    TableRoute {
        instance: route.instance.clone(),
        front_port: route.front_port,
        host: route.host.clone(),
        upstreams: route.upstreams.clone(),
        options: route.edge.clone(),
    }
}

/// Never all of a weight.
fn left_out(route: &Route) -> Vec<Upstream> {
    let is_ill = |upstream: &Upstream| route.ill.contains(&upstream.address());
    let (mut ill, others): (Vec<_>, Vec<_>) = route.upstreams.iter().cloned().partition(is_ill);
    ill.retain(|one| others.iter().any(|other| other.weight == one.weight));
    ill
}

fn closed(route: &TableRoute, ports: &FrontPorts) -> Option<Why> {
    let port = route.front_port;
    let open = (ports.first..=ports.last).contains(&port) && !ports.closed.contains(&port);
    (!open).then_some(Why::PortClosed(port))
}

fn collision(route: &TableRoute, taken: &Taken) -> Option<Why> {
    let port = route.front_port;
    if let Some(owner) = taken.ports.get(&port) {
        return Some(Why::PortTaken { port, owner: owner.clone() });
    }
    if let Some(owner) = taken.hosts.get(&route.host) {
        return Some(Why::HostTaken { host: route.host.clone(), owner: owner.clone() });
    }
    let named = route.options.hosts.iter().find_map(|name| {
        let owner = taken.names.get(name)?.clone();
        Some(Why::NameTaken { name: name.clone(), owner })
    });
    if named.is_some() {
        return named;
    }
    route.upstreams.iter().map(Upstream::address).find_map(|address| {
        let owner = taken.replicas.get(&address)?.clone();
        Some(Why::ReplicaTaken { address, owner })
    })
}

impl Taken {
    fn add(&mut self, route: &TableRoute) {
        let owner = &route.instance;
        self.ports.insert(route.front_port, owner.clone());
        self.hosts.insert(route.host.clone(), owner.clone());
        let names = route.options.hosts.iter().cloned();
        self.names.extend(names.map(|name| (name, owner.clone())));
        let addresses = route.upstreams.iter().map(Upstream::address);
        self.replicas.extend(addresses.map(|address| (address, owner.clone())));
    }
}

#[cfg(test)]
mod tests;
