//! What was found, and how it is read.

use std::net::SocketAddr;

use common::failure::Failure;
use common::name::NodeName;
use common::record::platform::{
    InstanceState, PlacedService, PlatformGoal, PlatformRecord, RunningInstance, RunningService,
};
use common::service::ServiceName;
use jiff::{SignedDuration, Timestamp};

use super::super::placement::{Machine, Rule, Standing, place};
use super::{Rules, Step};

/// Everything that a step is decided from.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) record: PlatformRecord,
    /// Every service that is configured or has been placed, in the order of a start.
    pub(crate) services: Vec<Seen>,
    pub(crate) machines: Vec<Machine>,
    /// Whether a lifecycle manager leads, and is ready to act.
    pub(crate) is_lifecycle_ready: bool,
    pub(crate) now: Timestamp,
}

/// A service as it was found.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) service: ServiceName,
    pub(crate) is_configured: bool,
    pub(crate) has_front_door: bool,
    pub(crate) placed: Option<PlacedService>,
    pub(crate) running: Option<RunningService>,
    pub(crate) entry: Entry,
    /// Why the load balancer refused it of late, if it did.
    pub(crate) refusal: Option<String>,
}

/// What the load balancer and document 001's registry say of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Absent,
    /// As it should be, under this address.
    Right(SocketAddr),
    Wrong,
}

impl Seen {
    pub(crate) fn is_wished(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.goal == PlatformGoal::On)
    }

    /// The instances that were asked for, as the lifecycle manager knows them: none before it has seen the wish. It
    /// may have made one on another machine than the wished one, where that one is away.
    pub(crate) fn instances(&self) -> Vec<(&NodeName, Option<&RunningInstance>)> {
        let Some(placed) = &self.placed else { return Vec::new() };
        let running = self.running.iter().filter(|one| one.generation >= placed.generation);
        let found: Vec<&RunningInstance> = running
            .flat_map(|running| &running.instances)
            .filter(|one| one.state != InstanceState::Stopping)
            .collect();
        let mut moved = found.iter().copied().filter(|one| !placed.nodes.contains(&one.node));
        let mut instances = Vec::with_capacity(placed.nodes.len());
        for node in &placed.nodes {
            let here = found.iter().copied().find(|one| one.node == *node);
            let instance = if here.is_some() { here } else { moved.next() };
            instances.push((instance.map_or(node, |one| &one.node), instance));
        }
        instances.extend(moved.map(|one| (&one.node, Some(one))));
        instances
    }

    /// The service and the first machine that it is on, for who has to look there.
    pub(crate) fn named(&self) -> String {
        match self.instances().first() {
            Some((node, _)) => format!("{} on {node}", self.service),
            None => self.service.to_string(),
        }
    }

    /// How many of its instances are ready.
    pub(crate) fn ready(&self) -> usize {
        self.count(|state| state == InstanceState::Ready)
    }

    fn is_ready_on(&self, wanted: &NodeName) -> bool {
        let is_ready = |one: &RunningInstance| one.state == InstanceState::Ready;
        self.instances().into_iter().any(|(node, one)| node == wanted && one.is_some_and(is_ready))
    }

    fn count(&self, wanted: impl Fn(InstanceState) -> bool) -> usize {
        self.instances()
            .into_iter()
            .filter(|(_, instance)| instance.is_some_and(|one| wanted(one.state)))
            .count()
    }

    /// Whether nothing of it is left, after it should end.
    pub(crate) fn is_gone(&self) -> bool {
        let (Some(placed), Some(running)) = (&self.placed, &self.running) else { return true };
        running.generation >= placed.generation && running.instances.is_empty()
    }

    /// The first instance that is not ready: where, and why, in words.
    pub(crate) fn laggard(&self) -> Option<(&NodeName, String)> {
        let is_ready = |instance: Option<&RunningInstance>| {
            instance.is_some_and(|one| one.state == InstanceState::Ready)
        };
        let mut instances = self.instances().into_iter();
        let (node, instance) = instances.find(|(_, instance)| !is_ready(*instance))?;
        let why = match instance {
            None => "the lifecycle manager has not taken it up".to_owned(),
            Some(RunningInstance { failure: Some(failure), .. }) => failure.to_string(),
            Some(RunningInstance { state, .. }) => state_in_words(*state).to_owned(),
        };
        Some((node, why))
    }
}

fn state_in_words(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "it is still starting",
        InstanceState::Ready => "it is ready",
        InstanceState::Silent => "it does not answer any more",
        InstanceState::Failed => "it cannot be started",
        InstanceState::Stopping => "it is still ending",
    }
}

