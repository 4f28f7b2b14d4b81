//! The messages of `DeploymentManager`: each validates, records what is wanted and returns. Nothing
//! slow happens here.

mod answer_node;
mod deploy;
mod refuse;
mod stop;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use chassis::consumer::{self, Disposition, Incoming};
use chassis::operations::{self, Acceptance, Request};
use chassis::{owed, records, service};
use common::message::{DeploymentCommand, Reject, RejectCode};
use common::name::LegacyName;
use common::port::bus;
use common::port::store::Op;
use common::record::deployment::{Deployment, Goal, State};
use common::record::operation::{self, Operation, Outcome};
use common::record::path;
use common::service::ServiceName;

use crate::domain::replicas::is_in_progress;
use crate::notice;
use crate::shared::Shared;

/// How often a command is decided again because a record changed under it.
const TRIES: usize = 5;

/// Why a command could not be recorded now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error(transparent)]
    Bus(#[from] bus::Error),
}

/// The commands of this service.
#[derive(Debug)]
pub(crate) struct Commands {
    shared: Arc<Shared>,
}

impl Commands {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Commands { shared }
    }

    async fn dispatch(&self, message: &Incoming) -> Result<Disposition, Error> {
        let command = match DeploymentCommand::decode(&message.envelope.msg) {
            Ok(command) => command,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        let request = Request {
            id: message.envelope.request_id,
            service: ServiceName::DeploymentManager,
            kind: command.kind(),
            fingerprint: operation::fingerprint(DeploymentCommand::TOPIC, &message.envelope.msg),
        };
        let shared = &self.shared;
        match command {
            DeploymentCommand::Deploy { instance } => {
                deploy::accept(shared, request, instance).await
            }
            DeploymentCommand::AnswerNode(answer) => {
                answer_node::accept(shared, request, answer).await
            }
            DeploymentCommand::Stop { instance } => stop::accept(shared, request, instance).await,
        }
    }
}

#[async_trait]
impl consumer::Commands for Commands {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        Ok(self.dispatch(&message).await?)
    }
}

/// Decides again while records change under the decision.
async fn decided<T, F: Future<Output = Result<T, records::Error>>>(
    shared: &Shared,
    mut decide: impl FnMut() -> F,
) -> Result<T, records::Error> {
    for _ in 1..TRIES {
        match decide().await {
            Err(records::Error::Changed) => shared.ports.store.sync().await?,
            decided => return decided,
        }
    }
    decide().await
}

/// Writes what a command makes of a deployment. A request that it overtakes ends here as well.
async fn record(
    shared: &Shared,
    request: &Request,
    before: Option<&records::Stored<Deployment>>,
    mut after: Deployment,
) -> Result<Acceptance, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut changes = Vec::new();
    let mut ended = None;
    if let Some(old) = before.map(|stored| &stored.record).filter(|old| is_in_progress(old)) {
        let outcome = overtaken(old);
        after.owed.push(notice::notice(&old.instance, old.goal, old.request, &outcome));
        changes.extend(concluded(shared, old, outcome.clone()).await?);
        ended = Some((old.goal, outcome));
    }
    let path = path::deployment(&after.instance);
    changes.push(records::put(path, &after, before.map(|stored| stored.version)));
    let accepted = operations::accept(store, shared.ports.clock.as_ref(), request, changes).await?;
    if accepted == Acceptance::Fresh {
        if let Some((goal, outcome)) = &ended {
            shared.metrics.ended(*goal, outcome);
        }
        shared.deployments.wake(after.instance);
    }
    Ok(accepted)
}

/// A deploy that has failed already, and was only being unmade, has failed.
fn overtaken(old: &Deployment) -> Outcome {
    let undoing = old.state == State::Undoing;
    match old.failure.as_ref().filter(|_| undoing) {
        Some(failure) => notice::failed(failure, &notice::Details::of(old)),
        None => Outcome::Superseded,
    }
}

async fn concluded(
    shared: &Shared,
    old: &Deployment,
    outcome: Outcome,
) -> Result<Option<Op>, records::Error> {
    let service = ServiceName::DeploymentManager;
    let path = path::operation(old.request, service, notice::kind(old.goal));
    operations::conclude(shared.ports.store.as_ref(), &path, outcome).await
}

/// What becomes of the message, once its request was offered.
async fn answered(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
    goal: Goal,
    acceptance: Acceptance,
) -> Result<Disposition, Error> {
    match acceptance {
        Acceptance::Fresh => Ok(Disposition::Done),
        Acceptance::Repeat(Operation { outcome: None, .. }) => {
            shared.deployments.wake(instance.clone());
            Ok(Disposition::Done)
        }
        Acceptance::Repeat(Operation { outcome: Some(outcome), .. }) => {
            let notice = notice::notice(instance, goal, request.id, &outcome);
            owed::publish(shared.ports.bus.as_ref(), &[notice]).await?;
            Ok(Disposition::Done)
        }
        Acceptance::Conflict => Ok(conflict()),
    }
}

fn conflict() -> Disposition {
    let detail = "the request id was used before with another content";
    Disposition::Refused(Reject::new(RejectCode::IdConflict, detail))
}
