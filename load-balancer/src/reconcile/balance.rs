//! What the balance cycle knows of apps: read from records at each change, so that the cycle reads nothing.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Error, Stored};
use common::id::ReleaseNumber;
use common::name::{AppName, LegacyName};
use common::record::deployment::Deployment;
use common::record::instance::Instance;
use common::record::operation::Operation;
use common::record::path;
use common::record::release::Release;
use common::record::scale::{Scale, Scaling};

use crate::commands::scale_app::operation;
use crate::domain::balance::known::{Asked, Known, known, wanted};
use crate::records::{deployment, scale};
use crate::shared::Shared;

/// Keeps the roster of the balance cycle equal to the records.
#[derive(Debug)]
pub(crate) struct BalanceReconciler {
    pub(crate) shared: Arc<Shared>,
}

/// What the records say of an app that is balanced.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) deployment: Deployment,
    pub(crate) scale: Option<Stored<Scale>>,
    pub(crate) known: Known,
}

impl Found {
    /// Whether a number may be written over the one that stands: not over one of a deployment that is gone, whose end
    /// may have to be told first.
    pub(crate) fn standing_is_free(&self) -> bool {
        self.scale.as_ref().is_none_or(|stored| stored.record.is_for(&self.deployment))
    }
}

/// None for an app that is not served, or says nothing of its bounds.
pub(crate) async fn read(shared: &Shared, instance: &LegacyName) -> Result<Option<Found>, Error> {
    let store = &*shared.ports.store;
    let Some(deployment) = deployment(store, instance).await? else { return Ok(None) };
    if deployment.serving.is_none() {
        return Ok(None);
    }
    let Some(scaling) = scaling(shared, &deployment).await? else { return Ok(None) };
    let scale = scale(store, instance).await?;
    let standing = scale.as_ref().map(|stored| &stored.record);
    let standing = standing.filter(|scale| scale.is_for(&deployment));
    let (asked, pinned) = match standing {
        Some(scale) => (asked(shared, scale).await?, None),
        None => (Asked::Nobody, pinned(shared, instance).await?),
    };
    let wanted = wanted(standing, pinned, shared.config.max_replicas);
    let known = known(&deployment, scaling, standing, wanted, asked);
    Ok(known.map(|known| Found { deployment, scale, known }))
}

/// Reads, and lets the cycle know.
pub(crate) async fn take_in(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    let found = read(shared, instance).await?;
    shared.balances(instance, found.map(|found| found.known));
    Ok(())
}

/// What the release that is served says, or the first one that is on its way.
pub(crate) async fn scaling(
    shared: &Shared,
    deployment: &Deployment,
) -> Result<Option<Scaling>, Error> {
    let serving = deployment.serving.as_ref();
    let number = serving.map_or(deployment.release, |serving| serving.release);
    let key: (AppName, ReleaseNumber) = (deployment.app.clone(), number);
    if let Some(known) = shared.scalings().get(&key) {
        return Ok(*known);
    }
    let at = path::release(&key.0, number);
    let release: Option<Stored<Release>> = records::load(&*shared.ports.store, &at).await?;
    let Some(release) = release else { return Ok(None) };
    // A release never changes.
    shared.scalings().insert(key, release.record.scaling);
    Ok(release.record.scaling)
}

/// Whether the request that a number is from waits for its end.
async fn asked(shared: &Shared, scale: &Scale) -> Result<Asked, Error> {
    let request = records::load::<Operation>(&*shared.ports.store, &operation(scale)).await?;
    let is_pending = request.is_some_and(|request| request.record.outcome.is_none());
    Ok(if is_pending { Asked::Pending } else { Asked::Nobody })
}

/// How many replicas the user pinned, if there is such an instance.
pub(crate) async fn pinned(shared: &Shared, instance: &LegacyName) -> Result<Option<u32>, Error> {
    let stored = records::load(&*shared.ports.store, &path::instance(instance)).await?;
    Ok(stored.map(|stored: Stored<Instance>| stored.record.replicas))
}

#[async_trait]
impl Reconcile for BalanceReconciler {
    type Key = LegacyName;
    type Error = Error;

    /// Those that have a route, and those that are balanced: they may have lost theirs.
    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        let names = self.shared.ports.store.children(&path::folder("routes")).await?;
        let mut keys: Vec<LegacyName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        keys.extend(self.shared.balance().instances());
        Ok(keys)
    }

    async fn reconcile(&self, instance: &LegacyName) -> Result<Outcome, Error> {
        take_in(&self.shared, instance).await?;
        Ok(Outcome::Settled)
    }
}
