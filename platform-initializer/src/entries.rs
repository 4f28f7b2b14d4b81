//! How a service is found: its front door at the load balancer, and its entry in document 001's registry.

use std::net::SocketAddr;

use bytes::Bytes;
use chassis::records::{self, Stored};
use common::id::{Generation, SlotNumber};
use common::name::LegacyName;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::WantedRoute;
use common::port::store::{self, Op, Path, Precondition};
use common::record::path;
use common::record::platform::{InstanceState, RunningInstance};
use common::record::route::{Route, RouteGoal};
use common::service::ServiceName;

use crate::domain::plan::{Entry, Seen};
use crate::records::{Error, commit};
use crate::shared::Shared;

/// Where a service is asked through its front door: every instance of every service answers there.
const ASKED_AT: &str = "/livez";

/// What stands now.
#[derive(Debug)]
pub(crate) struct Standing {
    route: Option<Route>,
    /// The instances in the registry, with their addresses.
    registered: Vec<(Path, store::Entry)>,
}

/// The name under which a service has a route.
fn route_name(service: ServiceName) -> LegacyName {
    service.registry_name().parse().expect("the names of services keep the rule")
}

pub(crate) async fn read(shared: &Shared, service: ServiceName) -> Result<Standing, Error> {
    let store = shared.ports.store.as_ref();
    let route: Option<Stored<Route>> =
        records::load(store, &path::route(&route_name(service))).await?;
    let folder = path::registry_of_service(service);
    let mut registered = Vec::new();
    for name in store.children(&folder).await? {
        let Ok(path) = folder.join(&name) else { continue };
        if let Some(entry) = store.get(&path).await? {
            registered.push((path, entry));
        }
    }
    Ok(Standing { route: route.map(|stored| stored.record), registered })
}

impl Standing {
    /// Whether it is as it should be for the instances that there are.
    pub(crate) fn judge(&self, seen: &Seen) -> Entry {
        if self.route.is_none() && self.registered.is_empty() {
            return Entry::Absent;
        }
        match self.registered.as_slice() {
            [(_, entry)] => match address(entry) {
                Some(address) if self.leads_to(seen, address) => Entry::Right(address),
                Some(_) | None => Entry::Wrong,
            },
            _ => Entry::Wrong,
        }
    }

    fn leads_to(&self, seen: &Seen, address: SocketAddr) -> bool {
        match &self.route {
            Some(route) if seen.has_front_door => {
                let wanted = upstreams(seen);
                let serves = wanted.iter().all(|one| route.upstreams.contains(one));
                route.goal == RouteGoal::Served
                    && route.front_port == address.port()
                    && serves
                    && route.upstreams.len() == wanted.len()
            }
            None if !seen.has_front_door => ready(seen).any(|one| one.address == address),
            Some(_) | None => false,
        }
    }

    /// A route keeps the highest generation under which it was ever asked for.
    fn generation(&self, seen: &Seen) -> Generation {
        let placed = seen.placed.as_ref().map(|placed| placed.generation).unwrap_or_default();
        self.route.as_ref().map_or(placed, |route| route.generation.max(placed))
    }
}

fn address(entry: &store::Entry) -> Option<SocketAddr> {
    std::str::from_utf8(&entry.value).ok()?.trim().parse().ok()
}

fn ready(seen: &Seen) -> impl Iterator<Item = &RunningInstance> {
    let instances = seen.instances().into_iter().filter_map(|(_, instance)| instance);
    instances.filter(|one| one.state == InstanceState::Ready)
}

/// One that is silent for a moment keeps its place: the edge passes it over by itself.
fn upstreams(seen: &Seen) -> Vec<Upstream> {
    let served = |(slot, (_, instance)): (u32, (_, Option<&RunningInstance>))| {
        let instance = instance
            .filter(|one| matches!(one.state, InstanceState::Ready | InstanceState::Silent))?;
        let (ip, port) = (instance.address.ip(), instance.address.port());
        Some(Upstream { ip, port, slot: SlotNumber(slot), weight: Weight::ONE })
    };
    (1..).zip(seen.instances()).filter_map(served).collect()
}

/// Makes the front door, then the entry.
pub(crate) async fn register(shared: &Shared, seen: &Seen) -> Result<(), Error> {
    let standing = read(shared, seen.service).await?;
    let Some(first) = ready(seen).next() else { return Err(records::Error::Changed.into()) };
    let endpoint = if seen.has_front_door {
        open(shared, seen, &standing, first).await?
    } else {
        close(shared, seen, &standing).await?;
        let address = |(_, entry): &(Path, store::Entry)| address(entry);
        let stands = standing.registered.first().and_then(address);
        let kept = stands.filter(|stands| ready(seen).any(|one| one.address == *stands));
        kept.unwrap_or(first.address)
    };
    let path = path::registry_service(seen.service);
    let value = Bytes::from(endpoint.to_string());
    let mut ops = Vec::new();
    let mut precondition = Precondition::Absent;
    for (other, entry) in &standing.registered {
        if *other == path {
            precondition = Precondition::Version(entry.version);
        } else {
            ops.push(Op::Delete { path: other.clone(), version: entry.version });
        }
    }
    ops.push(Op::Put { path, value, precondition });
    commit(shared, ops).await
}

async fn open(
    shared: &Shared,
    seen: &Seen,
    standing: &Standing,
    first: &RunningInstance,
) -> Result<SocketAddr, Error> {
    let wanted = WantedRoute {
        instance: route_name(seen.service),
        generation: standing.generation(seen),
        revision: 0,
        upstreams: upstreams(seen),
        image: seen.service.as_str().to_owned(),
        container_port: first.address.port(),
        container_ids: ready(seen).map(|one| format!("{}/{}", one.node, one.part)).collect(),
        edge: EdgeOptions::default(),
    };
    let routed = shared.ports.routes.set(&wanted).await?;
    match shared.ports.routes.probe(&wanted.instance, ASKED_AT).await? {
        Some(status) if status < 500 => Ok(routed.endpoint),
        Some(_) | None => Err(Error::Unanswered),
    }
}

/// Takes the front door away.
async fn close(shared: &Shared, seen: &Seen, standing: &Standing) -> Result<(), Error> {
    if standing.route.is_some() {
        let (name, generation) = (route_name(seen.service), standing.generation(seen));
        shared.ports.routes.remove(&name, generation).await?;
    }
    Ok(())
}

/// Takes the front door away, then the entry.
pub(crate) async fn deregister(shared: &Shared, seen: &Seen) -> Result<(), Error> {
    let standing = read(shared, seen.service).await?;
    close(shared, seen, &standing).await?;
    let delete = |(path, entry): &(Path, store::Entry)| Op::Delete {
        path: path.clone(),
        version: entry.version,
    };
    let mut ops: Vec<Op> = standing.registered.iter().map(delete).collect();
    let folder = path::registry_of_service(seen.service);
    let entry = shared.ports.store.get(&folder).await?;
    ops.extend(entry.map(|entry| Op::Delete { path: folder, version: entry.version }));
    commit(shared, ops).await
}
