//! Reading this service's records, and writing them under its epoch.

use std::collections::BTreeMap;

use chassis::records::{self, Stored};
use common::name::LegacyName;
use common::port::Store;
use common::port::store::{self, Op, Path};
use common::record::deployment::Deployment;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use common::record::scale::Scale;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;

use crate::shared::Shared;

/// How many records are read at once.
const AT_ONCE: usize = 32;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    /// Another load balancer leads: this one must not write any more.
    #[error("another load balancer leads")]
    Deposed,
    /// Nothing is written before the epoch was taken.
    #[error("the load balancer is still starting")]
    NotLeading,
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}

impl Error {
    /// Whether someone changed a record in between: read and decide again.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

/// Writes all or nothing, if this load balancer still leads. [`records::Error::Changed`] asks to
/// read and decide again: a record changed, or nobody knows whether the write was done.
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<(), Error> {
    let mut ops = vec![lead_check(shared)?];
    ops.extend(changes);
    match shared.ports.store.commit(ops).await {
        Ok(_) => Ok(()),
        Err(store::Error::Conflict { index: 0 }) => Err(deposed(shared)),
        Err(store::Error::Conflict { .. }) => Err(records::Error::Changed.into()),
        Err(store::Error::OutcomeUnknown(_)) => {
            shared.ports.store.sync().await?;
            Err(records::Error::Changed.into())
        }
        Err(err) => Err(err.into()),
    }
}

/// The check of the epoch that belongs into every transaction.
pub(crate) fn lead_check(shared: &Shared) -> Result<Op, Error> {
    Ok(shared.lead().ok_or(Error::NotLeading)?.check())
}

/// Whether this load balancer still leads, as the store says now.
pub(crate) async fn still_leads(shared: &Shared) -> Result<(), Error> {
    let Op::Check { path, version } = lead_check(shared)? else { return Err(Error::Deposed) };
    let entry = shared.ports.store.get(&path).await?;
    if entry.is_some_and(|entry| entry.version == version) { Ok(()) } else { Err(deposed(shared)) }
}

fn deposed(shared: &Shared) -> Error {
    shared.deposed.cancel();
    Error::Deposed
}

pub(crate) async fn route(
    store: &dyn Store,
    instance: &LegacyName,
) -> Result<Option<Stored<Route>>, records::Error> {
    records::load(store, &path::route(instance)).await
}

pub(crate) async fn scale(
    store: &dyn Store,
    instance: &LegacyName,
) -> Result<Option<Stored<Scale>>, records::Error> {
    records::load(store, &path::scale(instance)).await
}

pub(crate) async fn deployment(
    store: &dyn Store,
    instance: &LegacyName,
) -> Result<Option<Deployment>, records::Error> {
    let stored = records::load(store, &path::deployment(instance)).await?;
    Ok(stored.map(|stored| stored.record))
}

/// All routes, sorted by instance. What is not readable is logged and left out: it costs one app.
pub(crate) async fn routes(store: &dyn Store) -> Result<Vec<Stored<Route>>, records::Error> {
    all(store, &path::folder("routes")).await
}

/// All leases of front ports.
pub(crate) async fn leases(
    store: &dyn Store,
) -> Result<BTreeMap<u16, Stored<FrontPortLease>>, records::Error> {
    let folder = path::folder("ports/edge");
    let names = store.children(&folder).await?;
    let ports: Vec<u16> = names.iter().filter_map(|name| name.parse().ok()).collect();
    stream::iter(ports)
        .map(|port| async move {
            let lease = records::load(store, &path::edge_port(port)).await?;
            Ok(lease.map(|lease| (port, lease)))
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// All readable records directly below a folder, sorted by name.
pub(crate) async fn all<T: DeserializeOwned + Send>(
    store: &dyn Store,
    folder: &Path,
) -> Result<Vec<Stored<T>>, records::Error> {
    let names = store.children(folder).await?;
    let paths: Vec<Path> = names.iter().filter_map(|name| folder.join(name).ok()).collect();
    stream::iter(paths)
        .map(|path| async move { records::readable(records::load(store, &path).await) })
        .buffered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}
