//! Hearing message 13 on `Scheduler`: other programs schedule instances as people do, in document 001's words.
//!
//! Its times have no zone: they are of the setting `schedules.time_zone`. What cannot be scheduled is answered with
//! `not done schedule app$…`; nothing is owed by any record then: a repeat of the message is answered again.

use std::time::Duration;

use async_trait::async_trait;
use chassis::consumer::{Commands, Disposition, Incoming};
use chassis::operations::{self, Acceptance, Request};
use chassis::{owed, records, service};
use common::failure::Failure;
use common::id::RequestId;
use common::message::{Event, Reject, RejectCode, SchedulerCommand};
use common::name::{AppName, InstanceName, LegacyName};
use common::port::bus;
use common::record::operation::{Operation, Outcome, fingerprint};
use common::service::ServiceName;
use common::topic::Topic;
use jiff::civil::DateTime;
use tokio::time::timeout;

use super::accept::owed as owed_message;
use super::deploy::Name;
use super::schedule::{Expected, Message13, Wanted, schedule};
use super::{Error, failing};
use crate::context::Context;
use crate::domain::access::{Person, Role};
use crate::domain::schedule::{Lateness, Schedule, When};
use crate::records::{apps, instances};

/// How long the bus may take for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// The verb that is answered.
const VERB: &str = "schedule app";

/// The commands of `Scheduler`.
pub(crate) struct Scheduling<'a>(pub(crate) &'a Context);

#[async_trait]
impl Commands for Scheduling<'_> {
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error> {
        let command = match SchedulerCommand::decode(&message.envelope.msg) {
            Ok(command) => command,
            Err(err) => return Ok(Disposition::Refused(err.into())),
        };
        let request = Request {
            id: message.envelope.request_id,
            service: ServiceName::AppManager,
            kind: command.kind(),
            fingerprint: fingerprint(SchedulerCommand::TOPIC, &message.envelope.msg),
        };
        let SchedulerCommand::Schedule { instance, start, end } = command;
        Ok(self.hear(&request, &instance, start, end).await?)
    }
}

impl Scheduling<'_> {
    async fn hear(
        &self,
        request: &Request,
        instance: &LegacyName,
        start: DateTime,
        end: DateTime,
    ) -> Result<Disposition, Error> {
        let store = self.0.ports.store.as_ref();
        if let Some(acceptance) = operations::look_up(store, request).await? {
            return self.heard_before(&acceptance, request.id, instance).await;
        }
        match self.take(request.id, instance, start, end).await {
            Ok(()) => Ok(Disposition::Done),
            Err(Error::IdempotencyMismatch) => Ok(conflict(request.id)),
            Err(err) => match failing::failure(&err) {
                Some(failure) => self.refuse(request, instance, failure).await,
                None => Err(err),
            },
        }
    }

    async fn take(
        &self,
        id: RequestId,
        instance: &LegacyName,
        start: DateTime,
        end: DateTime,
    ) -> Result<(), Error> {
        let (person, app) = self.whose(instance).await?;
        let name = instance.as_str().parse::<InstanceName>().map_err(|_| Error::AppUnknown)?;
        let zone = self.0.config.time_zone.clone();
        let wanted = Wanted {
            app,
            instance: Name::Given(name),
            schedule: Schedule { zone, when: When::Once { start, end: Some(end) } },
            said: format!("{start} {end}"),
            lateness: Lateness::MadeGood,
            release: None,
            replicas: None,
            app_json: None,
            expected: Expected::Anything,
            message_13: Message13::Heard,
        };
        schedule(self.0, &person, wanted, id).await.map(drop)
    }

    /// In whose name: the instance's owner, or who has the app of which it is to be the first of its name.
    async fn whose(&self, instance: &LegacyName) -> Result<(Person, AppName), Error> {
        let store = self.0.ports.store.as_ref();
        if let Some(stored) = instances::load(store, instance).await? {
            let person = Person { name: stored.record.owner, role: Role::Admin };
            return Ok((person, stored.record.app));
        }
        let name = instance.as_str().parse::<InstanceName>().map_err(|_| Error::AppUnknown)?;
        let app = name.app_part().to_string().parse::<AppName>().map_err(|_| Error::AppUnknown)?;
        let app = apps::load(store, &app).await?.ok_or(Error::AppUnknown)?.record;
        Ok((Person { name: app.owner, role: Role::Admin }, app.name))
    }

    async fn heard_before(
        &self,
        acceptance: &Acceptance,
        id: RequestId,
        instance: &LegacyName,
    ) -> Result<Disposition, Error> {
        match acceptance {
            Acceptance::Conflict => Ok(conflict(id)),
            Acceptance::Repeat(Operation {
                outcome: Some(Outcome::Failed { failure, .. }),
                ..
            }) => {
                self.tell(id, instance, failure).await?;
                Ok(Disposition::Done)
            }
            Acceptance::Fresh | Acceptance::Repeat(_) => Ok(Disposition::Done),
        }
    }

    /// Ends the request with its failure, and tells it.
    async fn refuse(
        &self,
        request: &Request,
        instance: &LegacyName,
        failure: Failure,
    ) -> Result<Disposition, Error> {
        let ports = &self.0.ports;
        let mut operation = Operation::accepted(request.fingerprint.clone(), ports.clock.now());
        operation.outcome = Some(Outcome::Failed { failure: failure.clone(), details: None });
        records::save(ports.store.as_ref(), &request.path(), &operation, None).await?;
        tracing::info!(instance = %instance, request.id = %request.id, %failure, "message 13 was refused");
        self.tell(request.id, instance, &failure).await?;
        Ok(Disposition::Done)
    }

    async fn tell(
        &self,
        id: RequestId,
        instance: &LegacyName,
        failure: &Failure,
    ) -> Result<(), Error> {
        let (verb, text) = (VERB.to_owned(), instance.to_string());
        let event = Event::NotDone { verb, text, error: failure.to_string() };
        let message = owed_message(instance, event.envelope(Topic::Scheduler, id));
        let message = [message];
        let told = timeout(WITHIN, owed::publish(self.0.ports.bus.as_ref(), &message)).await;
        let late = |_| Error::Bus(bus::Error::Unavailable("the bus does not answer".into()));
        told.map_err(late)?.map_err(Error::Bus)
    }
}

fn conflict(id: RequestId) -> Disposition {
    let detail = format!("request {id} said something else before");
    Disposition::Refused(Reject::new(RejectCode::IdConflict, &detail))
}
