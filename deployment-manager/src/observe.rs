//! Reads what is true now.

use std::collections::BTreeMap;

use chassis::records::{Error, Stored, load};
use common::id::ReleaseNumber;
use common::name::LegacyName;
use common::port::Store;
use common::port::edge::Upstream;
use common::record::deployment::Deployment;
use common::record::instance::Instance;
use common::record::path;
use common::record::release::Release;
use common::record::route::{Route, RouteGoal};
use common::record::scale::Scale;
use futures::future::try_join_all;

use crate::config::Config;
use crate::domain::observed::Observed;
use crate::domain::replicas::is_in_progress;
use crate::records;
use crate::registry;
use crate::shared::Shared;

/// What one look at a deployment found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) seen: Observed,
    pub(crate) instance: Option<Instance>,
    /// Those that its generations run.
    pub(crate) releases: BTreeMap<ReleaseNumber, Release>,
}

pub(crate) async fn observe(shared: &Shared, deployment: &Deployment) -> Result<Found, Error> {
    let store = shared.ports.store.as_ref();
    let (instance, scale, releases, upstreams, misregistered) = futures::try_join!(
        instance(store, &deployment.instance),
        scale(store, &deployment.instance),
        releases(store, deployment),
        upstreams(store, deployment),
        misregistered(store, deployment),
    )?;
    let seen = Observed {
        replicas: replicas(
            scale.filter(|scale| scale.is_for(deployment)).as_ref(),
            instance.as_ref(),
            &shared.config,
        ),
        nodes: shared.fleet.verdicts(),
        listings: shared.fleet.listings(&deployment.instance),
        upstreams,
        misregistered,
        regress: None,
        route_failed: None,
    };
    Ok(Found { seen, instance, releases })
}

pub(crate) async fn instance(
    store: &dyn Store,
    name: &LegacyName,
) -> Result<Option<Instance>, Error> {
    let stored = load(store, &path::instance(name)).await?;
    Ok(stored.map(|stored: Stored<Instance>| stored.record))
}

/// The number the load balancer wants.
pub(crate) async fn scale(store: &dyn Store, name: &LegacyName) -> Result<Option<Scale>, Error> {
    let stored = load(store, &path::scale(name)).await?;
    Ok(stored.map(|stored: Stored<Scale>| stored.record))
}

/// How many replicas there should be: what the load balancer wants, which may be none, else what the user pinned, else
/// one.
pub(crate) fn replicas(
    scale: Option<&Scale>,
    instance: Option<&Instance>,
    config: &Config,
) -> usize {
    let pinned = || instance.map(|instance| instance.replicas);
    let decided = scale.map(|scale| scale.replicas);
    let wanted = decided.unwrap_or_else(|| pinned().unwrap_or(1).max(1));
    usize::try_from(wanted).unwrap_or(usize::MAX).min(config.most_replicas)
}

async fn releases(
    store: &dyn Store,
    deployment: &Deployment,
) -> Result<BTreeMap<ReleaseNumber, Release>, Error> {
    let mut numbers = vec![deployment.release];
    numbers.extend(deployment.serving.as_ref().map(|serving| serving.release));
    numbers.dedup();
    let read = numbers.into_iter().map(|number| records::release(store, &deployment.app, number));
    let found = try_join_all(read).await?;
    Ok(found.into_iter().flatten().map(|release| (release.number, release)).collect())
}

/// What is being changed is not repaired, and not looked at.
fn is_at_rest(deployment: &Deployment) -> bool {
    !is_in_progress(deployment) && deployment.serving.is_some()
}

async fn misregistered(store: &dyn Store, deployment: &Deployment) -> Result<bool, Error> {
    Ok(is_at_rest(deployment) && registry::has_drifted(store, deployment).await?)
}

async fn upstreams(
    store: &dyn Store,
    deployment: &Deployment,
) -> Result<Option<Vec<Upstream>>, Error> {
    if !is_at_rest(deployment) {
        return Ok(None);
    }
    let stored = load(store, &path::route(&deployment.instance)).await?;
    let served = |stored: &Stored<Route>| stored.record.goal == RouteGoal::Served;
    Ok(Some(stored.filter(served).map(|stored| stored.record.upstreams).unwrap_or_default()))
}
