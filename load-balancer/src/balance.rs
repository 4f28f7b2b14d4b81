//! The balance cycle: every 100 ms it decides from what has arrived from the nodes. It never asks anybody, and never
//! acts: a decision is a number in a record, which the deployment manager follows.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::name::LegacyName;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, timeout};

use crate::commands::rescale;
use crate::domain::balance::course::Draft;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_millis(100);
/// How often a loop that has nothing to decide shows that it lives.
const IDLE: Duration = Duration::from_secs(5);
/// How long a decision may take to be written; then it is decided anew.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// After a decision could not be written, how long the app is left alone.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs until the process stops.
pub(crate) async fn run(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("balance");
    let mut writing = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beat.now();
        let is_idle = shared.balance().is_empty();
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            Some(()) = writing.next() => {}
            () = shared.balanced.notified(), if is_idle => {}
            () = tokio::time::sleep(IDLE), if is_idle => {}
            _ = ticks.tick(), if !is_idle => {
                for (instance, draft) in cycle(shared) {
                    writing.push(write(shared, instance, draft));
                }
            }
        }
    }
}

fn cycle(shared: &Shared) -> Vec<(LegacyName, Draft)> {
    let _timer = shared.metrics.balance_cycle_seconds.start_timer();
    shared.balance().cycle(&shared.config.rules(), shared.up_for())
}

async fn write(shared: &Shared, instance: LegacyName, draft: Draft) {
    let written = timeout(WRITE_WITHIN, rescale::run(shared, &instance, draft)).await;
    let is_done = match written {
        Ok(Ok(())) => true,
        Ok(Err(err)) => {
            tracing::warn!(
                instance.name = %instance,
                error = &err as &dyn std::error::Error,
                "a decision on the number of replicas could not be written"
            );
            false
        }
        Err(_) => {
            tracing::warn!(instance.name = %instance, "a decision on the number of replicas took too long to write");
            false
        }
    };
    if !is_done {
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    shared.balance().written(&instance);
}
