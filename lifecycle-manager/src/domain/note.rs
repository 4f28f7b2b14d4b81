//! What was seen of a service's instances, taken into its record.

use std::collections::BTreeMap;
use std::time::Duration;

use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::record::platform::InstanceState;
use jiff::Timestamp;

use super::restart::machine::ran_since;
use super::sighting::{Sighting, is_ready};
use crate::records::{Instance, Rollout, Run};

/// A machine that missed a look or two was not away.
const CUT_OFF: Duration = Duration::from_secs(6);

/// What is seen of every machine.
pub(crate) type Sightings = BTreeMap<NodeName, Sighting>;

/// The record as it is now. What is to be gone and is gone stands in it no more.
pub(crate) fn note(
    mut rollout: Rollout,
    part: &PartName,
    seen: &Sightings,
    now: Timestamp,
) -> Rollout {
    let sighting = |node: &NodeName| seen.get(node).unwrap_or(&Sighting::Unknown);
    let is_gone = |instance: &Instance| {
        instance.state == InstanceState::Stopping
            && sighting(&instance.node).answers()
            && sighting(&instance.node).part(part).is_none()
    };
    rollout.instances.retain(|instance| !is_gone(instance));
    for instance in &mut rollout.instances {
        let found = sighting(&instance.node);
        tell_time(instance, found, now);
        tell_run(instance, found.part(part), now);
        let its_own = found.part(part).filter(|part| part.generation >= instance.generation);
        instance.there_since = instance.there_since.or_else(|| its_own.map(|_| now));
        let state = match found {
            Sighting::Unknown => instance.state,
            Sighting::Silent { .. } => silent(instance),
            Sighting::Answers { .. } => answered(instance, found.part(part)),
        };
        if state != instance.state {
            instance.state = state;
            instance.since = now;
        }
        if state == InstanceState::Ready {
            instance.failure = None;
        }
    }
    rollout
}

/// Nobody can become ready on a machine that is away: that time does not count.
fn tell_time(instance: &mut Instance, found: &Sighting, now: Timestamp) {
    match found {
        Sighting::Silent { lasting } if *lasting >= CUT_OFF => {
            instance.is_cut_off |= instance.state == InstanceState::Starting;
        }
        Sighting::Answers { .. } if instance.is_cut_off => {
            instance.is_cut_off = false;
            instance.since = now;
            instance.there_since = None;
        }
        Sighting::Unknown | Sighting::Silent { .. } | Sighting::Answers { .. } => {}
    }
}

/// Somebody has started it anew.
fn tell_run(instance: &mut Instance, part: Option<&Part>, now: Timestamp) {
    let Some(since) = part.and_then(ran_since) else { return };
    if instance.run.is_none_or(|run| run.since != since) {
        instance.run = Some(Run { since, seen: now });
    }
}

fn silent(instance: &Instance) -> InstanceState {
    match instance.state {
        InstanceState::Ready => InstanceState::Silent,
        InstanceState::Starting
        | InstanceState::Silent
        | InstanceState::Failed
        | InstanceState::Stopping => instance.state,
    }
}

fn answered(instance: &Instance, part: Option<&Part>) -> InstanceState {
    let is_its_own = part.is_some_and(|part| part.generation >= instance.generation);
    let ready = part.is_some_and(is_ready) && is_its_own;
    match instance.state {
        InstanceState::Stopping => InstanceState::Stopping,
        _ if ready => InstanceState::Ready,
        InstanceState::Ready if part.is_some() => InstanceState::Silent,
        // It was there, and the machine knows nothing of it: it is made again.
        InstanceState::Ready => InstanceState::Starting,
        InstanceState::Silent if part.is_none() => InstanceState::Starting,
        InstanceState::Starting | InstanceState::Silent | InstanceState::Failed => instance.state,
    }
}
