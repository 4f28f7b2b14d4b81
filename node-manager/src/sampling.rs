//! The hourly sample of every node, and the end of old ones.

use std::io;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::sample_log::Entry;
use crate::shared::Shared;

/// How often the time of day is looked at: it may jump.
const LOOK: Duration = Duration::from_secs(10);
/// How long writing a sample and removing old files may take on a disk that stalls.
const SAMPLE_WITHIN: Duration = Duration::from_mins(5);

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

/// Samples once an hour of the day; never ends.
pub(crate) async fn keep_house(shared: &Shared, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("housekeeping");
    let mut sampled = newest(shared).await.map(hour);
    loop {
        sleep(LOOK).await;
        beat.now();
        let this_hour = hour(shared.ports.clock.now());
        if sampled != Some(this_hour) {
            beat.busy_for(SAMPLE_WITHIN);
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

/// When the last sample of this hour or before was kept.
async fn newest(shared: &Shared) -> Option<Timestamp> {
    let since = shared.ports.clock.now().checked_sub(SignedDuration::from_hours(1)).ok()?;
    let kept = shared.sample_log.since(since, None).await.ok()?;
    kept.last().map(|entry| entry.at)
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}
