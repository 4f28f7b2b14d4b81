//! Hints of the store: what the lifecycle manager has done is seen at once, not at the next look.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::store::{self, Path};
use common::record::path;
use futures::StreamExt as _;
use futures::stream::select_all;

use crate::reconcile::Single;
use crate::records::registry;
use crate::shared::Shared;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Wakes the reconciler whenever something may have changed, until the process stops.
pub(crate) async fn follow(shared: &Shared, lifecycle: &Lifecycle) {
    let watching = async {
        loop {
            if let Err(err) = watch(shared).await {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "the records cannot be watched"
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

fn watched() -> [Path; 6] {
    [
        path::platform(),
        path::folder("running"),
        path::folder("settled"),
        path::folder("machines"),
        path::folder("nodes"),
        registry(),
    ]
}

async fn watch(shared: &Shared) -> Result<(), store::Error> {
    let mut all = Vec::new();
    for path in watched() {
        all.push(shared.ports.store.watch(&path).await?);
    }
    let mut changes = select_all(all);
    shared.wake.wake(Single);
    while changes.next().await.is_some() {
        shared.wake.wake(Single);
    }
    Ok(())
}
