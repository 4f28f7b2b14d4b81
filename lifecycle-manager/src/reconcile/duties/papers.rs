//! Certificates of services and agents, renewed long before they end: one after another, each once everything that was
//! renewed before it is ready, and never where another instance of the same service is not.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use common::digest::Digest;
use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::port::store::Version;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use common::record::platform::InstanceState;
use common::service::ServiceName;
use jiff::Timestamp;
use rollout::machine::agent_names;
use rollout::parts::{ServicePapers, Site};
use rollout::platform::Platform;

use super::Duties;
use crate::domain::note::Sightings;
use crate::domain::papers::{is_due, is_on_probation, is_urgent};
use crate::domain::sighting::{Sighting, is_ready};
use crate::draft::{Order, draft};
use crate::fleet;
use crate::ports::{Enrolled, NotEnrolled, Vault};
use crate::reconcile::bases::ensure;
use crate::reconcile::{LATER, SOON};
use crate::records::{
    Error, Instance, NodePapers, Paper, Rollout, commit, load, papers_path, rollout_path, save,
};
use crate::shared::Shared;

/// How often certificates are looked at while none is to be renewed.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// What the certificates of all nodes are, and what they would be if they were given now.
struct Known {
    nodes: BTreeMap<NodeName, NodePapers>,
    due: Vec<Due>,
}

/// What became of somebody whose certificate is to be renewed.
enum Turn {
    Renewed,
    /// It is on its way: nobody else has a turn.
    Busy,
    /// Not now: the next one has its turn.
    Passed,
}

/// Somebody whose certificate is to be renewed.
enum Due {
    Part { node: NodeName, service: ServiceName, part: Part },
    Agent { node: NodeName },
}

