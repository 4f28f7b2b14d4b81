//! What others change: nodes, verdicts and scales. Hints wake; the periodic scan finds what no hint told.

use std::sync::Arc;
use std::time::Duration;

use chassis::records;
use common::port::store::Change;
use common::record::path;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::fleet::News;
use crate::shared::Shared;

/// How soon a watch that was lost is set again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the nodes are read without any hint.
const REFRESH_EVERY: Duration = Duration::from_secs(15);

/// Follows the hints for ever.
pub(crate) async fn follow(shared: &Arc<Shared>) {
    loop {
        if let Err(err) = follow_once(shared).await {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "a watch is lost; setting it again"
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow_once(shared: &Arc<Shared>) -> Result<(), records::Error> {
    let store = shared.ports.store.as_ref();
    let mut hints: Vec<BoxStream<'static, Change>> = Vec::new();
    for kind in ["nodes", "alive", "scale"] {
        hints.push(store.watch(&path::folder(kind)).await?);
    }
    let mut hints = stream::select_all(hints);
    refresh(shared).await?;
    loop {
        match tokio::time::timeout(REFRESH_EVERY, hints.next()).await {
            Ok(Some(change)) => heard(shared, &change).await?,
            Ok(None) => return Ok(()),
            Err(_) => refresh(shared).await?,
        }
    }
}

async fn heard(shared: &Arc<Shared>, change: &Change) -> Result<(), records::Error> {
    match change {
        Change::At(path) if path.is_within(&path::folder("scale")) => {
            if let Ok(instance) = path.name().parse() {
                shared.deployments.wake(instance);
            }
            Ok(())
        }
        Change::At(_) => refresh(shared).await,
        Change::Resync => {
            refresh(shared).await?;
            shared.deployments.wake_all();
            Ok(())
        }
    }
}

/// Reads the nodes; if something changed, every deployment may have to follow.
pub(crate) async fn refresh(shared: &Arc<Shared>) -> Result<(), records::Error> {
    if shared.fleet.refresh(shared.ports.store.as_ref()).await? == News::Changed {
        shared.deployments.wake_all();
        shared.nodes.wake_all();
    }
    Ok(())
}
