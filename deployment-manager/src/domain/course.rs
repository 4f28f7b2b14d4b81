//! What a deploy does with the generations that are there: a whole new one, a canary beside what is served, and what
//! becomes of a canary.

use common::failure::{Failure, FailureCode};
use common::id::{ReleaseNumber, RequestId};
use common::record::course::{Canary, Decision, DecisionKind, Share};
use common::record::deployment::{Deployment, Goal, Revision, Slot, SlotState, State};
use common::record::kept::Way;
use jiff::{SignedDuration, Timestamp};

use super::patience::Patience;
use super::releases;
use super::replicas::{gets_share, is_advancing, may_be_routed};

/// How the release that is wanted comes into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// With replicas of its own, which take over.
    Whole,
    /// With replicas of its own, which get a share beside what is served.
    Canary(Share),
    /// The canary that is there gets another share.
    Share(Share),
    /// The canary that is there gets all.
    Promote,
    /// The canary that is there goes.
    Abandon,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) way: Way,
    pub(crate) share: Option<Share>,
    pub(crate) release: ReleaseNumber,
    /// Whether it is the request of the instance's own owner that said the way: others only want the release.
    pub(crate) is_own: bool,
}

/// How a release comes into service, by what there is.
pub(crate) fn course(asked: Asked, before: Option<&Deployment>) -> Result<Course, Failure> {
    let deployed = before.filter(|one| one.goal == Goal::Running && one.serving.is_some());
    let ours = deployed.filter(|one| one.release == asked.release);
    let goes_on = ours.and_then(goes_on);
    match (asked.way, asked.share) {
        (Way::Canary, Some(_)) if deployed.is_none() => {
            let message = "nothing of the instance is served that a canary could run beside";
            Err(Failure::new(FailureCode::UnknownInstance, message))
        }
        (Way::Canary, Some(share)) if ours.is_some_and(gets_share) => Ok(Course::Share(share)),
        (Way::Canary, Some(share)) => Ok(Course::Canary(share)),
        (Way::Promoted, _) if !asked.is_own => Ok(goes_on.unwrap_or(Course::Whole)),
        // Also where another share is under way: who asked for all takes it over.
        (Way::Promoted, _) if matches!(goes_on, Some(Course::Share(_) | Course::Promote)) => {
            Ok(Course::Promote)
        }
        (Way::Promoted, _) => {
            let message = "the instance has no canary of this release that gets its share";
            Err(Failure::new(FailureCode::NoCanary, message))
        }
        (Way::RolledBack, _) if deployed.is_some_and(|one| is_beside(one, asked.release)) => {
            Ok(Course::Abandon)
        }
        (Way::Deployed | Way::RolledBack | Way::Canary, _) => Ok(Course::Whole),
    }
}

/// What is under way with a canary, once more; none where there is none.
fn goes_on(deployment: &Deployment) -> Option<Course> {
    let canary = deployment.canary.as_ref()?;
    Some(if canary.promoted {
        Course::Promote
    } else if deployment.adopted.is_some() || gets_share(deployment) {
        Course::Share(canary.share)
    } else {
        Course::Canary(canary.share)
    })
}

/// The release that another program's message means where the instance's record wants a canary, or its promotion, that is
/// not there any more: what is served. Only the request of its owner makes a canary, and gives it all.
pub(crate) fn falls_back(asked: Asked, before: Option<&Deployment>) -> Option<ReleaseNumber> {
    let before = before.filter(|one| one.goal == Goal::Running)?;
    let served = before.serving.as_ref()?.release;
    let is_there = before.canary.is_some() && before.release == asked.release;
    let is_of_canary = matches!(asked.way, Way::Canary | Way::Promoted) && !asked.is_own;
    (is_of_canary && !is_there && served != asked.release).then_some(served)
}

/// Whether a canary, be it still on its way, runs beside this release, which is served.
fn is_beside(deployment: &Deployment, release: ReleaseNumber) -> bool {
    deployment.canary.is_some()
        && (deployment.state <= State::Running || gets_share(deployment))
        && deployment.serving.as_ref().is_some_and(|serving| serving.release == release)
}

/// How often a release that has taken over is looked at, and a canary.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);
const LOOK_AGAIN_AT_CANARY: SignedDuration = SignedDuration::from_secs(2);

/// Until when what has taken over is watched; none where there is nothing to go back to, or it has not.
pub(crate) fn watched_until(deployment: &Deployment, patience: &Patience) -> Option<Timestamp> {
    let rising = deployment.rising();
    let has_way_back = deployment.serving.is_some() && !deployment.serves(rising);
    let routed = |slot: &&Slot| slot.generation == rising && slot.state == SlotState::Routed;
    // Those of before wait since they were out of the route.
    let waits = |slot: &&Slot| deployment.serves(slot.generation) && slot.state == SlotState::Ready;
    let slots = || deployment.slots.iter();
    let took_over = slots().filter(routed).map(|slot| slot.since).max();
    let since = took_over
        .map(|since| slots().filter(waits).map(|slot| slot.since).fold(since, Timestamp::max));
    let is_watched = is_advancing(deployment) && has_way_back && !patience.watch.is_zero();
    // What serves in time is not late for being watched.
    let last = deployment.deadline - LOOK_AGAIN;
    since.filter(|_| is_watched).map(|since| (since + patience.watch).min(last))
}

/// When a release that is watched is looked at again; none where none is.
pub(crate) fn look_again(
    deployment: &Deployment,
    patience: &Patience,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = watched_until(deployment, patience).map(|until| until.min(now + LOOK_AGAIN));
    let is_watched = gets_share(deployment) && !patience.watch.is_zero();
    until.filter(|until| *until > now).or_else(|| is_watched.then(|| now + LOOK_AGAIN_AT_CANARY))
}

