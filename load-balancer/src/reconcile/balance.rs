//! What the balance cycle knows of apps: read from records at each change, so that the cycle reads nothing.

use std::sync::Arc;
use std::time::Duration;

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
use common::record::scale::Scale;

use crate::commands::scale_app::operation;
use crate::domain::balance::hours::{By, Described};
use crate::domain::balance::known::{Asked, Known, known, wanted};
use crate::records::{deployment, scale};
use crate::shared::Shared;

/// How often bounds that are others at other hours are looked at: the time of day may jump.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
    /// Whether its bounds are others at other hours.
    changes: bool,
}

impl Found {
    /// Whether a number may be written over the one that stands: not over one of a deployment that is gone, whose end
    /// may have to be told first.
    pub(crate) fn standing_is_free(&self) -> bool {
        self.scale.as_ref().is_none_or(|stored| stored.record.is_for(&self.deployment))
    }
}

/// None for an app that is not served, or of whose bounds nobody says anything.
pub(crate) async fn read(shared: &Shared, instance: &LegacyName) -> Result<Option<Found>, Error> {
    let store = &*shared.ports.store;
    let Some(deployment) = deployment(store, instance).await? else { return Ok(None) };
    if deployment.serving.is_none() {
        return Ok(None);
    }
    let described = bounds(shared, &deployment).await?;
    let scale = scale(store, instance).await?;
    let standing = scale.as_ref().map(|stored| &stored.record);
    let standing = standing.filter(|scale| scale.is_for(&deployment));
    let rests = standing.is_some_and(|scale| scale.replicas == 0);
    let Some(described) = described.or_else(|| rests.then(Described::awake)) else {
        return Ok(None);
    };
    let (asked, pinned) = match standing {
        Some(scale) => (asked(shared, scale).await?, None),
        None => (Asked::Nobody, pinned(shared, instance).await?),
    };
    let wanted = wanted(standing, pinned, shared.config.max_replicas);
    let changes = described.changes();
    let in_force = described.at(shared.ports.clock.now());
    let known = known(&deployment, in_force, standing, wanted, asked);
    Ok(known.map(|known| Found { deployment, scale, known, changes }))
}

/// Reads, and lets the cycle know.
pub(crate) async fn take_in(shared: &Shared, instance: &LegacyName) -> Result<Outcome, Error> {
    let found = read(shared, instance).await?;
    let changes = found.as_ref().is_some_and(|found| found.changes);
    shared.balances(instance, found.map(|found| found.known));
    Ok(if changes { Outcome::Again(LOOK_EVERY) } else { Outcome::Settled })
}

/// What holds for an app: what the release says that is served, or the first one that is on its way; else what the
/// platform says.
pub(crate) async fn bounds(
    shared: &Shared,
    deployment: &Deployment,
) -> Result<Option<Described>, Error> {
    let usual = match (said(shared, deployment).await?, shared.config.usual_bounds()) {
        (Said::Bounds(described), _) => return Ok(Some(described)),
        (Said::Nothing, Some(usual)) => usual,
        (Said::Nothing, None) | (Said::Unknown, _) => return Ok(None),
    };
    let pinned = pinned(shared, &deployment.instance).await?;
    Ok(Some(Described::by_default(usual, pinned.unwrap_or(1))))
}

/// What a release says of bounds.
enum Said {
    Bounds(Described),
    Nothing,
    /// It cannot be found.
    Unknown,
}

impl From<Option<Described>> for Said {
    fn from(described: Option<Described>) -> Self {
        described.map_or(Said::Nothing, Said::Bounds)
    }
}

async fn said(shared: &Shared, deployment: &Deployment) -> Result<Said, Error> {
    let serving = deployment.serving.as_ref();
    let number = serving.map_or(deployment.release, |serving| serving.release);
    let key: (AppName, ReleaseNumber) = (deployment.app.clone(), number);
    if let Some(known) = shared.described().get(&key) {
        return Ok(known.clone().into());
    }
    let at = path::release(&key.0, number);
    let release: Option<Stored<Release>> = records::load(&*shared.ports.store, &at).await?;
    let Some(release) = release else { return Ok(Said::Unknown) };
    let Release { scaling, hours, .. } = release.record;
    let described = scaling.map(|scaling| Described { scaling, hours, by: By::Release });
    // A release never changes.
    shared.described().insert(key, described.clone());
    Ok(described.into())
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
        take_in(&self.shared, instance).await
    }
}
