//! Whether the store is the one that this machine's apps were started from, and what is done where it is not.
//!
//! Epochs are taken in the store before anybody else hears of them: so whoever has heard of a higher one has worked
//! for another store, or for this one before it was put back. Nothing is touched then, until an admin accepts it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use adapters::docker::EdgeContainer;
use anyhow::Context as _;
use bytes::Bytes;
use chassis::records::{self, Stored};
use common::id::{Epoch, Generation};
use common::name::{LegacyName, NodeName};
use common::port::container::Container;
use common::port::edge::{Table, TableRoute};
use common::port::nodes::Agent;
use common::port::store::Op;
use common::port::{Clock, Store};
use common::record::epoch::EpochRecord;
use common::record::path;
use common::record::restored::RestoredRecord;
use common::record::route::{FrontPortLease, Route, RouteGoal};
use common::service::ServiceName;
use node_agent::NodeAgent;

use crate::doctor::Left;
use crate::failure::{Failure, Obstacle, accept_restore};

/// A transaction takes 64 operations.
const ROUTES_AT_ONCE: usize = 30;
/// Who has taken the epochs that nobody led in.
const TAKEN_BY: &str = "accept-restore";

/// Whether an admin accepts a store that the apps were not started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    Yes,
    No,
}

/// What knows of the platform beside its store.
pub(super) struct Witnesses<'a> {
    pub(super) data: &'a Path,
    pub(super) store: &'a dyn Store,
    pub(super) clock: &'a dyn Clock,
    pub(super) agent: &'a NodeAgent,
    pub(super) node: &'a NodeName,
    pub(super) edge: &'a EdgeContainer,
    /// The folder that the edge has its table in.
    pub(super) table_folder: &'a Path,
}

/// Nothing has happened yet: no lead is taken, no container is touched. Returns what is left alone from now on.
pub(super) async fn settle(
    witnesses: &Witnesses<'_>,
    accept: Accept,
) -> anyhow::Result<Option<Left>> {
    let containers = containers(witnesses).await?;
    let table = newest(witnesses.table_folder)?;
    let heard = heard(witnesses.agent.heard(), &containers, table.as_ref());
    let ahead = ahead(&heard, &taken(witnesses.store, heard.keys()).await?);
    match (ahead.is_empty(), accept) {
        (true, _) => Ok(None),
        (false, Accept::No) => Err(hold(witnesses.data, &ahead).into()),
        (false, Accept::Yes) => take_over(witnesses, &heard, &containers, table).await.map(Some),
    }
}

/// The highest epoch that anybody has heard of each service.
fn heard(
    by_agent: BTreeMap<ServiceName, Epoch>,
    containers: &[Container],
    table: Option<&Table>,
) -> BTreeMap<ServiceName, Epoch> {
    let mut heard = by_agent;
    let made = containers.iter().map(|container| (ServiceName::DeploymentManager, container.epoch));
    let served = table.map(|table| (ServiceName::LoadBalancer, table.epoch));
    for (service, epoch) in made.chain(served) {
        let highest = heard.entry(service).or_default();
        *highest = epoch.max(*highest);
    }
    heard
}

/// The epoch that each of these services has taken last, as the store says.
async fn taken(
    store: &dyn Store,
    services: impl Iterator<Item = &ServiceName>,
) -> Result<BTreeMap<ServiceName, Epoch>, records::Error> {
    let mut taken = BTreeMap::new();
    for service in services {
        if let Some(stored) = records::load::<EpochRecord>(store, &path::epoch(*service)).await? {
            taken.insert(*service, stored.record.epoch);
        }
    }
    Ok(taken)
}

/// The services that somebody has heard a higher epoch of than the store knows: what it knows, and what was heard.
fn ahead(
    heard: &BTreeMap<ServiceName, Epoch>,
    taken: &BTreeMap<ServiceName, Epoch>,
) -> BTreeMap<ServiceName, (Epoch, Epoch)> {
    let pairs = heard.iter().map(|(service, heard)| {
        (*service, (taken.get(service).copied().unwrap_or_default(), *heard))
    });
    pairs.filter(|(_, (taken, heard))| heard > taken).collect()
}

fn hold(data: &Path, ahead: &BTreeMap<ServiceName, (Epoch, Epoch)>) -> Failure {
    let each = ahead.iter().map(|(service, (taken, heard))| {
        format!("{service} is at epoch {taken} there, and was at {heard} here")
    });
    let each: Vec<String> = each.collect();
    let sentence = format!(
        "the apps of this machine were not started from the store in {}, which is new or of an earlier day: {}",
        data.display(),
        each.join("; ")
    );
    let advice = format!(
        "put back the folder they were started from, or go on with this one: {}; apps go on, nothing was changed",
        accept_restore(data)
    );
    Obstacle::StoreReplaced.failure(sentence, advice)
}

