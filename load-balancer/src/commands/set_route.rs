//! Serve these replicas of an instance, and no others.

use std::net::SocketAddr;

use chassis::records;
use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::edge::{FrontPorts, TableRoute};
use common::port::routes::{Routed, WantedRoute};
use common::port::store::Op;
use common::record::path;
use common::record::route::{FrontPortLease, Route, RouteGoal};
use tokio::time::Instant;

use super::{ATTEMPTS, Error, wait_for_route};
use crate::domain::{front_ports, route, table};
use crate::records::{commit, deployment, leases, route as load_route, routes};
use crate::shared::Shared;

/// Records the route, then waits until every worker of the edge serves it and the replicas that
/// left are drained.
pub(crate) async fn run(shared: &Shared, wanted: &WantedRoute) -> Result<Routed, Error> {
    route::check(wanted).map_err(Error::Invalid)?;
    let deadline = Instant::now() + shared.config.confirm_within;
    let (route, has_other_hosts) = record(shared, wanted, deadline).await?;
    let change = shared.route_changed(&route.instance);
    if has_other_hosts {
        shared.order_wake.wake_all();
    }
    wait_until_served(shared, &route, change, deadline).await?;
    wait_until_drained(shared, &route).await?;
    Ok(Routed {
        front_port: route.front_port,
        host: route.host,
        endpoint: SocketAddr::new(shared.config.advertised_ip, route.front_port),
    })
}

/// The route, and whether it has other host names than before.
async fn record(
    shared: &Shared,
    wanted: &WantedRoute,
    deadline: Instant,
) -> Result<(Route, bool), Error> {
    let open = front_ports(shared, deadline).await?;
    let _one_at_a_time = shared.allocation.lock().await;
    for _ in 0..ATTEMPTS {
        match try_record(shared, wanted, &open).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return done,
        }
    }
    Err(records::Error::Changed.into())
}

/// The ports the edge has open; waits for the edge's first answer.
async fn front_ports(shared: &Shared, deadline: Instant) -> Result<FrontPorts, Error> {
    let mut known = shared.front_ports();
    let found = shared.wait(deadline, known.wait_for(Option::is_some)).await;
    found.and_then(|known| known.ok()?.clone()).ok_or_else(|| {
        Error::failed(FailureCode::RouteFailed, "the edge has not answered since the start")
    })
}

async fn try_record(
    shared: &Shared,
    wanted: &WantedRoute,
    open: &FrontPorts,
) -> Result<(Route, bool), Error> {
    let store = &*shared.ports.store;
    let existing = load_route(store, &wanted.instance).await?;
    let version = existing.as_ref().map(|stored| stored.version);
    let existing = existing.map(|stored| stored.record);
    if let Some(newer) = existing.as_ref().filter(|standing| route::is_newer(standing, wanted)) {
        return Err(Error::Stale(newer.generation));
    }
    let mut known = deployment(store, &wanted.instance).await?;
    if route::is_past(wanted, known.as_ref()) {
        // What is read may be older than the wish.
        store.sync().await?;
        known = deployment(store, &wanted.instance).await?;
        if route::is_past(wanted, known.as_ref()) {
            return Err(Error::Stale(known.map_or(wanted.generation, |newer| newer.generation)));
        }
    }
    let leased = lease(shared, &wanted.instance, existing.as_ref(), open).await?;
    let new = route::serve(existing.as_ref(), wanted, leased.port);
    if existing.as_ref() == Some(&new) && leased.changes.is_empty() {
        return Ok((new, false));
    }
    if !existing.as_ref().is_some_and(|standing| route::claims_no_more(&new, standing)) {
        refuse_clash(shared, &new).await?;
    }
    let mut changes = leased.changes;
    changes.push(records::put(path::route(&new.instance), &new, version));
    commit(shared, changes).await?;
    let before = existing.filter(|standing| standing.goal != RouteGoal::Removed);
    let before = before.map(|standing| standing.edge.hosts).unwrap_or_default();
    let has_other_hosts = before != new.edge.hosts;
    Ok((new, has_other_hosts))
}

/// A route that claims what another one has is refused.
async fn refuse_clash(shared: &Shared, new: &Route) -> Result<(), Error> {
    let all = routes(shared).await?;
    let all: Vec<&Route> = all.values().map(|stored| &stored.record).collect();
    let served = all.iter().copied().filter(|route| route.goal != RouteGoal::Removed);
    if let Some(why) = table::clash(new, served) {
        return Err(Error::failed(why.code(), why.to_string()));
    }
    // What only those that leave have is free in a moment.
    match table::clash(new, all) {
        Some(why) => Err(Error::failed(FailureCode::RouteFailed, why.to_string())),
        None => Ok(()),
    }
}

