//! A change of one service: another version, an instance on another machine, or another number of them. Whether it may begin,
//! and what becomes of it; what is wished for meanwhile is the wish itself.

mod scale;

use std::num::NonZeroU16;

use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::name::NodeName;
use common::record::change::{Change, ChangeStage, ServiceChange};
use common::record::platform::{
    InstanceState, PlacedService, PlatformGoal, PlatformRecord, RunningInstance, ServiceImage,
};
use common::service::ServiceName;
use jiff::{SignedDuration, Timestamp};

use super::placement::{Machine, Standing};
use super::plan::{Entry, Rules, Seen};
use super::switch::is_on_its_way;
use scale::{scale, scaled};

/// So long a machine may take to build a version that it does not have.
const BUILT_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// None for the platform's own version.
    Upgrade {
        image: Option<ServiceImage>,
    },
    Move {
        from: NodeName,
        to: NodeName,
    },
    Scale {
        instances: NonZeroU16,
    },
}

/// What is decided from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) platform: Option<&'a PlatformRecord>,
    pub(crate) placed: Option<&'a PlacedService>,
    /// Every service that was placed, to see what machines carry.
    pub(crate) services: &'a [PlacedService],
    pub(crate) machines: &'a [Machine],
    /// The change before this one.
    pub(crate) before: Option<&'a ServiceChange>,
    pub(crate) rules: &'a Rules,
    pub(crate) request: RequestId,
    pub(crate) now: Timestamp,
}

/// A change that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) placed: PlacedService,
    pub(crate) change: ServiceChange,
    /// The unfinished one that it takes the place of.
    pub(crate) ended: Option<ServiceChange>,
}

/// What a change makes of the wish, or why nothing.
pub(crate) fn begin(
    service: ServiceName,
    asked: Asked,
    scene: &Scene<'_>,
) -> Result<Begun, Failure> {
    let placed = running(service, scene)?;
    let ended = scene.before.filter(|before| is_underway(before.stage));
    if let Some(other) = ended.filter(|other| !may_replace(&asked, other)) {
        let what = match other.change {
            Change::Upgrade { .. } => "upgraded",
            Change::Move { .. } => "moved",
            Change::Scale { .. } => "given another number of instances",
        };
        return Err(underway(format!("{service} is being {what}")));
    }
    let placed = ended.map_or_else(|| placed.clone(), |ended| undone(ended, placed));
    let (change, placed) = match asked {
        Asked::Upgrade { image } => {
            let before = placed.image.clone();
            (Change::Upgrade { image: image.clone(), before }, PlacedService { image, ..placed })
        }
        Asked::Move { from, to } => {
            may_move(&placed, &from, &to, scene.machines)?;
            let nodes = placed.nodes.iter().cloned().chain([to.clone()]).collect();
            (Change::Move { from, to }, PlacedService { nodes, ..placed })
        }
        Asked::Scale { instances } => scale(placed, instances, scene)?,
    };
    let generation = scene.placed.map(|placed| placed.generation).unwrap_or_default().next();
    let placed = PlacedService { generation, ..placed };
    let deadline = scene.now.saturating_add(within(&change, &placed, scene.rules));
    let change = ServiceChange {
        schema: 1,
        service,
        request: scene.request,
        change,
        stage: ChangeStage::Proving,
        generation,
        since: scene.now,
        deadline: deadline.unwrap_or(Timestamp::MAX),
        failure: None,
        owed: Vec::new(),
    };
    Ok(Begun { placed, change, ended: ended.cloned() })
}

fn running<'a>(service: ServiceName, scene: &Scene<'a>) -> Result<&'a PlacedService, Failure> {
    let Some(placed) = scene.placed else {
        let message = format!("{service} was never started here");
        return Err(Failure::new(FailureCode::ServiceUnknown, message));
    };
    if scene.platform.is_some_and(|platform| is_on_its_way(platform.state)) {
        return Err(underway("the platform is being started or stopped".to_owned()));
    }
    match placed.goal {
        PlatformGoal::On => Ok(placed),
        PlatformGoal::Off => Err(underway(format!("{service} is off"))),
    }
}

fn underway(message: String) -> Failure {
    Failure::new(FailureCode::ChangeUnderway, message)
}

