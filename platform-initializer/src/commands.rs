//! What the topic `Bootstrapper` and the HTTP interface ask for: both write down what is wanted.

pub(crate) mod switch;

use async_trait::async_trait;
use chassis::consumer::{self, Disposition, Incoming};
use chassis::operations::Acceptance;
use chassis::service;
use common::message::{BootstrapperCommand, Reject, RejectCode};

use crate::shared::Shared;

/// The commands of this service.
#[derive(Debug)]
pub(crate) struct Commands<'a>(pub(crate) &'a Shared);

#[async_trait]
impl consumer::Commands for Commands<'_> {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let envelope = message.envelope;
        let command = match BootstrapperCommand::decode(&envelope.msg) {
            Ok(command) => command,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        match switch::accept(self.0, envelope.request_id, command).await? {
            Acceptance::Fresh => {}
            Acceptance::Repeat(operation) => {
                if let Some(outcome) = operation.outcome {
                    switch::tell_again(self.0, envelope.request_id, command, &outcome).await?;
                }
            }
            Acceptance::Conflict => {
                let detail = "the request id was used for something else";
                return Ok(Disposition::Refused(Reject::new(RejectCode::IdConflict, detail)));
            }
        }
        Ok(Disposition::Done)
    }
}
