//! What commands ask for: the record as it is once a command is accepted.

use common::digest::ImageRef;
use common::id::{Generation, ReleaseNumber, RequestId};
use common::name::{AppName, LegacyName};
use common::record::deployment::{Deployment, Goal, Slot, State};
use common::record::kept::Origin;
use jiff::Timestamp;

use super::change::{Change, note};
use super::patience::Patience;
use super::placement;

/// What message 5 came to.
#[derive(Debug, Clone)]
pub(crate) struct WantedDeploy {
    pub(crate) request: RequestId,
    pub(crate) app: AppName,
    pub(crate) release: ReleaseNumber,
    pub(crate) origin: Origin,
    /// Where it is known already.
    pub(crate) image: Option<ImageRef>,
    pub(crate) replicas: usize,
}

/// What message 10 came to.
#[derive(Debug, Clone)]
pub(crate) struct WantedStop {
    pub(crate) request: RequestId,
    pub(crate) app: AppName,
}

/// A newer generation is on its way; what is served stays served until it takes over.
pub(crate) fn deploy(
    before: Option<Deployment>,
    instance: LegacyName,
    wanted: WantedDeploy,
    patience: &Patience,
    now: Timestamp,
) -> Deployment {
    let mut deployment =
        before.unwrap_or_else(|| first(instance, wanted.app.clone(), wanted.request, now));
    deployment.app = wanted.app;
    deployment.release = wanted.release;
    deployment.origin = wanted.origin;
    deployment.image = wanted.image;
    deployment.deadline = now + patience.deploy;
    let goes_on = deployment.is_deployed();
    renew(&mut deployment, wanted.request, Goal::Running, State::Accepted);
    if !goes_on {
        deployment.since = deployment.generation;
    }
    placement::ask_first(&mut deployment, now);
    let others = wanted.replicas.saturating_sub(1);
    let asked = Change::Asked { generation: deployment.generation, count: others };
    note(&mut deployment, &[asked], patience, now);
    deployment
}

/// Everything of the instance is to go.
pub(crate) fn stop(
    before: Option<Deployment>,
    instance: LegacyName,
    wanted: WantedStop,
    patience: &Patience,
    now: Timestamp,
) -> Deployment {
    let mut deployment = before.unwrap_or_else(|| first(instance, wanted.app, wanted.request, now));
    deployment.deadline = now + patience.stop;
    renew(&mut deployment, wanted.request, Goal::Stopped, State::Stopping);
    deployment.taken = deployment.slots.iter().filter_map(Slot::replica).collect();
    deployment.updated_at = now;
    deployment
}

fn renew(deployment: &mut Deployment, request: RequestId, goal: Goal, state: State) {
    deployment.generation = deployment.generation.next();
    deployment.goal = goal;
    deployment.state = state;
    deployment.request = request;
    deployment.failure = None;
    deployment.taken = Vec::new();
}

/// As if the instance had been removed long ago.
fn first(instance: LegacyName, app: AppName, request: RequestId, now: Timestamp) -> Deployment {
    Deployment {
        schema: 1,
        instance,
        app,
        release: ReleaseNumber::default(),
        generation: Generation::default(),
        since: Generation::default(),
        goal: Goal::Stopped,
        state: State::Removed,
        request,
        origin: Origin::default(),
        deadline: now,
        image: None,
        serving: None,
        releases: Vec::new(),
        slots: Vec::new(),
        placements: 0,
        endpoint: None,
        failure: None,
        taken: Vec::new(),
        updated_at: now,
        owed: Vec::new(),
    }
}
