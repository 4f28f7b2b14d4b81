//! Scheduling an instance: it is started and ended at its times from now on. Answered with message 14 at once.

use chassis::records;
use common::id::{Generation, ReleaseNumber, RequestId};
use common::message::{Event, SchedulerCommand};
use common::name::{AppName, LegacyName};
use common::port::Store;
use common::port::store::Op;
use common::record::instance::{Instance, State};
use common::record::operation::fingerprint;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;
use jiff::civil::DateTime;

use super::accept::{Accepted, Ask, Change, Ends, accept, also_owed, ended, owed};
use super::deploy::{Name, instance_name, new_instance};
use super::{Error, release};
use crate::context::Context;
use crate::domain::access::{Action, Ownership, Person};
use crate::domain::scaling::check_replicas;
use crate::domain::schedule::progress::Progress;
use crate::domain::schedule::{Lateness, Schedule, When};
use crate::records::requests::Kind;
use crate::records::schedules::{self, Scheduled, Wish};
use crate::records::{apps, instances};

/// What should be scheduled.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) app: AppName,
    pub(crate) instance: Name,
    pub(crate) schedule: Schedule,
    /// The caller's own words for it: a repeat has the same.
    pub(crate) said: String,
    pub(crate) lateness: Lateness,
    /// The newest one at each start if none is said.
    pub(crate) release: Option<ReleaseNumber>,
    pub(crate) replicas: Option<u32>,
    /// Document 001's `app.json`, as this instance gets it.
    pub(crate) app_json: Option<String>,
    pub(crate) expected: Expected,
    pub(crate) message_13: Message13,
}

/// What the caller knows of the schedule that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    /// There is none.
    Nothing,
    Generation(Generation),
}

/// What message 13 has to do with the request: it is on the bus once, whoever asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message13 {
    /// Nothing.
    Unsaid,
    /// It is said on `Scheduler`, where others of document 001 may hear it.
    Said,
    /// It was how the request came.
    Heard,
}

impl Expected {
    /// `there` is the generation of a schedule that was not taken away.
    pub(super) fn check(self, there: Option<Generation>) -> Result<(), Error> {
        let holds = match self {
            Expected::Anything => true,
            Expected::Nothing => there.is_none(),
            Expected::Generation(expected) => there == Some(expected),
        };
        if holds { Ok(()) } else { Err(Error::ScheduleChanged) }
    }
}

/// Records when an instance should run.
pub(crate) async fn schedule(
    context: &Context,
    person: &Person,
    wanted: Wanted,
    id: RequestId,
) -> Result<Accepted, Error> {
    let app = release::visible(context, person, &wanted.app).await?;
    let name = instance_name(person, &app, &wanted.instance, id)?;
    let Wanted { said, release, replicas, app_json, .. } = &wanted;
    let text = (&person.name, &name, said, release, replicas, app_json);
    let text = serde_json::to_string(&text).unwrap_or_default();
    let ask = Ask {
        id,
        kind: Kind::Schedule,
        by: person,
        instance: name.clone(),
        fingerprint: fingerprint(Topic::Scheduler, &text),
    };
    accept(context, ask, || decide(context, person, &wanted, &name, id)).await
}