/// The platform goes back from a release by itself.
pub(super) fn backed_out(deployment: &mut Deployment, failure: &Failure, now: Timestamp) {
    let Some(serving) = &deployment.serving else { return };
    let (served, release) = (serving.release, deployment.release);
    let reason = format!(
        "release {served} gets all requests again, without release {release}: {}",
        failure.message
    );
    deployment.decided(Decision { at: now, kind: DecisionKind::BackedOut, reason });
}

/// Whether that is the last that was decided of its releases.
pub(super) fn has_gone_back(deployment: &Deployment) -> bool {
    let of_place =
        |kind| matches!(kind, DecisionKind::Moving | DecisionKind::Moved | DecisionKind::NotMoved);
    let mut kinds = deployment.decisions.iter().rev().map(|one| one.kind);
    kinds.find(|kind| !of_place(*kind)) == Some(DecisionKind::BackedOut)
}

/// A canary that gets its share goes, and nobody asked.
pub(super) fn drop_canary(deployment: &mut Deployment, failure: &Failure, now: Timestamp) {
    if gets_share(deployment) {
        backed_out(deployment, failure, now);
        deployment.canary = None;
        deployment.adopted = None;
        deployment.failure = Some(failure.clone());
        if let Some(serving) = deployment.serving.clone() {
            deployment.release = serving.release;
            deployment.image = Some(serving.image);
        }
    }
}

/// A share that the edge is still to be told of.
pub(super) fn canary(share: Share, before: Option<Share>, now: Timestamp) -> Canary {
    Canary { share, since: now, before, told: false, promoted: false }
}

/// What was asked of a canary that got its share cannot be: it goes on with the share of before. False if there is none.
pub(super) fn go_back(deployment: &mut Deployment, failure: &Failure, now: Timestamp) -> bool {
    let rising = deployment.rising();
    let adopts = deployment.adopted.is_some() && !deployment.serves(rising);
    let Some(canary) = deployment.canary.as_mut().filter(|_| adopts) else { return false };
    let share = canary.before.unwrap_or(canary.share);
    *canary = self::canary(share, None, now);
    let release = deployment.release;
    let reason = format!("release {release} goes on with {share} of the requests: {failure}");
    deployment.decided(Decision { at: now, kind: DecisionKind::Canary, reason });
    true
}

/// Whether a route to these replicas gives a canary what is asked for it: a share, or all where it is promoted.
pub(super) fn has_its_due<'a>(
    deployment: &Deployment,
    served: impl Iterator<Item = &'a Slot>,
) -> bool {
    let rising = deployment.rising();
    let (own, others): (Vec<&Slot>, Vec<&Slot>) =
        served.partition(|slot| slot.generation == rising);
    let canary = deployment.canary.as_ref();
    canary.is_some_and(|canary| !own.is_empty() && (others.is_empty() || !canary.promoted))
}

/// The edge serves these.
pub(super) fn told(deployment: &mut Deployment, served: &[RequestId]) {
    let is_served = |slot: &&Slot| served.contains(&slot.placement_request);
    let is_due = has_its_due(deployment, deployment.slots.iter().filter(is_served));
    if let Some(canary) = deployment.canary.as_mut().filter(|_| is_due) {
        canary.told = true;
    }
}

/// A canary gets its share.
pub(super) fn shares(deployment: &mut Deployment, now: Timestamp) {
    let Some(canary) = deployment.canary.as_mut() else { return };
    canary.before = None;
    let share = canary.share;
    let served = deployment.serving.as_ref().map(|serving| serving.release).unwrap_or_default();
    let release = deployment.release;
    let reason = format!(
        "release {release} gets {share} of the requests beside release {served}, as was asked for"
    );
    deployment.decided(Decision { at: now, kind: DecisionKind::Canary, reason });
}

/// The newest generation is what is served from now on. Others may be what the edge was told last, by a call of which
/// nobody heard: it is told once more before they go.
pub(super) fn take_over(deployment: &mut Deployment, now: Timestamp) {
    let Some(image) = deployment.image.clone() else { return };
    let (generation, release) = (deployment.rising(), deployment.release);
    ended(deployment, now);
    if !deployment.serves(generation) {
        releases::enter(deployment, &image, now);
    }
    for slot in deployment.slots.iter_mut().filter(|slot| slot.generation != generation) {
        let goes = if may_be_routed(slot) { SlotState::Leaving } else { SlotState::Drained };
        if slot.state < goes {
            slot.state = goes;
            slot.since = now;
        }
    }
    deployment.serving = Some(Revision { generation, release, image });
    deployment.canary = None;
    deployment.adopted = None;
}

/// A canary has got all, or is gone.
fn ended(deployment: &mut Deployment, now: Timestamp) {
    let release = deployment.release;
    let (kind, reason) = if let Some(canary) = &deployment.canary {
        // Nobody asked where it is what visitors have as another release is wanted.
        let why =
            if canary.promoted { "as was asked for" } else { "as nothing else of the app serves" };
        (DecisionKind::Promoted, format!("release {release} gets all requests, {why}"))
    } else if deployment.adopted.is_some_and(|adopted| deployment.serves(adopted)) {
        let reason = format!("release {release} gets all requests again, as was asked for");
        (DecisionKind::CanaryEnded, reason)
    } else {
        return;
    };
    deployment.decided(Decision { at: now, kind, reason });
}
