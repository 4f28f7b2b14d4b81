//! The hourly sample of every node, and the end of old ones.

use std::io;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::operations;
use common::service::ServiceName;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use crate::sample_log::Entry;
use crate::shared::Shared;

/// How often the time of day is looked at: it may jump.
const LOOK: Duration = Duration::from_secs(10);
/// How often old operations are collected, and how many at once.
const COLLECT_EVERY: Duration = Duration::from_mins(10);
const COLLECT: usize = 500;

/// Takes one sample of every node into the log.
pub(crate) async fn take_sample(shared: &Shared) -> io::Result<()> {
    let now = shared.ports.clock.now();
    let alerts = shared.alerts().clone();
    let nodes = shared.members().all();
    let entries: Vec<Entry> = nodes
        .iter()
        .map(|node| {
            let sample = shared.heartbeats.fresh(&node.name);
            let used = sample.as_ref().map(|sample| sample.node);
            Entry {
                at: now,
                node: node.name.clone(),
                verdict: shared.verdict(&node.name).map(|stored| stored.record.verdict),
                cpu_percent: used.map(|used| used.cpu_percent),
                memory_percent: used.map(|used| used.memory_percent),
                disk_percent: used.map(|used| used.disk_percent),
                containers: sample.map_or(0, |sample| sample.containers.len()),
                alert: alerts.get(&node.name).map(ToString::to_string),
            }
        })
        .collect();
    shared.sample_log.append(now, &entries).await
}

/// Samples once an hour of the day, and collects what is old; never ends.
pub(crate) async fn keep_house(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("housekeeping");
    let mut sampled = newest(shared).await.map(hour);
    let mut collect_at = Instant::now() + COLLECT_EVERY;
    loop {
        sleep(LOOK).await;
        beat.now();
        let this_hour = hour(shared.ports.clock.now());
        if sampled != Some(this_hour) {
            match hourly(shared).await {
                Ok(()) => sampled = Some(this_hour),
                Err(err) => {
                    tracing::warn!(
                        error = &err as &dyn std::error::Error,
                        "the hourly sample was not kept; trying again"
                    );
                }
            }
        }
        if Instant::now() >= collect_at {
            collect_at = Instant::now() + COLLECT_EVERY;
            collect(shared).await;
        }
    }
}

async fn hourly(shared: &Shared) -> io::Result<()> {
    take_sample(shared).await?;
    let removed = shared.sample_log.expire(shared.ports.clock.now()).await?;
    if removed > 0 {
        tracing::info!(files = removed, "old samples were removed");
    }
    Ok(())
}

async fn collect(shared: &Shared) {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    match operations::collect(store, clock, ServiceName::NodeManager, COLLECT).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "old operations were collected"),
        Err(err) => {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "old operations were not collected"
            );
        }
    }
}

/// When the last sample of this hour or before was kept.
async fn newest(shared: &Shared) -> Option<Timestamp> {
    let since = shared.ports.clock.now().checked_sub(SignedDuration::from_hours(1)).ok()?;
    let kept = shared.sample_log.since(since, None).await.ok()?;
    kept.last().map(|entry| entry.at)
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}
