//! Asks the edge who waits, and for which apps nobody has asked for long: as often as the balance cycle runs, while
//! there are apps that may have no replicas.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use tokio::time::{MissedTickBehavior, timeout};

use crate::shared::Shared;

const EVERY: Duration = Duration::from_millis(100);
const WITHIN: Duration = Duration::from_secs(1);

/// Asks until the process stops.
pub(crate) async fn follow(shared: &Shared, lifecycle: &Lifecycle) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        if !shared.balance().may_rest() {
            continue;
        }
        match timeout(WITHIN, shared.edge.visits()).await {
            Ok(Ok(visits)) => shared.balance().hear_visits(&visits, shared.up_for()),
            // The table's reconciler says that the edge is away; nothing is decided meanwhile.
            Ok(Err(err)) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "the edge does not say who waits"
                );
            }
            Err(_) => tracing::debug!("the edge does not say in time who waits"),
        }
    }
}
