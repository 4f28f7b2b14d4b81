//! Serve an instance no longer.

use chassis::records;
use common::id::Generation;
use common::name::LegacyName;
use common::record::path;
use common::record::route::{Route, RouteGoal};

use super::{ATTEMPTS, Error, wait_for_route};
use crate::domain::route;
use crate::records::{commit, deployment, route as load_route};
use crate::shared::Shared;

/// Records that the route should go, then waits until it is out of the table, drained and gone.
pub(crate) async fn run(
    shared: &Shared,
    instance: &LegacyName,
    generation: Generation,
) -> Result<(), Error> {
    record(shared, instance, generation).await?;
    wait_until_gone(shared, instance).await
}

async fn record(
    shared: &Shared,
    instance: &LegacyName,
    generation: Generation,
) -> Result<(), Error> {
    // A route that is being recorded would stand when this has found none.
    let _one_at_a_time = shared.allocation.lock().await;
    for _ in 0..ATTEMPTS {
        match try_record(shared, instance, generation).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return done,
        }
    }
    Err(records::Error::Changed.into())
}

async fn try_record(
    shared: &Shared,
    instance: &LegacyName,
    generation: Generation,
) -> Result<(), Error> {
    shared.ports.store.sync().await?;
    let Some(stored) = load_route(&*shared.ports.store, instance).await? else { return Ok(()) };
    if stored.record.generation > generation {
        return Err(Error::Stale(stored.record.generation));
    }
    // A call may arrive after what took its place.
    let known = deployment(&*shared.ports.store, instance).await?;
    if let Some(known) = known.filter(route::is_to_be_served) {
        return Err(Error::Stale(known.generation));
    }
    if stored.record.goal != RouteGoal::Removed {
        let leaving = route::remove(&stored.record, generation);
        let put = records::put(path::route(instance), &leaving, Some(stored.version));
        commit(shared, vec![put]).await?;
    }
    shared.route_changed(instance);
    Ok(())
}

/// Takes back what was announced and did not come to be.
pub(crate) async fn withdraw(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    let _one_at_a_time = shared.allocation.lock().await;
    let store = &*shared.ports.store;
    store.sync().await?;
    let Some(stored) = load_route(store, instance).await? else { return Ok(()) };
    let known = deployment(store, instance).await?;
    let is_needed = known.as_ref().is_some_and(route::is_on_its_way);
    if is_needed || stored.record.goal != RouteGoal::Announced {
        return Ok(());
    }
    let leaving = route::remove(&stored.record, stored.record.generation);
    let put = records::put(path::route(instance), &leaving, Some(stored.version));
    commit(shared, vec![put]).await?;
    shared.route_changed(instance);
    Ok(())
}

async fn wait_until_gone(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    let is_gone = |standing: Option<&Route>| match standing {
        None => Ok(true),
        // Somebody wanted it again in between.
        Some(route) if route.goal == RouteGoal::Served => Err(Error::Stale(route.generation)),
        Some(_) => Ok(false),
    };
    let message = "the edge could not be seen to have let go of the route";
    wait_for_route(shared, instance, is_gone, message).await
}
