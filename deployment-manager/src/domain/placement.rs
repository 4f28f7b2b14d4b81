//! Asking for nodes, and which node builds.

use common::digest::Digest;
use common::id::{Generation, MessageId, RequestId, SlotNumber};
use common::message::NodeCommand;
use common::name::{AppName, NodeName};
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::owed::Owed;
use common::topic::Topic;
use jiff::Timestamp;

/// Adds `count` replicas of a generation, lowest free numbers first, and owes their questions.
pub(crate) fn ask(
    deployment: &mut Deployment,
    generation: Generation,
    count: usize,
    now: Timestamp,
) {
    for _ in 0..count {
        let Some(number) = lowest_free_number(deployment) else { return };
        let placement = next_request(deployment, generation, number);
        add(deployment, generation, number, placement, now);
    }
}

/// Adds the first replica of the newest generation. Its question has the id of the request itself,
/// as document 001's chain of messages wants it; every other one has an id of its own.
pub(crate) fn ask_first(deployment: &mut Deployment, now: Timestamp) {
    let Some(number) = lowest_free_number(deployment) else { return };
    add(deployment, deployment.generation, number, deployment.request, now);
}

fn add(
    deployment: &mut Deployment,
    generation: Generation,
    number: SlotNumber,
    placement_request: RequestId,
    now: Timestamp,
) {
    let slot = Slot {
        number,
        generation,
        placement_request,
        state: SlotState::Asked,
        since: now,
        attempt: 0,
        images_missing: 0,
        place: None,
        container_id: None,
    };
    deployment.owed.push(question(deployment, &slot));
    let index = deployment.slots.partition_point(|other| other.number < number);
    deployment.slots.insert(index, slot);
}

fn lowest_free_number(deployment: &Deployment) -> Option<SlotNumber> {
    let taken = |number: &u32| deployment.slots.iter().any(|slot| slot.number.0 == *number);
    (1..=u32::MAX).find(|number| !taken(number)).map(SlotNumber)
}

/// Forgets where a replica was and asks again, at once or when its turn comes.
pub(crate) fn ask_elsewhere(
    deployment: &mut Deployment,
    placement: RequestId,
    turn: Turn,
    now: Timestamp,
) {
    let found = deployment.slots.iter().find(|slot| slot.placement_request == placement);
    let Some(mut slot) = found.cloned() else { return };
    slot.placement_request = next_request(deployment, slot.generation, slot.number);
    slot.state = SlotState::Asked;
    slot.since = now;
    slot.attempt += 1;
    slot.place = None;
    slot.container_id = None;
    if turn == Turn::Now {
        deployment.owed.push(question(deployment, &slot));
    }
    if let Some(kept) =
        deployment.slots.iter_mut().find(|other| other.placement_request == placement)
    {
        *kept = slot;
    }
}

/// When a replica that must be placed anew is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// As a repetition of its question, later each time.
    Later,
}

fn next_request(
    deployment: &mut Deployment,
    generation: Generation,
    number: SlotNumber,
) -> RequestId {
    deployment.placements += 1;
    let attempt = deployment.placements;
    deployment.request.derive(&format!("slot-{number}-generation-{generation}-attempt-{attempt}"))
}

/// Message 6.
fn question(deployment: &Deployment, slot: &Slot) -> Owed {
    let command = NodeCommand::GiveBestNode { instance: deployment.instance.clone() };
    Owed {
        message_id: MessageId(slot.placement_request.derive(&format!("asked {}", slot.since)).0),
        key: deployment.instance.to_string(),
        envelope: command.envelope(Topic::DeploymentManager, slot.placement_request),
        details: None,
    }
}

/// Whether a message asks for this placement. The first replica is asked for under the request's own id, which
/// other messages carry too: its end, for one.
pub(crate) fn asks(owed: &Owed, placement: RequestId) -> bool {
    owed.envelope.to_topic == Topic::NodeManager && owed.envelope.request_id == placement
}

/// Asks the same once more.
pub(crate) fn repeat(deployment: &mut Deployment, placement: RequestId, now: Timestamp) {
    let asked =
        |slot: &&mut Slot| slot.placement_request == placement && slot.state == SlotState::Asked;
    let Some(slot) = deployment.slots.iter_mut().find(asked) else { return };
    slot.since = now;
    let slot = slot.clone();
    let question = question(deployment, &slot);
    deployment.owed.retain(|owed| !asks(owed, placement));
    deployment.owed.push(question);
}

/// The node on which an app is built: the same as long as it lives, so that its layers are there.
pub(crate) fn builder<'a>(
    app: &AppName,
    nodes: impl Iterator<Item = &'a NodeName>,
) -> Option<&'a NodeName> {
    nodes.max_by_key(|node| Digest::of(format!("{app}\0{node}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_stays_on_its_node_when_another_one_goes() {
        let nodes: Vec<NodeName> = (1..=5).map(|n| format!("node-{n}").parse().unwrap()).collect();
        let apps: Vec<AppName> = (0..20).map(|n| format!("app-{n}").parse().unwrap()).collect();
        for app in &apps {
            let chosen = builder(app, nodes.iter()).unwrap();
            for gone in nodes.iter().filter(|node| *node != chosen) {
                let rest = nodes.iter().filter(|node| *node != gone);
                assert_eq!(builder(app, rest), Some(chosen), "{app} without {gone}");
            }
        }
        assert_eq!(builder(&apps[0], std::iter::empty()), None);
    }
}
