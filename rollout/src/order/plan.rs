//! What is left of the base. Pure.

use common::id::Generation;
use common::name::NodeName;
use common::port::part::Part;

use super::PartsSeen;
use super::step::{PartAction, PartStep};
use crate::parts::BasePart;
use crate::platform::{Component, Image, Platform};

/// How a part is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Its node could not be asked.
    Unknown,
    /// It is not there, or of an older generation.
    Missing,
    Starting,
    Ready,
}

/// The steps that bring the base up, in order; none are left when it stands.
pub fn plan_parts(platform: &Platform, generation: Generation, seen: &PartsSeen) -> Vec<PartStep> {
    let plan = Plan { platform, generation, seen };
    let mut steps = plan.run(BasePart::Registry);
    steps.extend(plan.wait(BasePart::Registry));
    let filling = plan.fill(!steps.is_empty());
    let mut together = vec![BasePart::ZooKeeper, BasePart::Kafka];
    let edges: Vec<&NodeName> = platform.placement.edge.iter().collect();
    if edges.len() < 2 {
        together.push(BasePart::Edge);
    }
    let mut later: Vec<PartStep> = together.iter().flat_map(|part| plan.run(*part)).collect();
    later.extend(together.iter().flat_map(|part| plan.wait(*part)));
    if edges.len() > 1 {
        // The address comes up at the first: so the other one is changed first, and has it while the first is.
        later.extend(plan.one_by_one(BasePart::Edge, edges.iter().rev()));
        later.extend(plan.one_by_one(BasePart::Address, edges.iter()));
    }
    for part in [BasePart::LifecycleManager, BasePart::PlatformInitializer] {
        later.extend(plan.run(part));
        later.extend(plan.wait(part));
    }
    // Nobody can be asked whether he knows where the registry is: whoever is to do anything is told.
    if !(steps.is_empty() && filling.is_empty() && later.is_empty()) {
        steps.extend(plan.point());
    }
    steps.extend(filling);
    steps.extend(later);
    steps
}

struct Plan<'a> {
    platform: &'a Platform,
    generation: Generation,
    seen: &'a PartsSeen,
}

impl Plan<'_> {
    fn found(&self, part: BasePart, node: &NodeName) -> Found {
        let Some(parts) = self.seen.get(node) else { return Found::Unknown };
        let name = part.name();
        let current = |found: &&Part| found.name == name && found.generation >= self.generation;
        match parts.iter().find(current) {
            None => Found::Missing,
            Some(found) if found.healthy == Some(true) => Found::Ready,
            Some(_) => Found::Starting,
        }
    }

    fn steps(&self, part: BasePart, action: PartAction, needed: &[Found]) -> Vec<PartStep> {
        let nodes = part.nodes(self.platform).iter();
        let found = nodes.map(|node| (node, self.found(part, node)));
        let needing = found.filter(|(_, found)| needed.contains(found));
        let step = |(node, found): (&NodeName, Found)| PartStep {
            node: node.clone(),
            action,
            certain: found != Found::Unknown,
        };
        needing.map(step).collect()
    }

    fn run(&self, part: BasePart) -> Vec<PartStep> {
        self.steps(part, PartAction::Run(part), &[Found::Unknown, Found::Missing])
    }

    fn wait(&self, part: BasePart) -> Vec<PartStep> {
        let needed = [Found::Unknown, Found::Missing, Found::Starting];
        self.steps(part, PartAction::Await(part), &needed)
    }

    /// Of a pair one serves while the other is changed: each is waited for before the next is touched.
    fn one_by_one<'b>(
        &self,
        part: BasePart,
        nodes: impl Iterator<Item = &'b &'b NodeName>,
    ) -> Vec<PartStep> {
        let all = [self.run(part), self.wait(part)].concat();
        let of = |node: &NodeName| {
            all.iter().filter(|step| step.node == *node).cloned().collect::<Vec<_>>()
        };
        nodes.flat_map(|node| of(node)).collect()
    }

    fn point(&self) -> Vec<PartStep> {
        let machines = self.platform.machines.iter();
        let step = |node: &NodeName| PartStep {
            node: node.clone(),
            action: PartAction::PointToRegistry,
            certain: true,
        };
        machines.map(|machine| step(&machine.name)).collect()
    }

    /// An image that was never pushed, or into a registry that is to be made again.
    fn fill(&self, is_new: bool) -> Vec<PartStep> {
        let lacking = |(component, image): (&Component, &Image)| {
            // It never comes from there.
            let is_held = *component != Component::Base;
            (is_held && (is_new || image.named.is_none())).then_some(*component)
        };
        let node = &self.platform.placement.registry;
        let step = |component| PartStep {
            node: node.clone(),
            action: PartAction::Push(component),
            certain: self.seen.contains_key(node),
        };
        self.platform.images.iter().filter_map(lacking).map(step).collect()
    }
}
