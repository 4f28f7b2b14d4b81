//! Reading what this service decides from.

mod orders;

use std::collections::BTreeMap;

use chassis::records::{self, Stored};
use common::name::{HostName, LegacyName};
use common::port::Store;
use common::port::certificates::HostCertificate;
use common::port::store::Path;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use common::record::scale::Scale;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) use orders::{AuthorityAccount, Order, Placed, account, order, orders};

/// How many records are read at once.
const AT_ONCE: usize = 32;

/// What is kept of a host name's certificate: `certificates/<host>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) schema: u32,
    #[serde(flatten)]
    pub(crate) told: HostCertificate,
    /// Of the public authority that it was ordered from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<String>,
    /// The certificate and who signed it, PEM.
    pub(crate) chain: String,
    /// See `seal.rs`; never the key itself.
    pub(crate) sealed_key: String,
}

/// All certificates, sorted by host name.
pub(crate) async fn certificates(
    store: &dyn Store,
) -> Result<Vec<Stored<Certificate>>, records::Error> {
    all(store, &path::folder("certificates")).await
}

pub(crate) async fn certificate(
    store: &dyn Store,
    host: &HostName,
) -> Result<Option<Stored<Certificate>>, records::Error> {
    records::load(store, &path::certificate(host)).await
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
