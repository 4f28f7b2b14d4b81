//! What is done for a restart: instances one after another, a machine through its backend, an app by asking the
//! deployment manager. Each step may be repeated: what was done already is seen, and not done again.

mod machine;

use std::net::IpAddr;
use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::id::{MessageId, RequestId};
use common::message::DeploymentCommand;
use common::name::{LegacyName, NodeName, PartName};
use common::port::container::ContainerState;
use common::port::part::Part;
use common::record::deployment::Deployment;
use common::record::instance::Instance;
use common::record::operation::{Operation, Outcome as RequestOutcome};
use common::record::owed::Owed;
use common::record::path;
use common::record::release::App;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{Known, Restarts, late};
use crate::domain::restart::Asker;
use crate::domain::sighting::is_ready;
use crate::domain::target::Target;
use crate::domain::waits::elapsed;
use crate::models::is_model;
use crate::reconcile::services::part_of;
use crate::reconcile::{SOON, refusal};
use crate::records::{Error, InstanceRestart, Restart, Stage, Work, load};

/// A deployment manager ends its requests within its own deadlines; then it is not waited for any more.
const DEPLOYED_WITHIN: Duration = Duration::from_mins(11);

/// The message that asks for an instance to be deployed again.
pub(super) fn deploy(instance: &LegacyName, request: RequestId) -> Owed {
    let command = DeploymentCommand::Deploy { instance: instance.clone() };
    Owed {
        message_id: MessageId(request.derive("message").0),
        key: instance.to_string(),
        envelope: command.envelope(Topic::LifecycleManager, request),
        details: None,
    }
}

