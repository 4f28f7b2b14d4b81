//! The topic `LoadBalancer`: one line per verb.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::consumer::{Commands, Disposition, Incoming};
use chassis::operations::{self, Acceptance, Request};
use chassis::{owed, records, service};
use common::id::RequestId;
use common::message::{LoadBalancerCommand, Reject, RejectCode};
use common::port::store::Op;
use common::record::operation::{Operation, Outcome, fingerprint};
use common::service::ServiceName;
use common::topic::Topic;

use super::{Error, outcome, scale_app, status_app};
use crate::shared::Shared;

/// What the consumer loop offers messages to.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Commands for Inbox {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let id = message.envelope.request_id;
        let command = match LoadBalancerCommand::decode(&message.envelope.msg) {
            Ok(command) => command,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        let request = Request {
            id,
            service: ServiceName::LoadBalancer,
            kind: command.kind(),
            fingerprint: fingerprint(Topic::LoadBalancer, &message.envelope.msg),
        };
        let store = &*self.shared.ports.store;
        if let Some(known) = operations::look_up(store, &request).await? {
            return self.answer(id, &command, known).await;
        }
        let accepted = match &command {
            LoadBalancerCommand::Scale { instance, replicas } => {
                scale_app::run(&self.shared, &request, instance, *replicas).await?
            }
            LoadBalancerCommand::Status { instance } => {
                status_app::run(&self.shared, &request, instance).await?
            }
        };
        self.answer(id, &command, accepted).await
    }
}

impl Inbox {
    /// Tells the outcome if there is one already, again if need be; the position is committed only
    /// after it was told.
    async fn answer(
        &self,
        id: RequestId,
        command: &LoadBalancerCommand,
        acceptance: Acceptance,
    ) -> Result<Disposition, service::Error> {
        match acceptance {
            Acceptance::Repeat(Operation { outcome: Some(end), .. }) => {
                let message = outcome::told(id, command, &end);
                owed::publish(&*self.shared.ports.bus, &[message]).await?;
                Ok(Disposition::Done)
            }
            Acceptance::Fresh | Acceptance::Repeat(Operation { outcome: None, .. }) => {
                Ok(Disposition::Done)
            }
            Acceptance::Conflict => {
                let detail = "this request id was used for another message";
                Ok(Disposition::Refused(Reject::new(RejectCode::IdConflict, detail)))
            }
        }
    }
}

/// Accepts a request that has ended already: its operation is made with its outcome. What is told
/// follows from the operation, so nothing is owed but the position.
pub(super) async fn accept_ended(
    shared: &Shared,
    request: &Request,
    end: Outcome,
) -> Result<Acceptance, Error> {
    let store = &*shared.ports.store;
    let mut operation = Operation::accepted(request.fingerprint.clone(), shared.ports.clock.now());
    operation.outcome = Some(end);
    let put = records::put(request.path(), &operation, None);
    match shared.seat.commit(vec![put]).await {
        Ok(_) => Ok(Acceptance::Repeat(operation)),
        Err(err) if err.is_changed() => {
            let known = operations::look_up(store, request).await?;
            Ok(known.ok_or(records::Error::Changed)?)
        }
        Err(err) => Err(err.into()),
    }
}

/// Accepts a request and writes `changes` with it, if this load balancer still leads.
pub(super) async fn accept(
    shared: &Shared,
    request: &Request,
    changes: Vec<Op>,
) -> Result<Acceptance, Error> {
    let mut checked = vec![shared.seat.check()?];
    checked.extend(changes);
    let ports = &shared.ports;
    let accepted = operations::accept(&*ports.store, &*ports.clock, request, checked).await;
    if matches!(accepted, Err(records::Error::Changed)) {
        shared.seat.still_leads().await?;
    }
    Ok(accepted?)
}
