//! Keeping house: what is too old to be of use to anyone is removed.

use std::time::Duration;

use chassis::operations;
use common::name::LegacyName;
use common::port::store::{self, Op, Path, Version};
use common::record::instance::State;
use common::record::path;
use common::service::ServiceName;
use jiff::SignedDuration;
use tokio::time::{MissedTickBehavior, interval};

use crate::commands::Error;
use crate::context::Context;
use crate::records::{instances, requests, schedules};

const EVERY: Duration = Duration::from_mins(10);
/// How many records of a kind are removed at once.
const AT_ONCE: usize = 1000;
/// How long a stopped instance is shown.
const STOPPED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Removes old records now and then; never ends.
pub(crate) async fn keep_house(context: &Context) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match collect(context).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old records were removed"),
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "old records could not be removed; trying again later"
                );
            }
        }
    }
}

/// Removes what is too old; returns how many records.
pub(crate) async fn collect(context: &Context) -> Result<usize, Error> {
    let (store, clock) = (context.ports.store.as_ref(), context.ports.clock.as_ref());
    let mut removed = operations::collect(store, clock, ServiceName::AppManager, AT_ONCE).await?;
    removed += requests::collect(store, clock.now(), AT_ONCE).await?;
    for stored in instances::all(store).await? {
        let instance = &stored.record;
        let is_over = instance.state == State::Stopped
            && instance.owed.is_empty()
            && clock.now().duration_since(instance.updated_at) > STOPPED_FOR;
        if !is_over || starts_again(context, &instance.name).await? {
            continue;
        }
        let path = path::instance(&instance.name);
        removed += remove(context, path, stored.version).await?;
    }
    Ok(removed + collect_schedules(context).await?)
}

/// Whether an instance that is stopped has a schedule by which it will run again.
async fn starts_again(context: &Context, name: &LegacyName) -> Result<bool, Error> {
    let stored = schedules::load(context.ports.store.as_ref(), name).await?;
    let now = context.ports.clock.now();
    Ok(stored.is_some_and(|stored| !stored.record.is_over(now)))
}

/// Removes schedules that are over, or were taken away, when nobody asks for them any more.
async fn collect_schedules(context: &Context) -> Result<usize, Error> {
    let (store, now) = (context.ports.store.as_ref(), context.ports.clock.now());
    let mut removed = 0;
    for stored in schedules::all(store).await? {
        let scheduled = &stored.record;
        let is_old = now.duration_since(scheduled.updated_at) > STOPPED_FOR;
        if is_old && scheduled.is_over(now) {
            let path = path::schedule(&scheduled.instance);
            removed += remove(context, path, stored.version).await?;
        }
    }
    Ok(removed)
}

/// Removes a record unless someone changed it just now; returns how many were removed.
async fn remove(context: &Context, path: Path, version: Version) -> Result<usize, Error> {
    match context.ports.store.commit(vec![Op::Delete { path, version }]).await {
        Ok(_) => Ok(1),
        Err(store::Error::Conflict { .. }) => Ok(0),
        Err(err) => Err(err.into()),
    }
}