/// May be repeated: the epochs, by which it is known to be needed, come last.
async fn take_over(
    witnesses: &Witnesses<'_>,
    heard: &BTreeMap<ServiceName, Epoch>,
    containers: &[Container],
    table: Option<Table>,
) -> anyhow::Result<Left> {
    let Witnesses { data, store, clock, agent, .. } = witnesses;
    let last = heard.get(&ServiceName::DeploymentManager).copied().unwrap_or_default();
    agent.accept_restore(last).await.context("the ledger cannot be written")?;
    let table = match table {
        Some(table) => Some(table),
        None => carry_over(witnesses).await?,
    };
    let routes = table.as_ref().map(|table| table.routes.as_slice()).unwrap_or_default();
    adopt_routes(*store, routes).await?;
    let mut heard = heard.clone();
    if let Some(table) = table {
        let highest = heard.entry(ServiceName::LoadBalancer).or_default();
        *highest = table.epoch.max(*highest);
    }
    let left = Left { epoch: last, instances: unknown(*store, containers).await? };
    left.keep(data)?;
    let mut ops = Vec::new();
    for (service, epoch) in heard {
        let at = path::epoch(service);
        let stored = records::load::<EpochRecord>(*store, &at).await?;
        if stored.as_ref().is_none_or(|stored| stored.record.epoch < epoch) {
            let record = EpochRecord { schema: 1, epoch, taken_by: TAKEN_BY.to_owned() };
            ops.push(records::put(at, &record, stored.map(|stored| stored.version)));
        }
    }
    let stored = records::load::<RestoredRecord>(*store, &path::restored()).await?;
    let record = RestoredRecord { schema: 1, epoch: last, at: clock.now() };
    ops.push(records::put(path::restored(), &record, stored.map(|stored| stored.version)));
    store.commit(ops).await.context("the store cannot be written")?;
    tracing::warn!(epoch = %last, left = ?left.instances, "another store was accepted");
    Ok(left)
}

/// The instances of these containers that the store does not know.
async fn unknown(
    store: &dyn Store,
    containers: &[Container],
) -> Result<BTreeSet<LegacyName>, records::Error> {
    let mut unknown = BTreeSet::new();
    for container in containers {
        let name = LegacyName::from(container.instance.clone());
        if store.get(&path::deployment(&name)).await?.is_none() {
            unknown.insert(name);
        }
    }
    Ok(unknown)
}

/// Notes the routes that the edge serves and the store does not know, as nobody's deployments: so they are served until
/// their instance is deployed again. One whose front port the store gives to another is not.
async fn adopt_routes(store: &dyn Store, routes: &[TableRoute]) -> anyhow::Result<()> {
    for some in routes.chunks(ROUTES_AT_ONCE) {
        let mut ops: Vec<Op> = Vec::new();
        for route in some {
            let at = path::route(&route.instance);
            let deployed = path::deployment(&route.instance);
            if store.get(&at).await?.is_some() || store.get(&deployed).await?.is_some() {
                continue;
            }
            let port = path::edge_port(route.front_port);
            let lease = records::load::<FrontPortLease>(store, &port).await?;
            let is_free = |stored: &Stored<FrontPortLease>| {
                stored.record.instance == route.instance || stored.record.released_at.is_some()
            };
            if lease.as_ref().is_some_and(|lease| !is_free(lease)) {
                continue;
            }
            let version = lease.map(|stored| stored.version);
            let instance = route.instance.clone();
            let lease = FrontPortLease { schema: 1, instance, released_at: None };
            ops.push(records::put(port, &lease, version));
            ops.push(records::put(at, &adopted(route), None));
        }
        if !ops.is_empty() {
            store.commit(ops).await.context("the routes cannot be noted")?;
        }
    }
    Ok(())
}

fn adopted(route: &TableRoute) -> Route {
    Route {
        schema: 1,
        instance: route.instance.clone(),
        front_port: route.front_port,
        host: route.host.clone(),
        upstreams: route.upstreams.clone(),
        leaving: Vec::new(),
        ill: Vec::new(),
        goal: RouteGoal::Served,
        generation: Generation(0),
        revision: 0,
        image: String::new(),
        container_port: 0,
        container_ids: Vec::new(),
        edge: route.options.clone(),
        decisions: Vec::new(),
        restarts: Vec::new(),
        owed: Vec::new(),
    }
}