/// The front port of a route, and what has to be written for it.
pub(super) struct Leased {
    pub(super) port: u16,
    pub(super) changes: Vec<Op>,
}

/// A route keeps its port for as long as the edge has it open.
pub(super) async fn lease(
    shared: &Shared,
    instance: &LegacyName,
    existing: Option<&Route>,
    open: &FrontPorts,
) -> Result<Leased, Error> {
    if let Some(route) = existing.filter(|route| open.open().any(|port| port == route.front_port)) {
        return Ok(Leased { port: route.front_port, changes: Vec::new() });
    }
    let leases = leases(shared).await?;
    let known = leases.iter().map(|(port, stored)| (*port, stored.record.clone())).collect();
    let now = shared.ports.clock.now();
    let port = front_ports::choose(&known, open.open(), instance, now);
    let port = port.ok_or_else(|| {
        let message = format!("no front port from {} to {} is free", open.first, open.last);
        Error::failed(FailureCode::FrontPortsExhausted, message)
    })?;
    let mut lease = FrontPortLease { schema: 1, instance: instance.clone(), released_at: None };
    let version = leases.get(&port).map(|stored| stored.version);
    let mut changes = vec![records::put(path::edge_port(port), &lease, version)];
    let old = existing.and_then(|route| leases.get_key_value(&route.front_port));
    if let Some((old_port, stored)) = old {
        lease.released_at = Some(now);
        changes.push(records::put(path::edge_port(*old_port), &lease, Some(stored.version)));
    }
    Ok(Leased { port, changes })
}

/// Waits for a table that was rendered after `change`.
async fn wait_until_served(
    shared: &Shared,
    route: &Route,
    change: u64,
    deadline: Instant,
) -> Result<(), Error> {
    let mut served = shared.served();
    let is_mine =
        |row: &TableRoute| row.front_port == route.front_port && row.options == route.edge;
    let rendered = served.wait_for(|served| served.changes >= change);
    if let Some(Ok(served)) = shared.wait(deadline, rendered).await {
        let has_all = served.has(&route.instance, &route.upstreams);
        if has_all && served.routes.get(&route.instance).is_some_and(is_mine) {
            return Ok(());
        }
        let is_kept_out = |row: &TableRoute| {
            is_mine(row)
                && row.upstreams.len() == route.upstreams.len()
                && row.upstreams.iter().all(|one| route.upstreams.contains(one))
        };
        let refused = served.refused.get(&route.instance);
        if let Some(refused) = refused.filter(|refused| is_kept_out(&refused.route)) {
            return Err(Error::failed(refused.why.code(), refused.why.to_string()));
        }
    }
    Err(overtaken(shared, route).await?.unwrap_or_else(|| {
        let seconds = shared.config.confirm_within.as_secs();
        let message = format!("the edge did not take the route within {seconds} s");
        Error::failed(FailureCode::RouteFailed, message)
    }))
}

/// Whether another call changed the route in between, and how this one ends then.
async fn overtaken(shared: &Shared, route: &Route) -> Result<Option<Error>, Error> {
    shared.ports.store.sync().await?;
    let standing = load_route(&*shared.ports.store, &route.instance).await?;
    Ok(match standing.map(|stored| stored.record) {
        Some(other) if other.generation > route.generation => Some(Error::Stale(other.generation)),
        Some(other)
            if other.upstreams == route.upstreams
                && other.edge == route.edge
                && other.goal == RouteGoal::Served =>
        {
            None
        }
        Some(_) | None => {
            Some(Error::failed(FailureCode::Superseded, "another request changed the route"))
        }
    })
}

async fn wait_until_drained(shared: &Shared, route: &Route) -> Result<(), Error> {
    if route.leaving.is_empty() {
        return Ok(());
    }
    let have_left = |standing: Option<&Route>| {
        let still = standing.map(|standing| standing.leaving.as_slice()).unwrap_or_default();
        Ok(!route.leaving.iter().any(|leaving| still.contains(leaving)))
    };
    let message = "the edge could not be seen to have drained the replicas that leave";
    wait_for_route(shared, &route.instance, have_left, message).await
}
