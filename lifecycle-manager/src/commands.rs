//! What the topic `LifecycleManager` asks for: each command records what is wanted and returns.

pub(crate) mod need_node;
pub(crate) mod pin;
pub(crate) mod restart;
pub(crate) mod take_away;
mod verdict;

use async_trait::async_trait;
use chassis::consumer::{self, Disposition, Incoming};
use chassis::operations::{self, Acceptance, Request};
use chassis::{leading, owed, records, service};
use common::failure::{Failure, FailureCode};
use common::message::{LifecycleCommand, Reject, RejectCode};
use common::port::bus;
use common::port::store::Op;
use common::record::operation::{Operation, Outcome, fingerprint};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;

use crate::answers::{self, Ending};
use crate::domain::target::Family;
use crate::records::{Asked, By, Wanted};
use crate::shared::Shared;

/// How often a command is decided again because a record changed under it.
const TRIES: usize = 5;

/// Why a command could not be recorded now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error("the bus did not take an answer")]
    Bus(#[from] bus::Error),
    /// So many wait for the same that no more are taken.
    #[error("too many requests wait for the same")]
    Crowded,
}

/// The commands of this service.
#[derive(Debug)]
pub(crate) struct Commands<'a>(pub(crate) &'a Shared);

#[async_trait]
impl consumer::Commands for Commands<'_> {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let text = &message.envelope.msg;
        let command = match LifecycleCommand::decode(text) {
            Ok(command) => command,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        let request = Request {
            id: message.envelope.request_id,
            service: ServiceName::LifecycleManager,
            kind: command.kind(),
            fingerprint: fingerprint(Topic::LifecycleManager, text),
        };
        Ok(self.dispatch(request, command).await?)
    }
}

impl Commands<'_> {
    async fn dispatch(
        &self,
        request: Request,
        command: LifecycleCommand,
    ) -> Result<Disposition, Error> {
        match command {
            LifecycleCommand::RestartService { service } => {
                self.restart(request, Family::Services, service).await
            }
            LifecycleCommand::RestartNode { node } => {
                self.restart(request, Family::Nodes, node.into()).await
            }
            LifecycleCommand::RestartApp { instance } => {
                self.restart(request, Family::Apps, instance.into()).await
            }
            LifecycleCommand::RestartModel { instance } => {
                self.restart(request, Family::Models, instance.into()).await
            }
            LifecycleCommand::NeedNode { reason } => {
                let wanted = Wanted { request: request.id, by: By::Message, reason, name: None };
                let text = wanted.reason.clone();
                let accepted = need_node::accept(self.0, &request, wanted).await?;
                self.answered(&request, ("need node", &text), accepted).await
            }
            LifecycleCommand::Verdict { json } => self.verdict(&request, &json).await,
        }
    }

    async fn restart(
        &self,
        request: Request,
        family: Family,
        name: String,
    ) -> Result<Disposition, Error> {
        let Some(target) = family.target(&name) else {
            return self.unknown(&request, &name).await;
        };
        let at = self.0.ports.clock.now();
        let asked = Asked { request: request.id, by: By::Message, name: name.clone(), at };
        let accepted = restart::accept(self.0, &request, &target, asked).await?;
        self.answered(&request, (target.verb(), &name), accepted).await
    }

    /// Of the families only services have a closed list of names.
    async fn unknown(&self, request: &Request, name: &str) -> Result<Disposition, Error> {
        let message = format!("{name} is none of the platform's services");
        let failure = Failure::new(FailureCode::ServiceUnknown, message);
        let (outcome, now) = (answers::outcome(&Err(failure)), self.0.ports.clock.now());
        let accepted = settled(self.0, request, outcome, now).await?;
        self.answered(request, ("restart service", name), accepted).await
    }

    /// What was answered before is answered again.
    async fn answered(
        &self,
        request: &Request,
        (verb, text): (&str, &str),
        accepted: Acceptance,
    ) -> Result<Disposition, Error> {
        match accepted {
            Acceptance::Fresh | Acceptance::Repeat(Operation { outcome: None, .. }) => {
                Ok(Disposition::Done)
            }
            Acceptance::Repeat(Operation { outcome: Some(outcome), .. }) => {
                let (by, kind) = (By::Message, request.kind);
                let ending = Ending { request: request.id, by, verb, text, kind };
                let notice = answers::repeated(&ending, &outcome);
                owed::publish(self.0.ports.bus.as_ref(), &[notice]).await?;
                Ok(Disposition::Done)
            }
            Acceptance::Conflict => Ok(conflict()),
        }
    }
}

