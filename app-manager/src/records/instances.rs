//! `instances/<hh>/<instance>`, and what the deployment manager says of each in `deployments/`.

use chassis::records::{self, Error, Stored};
use common::name::LegacyName;
use common::port::Store;
use common::port::store::{Op, Version};
use common::record::deployment::Deployment;
use common::record::instance::Instance;
use common::record::path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many records are read at once when all are read.
const AT_ONCE: usize = 32;

pub(crate) async fn load(
    store: &dyn Store,
    name: &LegacyName,
) -> Result<Option<Stored<Instance>>, Error> {
    super::find(store, &path::instance(name)).await
}

/// The names of all instances.
pub(crate) async fn names(store: &dyn Store) -> Result<Vec<LegacyName>, Error> {
    let found = records::sharded(store, &path::folder("instances")).await?;
    let mut names: Vec<LegacyName> =
        found.into_iter().filter_map(|(_, name)| name.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// All instances, by name. What is not readable is logged and left out: it costs one instance.
pub(crate) async fn all(store: &dyn Store) -> Result<Vec<Stored<Instance>>, Error> {
    let names = names(store).await?;
    let paths = names.iter().map(path::instance);
    let loaded: Vec<Option<Stored<Instance>>> = stream::iter(paths)
        .map(|path| async move { records::readable(records::load::<Instance>(store, &path).await) })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(loaded.into_iter().flatten().collect())
}

/// How far the deployment manager is; none if it has nothing readable of this instance.
pub(crate) async fn deployment(
    store: &dyn Store,
    name: &LegacyName,
) -> Result<Option<Deployment>, Error> {
    let loaded = records::load::<Deployment>(store, &path::deployment(name)).await;
    Ok(records::readable(loaded)?.map(|stored| stored.record))
}

/// The operation that writes an instance over the version it was read at, or makes it.
pub(crate) fn put(instance: &Instance, version: Option<Version>) -> Op {
    records::put(path::instance(&instance.name), instance, version)
}
