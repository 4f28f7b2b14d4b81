//! Cares for the disk on its own: when it is short, images go that nobody refers to, then bundles, until it no longer is.
//! Bundles on a disk of their own go for that one.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::disk::{Collected, Collection, Mode};

use crate::agent::{Agent, Error};
use crate::disk;
use crate::domain::collection::Goal;

const EVERY: Duration = Duration::from_mins(1);
/// Where the disk says that it is full although it does not look so, this much more is to be free.
const ROOM: u64 = 512 * 1024 * 1024;

/// Runs until the process stops.
pub(crate) async fn run(agent: &Agent, lifecycle: &Lifecycle) {
    while !lifecycle.is_stopping() {
        relieve(agent).await;
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Each disk that is short.
pub(crate) async fn relieve(agent: &Agent) {
    let goal = |space| agent.config.thresholds().goal(space);
    if let Some(goal) = disk::space(&agent.config.disk).and_then(goal) {
        tell("images", &clean(agent, goal).await);
    }
    if let Some(goal) = disk::bundle_space(&agent.config).and_then(goal) {
        tell("bundles", &disk::collect_bundles(agent, goal).await);
    }
}

/// Makes room for what did not fit; says whether anything went.
pub(crate) async fn make_room(agent: &Agent) -> bool {
    let Some(space) = disk::space(&agent.config.disk) else { return false };
    let more = Goal::Free(space.free_bytes.saturating_add(ROOM));
    let goal = agent.config.thresholds().relieved(space).max(more);
    let collected = clean(agent, goal).await;
    tell("images", &collected);
    collected.is_ok_and(|collected| collected.items.iter().any(|item| item.stays.is_none()))
}

async fn clean(agent: &Agent, goal: Goal) -> Result<Collected, Error> {
    let until_free_bytes = match goal {
        Goal::Everything => None,
        Goal::Free(bytes) => Some(bytes),
    };
    disk::collect(agent, Collection { until_free_bytes, mode: Mode::Remove }).await
}

/// `of`: what the disk is for.
fn tell(of: &str, collected: &Result<Collected, Error>) {
    match collected {
        Ok(collected) => {
            let gone = collected.items.iter().filter(|item| item.stays.is_none()).count();
            let (free, total) = (collected.after.free_bytes, collected.after.total_bytes);
            if gone == 0 {
                tracing::warn!(
                    disk.of = of,
                    disk.free = free,
                    disk.total = total,
                    "the disk is short, and nothing on it can go"
                );
            } else {
                tracing::info!(
                    disk.of = of,
                    disk.free = free,
                    disk.total = total,
                    removed = gone,
                    freed_bytes = collected.freed_bytes(),
                    "the disk was short: what nobody refers to was removed"
                );
            }
        }
        Err(err) => tracing::warn!(
            error = err as &dyn std::error::Error,
            disk.of = of,
            "the disk is short, and nothing can be removed"
        ),
    }
}
