//! Asking for another number of replicas: `scale app$<instance>$<n>`.

use common::id::RequestId;
use common::message::LoadBalancerCommand;
use common::name::LegacyName;
use common::record::operation::fingerprint;
use common::topic::Topic;

use super::accept::{Accepted, Ask, Change, accept, owed};
use super::{Error, changeable};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::requests::Kind;

/// Records how many replicas an instance should have.
pub(crate) async fn scale(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    replicas: u32,
    id: RequestId,
) -> Result<Accepted, Error> {
    let command = LoadBalancerCommand::Scale { instance: name.clone(), replicas };
    let text = format!("{}: {}", person.name, command.encode());
    let ask = Ask {
        id,
        kind: Kind::Scale,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(LoadBalancerCommand::TOPIC, &text),
    };
    let decide = || async {
        let store = context.ports.store.as_ref();
        let stored = changeable::deployed(store, person, name).await?;
        let mut instance = stored.record;
        instance.replicas = replicas;
        instance.generation = instance.generation.next();
        instance.updated_at = context.ports.clock.now();
        instance.owed.push(owed(name, command.envelope(Topic::FirstTopic, id)));
        Ok::<Change, Error>(Change::of(instance, Some(stored.version)))
    };
    accept(context, ask, decide).await
}
