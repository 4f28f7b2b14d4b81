//! What the topic `Bootstrapper` and the HTTP interface ask for: both write down what is wanted.

pub(crate) mod change;
pub(crate) mod switch;

use async_trait::async_trait;
use chassis::consumer::{self, Disposition, Incoming};
use chassis::operations::{Acceptance, Request};
use chassis::{owed, service};
use common::id::RequestId;
use common::message::{BootstrapperCommand, Reject, RejectCode};
use common::record::operation::fingerprint;
use common::record::platform::PlatformGoal;
use common::service::ServiceName;
use common::topic::Topic;

use crate::domain::change::Asked;
use crate::outcome::change_answer;
use crate::reconcile::Single;
use crate::records::Error;
use crate::shared::Shared;
use change::Wanted;

/// How often a record that changed in between is read again.
const ATTEMPTS: usize = 8;

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
        let id = envelope.request_id;
        let done = match command {
            BootstrapperCommand::Start => self.switch(id, PlatformGoal::On).await?,
            BootstrapperCommand::Stop => self.switch(id, PlatformGoal::Off).await?,
            BootstrapperCommand::UpgradeService { service, image } => {
                self.change(id, Wanted { service, asked: Asked::Upgrade { image } }).await?
            }
            BootstrapperCommand::MoveService { service, from, to } => {
                self.change(id, Wanted { service, asked: Asked::Move { from, to } }).await?
            }
            BootstrapperCommand::ScaleService { service, instances } => {
                self.change(id, Wanted { service, asked: Asked::Scale { instances } }).await?
            }
        };
        Ok(done)
    }
}

impl Commands<'_> {
    async fn switch(&self, id: RequestId, goal: PlatformGoal) -> Result<Disposition, Error> {
        match switch::accept(self.0, id, goal).await? {
            Acceptance::Fresh => {}
            Acceptance::Repeat(operation) => {
                if let Some(outcome) = operation.outcome {
                    switch::tell_again(self.0, id, goal, &outcome).await?;
                }
            }
            Acceptance::Conflict => return Ok(conflict()),
        }
        Ok(Disposition::Done)
    }

    /// What has ended, or was answered before, is answered now, under the same message id.
    async fn change(&self, id: RequestId, wanted: Wanted) -> Result<Disposition, Error> {
        match change::accept(self.0, id, &wanted).await? {
            Acceptance::Fresh => {}
            Acceptance::Repeat(operation) => {
                if let Some(outcome) = operation.outcome {
                    let (command, name) = (wanted.command(), wanted.service.as_str());
                    let answer = change_answer(id, command.kind(), name, &outcome);
                    owed::publish(self.0.ports.bus.as_ref(), &[answer]).await?;
                }
            }
            Acceptance::Conflict => return Ok(conflict()),
        }
        Ok(Disposition::Done)
    }
}

/// A command as a request that is known by its id.
fn request(id: RequestId, command: &BootstrapperCommand) -> Request {
    Request {
        id,
        service: ServiceName::PlatformInitializer,
        kind: command.kind(),
        fingerprint: fingerprint(Topic::Bootstrapper, &command.encode()),
    }
}

/// Whoever leads sees what was accepted here.
fn seen(shared: &Shared, done: Result<Acceptance, Error>) -> Result<Acceptance, Error> {
    shared.changed();
    shared.wake.wake(Single);
    done
}

fn conflict() -> Disposition {
    let detail = "the request id was used for something else";
    Disposition::Refused(Reject::new(RejectCode::IdConflict, detail))
}