async fn containers(witnesses: &Witnesses<'_>) -> anyhow::Result<Vec<Container>> {
    let agent = Agent { node: witnesses.node.clone(), address: ([127, 0, 0, 1], 0).into() };
    let listed = witnesses.agent.local_nodes().list(&agent).await;
    listed.context("the containers of this machine cannot be listed")
}

/// The table that the edge holds: as the edge itself finds it when it starts.
fn newest(folder: &Path) -> io::Result<Option<Table>> {
    let mut newest: Option<Table> = None;
    for name in ["accepted.json", "table.json"] {
        let table = match fs::read(folder.join(name)) {
            Ok(bytes) => serde_json::from_slice::<Table>(&bytes).ok(),
            Err(err) if err.kind() == io::ErrorKind::NotFound => None,
            Err(err) => return Err(err),
        };
        let age = |table: &Table| (table.epoch, table.generation);
        if let Some(table) = table
            && newest.as_ref().is_none_or(|newest| age(newest) < age(&table))
        {
            newest = Some(table);
        }
    }
    Ok(newest)
}

/// The table of an edge that still has the folder of before, put where the next edge finds it.
async fn carry_over(witnesses: &Witnesses<'_>) -> anyhow::Result<Option<Table>> {
    let kept: Option<Bytes> = match witnesses.edge.kept_table().await {
        Ok(kept) => kept,
        Err(err) => {
            let error = &err as &dyn std::error::Error;
            tracing::warn!(
                error,
                "what the edge served cannot be read: apps go on without their URLs"
            );
            None
        }
    };
    let Some(kept) = kept else { return Ok(None) };
    let Ok(table) = serde_json::from_slice(&kept) else { return Ok(None) };
    let file: PathBuf = witnesses.table_folder.join("accepted.json");
    fs::write(&file, &kept).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(Some(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    use ServiceName::{DeploymentManager, LoadBalancer, NodeManager};

    fn epochs(pairs: &[(ServiceName, u64)]) -> BTreeMap<ServiceName, Epoch> {
        pairs.iter().map(|(service, epoch)| (*service, Epoch(*epoch))).collect()
    }

    fn table(epoch: u64) -> Table {
        Table { epoch: Epoch(epoch), generation: Generation(1), routes: Vec::new() }
    }

    #[test]
    fn a_store_that_took_every_epoch_that_was_heard_of_is_the_one_that_apps_were_started_from() {
        let heard =
            heard(epochs(&[(DeploymentManager, 3), (NodeManager, 4)]), &[], Some(&table(2)));
        assert_eq!(heard, epochs(&[(DeploymentManager, 3), (NodeManager, 4), (LoadBalancer, 2)]));
        // A lead may be taken that nobody has heard of yet.
        let taken = epochs(&[(DeploymentManager, 3), (NodeManager, 5), (LoadBalancer, 2)]);
        assert!(ahead(&heard, &taken).is_empty());
    }

    #[test]
    fn a_store_that_is_new_or_of_an_earlier_day_holds_the_platform_and_says_so() {
        let heard = epochs(&[(DeploymentManager, 1), (LoadBalancer, 4)]);
        let all = ahead(&heard, &BTreeMap::new());
        assert_eq!(all.len(), 2, "a new store has taken none");
        let earlier = epochs(&[(DeploymentManager, 1), (LoadBalancer, 3)]);
        let ahead = ahead(&heard, &earlier);
        assert_eq!(ahead, [(LoadBalancer, (Epoch(3), Epoch(4)))].into());
        let failure = hold(Path::new("/state/up"), &ahead);
        let told = failure.to_string();
        assert!(told.starts_with("STORE_REPLACED: "), "{told}");
        assert!(told.contains("load-balancer is at epoch 3 there, and was at 4 here"), "{told}");
        let Failure::Obstacle { advice, .. } = failure else { panic!("{told}") };
        assert!(advice.contains("`avishkar up --accept-restore --data /state/up`"), "{advice}");
    }

    #[test]
    fn the_newer_of_what_was_accepted_and_what_is_wanted_is_what_the_edge_serves() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest(folder.path()).unwrap(), None);
        let write = |name: &str, table: &Table| {
            fs::write(folder.path().join(name), serde_json::to_vec(table).unwrap()).unwrap();
        };
        write("accepted.json", &table(3));
        write("table.json", &table(4));
        assert_eq!(newest(folder.path()).unwrap(), Some(table(4)));
        fs::write(folder.path().join("table.json"), "half of").unwrap();
        assert_eq!(newest(folder.path()).unwrap(), Some(table(3)));
    }
}
