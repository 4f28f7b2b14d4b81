//! What is done for a restart: instances one after another, a machine through its backend, an app by asking the
//! deployment manager. Each step may be repeated: what was done already is seen, and not done again.

mod instances;
mod machine;

use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::id::{MessageId, RequestId};
use common::message::DeploymentCommand;
use common::name::LegacyName;
use common::record::deployment::Deployment;
use common::record::operation::{Operation, Outcome as RequestOutcome};
use common::record::owed::Owed;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::instances::{Round, Underway};
use super::{Known, Restarts, late};
use crate::domain::restart::Asker;
use crate::domain::restart::machine::Order;
use crate::domain::target::Target;
use crate::domain::waits::elapsed;
use crate::models::serves_model;
use crate::records::{Error, Restart, Stage, Work, load};

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
            Target::Service(service) => self.instances_of(*service, asker).await,
            Target::Node(node) => self.machine(node, asker).await,
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
            let missing = self.missing(&known.restart.target, &work).await?;
            return self.conclude(known, Err(late(within, &missing))).await;
        }
        match work {
            Work::Instances { left, now, done, well_too, before } => {
                let round = Round { left, now, done, well_too, before };
                self.instances(Underway { known, since, round }).await
            }
            Work::Machine { asked, asked_at, answered, parts } => {
                let order = asked.map(|by| {
                    let at = asked_at.unwrap_or(since);
                    Order { by, at, answered }
                });
                self.power(known, since, order, parts).await
            }
            Work::Deployment { request, .. } => self.deployed(known, request).await,
        }
    }

    /// Only what is deployed is deployed again: what was stopped stays so. What is asked for as a model has to be one.
    async fn deployment(
        &self,
        restart: &Restart,
        instance: &LegacyName,
    ) -> Result<Result<Work, Failure>, Error> {
        let stored = load::<Deployment>(self.0, &path::deployment(instance)).await?;
        let Some(stored) = stored.filter(|stored| stored.record.is_deployed()) else {
            let message = format!("{instance} is not deployed");
            return Ok(Err(Failure::new(FailureCode::UnknownInstance, message)));
        };
        let as_model = matches!(restart.target, Target::Model(_));
        if as_model && !serves_model(self.0, &stored.record).await? {
            let message = format!("{instance} is an app of another kind");
            return Ok(Err(Failure::new(FailureCode::NotAModel, message)));
        }
        let asked = restart.waiting.first().map(|asked| asked.request);
        let new = || RequestId(self.0.ports.entropy.uuid());
        let request = asked.map_or_else(new, |request| request.derive("deploy again"));
        Ok(Ok(Work::Deployment { instance: instance.clone(), request }))
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

/// What was done besides what the outcome says; none where that says it all.
pub(super) fn details(stage: &Stage) -> Option<Value> {
    match stage {
        Stage::Underway { work: Work::Instances { done, .. }, .. } => {
            Some(json!({ "restarted": done }))
        }
        Stage::Underway { work: Work::Machine { .. } | Work::Deployment { .. }, .. }
        | Stage::Idle => None,
    }
}
