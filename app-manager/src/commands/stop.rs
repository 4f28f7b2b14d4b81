//! Stopping an instance: message 10.

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::LegacyName;
use common::record::instance::{Instance, State};
use common::record::operation::fingerprint;
use common::topic::Topic;
use jiff::Timestamp;

use super::accept::{Accepted, Ask, Change, Ends, accept, owed};
use super::{Error, changeable, unschedule};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::requests;
use crate::records::requests::Kind;

/// Records that nothing of an instance should be left: neither what runs, nor the schedule that would start it again.
pub(crate) async fn stop(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    id: RequestId,
) -> Result<Accepted, Error> {
    let store = context.ports.store.as_ref();
    let command = DeploymentCommand::Stop { instance: name.clone() };
    let text = format!("{}: {}", person.name, command.encode());
    let ask = Ask {
        id,
        kind: Kind::Stop,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(DeploymentCommand::TOPIC, &text),
    };
    let decide = || async {
        let stored = changeable::instance(store, person, name).await?;
        let mut instance = stored.record;
        let now = context.ports.clock.now();
        let is_idle = instance.state == State::Scheduled
            && !requests::is_open(store, instance.request).await?;
        let ends = if is_idle { Ends::AtOnce } else { Ends::Later };
        match ends {
            Ends::AtOnce => rest(&mut instance, id, now),
            Ends::Later => end(&mut instance, id, now),
        }
        let also = unschedule::taken_away(store, name, now).await?;
        Ok::<Change, Error>(Change { instance, version: Some(stored.version), also, ends })
    };
    accept(context, ask, decide).await
}

/// Makes an instance stop from now on, and owe the message that asks for it.
pub(crate) fn end(instance: &mut Instance, id: RequestId, now: Timestamp) {
    instance.generation = instance.generation.next();
    instance.state = State::Stopping;
    instance.request = id;
    instance.failure = None;
    instance.updated_at = now;
    let command = DeploymentCommand::Stop { instance: instance.name.clone() };
    instance.owed.push(owed(&instance.name, command.envelope(Topic::FirstTopic, id)));
}

/// Of an instance that does not run, and is not on its way, there is nothing to be stopped.
fn rest(instance: &mut Instance, id: RequestId, now: Timestamp) {
    instance.generation = instance.generation.next();
    instance.state = State::Stopped;
    instance.request = id;
    instance.updated_at = now;
}
