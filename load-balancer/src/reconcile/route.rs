//! The end of replicas and of routes: once the edge serves a table without them, requests under way
//! are waited for; then the record, and at last the lease of the front port, are let go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::name::LegacyName;
use common::port::edge::Upstream;
use common::port::store::{Op, Path};
use common::record::path;
use common::record::route::{FrontPortLease, Route, RouteGoal};
use tokio::time::{Instant, timeout};

use super::RouteKey;
use crate::domain::front_ports::{QUARANTINE, is_over};
use crate::domain::table::Refused;
use crate::records::{commit, leases, route, routes};
use crate::shared::Shared;

/// How often a drain is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Publishing takes no longer from those who drain.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// How soon it is tried again to publish what is owed.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How often another edge is looked at that holds up the end of a lease.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// Ends what leaves.
#[derive(Debug)]
pub(crate) struct RouteReconciler {
    shared: Arc<Shared>,
    drains: Mutex<BTreeMap<(LegacyName, SocketAddr), Drain>>,
}

/// A replica whose end is waited for.
#[derive(Debug, Clone, Copy)]
struct Drain {
    /// The count of a table that was rendered without it.
    change: u64,
    /// When every edge was first seen to serve such a table.
    out_since: Option<Instant>,
}

impl RouteReconciler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        RouteReconciler { shared, drains: Mutex::default() }
    }

    async fn end_leaving(&self, instance: &LegacyName) -> Result<Outcome, Error> {
        self.shared.ports.store.sync().await?;
        let Some(stored) = route(&*self.shared.ports.store, instance).await? else {
            self.forget(instance, &BTreeSet::new());
            return Ok(Outcome::Settled);
        };
        let leaving = to_drain(&stored.record);
        self.forget(instance, &leaving);
        let gone = self.gone(instance, &leaving).await;
        match (stored.record.goal, gone.len() == leaving.len()) {
            (RouteGoal::Removed, true) => self.remove(stored).await,
            // The bus may be away: whoever leaves did not wait for it.
            (RouteGoal::Served, true) if leaving.is_empty() => self.tell(stored).await,
            (RouteGoal::Served, _) if !gone.is_empty() => self.let_go(stored, &gone).await,
            (RouteGoal::Announced, _) => Ok(Outcome::Settled),
            (RouteGoal::Removed, false) | (RouteGoal::Served, _) => Ok(Outcome::Again(LOOK_EVERY)),
        }
    }

    /// The leaving replicas that no request is under way at, or that were waited for long enough.
    async fn gone(
        &self,
        instance: &LegacyName,
        leaving: &BTreeSet<SocketAddr>,
    ) -> BTreeSet<SocketAddr> {
        let own: Vec<SocketAddr> =
            leaving.iter().copied().filter(|address| self.is_out(instance, *address)).collect();
        // Asked after that: another edge that serves an older table may still send visitors there, however long.
        let is_out = !own.is_empty() && self.shared.others_serve().await;
        let out: Vec<(SocketAddr, Instant)> = own
            .into_iter()
            .filter_map(|address| Some((address, self.out_since(instance, address, is_out)?)))
            .collect();
        if out.is_empty() {
            return BTreeSet::new();
        }
        let in_flight = self.shared.edge.in_flight().await;
        if let Err(err) = &in_flight {
            tracing::warn!(error = err as &dyn std::error::Error, %instance, "requests under way cannot be counted; waiting for the deadline");
        }
        let drains = &self.shared.metrics.drains;
        let mut gone = BTreeSet::new();
        for (address, since) in out {
            let idle =
                in_flight.as_ref().is_ok_and(|counts| counts.get(&address).is_none_or(|n| *n == 0));
            if idle {
                drains.with_label_values(&["idle"]).inc();
                gone.insert(address);
            } else if since.elapsed() >= self.shared.config.drain_within {
                tracing::warn!(%instance, upstream = %address, "a replica still had requests under way at its deadline");
                drains.with_label_values(&["deadline"]).inc();
                gone.insert(address);
            }
        }
        gone
    }

    /// Whether the own edge serves a table without this replica.
    fn is_out(&self, instance: &LegacyName, address: SocketAddr) -> bool {
        let served = self.shared.served();
        let served = served.borrow();
        let mut drains = self.drains.lock().unwrap_or_else(PoisonError::into_inner);
        let drain = drains
            .entry((instance.clone(), address))
            .or_insert_with(|| Drain { change: self.shared.table_changed(), out_since: None });
        let refused = served.refused.get(instance);
        served.changes >= drain.change && !refused.is_some_and(Refused::is_served_as_before)
    }

    /// Since when no edge has been seen to serve a table with this replica; `is_out` if that is seen now.
    fn out_since(
        &self,
        instance: &LegacyName,
        address: SocketAddr,
        is_out: bool,
    ) -> Option<Instant> {
        let mut drains = self.drains.lock().unwrap_or_else(PoisonError::into_inner);
        let drain = drains.get_mut(&(instance.clone(), address))?;
        if is_out {
            drain.out_since.get_or_insert_with(Instant::now);
        }
        drain.out_since
    }

    /// Keeps the drains of these replicas of an instance, and no others.
    fn forget(&self, instance: &LegacyName, except: &BTreeSet<SocketAddr>) {
        let mut drains = self.drains.lock().unwrap_or_else(PoisonError::into_inner);
        drains.retain(|(of, address), _| of != instance || except.contains(address));
    }

    async fn let_go(
        &self,
        stored: Stored<Route>,
        gone: &BTreeSet<SocketAddr>,
    ) -> Result<Outcome, Error> {
        let Stored { mut record, version } = stored;
        record.leaving.retain(|upstream| !gone.contains(&upstream.address()));
        let put = records::put(path::route(&record.instance), &record, Some(version));
        commit(&self.shared, vec![put]).await?;
        self.shared.settle();
        self.shared.scale_wake.wake(record.instance.clone());
        Ok(if record.leaving.is_empty() { Outcome::Settled } else { Outcome::Again(LOOK_EVERY) })
    }

    /// Publishes what the record owes, then clears exactly that.
    async fn tell(&self, stored: Stored<Route>) -> Result<Outcome, Error> {
        let Stored { mut record, version } = stored;
        if !record.owed.is_empty() {
            let publishing = owed::publish(&*self.shared.ports.bus, &record.owed);
            let instance = &record.instance;
            match timeout(TELL_WITHIN, publishing).await {
                Ok(Ok(())) => {}
                Ok(Err(err)) => {
                    tracing::warn!(error = &err as &dyn std::error::Error, %instance, "restarts cannot be told");
                    return Ok(Outcome::Again(TELL_AGAIN_AFTER));
                }
                Err(_) => return Ok(Outcome::Again(TELL_AGAIN_AFTER)),
            }
            record.owed.clear();
            let put = records::put(path::route(&record.instance), &record, Some(version));
            commit(&self.shared, vec![put]).await?;
        }
        Ok(Outcome::Settled)
    }

    async fn remove(&self, stored: Stored<Route>) -> Result<Outcome, Error> {
        let route = stored.record;
        let mut changes =
            vec![Op::Delete { path: path::route(&route.instance), version: stored.version }];
        let lease_path = path::edge_port(route.front_port);
        let lease = records::load::<FrontPortLease>(&*self.shared.ports.store, &lease_path).await?;
        if let Some(lease) = lease.filter(|lease| lease.record.instance == route.instance) {
            changes.push(self.release(lease_path, lease));
        }
        commit(&self.shared, changes).await?;
        tracing::info!(instance = %route.instance, front_port = route.front_port, "the route is gone");
        self.forget(&route.instance, &BTreeSet::new());
        self.shared.route_wake.wake(RouteKey::Port(route.front_port));
        self.shared.route_changed(&route.instance);
        // It may be on its way again.
        self.shared.announce_wake.wake(route.instance);
        Ok(Outcome::Settled)
    }

    fn release(&self, path: Path, lease: Stored<FrontPortLease>) -> Op {
        let Stored { mut record, version } = lease;
        record.released_at = Some(self.shared.ports.clock.now());
        records::put(path, &record, Some(version))
    }

    /// Ends the lease of a front port: it is forgotten a minute after its route was removed.
    async fn end_lease(&self, port: u16) -> Result<Outcome, Error> {
        self.shared.ports.store.sync().await?;
        let store = &*self.shared.ports.store;
        let path = path::edge_port(port);
        let Some(lease) = records::load::<FrontPortLease>(store, &path).await? else {
            return Ok(Outcome::Settled);
        };
        let user = route(store, &lease.record.instance).await?;
        let is_used = user.is_some_and(|route| route.record.front_port == port);
        let now = self.shared.ports.clock.now();
        let others_serve = self.shared.others_serve().await;
        match lease.record.released_at {
            None if is_used => Ok(Outcome::Settled),
            None => {
                commit(&self.shared, vec![self.release(path, lease)]).await?;
                Ok(Outcome::Again(Duration::try_from(QUARANTINE).unwrap_or_default()))
            }
            // Another edge may answer at this port for who had it.
            Some(_) if !others_serve => Ok(Outcome::Again(LOOK_AGAIN_EVERY)),
            Some(_) if is_over(&lease.record, now) => {
                commit(&self.shared, vec![Op::Delete { path, version: lease.version }]).await?;
                Ok(Outcome::Settled)
            }
            Some(at) => {
                let left = QUARANTINE - now.duration_since(at);
                Ok(Outcome::Again(Duration::try_from(left).unwrap_or(LOOK_EVERY)))
            }
        }
    }
}

/// What has to be drained. A route that goes without a replica is waited for as if it had one: the
/// table must be without it all the same.
fn to_drain(route: &Route) -> BTreeSet<SocketAddr> {
    let mut addresses: BTreeSet<_> = route.leaving.iter().map(Upstream::address).collect();
    if route.goal == RouteGoal::Removed && addresses.is_empty() {
        addresses.insert(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    }
    addresses
}

#[async_trait]
impl Reconcile for RouteReconciler {
    type Key = RouteKey;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<RouteKey>, Error> {
        let routes = routes(&self.shared).await?;
        let leases = leases(&self.shared).await?;
        self.shared.metrics.front_ports_leased.set(i64::try_from(leases.len()).unwrap_or(i64::MAX));
        let routes = routes.values().map(|route| RouteKey::Route(route.record.instance.clone()));
        Ok(routes.chain(leases.into_keys().map(RouteKey::Port)).collect())
    }

    async fn reconcile(&self, key: &RouteKey) -> Result<Outcome, Error> {
        match key {
            RouteKey::Route(instance) => self.end_leaving(instance).await,
            RouteKey::Port(port) => self.end_lease(*port).await,
        }
    }
}