impl Restarts<'_> {
    /// What has to be done, or why nothing can be.
    pub(super) async fn work_for(
        &self,
        restart: &Restart,
        asker: Asker,
    ) -> Result<Result<Work, Failure>, Error> {
        match &restart.target {
            Target::Service(service) => Ok(self.instances_of(*service)),
            Target::Node(node) => self.machine(node, asker).await,
            Target::Model(instance) if !self.is_model(instance).await? => {
                let message = format!("{instance} is no model");
                Ok(Err(Failure::new(FailureCode::UnknownInstance, message)))
            }
            Target::App(instance) | Target::Model(instance) => {
                self.deployment(restart, instance).await
            }
        }
    }

    pub(super) async fn go_on(
        &self,
        known: Known,
        since: Timestamp,
        work: Work,
    ) -> Result<Outcome, Error> {
        let lasts = elapsed(since, self.0.ports.clock.now());
        let within = match &work {
            Work::Instances { .. } => self.0.config.restart.within,
            Work::Machine { .. } => self.0.config.machine_within,
            Work::Deployment { .. } => DEPLOYED_WITHIN,
        };
        if lasts > within {
            return self.conclude(known, Err(late(within.as_secs()))).await;
        }
        match work {
            Work::Instances { left, now } => self.instances(known, since, left, now).await,
            Work::Machine { asked, before } => self.power(known, since, asked, before).await,
            Work::Deployment { request, .. } => self.deployed(known, request).await,
        }
    }

    /// Those that are not ready first, and this very instance last: it cannot tell how its own end was.
    fn instances_of(&self, service: ServiceName) -> Result<Work, Failure> {
        let part = part_of(service);
        let own = self.own_node();
        let seen = self.0.sight.all(self.0.config.window);
        let mut found: Vec<(bool, bool, NodeName)> = Vec::new();
        for (node, sighting) in &seen {
            if let Some(one) = sighting.part(&part) {
                let is_this =
                    service == ServiceName::LifecycleManager && own.as_ref() == Some(node);
                found.push((is_this, is_ready(one), node.clone()));
            }
        }
        found.sort();
        let left: Vec<NodeName> = found.into_iter().map(|(_, _, node)| node).collect();
        if left.is_empty() {
            let message = format!("no instance of {service} is seen on any machine");
            return Err(Failure::new(FailureCode::ServiceUnknown, message));
        }
        Ok(Work::Instances { left, now: None })
    }

    /// The node that this process runs on, where its address is that of one.
    fn own_node(&self) -> Option<NodeName> {
        let plain = &self.0.config.advertised.plain;
        let host = plain.rsplit_once(':').map_or(plain.as_str(), |(host, _)| host);
        let ip: IpAddr = host.parse().ok()?;
        let agents = self.0.sight.agents();
        agents.into_iter().find(|agent| agent.address.ip() == ip).map(|agent| agent.node)
    }

    async fn instances(
        &self,
        mut known: Known,
        since: Timestamp,
        mut left: Vec<NodeName>,
        now: Option<InstanceRestart>,
    ) -> Result<Outcome, Error> {
        let Target::Service(service) = known.restart.target else {
            return self.conclude(known, Ok(())).await;
        };
        let part = part_of(service);
        let Some(current) = now else {
            if left.is_empty() {
                return self.conclude(known, Ok(())).await;
            }
            let node = left.remove(0);
            let now = match self.fresh(&node, &part).await? {
                Fresh::Silent => return self.put_off(known, since, (left, node)).await,
                Fresh::Gone => None,
                Fresh::There(found) => Some(InstanceRestart { node, ran_since: ran_since(&found) }),
            };
            known.restart.stage = Stage::Underway { since, work: Work::Instances { left, now } };
            self.saved(known).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        };
        let done = match self.fresh(&current.node, &part).await? {
            Fresh::Silent => false,
            Fresh::Gone => true,
            Fresh::There(found) if ran_since(&found) == current.ran_since => {
                return self.restart_instance(known, &current.node, &part).await;
            }
            Fresh::There(found) => is_ready(&found),
        };
        if done {
            known.restart.stage =
                Stage::Underway { since, work: Work::Instances { left, now: None } };
            self.saved(known).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        }
        Ok(Outcome::Again(SOON))
    }

    /// One whose machine does not answer now has its turn after the others.
    async fn put_off(
        &self,
        mut known: Known,
        since: Timestamp,
        (mut left, node): (Vec<NodeName>, NodeName),
    ) -> Result<Outcome, Error> {
        left.push(node);
        let work = Work::Instances { left, now: None };
        known.restart.stage = Stage::Underway { since, work };
        self.saved(known).await?;
        Ok(Outcome::Again(SOON))
    }

    async fn restart_instance(
        &self,
        known: Known,
        node: &NodeName,
        part: &PartName,
    ) -> Result<Outcome, Error> {
        let Some(agent) = self.0.sight.agent(node) else { return Ok(Outcome::Again(SOON)) };
        let is_this = known.restart.target == Target::Service(ServiceName::LifecycleManager)
            && self.own_node().as_ref() == Some(node);
        // Who ends itself says before that it did what it was asked to.
        let known = if is_this { self.concluded(known, Ok(())).await? } else { known };
        let known = if is_this { self.pay(known).await? } else { known };
        tracing::warn!(node.id = %node, %part, "a part is restarted");
        match self.0.ports.parts.restart_part(&agent, self.0.issuer(), part).await {
            Ok(_) => Ok(Outcome::Again(SOON)),
            Err(err) if err.is_retryable() => {
                tracing::warn!(error = &err as &dyn std::error::Error, node.id = %node, "an agent was not reached");
                Ok(Outcome::Again(SOON))
            }
            Err(err) => {
                let failure = refusal(self.0, node, err).await?;
                if is_this {
                    Ok(Outcome::Settled)
                } else {
                    self.conclude(known, Err(failure)).await
                }
            }
        }
    }

    async fn fresh(&self, node: &NodeName, part: &PartName) -> Result<Fresh, Error> {
        let Some(agent) = self.0.sight.agent(node) else { return Ok(Fresh::Gone) };
        let turn = self.0.sight.turn();
        let asked = timeout(self.0.config.answer_within, self.0.ports.parts.parts(&agent)).await;
        let Ok(Ok(parts)) = asked else { return Ok(Fresh::Silent) };
        let found = parts.iter().find(|one| one.name == *part).cloned();
        self.0.sight.answered(node, turn, parts);
        Ok(found.map_or(Fresh::Gone, Fresh::There))
    }

    /// Only what is deployed is deployed again: what was stopped stays so.
    async fn deployment(
        &self,
        restart: &Restart,
        instance: &LegacyName,
    ) -> Result<Result<Work, Failure>, Error> {
        let stored = load::<Deployment>(self.0, &path::deployment(instance)).await?;
        if !stored.is_some_and(|stored| stored.record.is_deployed()) {
            let message = format!("{instance} is not deployed");
            return Ok(Err(Failure::new(FailureCode::UnknownInstance, message)));
        }
        let asked = restart.waiting.first().map(|asked| asked.request);
        let new = || RequestId(self.0.ports.entropy.uuid());
        let request = asked.map_or_else(new, |request| request.derive("deploy again"));
        Ok(Ok(Work::Deployment { instance: instance.clone(), request }))
    }

    async fn is_model(&self, instance: &LegacyName) -> Result<bool, Error> {
        let Some(instance) = load::<Instance>(self.0, &path::instance(instance)).await? else {
            return Ok(false);
        };
        let app = load::<App>(self.0, &path::app(&instance.record.app)).await?;
        Ok(app.is_some_and(|app| is_model(&app.record)))
    }

    /// The deployment manager keeps how its request ended.
    async fn deployed(&self, known: Known, request: RequestId) -> Result<Outcome, Error> {
        let service = ServiceName::DeploymentManager;
        let at = path::operation(request, service, "deploy-app");
        let store = self.0.ports.store.as_ref();
        let outcome = records::load::<Operation>(store, &at).await?;
        match outcome.and_then(|stored| stored.record.outcome) {
            None => Ok(Outcome::Again(Duration::from_secs(1))),
            Some(RequestOutcome::Succeeded { .. }) => self.conclude(known, Ok(())).await,
            Some(RequestOutcome::Failed { failure, .. }) => {
                self.conclude(known, Err(failure)).await
            }
            Some(RequestOutcome::Superseded) => {
                let message = "another request for the instance took its place";
                let failure = Failure::new(FailureCode::Superseded, message);
                self.conclude(known, Err(failure)).await
            }
        }
    }
}

/// What a machine says of a part just now.
enum Fresh {
    Silent,
    Gone,
    There(Part),
}

fn ran_since(part: &Part) -> Option<Timestamp> {
    match part.state {
        ContainerState::Running { since } => Some(since),
        ContainerState::Created | ContainerState::Exited { .. } => None,
    }
}