pub(crate) fn is_underway(stage: ChangeStage) -> bool {
    match stage {
        ChangeStage::Proving | ChangeStage::Leaving => true,
        ChangeStage::Done | ChangeStage::Failed => false,
    }
}

/// Who asks for another version, or another machine, has changed his mind; anything else has to wait.
fn may_replace(asked: &Asked, other: &ServiceChange) -> bool {
    let is_same = matches!(
        (asked, &other.change),
        (Asked::Upgrade { .. }, Change::Upgrade { .. })
            | (Asked::Move { .. }, Change::Move { .. })
            | (Asked::Scale { .. }, Change::Scale { .. })
    );
    is_same && other.stage == ChangeStage::Proving
}

fn may_move(
    placed: &PlacedService,
    from: &NodeName,
    to: &NodeName,
    machines: &[Machine],
) -> Result<(), Failure> {
    let service = placed.service;
    let no = |code, message| Err(Failure::new(code, message));
    if service == ServiceName::LoadBalancer {
        let message = "the load balancer stands beside the edge, on its machine";
        return no(FailureCode::NoNodeFits, message.to_owned());
    }
    if !placed.nodes.contains(from) {
        let message = format!("no instance of {service} is placed on {from}");
        return no(FailureCode::UnknownInstance, message);
    }
    if placed.nodes.contains(to) {
        let message = format!("{to} has an instance of {service} already");
        return no(FailureCode::NoNodeFits, message);
    }
    match machines.iter().find(|machine| machine.name == *to).map(|machine| machine.standing) {
        Some(Standing::Ready) => Ok(()),
        Some(Standing::Away | Standing::Lost) => {
            no(FailureCode::NodeUnavailable, format!("{to} does not answer"))
        }
        None => no(FailureCode::NodeUnknown, format!("no machine for services is called {to}")),
    }
}

/// Each instance may take its time; and as long again to go back, or to be registered.
fn within(change: &Change, placed: &PlacedService, rules: &Rules) -> SignedDuration {
    let building = match placed.image {
        Some(ServiceImage::Built(_)) => BUILT_WITHIN,
        Some(ServiceImage::Named(_)) | None => SignedDuration::ZERO,
    };
    let each = rules.ready_within.saturating_add(building);
    let turns = match change {
        Change::Upgrade { .. } => i32::try_from(placed.nodes.len()).unwrap_or(i32::MAX),
        Change::Move { .. } | Change::Scale { .. } => 1,
    };
    each.saturating_mul(turns.saturating_add(1))
}

/// What becomes of a change that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    /// The instance on the other machine is ready and registered: the one that it replaces goes.
    Leave,
    Done,
    /// It is as before, and this is why.
    Undo(Why),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    Failed(Failure),
    /// The platform is being stopped.
    Superseded,
}

/// What to do about a change, from what is seen of its service.
pub(crate) fn judge(change: &ServiceChange, seen: &Seen, now: Timestamp) -> Verdict {
    let is_due = now >= change.deadline;
    match (&change.change, change.stage) {
        (_, ChangeStage::Done | ChangeStage::Failed) => Verdict::Wait,
        // It was ready and registered: what is left behind on a machine that is away is ended when it comes back.
        (Change::Move { from, .. }, ChangeStage::Leaving) => {
            let is_found = matches!(seen.entry, Entry::Right(_));
            let has_left = is_told(change, seen) && at(seen, from).is_none() && is_found;
            let is_over = has_left || is_due || !seen.is_wished();
            if is_over { Verdict::Done } else { Verdict::Wait }
        }
        (_, ChangeStage::Proving) if !seen.is_wished() => Verdict::Undo(Why::Superseded),
        (Change::Upgrade { image, .. }, ChangeStage::Proving | ChangeStage::Leaving) => {
            upgraded(change, image.as_ref(), seen, is_due)
        }
        (Change::Move { to, .. }, ChangeStage::Proving) => moved(change, to, seen, is_due),
        (Change::Scale { added, removed, .. }, ChangeStage::Proving | ChangeStage::Leaving) => {
            scaled(change, (added.as_slice(), removed.as_slice()), seen, is_due)
        }
    }
}

