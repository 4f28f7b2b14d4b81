//! Says which bounds apps have that say none: who shows them reads no configuration of this service.

use std::time::Duration;

use chassis::leading::Error;
use chassis::records::{self, Stored};
use common::port::store::Op;
use common::record::path;
use common::record::scale::UsualBounds;

use crate::records::commit;
use crate::shared::Shared;

const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Writes the record of them; returns once it stands.
pub(crate) async fn tell(shared: &Shared) {
    while let Err(err) = try_tell(shared).await {
        tracing::debug!(
            error = &err as &dyn std::error::Error,
            "the bounds of apps that say none cannot be written"
        );
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn try_tell(shared: &Shared) -> Result<(), Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let (path, usual) = (path::usual_bounds(), shared.config.usual_bounds());
    let before: Option<Stored<UsualBounds>> = records::load(store, &path).await?;
    let stands = before.as_ref().map(|before| before.record);
    if stands == usual {
        return Ok(());
    }
    let version = before.map(|before| before.version);
    let change = match (usual, version) {
        (Some(usual), version) => records::put(path, &usual, version),
        (None, Some(version)) => Op::Delete { path, version },
        (None, None) => return Ok(()),
    };
    commit(shared, vec![change]).await
}
