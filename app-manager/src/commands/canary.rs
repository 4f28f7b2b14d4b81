//! A canary that is there: giving it all requests. Message 5 again, with another way in the instance's record.

use chassis::records;
use common::id::RequestId;
use common::name::LegacyName;
use common::port::Store;
use common::record::deployment::{Deployment, Goal, State as Phase};
use common::record::instance::Instance;
use common::record::kept::Way;
use common::record::operation::fingerprint;
use common::topic::Topic;

use super::accept::{Accepted, Ask, Change, accept};
use super::deploy::{Start, start};
use super::{Error, changeable};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::instances;
use crate::records::requests::Kind;

/// Whether something of the instance is served that a canary could run beside.
pub(super) async fn runs(store: &dyn Store, instance: &Instance) -> Result<bool, records::Error> {
    store.sync().await?;
    let deployment = instances::deployment(store, &instance.name).await?;
    let serves = |one: Deployment| one.goal == Goal::Running && one.serving.is_some();
    Ok(!changeable::is_away(instance) && deployment.is_some_and(serves))
}

/// Whether a canary has come to its share, be it that another one is under way, and is not getting all requests already.
fn gets_share(deployment: &Deployment) -> bool {
    let is_plain = deployment.canary.as_ref().is_some_and(|canary| !canary.promoted);
    let is_there = deployment.state >= Phase::Running || deployment.adopted.is_some();
    is_plain && deployment.goal == Goal::Running && is_there
}

/// Records that an instance's canary should get all requests.
pub(crate) async fn promote(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    id: RequestId,
) -> Result<Accepted, Error> {
    let store = context.ports.store.as_ref();
    let text = format!("{}: promote {name}", person.name);
    let ask = Ask {
        id,
        kind: Kind::Promote,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(Topic::DeploymentManager, &text),
    };
    let decide = || async {
        store.sync().await?;
        let stored = changeable::deployed(store, person, name).await?;
        let mut instance = stored.record;
        let deployment = instances::deployment(store, name).await?;
        let canary = deployment.filter(gets_share).ok_or(Error::NoCanary)?;
        let (release, by) = (canary.release, &person.name);
        let wanted = Start { release, replicas: None, by, way: Way::Promoted, canary: None };
        start(&mut instance, wanted, id, context.ports.clock.now());
        Ok::<Change, Error>(Change::of(instance, Some(stored.version)))
    };
    accept(context, ask, decide).await
}
