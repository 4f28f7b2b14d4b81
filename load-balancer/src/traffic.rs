//! Follows what the edge counts of the apps' requests: the metrics show it, the balance cycle decides by it, and whoever
//! puts a release in place asks how its replicas do.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use tokio::time::MissedTickBehavior;

use crate::shared::Shared;

/// A little more often than the edge counts.
const EVERY: Duration = Duration::from_millis(500);

/// Asks until the process stops.
pub(crate) async fn follow(shared: &Shared, lifecycle: &Lifecycle) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        match shared.edge.traffic().await {
            Ok(traffic) => shared.heard_traffic(Some(traffic)),
            Err(err) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "requests cannot be counted"
                );
                shared.heard_traffic(None);
            }
        }
    }
}
