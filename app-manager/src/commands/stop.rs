//! Stopping an instance: message 10.

use common::id::RequestId;
use common::message::DeploymentCommand;
use common::name::LegacyName;
use common::record::instance::State;
use common::record::operation::fingerprint;
use common::topic::Topic;

use super::Error;
use super::accept::{Accepted, Ask, Change, accept, owed};
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::records::instances;
use crate::records::requests::Kind;

/// Records that nothing of an instance should be left.
pub(crate) async fn stop(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    id: RequestId,
) -> Result<Accepted, Error> {
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
        let stored = instances::load(context.ports.store.as_ref(), name).await?;
        let stored = stored.ok_or(Error::InstanceUnknown)?;
        let mut instance = stored.record;
        if !person.may(Action::ChangeInstance, Ownership::of(&instance.owner)) {
            return Err(Error::InstanceUnknown);
        }
        instance.generation = instance.generation.next();
        instance.state = State::Stopping;
        instance.request = id;
        instance.failure = None;
        instance.updated_at = context.ports.clock.now();
        instance.owed.push(owed(name, command.envelope(Topic::FirstTopic, id)));
        Ok::<Change, Error>((instance, Some(stored.version)))
    };
    accept(context, ask, decide).await
}