async fn decide(
    context: &Context,
    person: &Person,
    wanted: &Wanted,
    name: &LegacyName,
    id: RequestId,
) -> Result<Change, Error> {
    let store = context.ports.store.as_ref();
    let now = context.ports.clock.now();
    let app = apps::load(store, &wanted.app).await?.ok_or(Error::AppUnknown)?.record;
    let number = wanted.release.unwrap_or(app.newest);
    let release = apps::release(store, &wanted.app, number).await?.ok_or(Error::ReleaseUnknown)?;
    let (mut instance, version) = match instances::load(store, name).await? {
        Some(stored) => (stored.record, Some(stored.version)),
        None => {
            let mut instance = new_instance(context, person, &app, name, id);
            instance.state = State::Scheduled;
            instance.replicas = release.replicas.unwrap_or(instance.replicas);
            (instance, None)
        }
    };
    if !person.may(Action::Deploy, Ownership::of(&instance.owner)) || instance.app != wanted.app {
        return Err(Error::InstanceUnknown);
    }
    if let Some(bounds) = &release.release.scaling {
        check_replicas(wanted.replicas, bounds).map_err(Error::ReplicasOutOfBounds)?;
    }
    let mut also = vec![scheduled(store, wanted, name, id, now).await?];
    if wanted.app_json.is_some() {
        instance.app_json.clone_from(&wanted.app_json);
    }
    if instance.state == State::Stopped {
        instance.state = State::Scheduled;
    }
    instance.updated_at = now;
    also.extend(tell(&mut instance, wanted, id, now));
    Ok(Change { instance, version, also, ends: Ends::AtOnce })
}

/// The operation that writes the schedule, in the place of the one that is there.
async fn scheduled(
    store: &dyn Store,
    wanted: &Wanted,
    name: &LegacyName,
    id: RequestId,
    now: Timestamp,
) -> Result<Op, Error> {
    let stored = schedules::load(store, name).await?;
    let (before, version) = match stored {
        Some(stored) => (Some(stored.record), Some(stored.version)),
        None => (None, None),
    };
    let there = before.as_ref().filter(|before| before.wish.is_some());
    wanted.expected.check(there.map(|there| there.generation))?;
    let schedule = wanted.schedule.clone();
    let calendar = schedule.check(now, wanted.lateness)?;
    let mut progress = Progress::new(&calendar, now, only_start(&schedule));
    if let Some(wish) = there.and_then(|there| there.wish.as_ref()) {
        progress = progress.after(&wish.progress, &calendar);
    }
    let (release, replicas) = (wanted.release, wanted.replicas);
    let record = Scheduled {
        schema: 1,
        instance: name.clone(),
        generation: before.map(|before| before.generation).unwrap_or_default().next(),
        request: id,
        wish: Some(Wish { schedule, release, replicas, progress }),
        updated_at: now,
    };
    Ok(schedules::put(&record, version))
}

fn only_start(schedule: &Schedule) -> Option<DateTime> {
    match &schedule.when {
        When::Once { start, .. } => Some(*start),
        When::Daily { .. } | When::Weekly { .. } | When::Cron { .. } => None,
    }
}

/// Makes the instance owe message 14, and message 13 where it is said. Its own words come back to the platform, which
/// knows by the operation that is returned that it was done already.
fn tell(instance: &mut Instance, wanted: &Wanted, id: RequestId, now: Timestamp) -> Option<Op> {
    let name = instance.name.clone();
    let message = message_13(&name, &wanted.schedule);
    if let (Message13::Said, Some(message)) = (wanted.message_13, &message) {
        let envelope = message.envelope(Topic::FirstTopic, id);
        instance.owed.push(also_owed(&name, "message 13", envelope));
    }
    let answer = Event::Scheduled { instance: name.clone() };
    instance.owed.push(owed(&name, answer.envelope(Topic::Scheduler, id)));
    let message = message.filter(|_| wanted.message_13 != Message13::Unsaid)?;
    let path = path::operation(id, ServiceName::AppManager, message.kind());
    let heard = ended(fingerprint(SchedulerCommand::TOPIC, &message.encode()), now);
    Some(records::put(path, &heard, None))
}

/// The schedule as message 13 says it, if it can.
fn message_13(instance: &LegacyName, schedule: &Schedule) -> Option<SchedulerCommand> {
    match &schedule.when {
        When::Once { start, end: Some(end) } => Some(SchedulerCommand::Schedule {
            instance: instance.clone(),
            start: *start,
            end: *end,
        }),
        When::Once { end: None, .. }
        | When::Daily { .. }
        | When::Weekly { .. }
        | When::Cron { .. } => None,
    }
}
