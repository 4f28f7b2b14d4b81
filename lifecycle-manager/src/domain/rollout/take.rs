//! What a step makes of the record. It is written before the step is done: who comes after a crash knows of it.

use common::id::Generation;
use common::name::NodeName;
use common::record::platform::{InstanceState, PlacedService};
use jiff::Timestamp;

use super::{Scene, Step, target};
use crate::records::{Instance, Refusal, Rollout, Version};

/// The record with the step in it.
pub(crate) fn take(mut rollout: Rollout, step: &Step, scene: &Scene<'_>) -> Rollout {
    let now = scene.now;
    match step {
        Step::Follow => follow(&mut rollout, scene.wish, now),
        Step::Adopt { node, generation } => {
            let version = target(scene.wish, &rollout);
            rollout.generation = rollout.generation.max(*generation);
            let made = Made { node, place: node, version, generation: *generation };
            rollout.instances.push(Instance { attempts: 0, attempted_at: None, ..made.at(now) });
        }
        Step::Start { node, place, version } => {
            start(&mut rollout, (node, place), version.clone(), now);
        }
        Step::Move { from, to } => {
            let version = target(scene.wish, &rollout);
            let place =
                rollout.instance(from).map_or_else(|| from.clone(), |one| one.place.clone());
            stop(&mut rollout, from, now);
            start(&mut rollout, (to, &place), version, now);
        }
        Step::Ensure { node } => {
            attempt(&mut rollout, node, scene);
            let generation = bump(&mut rollout);
            change(&mut rollout, node, |instance| {
                instance.generation = generation;
                instance.there_since = None;
            });
        }
        Step::Replace { node, version } => {
            let generation = bump(&mut rollout);
            change(&mut rollout, node, |instance| {
                let (made, place) = (instance.node.clone(), instance.place.clone());
                let made =
                    Made { node: &made, place: &place, version: version.clone(), generation };
                *instance = made.at(now);
            });
        }
        Step::Restart { node } | Step::Remove { node } => attempt(&mut rollout, node, scene),
        Step::Leave { node } => stop(&mut rollout, node, now),
        Step::BackOut { version, failure } => {
            let (version, failure) = (version.clone(), failure.clone());
            let wish = scene.wish.generation;
            rollout.refused = Some(Refusal { version, wish, failure, at: now });
        }
        Step::Fail { node, failure } => change(&mut rollout, node, |instance| {
            instance.state = InstanceState::Failed;
            instance.since = now;
            instance.failure = Some(failure.clone());
        }),
        Step::Settle { version } => {
            rollout.good = Some(version.clone());
            rollout.refused = None;
        }
        Step::Rest => {}
    }
    rollout
}

/// Who stands on a wished machine takes its place; who stands in for one goes on to. What failed is tried at once, and what
/// is starting has its time anew.
fn follow(rollout: &mut Rollout, wish: &PlacedService, now: Timestamp) {
    rollout.wish = wish.generation;
    let mut open = wish.nodes.clone();
    for instance in &mut rollout.instances {
        if open.contains(&instance.node) && instance.state != InstanceState::Stopping {
            open.retain(|place| *place != instance.node);
            instance.place = instance.node.clone();
        }
        instance.attempts = 0;
        instance.attempted_at = None;
        if instance.state == InstanceState::Starting {
            instance.since = now;
            instance.there_since = None;
        }
    }
    for instance in &mut rollout.instances {
        if instance.place == instance.node || instance.state == InstanceState::Stopping {
            continue;
        }
        if open.contains(&instance.place) {
            open.retain(|place| *place != instance.place);
        } else {
            instance.place = instance.node.clone();
        }
    }
}

/// An instance that is about to be made.
struct Made<'a> {
    node: &'a NodeName,
    place: &'a NodeName,
    version: Version,
    generation: Generation,
}

impl Made<'_> {
    fn at(self, now: Timestamp) -> Instance {
        Instance {
            node: self.node.clone(),
            place: self.place.clone(),
            version: self.version,
            generation: self.generation,
            state: InstanceState::Starting,
            since: now,
            there_since: None,
            is_cut_off: false,
            run: None,
            attempts: 1,
            attempted_at: Some(now),
            failure: None,
        }
    }
}

fn bump(rollout: &mut Rollout) -> Generation {
    rollout.generation = rollout.generation.next();
    rollout.generation
}

fn start(rollout: &mut Rollout, at: (&NodeName, &NodeName), version: Version, now: Timestamp) {
    let generation = bump(rollout);
    let made = Made { node: at.0, place: at.1, version, generation };
    rollout.instances.push(made.at(now));
}

fn stop(rollout: &mut Rollout, node: &NodeName, now: Timestamp) {
    change(rollout, node, |instance| {
        instance.state = InstanceState::Stopping;
        instance.since = now;
        instance.attempts = 0;
        instance.attempted_at = None;
    });
}

fn attempt(rollout: &mut Rollout, node: &NodeName, scene: &Scene<'_>) {
    change(rollout, node, |instance| {
        let waits = &scene.rules.waits;
        instance.attempts = waits.next(instance.attempts, instance.attempted_at, scene.now);
        instance.attempted_at = Some(scene.now);
    });
}

fn change(rollout: &mut Rollout, node: &NodeName, change: impl FnOnce(&mut Instance)) {
    if let Some(instance) = rollout.instance_mut(node) {
        change(instance);
    }
}
