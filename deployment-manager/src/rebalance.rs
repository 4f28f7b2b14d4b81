//! Brings replicas to nodes that have fewer, slowly: looks at all deployments once in each interval and begins one move at
//! most. Only decides that one should move; the reconciler of its deployment does it, as it does everything else.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::records::{Stored, put};
use common::name::NodeName;
use common::record::deployment::Deployment;
use common::record::path;
use common::record::release::Strategy;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::domain::change::{Change, note};
use crate::domain::rebalance::{Home, Proposal, next_moves};
use crate::reconcile::Error;
use crate::records as stored;
use crate::shared::Shared;

const AT_ONCE: usize = 32;

/// Runs for ever; does nothing where it is switched off.
pub(crate) async fn keep(shared: &Shared) {
    let Some(every) = shared.config.rebalance_every else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(every).await;
        match look(shared).await {
            Ok(()) => {}
            Err(err) => {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "it cannot be seen whether a replica should move"
                );
            }
        }
    }
}

/// Begins the next move, if there is one; its instance is left alone for a while then.
async fn look(shared: &Shared) -> Result<(), Error> {
    let store = shared.ports.store.as_ref();
    let names = stored::instances(store).await?;
    let found: Vec<Option<Stored<Deployment>>> = stream::iter(names)
        .map(|name| async move { stored::deployment(store, &name).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let now = shared.ports.clock.now();
    let (deployments, versions): (Vec<Deployment>, Vec<_>) =
        found.into_iter().flatten().map(|one| (one.record, one.version)).unzip();
    let patience = &shared.config.patience;
    for proposal in next_moves(&deployments, &homes(shared, now), patience, now) {
        let Proposal { instance, replica, to, reason } = proposal;
        let found = deployments.iter().zip(&versions).find(|(one, _)| one.instance == instance);
        let Some((deployment, version)) = found else { continue };
        if is_kept_together(shared, deployment).await? {
            continue;
        }
        tracing::info!(%instance, reason, "a replica moves");
        let mut after = deployment.clone();
        let change = Change::Moving { replica, to, reason };
        note(&mut after, &[change], patience, now);
        let written = put(path::deployment(&instance), &after, Some(*version));
        shared.seat.commit(vec![written]).await?;
        shared.deployments.wake(instance);
        return Ok(());
    }
    Ok(())
}

/// Whether its replicas are to be beside each other, or may be: while nobody says where they go, they stay.
async fn is_kept_together(shared: &Shared, deployment: &Deployment) -> Result<bool, Error> {
    let number = deployment.serving.as_ref().map_or(deployment.release, |serving| serving.release);
    let store = shared.ports.store.as_ref();
    let release = stored::release(store, &deployment.app, number).await?;
    let placement = match release.and_then(|release| release.placement) {
        Some(placement) => Some(placement),
        None => stored::usual_placement(store).await?,
    };
    Ok(placement != Some(Strategy::Spread))
}

/// Who has just come back has to stay for as long as an interval before it gets anything.
fn homes(shared: &Shared, now: Timestamp) -> BTreeMap<NodeName, Home> {
    let every = shared.config.rebalance_every.unwrap_or_default();
    let home = |since: Timestamp| {
        let lived = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        lived >= every
    };
    let homes = shared.fleet.homes().into_iter();
    homes.map(|(node, verdict, since)| (node, Home { verdict, is_steady: home(since) })).collect()
}
