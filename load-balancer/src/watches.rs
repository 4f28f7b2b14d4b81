//! Hints of the store about deployments: a stop ends a scale at once, and a replica that serves is balanced at once,
//! not at the next full scan.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::name::LegacyName;
use common::port::store::{self, Change};
use common::record::path;
use futures::StreamExt as _;

use crate::shared::Shared;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Wakes the scale of each instance whose deployment may have changed, until the process stops.
pub(crate) async fn follow_deployments(shared: &Shared, lifecycle: &Lifecycle) {
    let watching = async {
        loop {
            if let Err(err) = watch(shared).await {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "deployments cannot be watched"
                );
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => {}
        () = watching => {}
    }
}

async fn watch(shared: &Shared) -> Result<(), store::Error> {
    let mut changes = shared.ports.store.watch(&path::folder("deployments")).await?;
    shared.scale_wake.wake_all();
    shared.balance_wake.wake_all();
    while let Some(change) = changes.next().await {
        match change {
            Change::At(path) => {
                if let Ok(instance) = path.name().parse::<LegacyName>() {
                    shared.scale_wake.wake(instance.clone());
                    shared.announce_wake.wake(instance.clone());
                    shared.balance_wake.wake(instance);
                }
            }
            Change::Resync => {
                shared.scale_wake.wake_all();
                shared.balance_wake.wake_all();
            }
        }
    }
    Ok(())
}
