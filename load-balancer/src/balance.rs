//! The balance cycle: every 100 ms it decides from what has arrived from the nodes. It never asks anybody, and never
//! acts: a decision is a number in a record, which the deployment manager follows, or the replicas of a route that are
//! ill, which the edge's table follows.

use std::collections::BTreeSet;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::name::LegacyName;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, timeout};

use crate::commands::{leave_out, rescale};
use crate::domain::balance::course::Draft;
use crate::shared::Shared;
use crate::unwell::look;

const EVERY: Duration = Duration::from_millis(100);
/// How often a loop that has nothing to decide shows that it lives.
const IDLE: Duration = Duration::from_secs(5);
/// How long a decision may take to be written; then it is decided anew.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long an app is left alone after a decision on its number that could not be written, or on its ill replicas.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs until the process stops.
pub(crate) async fn run(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("balance");
    let mut writing = FuturesUnordered::new();
    let (mut leaving_out, mut busy) = (FuturesUnordered::new(), BTreeSet::new());
    shared.complaints().begin(shared.up_for());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut is_idle = false;
    loop {
        beat.now();
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            Some(()) = writing.next() => {}
            Some(instance) = leaving_out.next() => {
                busy.remove(&instance);
            }
            () = shared.balanced.notified(), if is_idle => is_idle = false,
            () = tokio::time::sleep(IDLE), if is_idle => is_idle = false,
            _ = ticks.tick(), if !is_idle => {
                let Cycle { drafts, changed, is_idle: has_nothing } = cycle(shared);
                is_idle = has_nothing;
                for (instance, draft) in drafts {
                    writing.push(write(shared, instance, draft));
                }
                for instance in changed {
                    if busy.insert(instance.clone()) {
                        leaving_out.push(note_ill(shared, instance));
                    }
                }
            }
        }
    }
}

/// What one cycle comes to.
struct Cycle {
    /// Numbers that were decided on.
    drafts: Vec<(LegacyName, Draft)>,
    /// Routes of which other replicas are ill than before, or one was started again.
    changed: Vec<LegacyName>,
    /// Whether there is nothing to decide, until something is told.
    is_idle: bool,
}

fn cycle(shared: &Shared) -> Cycle {
    let _timer = shared.metrics.balance_cycle_seconds.start_timer();
    let unwell = look(shared);
    let mut balance = shared.balance();
    balance.hear_ill(&unwell.routes);
    let is_idle = balance.is_empty() && !unwell.is_any;
    let drafts = balance.cycle(&shared.config.rules(), shared.up_for());
    Cycle { drafts, changed: unwell.to_note, is_idle }
}

/// Has the route follow what is known of its replicas; gives its name back when it may be decided on again.
async fn note_ill(shared: &Shared, instance: LegacyName) -> LegacyName {
    match timeout(WRITE_WITHIN, leave_out::run(shared, &instance)).await {
        Ok(Ok(())) => {}
        Ok(Err(err)) => {
            tracing::warn!(
                instance.name = %instance,
                error = &err as &dyn std::error::Error,
                "which replicas are ill could not be written"
            );
        }
        Err(_) => {
            tracing::warn!(instance.name = %instance, "which replicas are ill took too long to write");
        }
    }
    // Until the edge serves it.
    tokio::time::sleep(AGAIN_AFTER).await;
    instance
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
