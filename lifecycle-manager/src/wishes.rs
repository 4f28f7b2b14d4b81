//! Hints of the store: what the platform initializer wishes is seen at once, not with the next look at all records.

use std::time::Duration;

use common::port::store;
use common::record::path;
use futures::StreamExt as _;
use tokio::time::sleep;

use crate::shared::Shared;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Never ends.
pub(crate) async fn follow(shared: &Shared) {
    loop {
        if let Err(err) = watch(shared).await {
            tracing::debug!(error = &err as &dyn std::error::Error, "the wishes cannot be watched");
        }
        sleep(RETRY_AFTER).await;
    }
}

async fn watch(shared: &Shared) -> Result<(), store::Error> {
    let mut changes = shared.ports.store.watch(&path::folder("platform/services")).await?;
    shared.services.wake_all();
    while changes.next().await.is_some() {
        shared.services.wake_all();
    }
    Ok(())
}
