//! Going back to a release that was in service: message 5 again. What ran then is kept, so that nothing is built.

use common::id::{ReleaseNumber, RequestId};
use common::name::LegacyName;
use common::record::instance::Instance;
use common::record::kept::Way;
use common::record::operation::fingerprint;
use common::topic::Topic;

use super::accept::{Accepted, Ask, Change, accept};
use super::deploy::{Start, start};
use super::{Error, changeable};
use crate::context::Context;
use crate::domain::access::Person;
use crate::domain::rollback::{Refusal, target};
use crate::records::requests::Kind;
use crate::records::{apps, instances};

/// Records that an instance should run a release of before: the one that is named, else the last good one.
pub(crate) async fn rollback(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    named: Option<ReleaseNumber>,
    id: RequestId,
) -> Result<Accepted, Error> {
    let store = context.ports.store.as_ref();
    let named_text = named.map_or_else(String::new, |number| number.to_string());
    let text = format!("{}: rollback {name} {named_text}", person.name);
    let ask = Ask {
        id,
        kind: Kind::Rollback,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(Topic::DeploymentManager, &text),
    };
    let decide = || async {
        // What was in service is another service's to note: this must not be older than what its user saw.
        store.sync().await?;
        let stored = changeable::deployed(store, person, name).await?;
        let mut instance = stored.record;
        let release = chosen(context, &instance, named).await?;
        let (by, way) = (&person.name, Way::RolledBack);
        let wanted = Start { release, replicas: None, by, way, canary: None };
        start(&mut instance, wanted, id, context.ports.clock.now());
        Ok::<Change, Error>(Change::of(instance, Some(stored.version)))
    };
    accept(context, ask, decide).await
}

async fn chosen(
    context: &Context,
    instance: &Instance,
    named: Option<ReleaseNumber>,
) -> Result<ReleaseNumber, Error> {
    let store = context.ports.store.as_ref();
    let deployment = instances::deployment(store, &instance.name).await?;
    // A canary is taken away; what runs beside it goes on.
    let beside = deployment.as_ref().filter(|one| one.canary.is_some());
    let beside = beside.and_then(|one| one.serving.as_ref()).map(|serving| serving.release);
    if let Some(beside) = beside.filter(|beside| named.is_none_or(|named| named == *beside)) {
        return Ok(beside);
    }
    let kept = deployment.map(|deployment| deployment.releases).unwrap_or_default();
    let release = match (target(&kept, instance.release, named), named) {
        (Ok(release), _) => release,
        (Err(Refusal::Nothing), _) | (Err(Refusal::NotKept), None) => {
            return Err(Error::NothingToRollBackTo);
        }
        (Err(Refusal::NotKept), Some(named)) => {
            let there = apps::release(store, &instance.app, named).await?.is_some();
            return Err(if there { Error::ReleaseNotKept } else { Error::ReleaseUnknown });
        }
    };
    Ok(release)
}
