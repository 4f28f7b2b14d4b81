//! The way in of an app that is deployed for the first time: from now on the edge says that it starts, and not that
//! there is no such app. Nobody waits for it, and a deploy fails or succeeds without it.

use chassis::records;
use common::name::LegacyName;
use common::port::edge::FrontPorts;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::Release;
use common::record::route::Route;

use super::{ATTEMPTS, Error, set_route};
use crate::domain::{route, table};
use crate::records::{commit, deployment, route as load_route, routes};
use crate::shared::Shared;

/// Records the route if there is none, and the app is still on its way.
pub(crate) async fn run(
    shared: &Shared,
    instance: &LegacyName,
    open: &FrontPorts,
) -> Result<(), Error> {
    let _one_at_a_time = shared.allocation.lock().await;
    for _ in 0..ATTEMPTS {
        match try_run(shared, instance, open).await {
            Err(err) if err.is_changed() => {}
            done => return done,
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_run(shared: &Shared, instance: &LegacyName, open: &FrontPorts) -> Result<(), Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let known = deployment(store, instance).await?;
    let Some(known) = known.filter(route::is_on_its_way) else { return Ok(()) };
    if load_route(store, instance).await?.is_some() {
        return Ok(());
    }
    let Some(release) = release(shared, &known).await? else { return Ok(()) };
    let leased = set_route::lease(shared, instance, None, open).await?;
    let new: Route = route::announce(&known, &release, leased.port);
    let all = routes(shared).await?;
    if let Some(why) = table::clash(&new, all.values().map(|stored| &stored.record)) {
        tracing::debug!(instance.name = %instance, %why, "an app on its way is not announced");
        return Ok(());
    }
    let mut changes = leased.changes;
    changes.push(records::put(path::route(instance), &new, None));
    commit(shared, changes).await?;
    shared.route_changed(instance);
    Ok(())
}

async fn release(shared: &Shared, of: &Deployment) -> Result<Option<Release>, records::Error> {
    let at = path::release(&of.app, of.release);
    let stored = records::load(&*shared.ports.store, &at).await?;
    Ok(stored.map(|stored| stored.record))
}
