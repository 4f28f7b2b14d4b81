//! Whether the host names that a release asks for are another instance's: known before anything is built for it.
//!
//! Only a look ahead. The load balancer gives the names out, and says no to whoever comes second while both are on
//! their way.

use chassis::records::{Error, Stored, load};
use common::failure::{Failure, FailureCode};
use common::name::{HostName, LegacyName};
use common::port::Store;
use common::record::path;
use common::record::release::Release;
use common::record::route::{Route, RouteGoal};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

const AT_ONCE: usize = 32;

/// Why the release cannot be deployed as this instance; none if nobody else has its names.
pub(crate) async fn taken(
    store: &dyn Store,
    instance: &LegacyName,
    release: &Release,
) -> Result<Option<Failure>, Error> {
    if release.edge.hosts.is_empty() {
        return Ok(None);
    }
    let names = store.children(&path::folder("routes")).await?;
    let names: Vec<LegacyName> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let found: Vec<Option<Stored<Route>>> = stream::iter(names)
        .map(|name| async move { load(store, &path::route(&name)).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let routes = found.into_iter().flatten().map(|stored| stored.record);
    let (own, others): (Vec<Route>, Vec<Route>) =
        routes.partition(|route| route.instance == *instance);
    let has = |name: &&HostName| own.iter().any(|route| route.edge.hosts.contains(name));
    let asked: Vec<&HostName> = release.edge.hosts.iter().filter(|name| !has(name)).collect();
    let mut served = others.iter().filter(|route| route.goal == RouteGoal::Served);
    Ok(served.find_map(|route| clash(&asked, route)))
}

/// An app answers for the names that it asked for, and for all that begin with its label.
fn clash(asked: &[&HostName], other: &Route) -> Option<Failure> {
    let label = |name: &HostName| name.as_str().split('.').next() == Some(other.host.as_str());
    let is_theirs = |name: &&&HostName| other.edge.hosts.contains(name) || label(name);
    let name = asked.iter().find(is_theirs)?;
    let message = format!("the host name {name} belongs to {}", other.instance);
    Some(Failure::new(FailureCode::HostTaken, message))
}
