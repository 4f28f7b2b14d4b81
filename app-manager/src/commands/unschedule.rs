//! Taking a schedule away. What runs goes on; what has not run yet never will.

use chassis::records;
use common::id::RequestId;
use common::name::LegacyName;
use common::port::Store;
use common::port::store::Op;
use common::record::instance::State;
use common::record::operation::fingerprint;
use common::topic::Topic;
use jiff::Timestamp;

use super::accept::{Accepted, Ask, Change, Ends, accept};
use super::schedule::Expected;
use super::{Error, changeable};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::requests::Kind;
use crate::records::schedules;

/// Records that an instance has no schedule from now on.
pub(crate) async fn unschedule(
    context: &Context,
    person: &Person,
    name: &LegacyName,
    expected: Expected,
    id: RequestId,
) -> Result<Accepted, Error> {
    let store = context.ports.store.as_ref();
    let text = format!("{}: unschedule {name} {expected:?}", person.name);
    let ask = Ask {
        id,
        kind: Kind::Unschedule,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(Topic::Scheduler, &text),
    };
    let decide = || async {
        let stored = changeable::instance(store, person, name).await?;
        let mut instance = stored.record;
        let scheduled = schedules::load(store, name).await?;
        let generation = scheduled.as_ref().map(|scheduled| scheduled.record.generation);
        let has_one = scheduled.is_some_and(|scheduled| scheduled.record.wish.is_some());
        if !has_one {
            return Err(Error::ScheduleUnknown);
        }
        expected.check(generation)?;
        let now = context.ports.clock.now();
        if instance.state == State::Scheduled {
            instance.state = State::Stopped;
            instance.updated_at = now;
        }
        let also = taken_away(store, name, now).await?;
        let version = Some(stored.version);
        Ok::<Change, Error>(Change { instance, version, also, ends: Ends::AtOnce })
    };
    accept(context, ask, decide).await
}

/// The operation that takes an instance's schedule away, if it has one.
pub(super) async fn taken_away(
    store: &dyn Store,
    name: &LegacyName,
    now: Timestamp,
) -> Result<Vec<Op>, records::Error> {
    let Some(stored) = schedules::load(store, name).await? else { return Ok(Vec::new()) };
    let mut scheduled = stored.record;
    if scheduled.wish.take().is_none() {
        return Ok(Vec::new());
    }
    scheduled.generation = scheduled.generation.next();
    scheduled.updated_at = now;
    Ok(vec![schedules::put(&scheduled, Some(stored.version))])
}