fn conflict() -> Disposition {
    let detail = "the request id was used before with another content";
    Disposition::Refused(Reject::new(RejectCode::IdConflict, detail))
}

/// Decides again while records change under the decision.
async fn decided<T, F: Future<Output = Result<T, Error>>>(
    shared: &Shared,
    mut decide: impl FnMut() -> F,
) -> Result<T, Error> {
    for _ in 1..TRIES {
        match decide().await {
            Err(Error::Records(records::Error::Changed)) => {
                shared.ports.store.sync().await.map_err(records::Error::from)?;
            }
            decided => return decided,
        }
    }
    decide().await
}

/// The same for what is asked for without a request.
async fn committed<T, F: Future<Output = Result<T, leading::Error>>>(
    shared: &Shared,
    mut decide: impl FnMut() -> F,
) -> Result<T, leading::Error> {
    for _ in 1..TRIES {
        match decide().await {
            Err(leading::Error::Records(records::Error::Changed)) => {
                shared.ports.store.sync().await?;
            }
            decided => return decided,
        }
    }
    decide().await
}

/// Accepts a request and makes its changes, all or nothing.
async fn offer(
    shared: &Shared,
    request: &Request,
    by: By,
    mut changes: Vec<Op>,
) -> Result<Acceptance, Error> {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    match by {
        // Each kind of message has ids of its own.
        By::Message => {}
        By::Probe | By::Operator => match claim(shared, request).await? {
            Claim::Own => {}
            Claim::Free(op) => changes.push(*op),
            Claim::Taken => return Ok(Acceptance::Conflict),
        },
    }
    Ok(operations::accept(store, clock, request, changes).await?)
}

/// Whose the id of a request over HTTP is.
enum Claim {
    Own,
    /// Nobody's yet; this makes it this request's, and fails where another one is quicker.
    Free(Box<Op>),
    Taken,
}

/// Requests are remembered by kind, but of what comes over HTTP nothing of any other kind is taken under the same id either:
/// `operations/<request>.lifecycle-manager.id` says what it stands for.
async fn claim(shared: &Shared, request: &Request) -> Result<Claim, Error> {
    let at = path::operation(request.id, request.service, "id");
    let store = shared.ports.store.as_ref();
    let Some(claimed) = records::load::<Operation>(store, &at).await? else {
        let mut claimed =
            Operation::accepted(request.fingerprint.clone(), shared.ports.clock.now());
        claimed.outcome = Some(Outcome::Succeeded { details: None });
        return Ok(Claim::Free(Box::new(records::put(at, &claimed, None))));
    };
    let is_own = claimed.record.fingerprint == request.fingerprint;
    Ok(if is_own { Claim::Own } else { Claim::Taken })
}

/// A request that ends as it is accepted.
async fn settled(
    shared: &Shared,
    request: &Request,
    outcome: Outcome,
    at: Timestamp,
) -> Result<Acceptance, Error> {
    let store = shared.ports.store.as_ref();
    let mut operation = Operation::accepted(request.fingerprint.clone(), at);
    operation.outcome = Some(outcome);
    match records::save(store, &request.path(), &operation, None).await {
        Ok(_) => Ok(Acceptance::Repeat(operation)),
        Err(records::Error::Changed) => {
            let known = operations::look_up(store, request).await?;
            Ok(known.ok_or(records::Error::Changed)?)
        }
        Err(err) => Err(err.into()),
    }
}
