//! Reading what this service decides from.

mod book;
mod orders;

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::leading;
use chassis::records::{self, Stored};
use common::name::{HostName, LegacyName};
use common::port::Store;
use common::port::certificates::HostCertificate;
use common::port::store::{Op, Path};
use common::record::deployment::Deployment;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use common::record::scale::Scale;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::shared::Shared;

pub(crate) use book::{Books, Kept};
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
pub(crate) async fn routes(shared: &Shared) -> Result<Kept<Route>, records::Error> {
    known(shared).routes.read(&*shared.ports.store).await
}

/// All leases of front ports.
pub(crate) async fn leases(
    shared: &Shared,
) -> Result<BTreeMap<u16, Arc<Stored<FrontPortLease>>>, records::Error> {
    let kept = known(shared).leases.read(&*shared.ports.store).await?;
    Ok(kept.into_iter().filter_map(|(name, lease)| Some((name.parse().ok()?, lease))).collect())
}

/// Who leads writes them; who follows does not, and reads them anew.
fn known(shared: &Shared) -> &Books {
    if shared.seat.epoch().is_none() {
        shared.books.forget();
    }
    &shared.books
}

/// Writes routes and leases, which are read again then. As [`chassis::leading::Seat::commit`].
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<(), leading::Error> {
    let _writing = shared.books.writing(&changes);
    shared.seat.commit(changes).await.map(drop)
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