fn upgraded(
    change: &ServiceChange,
    image: Option<&ServiceImage>,
    seen: &Seen,
    is_due: bool,
) -> Verdict {
    let backed_out = seen.running.as_ref().and_then(|running| running.backed_out.as_ref());
    let refused = backed_out.filter(|refused| {
        refused.image.as_ref() == image && refused.generation >= change.generation
    });
    if let Some(refused) = refused {
        let message = format!(
            "the former version of {} runs again: {}",
            seen.service, refused.failure.message
        );
        return Verdict::Undo(Why::Failed(Failure::new(refused.failure.code, message)));
    }
    let runs_it = |one: Option<&RunningInstance>| {
        one.is_some_and(|one| one.state == InstanceState::Ready && one.image.as_ref() == image)
    };
    let all_run_it = seen.instances().into_iter().all(|(_, instance)| runs_it(instance));
    if is_told(change, seen) && all_run_it {
        return Verdict::Done;
    }
    given_up(seen, is_due)
}

fn moved(change: &ServiceChange, to: &NodeName, seen: &Seen, is_due: bool) -> Verdict {
    let is_placed = seen.placed.as_ref().is_some_and(|placed| placed.nodes.contains(to));
    if !is_placed {
        let message = format!("{to} was lost before {} was ready there", seen.service);
        return Verdict::Undo(Why::Failed(Failure::new(FailureCode::NodeUnavailable, message)));
    }
    let instance = at(seen, to).filter(|_| is_told(change, seen));
    match (instance, seen.entry) {
        (Some(one), Entry::Right(_)) if one.state == InstanceState::Ready => Verdict::Leave,
        (Some(one), _) if one.state == InstanceState::Failed => not_started(seen, one),
        (_, _) => given_up(seen, is_due),
    }
}

fn not_started(seen: &Seen, instance: &RunningInstance) -> Verdict {
    let late = || Failure::new(FailureCode::HealthTimeout, "it cannot be started there");
    let failure = instance.failure.clone().unwrap_or_else(late);
    let message = format!("{} on {}: {}", seen.service, instance.node, failure.message);
    Verdict::Undo(Why::Failed(Failure::new(failure.code, message)))
}

fn given_up(seen: &Seen, is_due: bool) -> Verdict {
    if !is_due {
        return Verdict::Wait;
    }
    let message = match (seen.laggard(), &seen.refusal) {
        (Some((node, why)), _) => {
            format!("{} on {node} was not ready in time: {why}", seen.service)
        }
        (None, Some(refusal)) => format!("{} could not be registered: {refusal}", seen.service),
        (None, None) => format!("{} was not ready and registered in time", seen.service),
    };
    Verdict::Undo(Why::Failed(Failure::new(FailureCode::DeadlineExceeded, message)))
}

/// Whether the lifecycle manager has taken up the wish with the change in it.
fn is_told(change: &ServiceChange, seen: &Seen) -> bool {
    seen.running.as_ref().is_some_and(|running| running.generation >= change.generation)
}

/// The instance on a machine, whether it is wanted there or not.
fn at<'a>(seen: &'a Seen, node: &NodeName) -> Option<&'a RunningInstance> {
    let running = seen.running.as_ref()?;
    running.instances.iter().find(|instance| instance.node == *node)
}

/// The wish without the change, of the same generation.
pub(crate) fn undone(change: &ServiceChange, placed: &PlacedService) -> PlacedService {
    let mut placed = placed.clone();
    match &change.change {
        Change::Upgrade { before, .. } => placed.image.clone_from(before),
        Change::Move { from, to } => {
            // Who was placed elsewhere meanwhile is not put back.
            if placed.nodes.contains(from) {
                placed.nodes.retain(|node| node != to);
            }
        }
        Change::Scale { before, added, removed, .. } => {
            placed.instances = *before;
            placed.nodes.retain(|node| !added.contains(node));
            let back = removed.iter().filter(|node| !placed.nodes.contains(node));
            let back: Vec<NodeName> = back.cloned().collect();
            placed.nodes.extend(back);
        }
    }
    placed
}

/// The wish without what was moved from: the new instance takes its place.
pub(crate) fn left(change: &ServiceChange, placed: &PlacedService) -> PlacedService {
    let mut placed = placed.clone();
    if let Change::Move { from, to } = &change.change {
        placed.nodes.retain(|node| node != to);
        match placed.nodes.iter_mut().find(|node| *node == from) {
            Some(place) => place.clone_from(to),
            None => placed.nodes.push(to.clone()),
        }
    }
    placed
}

#[cfg(test)]
mod tests;
