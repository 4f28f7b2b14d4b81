//! Reading deployments and releases.

use chassis::records::{Error, Stored, load};
use common::id::ReleaseNumber;
use common::name::{AppName, LegacyName};
use common::port::Store;
use common::port::store::Path;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::{Release, Strategy, UsualPlacement};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many shards are listed at once.
const AT_ONCE: usize = 32;

pub(crate) async fn deployment(
    store: &dyn Store,
    instance: &LegacyName,
) -> Result<Option<Stored<Deployment>>, Error> {
    load(store, &path::deployment(instance)).await
}

pub(crate) async fn release(
    store: &dyn Store,
    app: &AppName,
    number: ReleaseNumber,
) -> Result<Option<Release>, Error> {
    let stored = load(store, &path::release(app, number)).await?;
    Ok(stored.map(|stored: Stored<Release>| stored.record))
}

/// Where the node manager places replicas of apps that do not say it; none while it has not said so.
pub(crate) async fn usual_placement(store: &dyn Store) -> Result<Option<Strategy>, Error> {
    let stored = load(store, &path::usual_placement()).await?;
    Ok(stored.map(|stored: Stored<UsualPlacement>| stored.record.strategy))
}

/// Every instance that has a deployment.
pub(crate) async fn instances(store: &dyn Store) -> Result<Vec<LegacyName>, Error> {
    let folder = path::folder("deployments");
    let shards = store.children(&folder).await?;
    let shards: Vec<Path> = shards.iter().filter_map(|shard| folder.join(shard).ok()).collect();
    let listed: Vec<Vec<String>> = stream::iter(shards)
        .map(|shard| async move { store.children(&shard).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(listed.into_iter().flatten().filter_map(|name| name.parse().ok()).collect())
}