impl Duties<'_> {
    pub(super) async fn papers(&self) -> Result<Outcome, Error> {
        let Some(vault) = &self.0.ports.vault else { return Ok(Outcome::Settled) };
        let Some(platform) = fleet::platform(self.0).await? else { return Ok(Outcome::Settled) };
        let brakes = self.0.brakes();
        if !self.0.papers.is_over() || brakes.machines || brakes.services {
            return Ok(Outcome::Again(LATER));
        }
        let seen = self.0.sight.all(self.0.config.window);
        let known = self.known(&platform, vault, &seen).await?;
        let now = self.0.ports.clock.now();
        if known.due.is_empty() || known.is_anything_wrong(&seen, now) {
            self.0.papers.begin(if known.due.is_empty() { LOOK_EVERY } else { LATER });
            return Ok(Outcome::Again(LATER));
        }
        for due in &known.due {
            let turn = match due {
                Due::Part { node, service, part } => {
                    let urgent =
                        known.paper(node, &part.name).is_some_and(|one| is_urgent(one, now));
                    self.renew_part((node, *service, part), urgent, &seen).await?
                }
                Due::Agent { node } => self.renew_agent(&platform, vault, node).await?,
            };
            match turn {
                Turn::Renewed | Turn::Busy => return Ok(Outcome::Again(SOON)),
                Turn::Passed => {}
            }
        }
        // What is left waits for others of its kind, or for a machine that lets nobody in.
        self.0.papers.begin(Duration::from_mins(1));
        Ok(Outcome::Again(LATER))
    }

    /// Reads and completes what is known of each machine that answers.
    async fn known(
        &self,
        platform: &Platform,
        vault: &Vault,
        seen: &Sightings,
    ) -> Result<Known, Error> {
        let mut known = Known { nodes: BTreeMap::new(), due: Vec::new() };
        let mut agents = Vec::new();
        let mut last = Vec::new();
        let own = fleet::own_node(self.0);
        for (node, sighting) in seen {
            let Sighting::Answers { parts } = sighting else { continue };
            if self.0.sight.state(node) != Some(MachineState::Ready) {
                continue;
            }
            let (before, version) = read(self.0, node).await?;
            let mut papers = before.clone();
            papers.parts.retain(|name, _| parts.iter().any(|part| part.name == *name));
            for part in parts {
                let Ok(service) = part.name.as_str().parse::<ServiceName>() else { continue };
                if self.look_at(&mut papers, (platform, vault), (node, service, part)).await? {
                    let due = Due::Part { node: node.clone(), service, part: part.clone() };
                    let is_this =
                        service == ServiceName::LifecycleManager && own.as_ref() == Some(node);
                    if is_this { last.push(due) } else { known.due.push(due) }
                }
            }
            if self.look_at_agent(&mut papers, platform, vault, node) {
                agents.push(Due::Agent { node: node.clone() });
            }
            if papers != before {
                save(self.0, &papers_path(node), &papers, version).await?;
            }
            known.nodes.insert(node.clone(), papers);
        }
        known.due.extend(agents);
        known.due.extend(last);
        Ok(known)
    }

    /// Takes in how a part is seen; says whether its certificate is to be renewed. Which one it has is known of a
    /// specification that would be the same today.
    async fn look_at(
        &self,
        papers: &mut NodePapers,
        (platform, vault): (&Platform, &Vault),
        (node, service, part): (&NodeName, ServiceName, &Part),
    ) -> Result<bool, Error> {
        let site = Site { platform, node, generation: part.generation };
        let given = ServicePapers::of(&site, service, vault.authority.as_ref(), &vault.secrets);
        let Ok(given) = given else { return Ok(false) };
        let current = Digest::of(given.own.certificate.as_bytes());
        let now = self.0.ports.clock.now();
        let same = papers.parts.get(&part.name).is_some_and(|one| one.spec_hash == part.spec_hash);
        if !same {
            let rollout = load::<Rollout>(self.0, &rollout_path(service)).await?;
            let rollout = rollout.map(|stored| stored.record);
            let instance = rollout.as_ref().and_then(|rollout| rollout.instance(node));
            let image = instance.and_then(|instance| instance.version.image.as_ref());
            let order = Order { part: &part.name, node, generation: part.generation, image };
            let is_todays =
                draft(platform, vault, &order).is_ok_and(|spec| spec.hash() == part.spec_hash);
            let paper = Paper::new(&part.spec_hash, is_todays.then(|| current.clone()), now);
            papers.parts.insert(part.name.clone(), paper);
        }
        Ok(papers.parts.get_mut(&part.name).is_some_and(|paper| falls_due(paper, &current, now)))
    }

    fn look_at_agent(
        &self,
        papers: &mut NodePapers,
        platform: &Platform,
        vault: &Vault,
        node: &NodeName,
    ) -> bool {
        let Some(current) = agents_certificate(platform, vault, node) else { return false };
        let now = self.0.ports.clock.now();
        let paper = papers.agent.get_or_insert_with(|| Paper::new("", None, now));
        falls_due(paper, &current, now)
    }

    async fn renew_part(
        &self,
        (node, service, part): (&NodeName, ServiceName, &Part),
        urgent: bool,
        seen: &Sightings,
    ) -> Result<Turn, Error> {
        let others = seen.iter().filter(|(other, _)| *other != node);
        let mut others = others.filter_map(|(_, sighting)| sighting.part(&part.name));
        if !urgent && !others.all(is_ready) {
            return Ok(Turn::Passed);
        }
        if let Some(stored) = load::<Rollout>(self.0, &rollout_path(service)).await? {
            return self.order_anew(stored, node, part, urgent).await;
        }
        let is_silent = |other: &NodeName| !seen.get(other).is_some_and(Sighting::answers);
        let elsewhere = match &self.0.config.platform {
            Some(described) => described.placement.lifecycle_manager.iter(),
            None => [].iter(),
        };
        if !urgent && elsewhere.filter(|other| *other != node).any(is_silent) {
            return Ok(Turn::Passed);
        }
        tracing::warn!(node.id = %node, %service, "a certificate is renewed");
        let generation = part.generation.next();
        let order = Order { part: &part.name, node, generation, image: None };
        match ensure(self.0, &order).await? {
            Ok(()) => Ok(Turn::Renewed),
            Err(failure) => {
                tracing::warn!(node.id = %node, %service, %failure, "a certificate could not be renewed; trying again");
                Ok(Turn::Passed)
            }
        }
    }

    /// A placed instance is ordered by the reconciler of its service, under its next generation.
    async fn order_anew(
        &self,
        stored: Stored<Rollout>,
        node: &NodeName,
        part: &Part,
        urgent: bool,
    ) -> Result<Turn, Error> {
        let Stored { record: mut rollout, version } = stored;
        let is = |state| move |one: &Instance| one.state == state;
        if rollout.instances.iter().any(is(InstanceState::Starting)) {
            return Ok(Turn::Busy);
        }
        let ready = is(InstanceState::Ready);
        let is_stable = rollout.instances.iter().all(&ready);
        let generation = rollout.generation.max(part.generation).next();
        let (now, service) = (self.0.ports.clock.now(), rollout.service);
        let instance = rollout.instance_mut(node).filter(|one| ready(one));
        let Some(instance) = instance.filter(|_| is_stable || urgent) else {
            return Ok(Turn::Passed);
        };
        tracing::warn!(node.id = %node, %service, "a certificate is renewed");
        instance.generation = generation;
        instance.state = InstanceState::Starting;
        instance.since = now;
        instance.attempts = 0;
        instance.attempted_at = None;
        rollout.generation = generation;
        save(self.0, &rollout_path(service), &rollout, Some(version)).await?;
        self.0.services.wake(service);
        Ok(Turn::Renewed)
    }

    /// A look over SSH gives an agent the certificate of today, and replaces what runs with another one.
    async fn renew_agent(
        &self,
        platform: &Platform,
        vault: &Vault,
        node: &NodeName,
    ) -> Result<Turn, Error> {
        let Some(current) = agents_certificate(platform, vault, node) else {
            return Ok(Turn::Passed);
        };
        tracing::warn!(node.id = %node, "the certificate of an agent is renewed");
        match self.0.ports.enrolment.enrol(platform, node).await {
            Ok(Enrolled { .. }) => {
                let (mut papers, version) = read(self.0, node).await?;
                papers.agent = Some(Paper::new("", Some(current), self.0.ports.clock.now()));
                save(self.0, &papers_path(node), &papers, version).await?;
                Ok(Turn::Renewed)
            }
            Err(NotEnrolled::Failed(failure)) => {
                tracing::warn!(node.id = %node, %failure, "the certificate of an agent could not be renewed; trying again");
                Ok(Turn::Passed)
            }
            Err(NotEnrolled::HostKeyChanged(failure)) => {
                tracing::error!(machine = %node, reason = failure.message, "quarantined: its host key changed");
                self.quarantine(node, failure.message).await?;
                Ok(Turn::Passed)
            }
        }
    }

    async fn quarantine(&self, node: &NodeName, reason: String) -> Result<(), Error> {
        let at = path::machine(node);
        let Some(Stored { mut record, version }) = load::<MachineRecord>(self.0, &at).await? else {
            return Ok(());
        };
        record.state = MachineState::Quarantined;
        record.reason = reason;
        record.since = self.0.ports.clock.now();
        commit(self.0, vec![records::put(at, &record, Some(version))]).await?;
        Ok(fleet::refresh(self.0).await?)
    }
}