impl Observed {
    pub(crate) fn seen(&self, service: ServiceName) -> Option<&Seen> {
        self.services.iter().find(|seen| seen.service == service)
    }

    fn position(&self, service: ServiceName) -> Option<usize> {
        self.services.iter().position(|seen| seen.service == service)
    }

    /// Whether this service is the one that is worked at.
    pub(crate) fn is_at(&self, service: ServiceName) -> bool {
        self.record.stage.as_ref().is_some_and(|stage| stage.service == service)
    }

    /// Whether a later service, in the order of a start, is worked at already.
    pub(crate) fn is_past(&self, service: ServiceName) -> bool {
        let stage = self.record.stage.as_ref().and_then(|stage| self.position(stage.service));
        stage.is_some_and(|stage| self.position(service) < Some(stage))
    }

    /// Whether an earlier service, in the order of a start, is worked at.
    pub(crate) fn is_before(&self, service: ServiceName) -> bool {
        let stage = self.record.stage.as_ref().and_then(|stage| self.position(stage.service));
        stage.is_some_and(|stage| self.position(service) > Some(stage))
    }

    /// When a service that is worked at has had so much time; none while another is.
    pub(crate) fn due(&self, service: ServiceName, within: SignedDuration) -> Option<Timestamp> {
        let stage = self.record.stage.as_ref().filter(|stage| stage.service == service)?;
        Some(stage.since.saturating_add(within).unwrap_or(Timestamp::MAX))
    }

    pub(crate) fn is_due(&self, service: ServiceName, within: SignedDuration) -> bool {
        self.due(service, within).is_some_and(|due| due <= self.now)
    }

    /// Turns to the service, or waits for it if it is worked at already.
    pub(crate) fn stay_at(&self, service: ServiceName, within: SignedDuration) -> Step {
        match self.due(service, within) {
            Some(due) => Step::Wait(due.min(self.record.deadline)),
            None => Step::Enter(service),
        }
    }

    /// Whether as many are ready as are wanted, wherever the lifecycle manager has made them. A load balancer cannot be
    /// made elsewhere than beside its edge: beside one that is dead it is not waited for where another is ready.
    pub(crate) fn is_complete(&self, seen: &Seen) -> bool {
        let Some(placed) = &seen.placed else { return false };
        let is_ready = |node: &NodeName| {
            self.machines.iter().any(|one| one.name == *node && one.standing == Standing::Ready)
        };
        let is_awaited = |node: &&NodeName| {
            seen.service != ServiceName::LoadBalancer || is_ready(node) || seen.is_ready_on(node)
        };
        let awaited = placed.nodes.iter().filter(is_awaited).count();
        seen.ready() >= awaited.max(1)
    }

    /// Where the service should run.
    pub(crate) fn place(&self, seen: &Seen, rules: &Rules) -> Result<Vec<NodeName>, Failure> {
        let first = self.machines.first().map(|machine| machine.name.as_str());
        let edges = rules.edges.iter().map(String::as_str);
        let edges = edges.chain(first.filter(|_| rules.edges.is_empty())).collect::<Vec<_>>();
        let pinned = (seen.service == ServiceName::LoadBalancer).then_some(edges.as_slice());
        let pinned = pinned.filter(|edges| !edges.is_empty());
        let instances = match seen.service {
            ServiceName::LoadBalancer => rules.edges.len().max(1),
            ServiceName::AppManager
            | ServiceName::DeploymentManager
            | ServiceName::NodeManager
            | ServiceName::Monitoring
            | ServiceName::LifecycleManager
            | ServiceName::PlatformInitializer
            | ServiceName::NodeAgent => {
                let asked_for = seen.placed.as_ref().and_then(|placed| placed.instances);
                asked_for.map_or(rules.instances, |number| usize::from(number.get()))
            }
        };
        let placed: Vec<&PlacedService> =
            self.services.iter().filter_map(|other| other.placed.as_ref()).collect();
        place(seen.service, Rule { instances, pinned }, &self.machines, &placed)
    }

    /// Whether a machine of the service is no machine any more, or lost for long.
    pub(crate) fn has_lost_a_machine(&self, seen: &Seen) -> bool {
        let stands = |node: &NodeName| {
            let here = |machine: &&Machine| machine.name == *node;
            let found = self.machines.iter().find(here);
            found.is_some_and(|machine| machine.standing != Standing::Lost)
        };
        // Where no machine is known at all, it is more likely that they are not known yet.
        let nodes = seen.placed.iter().flat_map(|placed| &placed.nodes);
        !self.machines.is_empty() && nodes.into_iter().any(|node| !stands(node))
    }
}
