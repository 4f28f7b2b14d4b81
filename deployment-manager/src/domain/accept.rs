//! What commands ask for: the record as it is once a command is accepted.

use common::digest::ImageRef;
use common::id::{Generation, ReleaseNumber, RequestId};
use common::name::{AppName, LegacyName};
use common::record::course::Canary;
use common::record::deployment::{Deployment, Goal, Slot, State};
use common::record::kept::Origin;
use jiff::Timestamp;

use super::change::{Change, advance, note};
use super::course::{self, Course};
use super::patience::Patience;
use super::placement;
use super::replicas::is_in_front;
use super::share;

/// What message 5 came to.
#[derive(Debug, Clone)]
pub(crate) struct WantedDeploy {
    pub(crate) request: RequestId,
    pub(crate) app: AppName,
    pub(crate) release: ReleaseNumber,
    pub(crate) origin: Origin,
    pub(crate) course: Course,
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

/// A newer generation is on its way; what is served stays served until it takes over. So does what has just taken over and
/// is watched: its visitors are not to get the release before it on the way to the next one, unless that is what is wanted.
pub(crate) fn deploy(
    before: Option<Deployment>,
    instance: LegacyName,
    wanted: WantedDeploy,
    patience: &Patience,
    now: Timestamp,
) -> Deployment {
    let mut deployment =
        before.unwrap_or_else(|| first(instance, wanted.app.clone(), wanted.request, now));
    let starts = matches!(wanted.course, Course::Whole | Course::Canary(_));
    let is_before = deployment.serving.as_ref().is_some_and(|one| one.release == wanted.release);
    if starts && !is_before && is_in_front(&deployment) {
        course::take_over(&mut deployment, now);
    }
    let rising = deployment.rising();
    deployment.app = wanted.app;
    deployment.release = wanted.release;
    deployment.origin = wanted.origin;
    deployment.deadline = now + patience.deploy;
    let goes_on = deployment.is_deployed();
    let canary = deployment.canary.take();
    renew(&mut deployment, wanted.request, Goal::Running, State::Accepted);
    if !goes_on {
        deployment.since = deployment.generation;
    }
    match wanted.course {
        Course::Whole => {
            place(&mut deployment, wanted.image, wanted.replicas.max(1), patience, now);
        }
        Course::Canary(share) => {
            deployment.canary = Some(course::canary(share, None, now));
            let replicas = share::replicas(share, wanted.replicas.max(1));
            place(&mut deployment, wanted.image, replicas, patience, now);
        }
        Course::Share(share) => {
            let before = canary.map(|canary| canary.share);
            deployment.canary = Some(course::canary(share, before, now));
            deployment.adopted = Some(rising);
        }
        Course::Promote => {
            // What it waits for may have come into the route meanwhile: the edge is told in any case.
            let promote = |canary| Canary { promoted: true, told: false, ..canary };
            deployment.canary = canary.map(promote);
            deployment.adopted = Some(rising);
        }
        Course::Abandon => {
            let serving = deployment.serving.clone();
            deployment.adopted = serving.as_ref().map(|serving| serving.generation);
            deployment.image = serving.map(|serving| serving.image);
        }
    }
    advance(&mut deployment);
    deployment.updated_at = now;
    deployment
}

/// Asks for the places of a generation of its own.
fn place(
    deployment: &mut Deployment,
    image: Option<ImageRef>,
    replicas: usize,
    patience: &Patience,
    now: Timestamp,
) {
    deployment.image = image;
    placement::ask_first(deployment, now);
    let others = replicas.saturating_sub(1);
    let asked = Change::Asked { generation: deployment.generation, count: others };
    note(deployment, &[asked], patience, now);
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
    deployment.adopted = None;
    deployment.canary = None;
    deployment.moving = None;
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
        adopted: None,
        canary: None,
        moving: None,
        stays: None,
        decisions: Vec::new(),
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