impl Known {
    fn paper(&self, node: &NodeName, part: &PartName) -> Option<&Paper> {
        self.nodes.get(node).and_then(|papers| papers.parts.get(part))
    }

    /// Something that was renewed of late is not ready: nothing else is touched before it is, or has had its time.
    fn is_anything_wrong(&self, seen: &Sightings, now: Timestamp) -> bool {
        let is_renewing = !self.due.is_empty();
        self.nodes.iter().any(|(node, papers)| {
            papers.parts.iter().any(|(name, paper)| {
                let found = seen.get(node).and_then(|sighting| sighting.part(name));
                is_renewing && is_on_probation(paper, now) && !found.is_some_and(is_ready)
            })
        })
    }
}

/// What the authority gives an agent now.
fn agents_certificate(platform: &Platform, vault: &Vault, node: &NodeName) -> Option<Digest> {
    let names = agent_names(platform.machine(node)?);
    let given = vault.authority.issue(ServiceName::NodeAgent, &names).ok()?;
    Some(Digest::of(given.certificate.as_bytes()))
}

/// Since when it is due is kept; says whether it is.
fn falls_due(paper: &mut Paper, current: &Digest, now: Timestamp) -> bool {
    if !is_due(paper, current, now) {
        paper.due = None;
        return false;
    }
    paper.due.get_or_insert(now);
    true
}

async fn read(shared: &Shared, node: &NodeName) -> Result<(NodePapers, Option<Version>), Error> {
    Ok(match load::<NodePapers>(shared, &papers_path(node)).await? {
        Some(Stored { record, version }) => (record, Some(version)),
        None => (NodePapers { schema: 1, ..NodePapers::default() }, None),
    })
}
