//! Keeping house: what is too old to be of use to anyone is removed.

use std::time::Duration;

use chassis::operations;
use common::port::store::{self, Op};
use common::record::instance::State;
use common::record::path;
use common::service::ServiceName;
use jiff::SignedDuration;
use tokio::time::{MissedTickBehavior, interval};

use crate::commands::Error;
use crate::context::Context;
use crate::records::{instances, requests};

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
        if !is_over {
            continue;
        }
        let path = path::instance(&instance.name);
        match store.commit(vec![Op::Delete { path, version: stored.version }]).await {
            Ok(_) => removed += 1,
            // Someone deployed it again just now.
            Err(store::Error::Conflict { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(removed)
}
