//! Starting and ending instances at the times of their schedules.
//!
//! Each start and each end is one transaction: the operation of a request that is derived from the schedule and the
//! window, the changed instance with the messages it owes, and the schedule that knows it was done. Whoever does it
//! again, after a crash or beside this process, finds it done. Nobody sleeps until a far moment: clocks may jump.

use std::time::Duration;

use async_trait::async_trait;
use chassis::operations::{self, Acceptance};
use chassis::reconcile::{Outcome, Reconcile, Settings};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::id::{ReleaseNumber, RequestId};
use common::message::{DeploymentCommand, Event};
use common::name::LegacyName;
use common::port::Store;
use common::port::store::{self, Op};
use common::record::instance::{Instance, State};
use common::record::kept::Way;
use common::record::operation::fingerprint;
use common::record::path;
use common::topic::Topic;
use jiff::Timestamp;

use crate::commands::{MOST_OWED, also_owed, deploy, stop};
use crate::context::Context;
use crate::domain::schedule;
use crate::domain::schedule::calendar::{Calendar, Occurrence};
use crate::domain::schedule::progress::{Due, Skipped};
use crate::records::requests::{self, Asked, Kind};
use crate::records::schedules::{self, Scheduled, Wish};
use crate::records::{IsChanged, apps, deciding, instances};

/// The longest wait until the time is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// What is due next is looked for at once.
const AT_ONCE: Outcome = Outcome::Again(Duration::ZERO);
/// An instance may owe so many messages besides those of a start or an end.
const ROOM: usize = MOST_OWED - 4;

/// Why a schedule could not be looked at, or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error("the schedule is not understood")]
    Schedule(#[from] schedule::Error),
}

impl IsChanged for Error {
    fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

/// Keeps schedules.
pub(crate) struct Schedules<'a>(pub(crate) &'a Context);

/// The driver's settings: what could not be done is tried again soon.
pub(crate) fn settings() -> Settings {
    Settings {
        scan_every: LOOK_EVERY,
        last_retry: Duration::from_secs(1),
        deadline: Duration::from_secs(30),
        ..Settings::default()
    }
}

#[async_trait]
impl Reconcile for Schedules<'_> {
    type Key = LegacyName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        Ok(schedules::names(self.0.ports.store.as_ref()).await?)
    }

    async fn reconcile(&self, name: &LegacyName) -> Result<Outcome, Error> {
        deciding(self.0.ports.store.as_ref(), || self.keep(name)).await
    }
}

/// A schedule with the instance it is of, as they were read.
struct Read {
    scheduled: Stored<Scheduled>,
    wish: Wish,
    instance: Stored<Instance>,
}

impl Schedules<'_> {
    /// Does the one thing that is due.
    async fn keep(&self, name: &LegacyName) -> Result<Outcome, Error> {
        let Some(read) = self.read(name).await? else { return Ok(Outcome::Settled) };
        let calendar = Calendar::of(&read.wish.schedule)?;
        let now = self.0.ports.clock.now();
        match read.wish.progress.due(&calendar, now) {
            Due::Start(_) | Due::End(_) if read.instance.record.owed.len() > ROOM => {
                // The bus has been away for long: it is not told more than it will want to hear.
                Ok(Outcome::Again(LOOK_EVERY))
            }
            Due::Start(window) => Ok(self.start(read, window, now).await.map(|()| AT_ONCE)?),
            Due::End(window) => Ok(self.end(read, window, now).await.map(|()| AT_ONCE)?),
            Due::Skip(skipped) => Ok(self.skip(read, &skipped, now).await.map(|()| AT_ONCE)?),
            Due::Wait(until) => {
                if read.wish.progress.open.is_none() {
                    self.rest(read, State::Stopped, State::Scheduled, now).await?;
                }
                let wait = Duration::try_from(until.duration_since(now)).unwrap_or(LOOK_EVERY);
                Ok(Outcome::Again(wait.min(LOOK_EVERY)))
            }
            Due::Over => {
                self.rest(read, State::Scheduled, State::Stopped, now).await?;
                Ok(Outcome::Settled)
            }
        }
    }

    async fn read(&self, name: &LegacyName) -> Result<Option<Read>, records::Error> {
        let store = self.0.ports.store.as_ref();
        let Some(scheduled) = schedules::load(store, name).await? else { return Ok(None) };
        let Some(wish) = scheduled.record.wish.clone() else { return Ok(None) };
        let Some(instance) = instances::load(store, name).await? else { return Ok(None) };
        Ok(Some(Read { scheduled, wish, instance }))
    }

    /// Message 5, as if the user had deployed, and message 15.
    async fn start(
        &self,
        read: Read,
        window: Occurrence,
        now: Timestamp,
    ) -> Result<(), records::Error> {
        let id = request(&read.scheduled.record, &window, "start");
        let release = self.release(&read).await?;
        let name = read.instance.record.name.clone();
        let step = Step {
            kind: Kind::Deploy,
            id,
            told: Event::ItsTime { instance: name.clone() },
            command: DeploymentCommand::Deploy { instance: name },
        };
        let mut changed = Changed::of(read);
        let (by, replicas) = (changed.instance.record.owner.clone(), changed.wish.replicas);
        let wanted = deploy::Start { release, replicas, by: &by, way: Way::Deployed, canary: None };
        deploy::start(&mut changed.instance.record, wanted, id, now);
        changed.wish.progress.started(window);
        self.fire(changed, step, now).await?;
        self.0.metrics.windows.with_label_values(&["started"]).inc();
        Ok(())
    }

    async fn release(&self, read: &Read) -> Result<ReleaseNumber, records::Error> {
        if let Some(release) = read.wish.release {
            return Ok(release);
        }
        let app = apps::load(self.0.ports.store.as_ref(), &read.instance.record.app).await?;
        Ok(app.map_or(read.instance.record.release, |app| app.record.newest))
    }

    /// Message 10, as if the user had stopped it, and message 16.
    async fn end(
        &self,
        read: Read,
        window: Occurrence,
        now: Timestamp,
    ) -> Result<(), records::Error> {
        let id = request(&read.scheduled.record, &window, "end");
        let name = read.instance.record.name.clone();
        let step = Step {
            kind: Kind::Stop,
            id,
            told: Event::ItsEndTime { instance: name.clone() },
            command: DeploymentCommand::Stop { instance: name },
        };
        let mut changed = Changed::of(read);
        stop::end(&mut changed.instance.record, id, now);
        changed.wish.progress.ended();
        self.fire(changed, step, now).await?;
        self.0.metrics.windows.with_label_values(&["ended"]).inc();
        Ok(())
    }

    /// Makes the request, in the name of the instance's owner.
    async fn fire(
        &self,
        mut changed: Changed,
        step: Step,
        now: Timestamp,
    ) -> Result<(), records::Error> {
        let Step { kind, id, told, command } = step;
        let ports = &self.0.ports;
        let instance = &mut changed.instance.record;
        let name = instance.name.clone();
        // It is said that it is time before what follows from it is asked for.
        let event = also_owed(&name, told.kind(), told.envelope(Topic::Scheduler, id));
        let before = instance.owed.len().saturating_sub(1);
        instance.owed.insert(before, event);
        let by = instance.owner.clone();
        let asked = Asked { schema: 1, kind, instance: name.clone(), by, at: now };
        let text = fingerprint(DeploymentCommand::TOPIC, &command.encode());
        let mut changes = changed.ops(now);
        let progress = changes.last().cloned();
        changes.push(requests::put(id, &asked));
        let request = requests::request(id, kind, text);
        let (store, clock) = (ports.store.as_ref(), ports.clock.as_ref());
        match operations::accept(store, clock, &request, changes).await? {
            Acceptance::Fresh => {
                tracing::info!(instance = %name, request.id = %id, said = %told.encode(), "a schedule's time has come");
            }
            // The request was made, so the schedule only has to know it: as a rule it does by now.
            Acceptance::Repeat(_) | Acceptance::Conflict => {
                store.sync().await?;
                commit(store, progress.into_iter().collect()).await?;
            }
        }
        self.0.wake.wake(name);
        Ok(())
    }

    /// What passed unseen is told, and never started.
    async fn skip(
        &self,
        read: Read,
        skipped: &Skipped,
        now: Timestamp,
    ) -> Result<(), records::Error> {
        let id = request(&read.scheduled.record, &skipped.last, "skip");
        let name = read.instance.record.name.clone();
        let (first, last) = (skipped.first.local, skipped.last.local);
        let which = if skipped.count == 1 {
            format!("the window of {first} passed")
        } else {
            format!("{} windows passed, of {first} to {last},", skipped.count)
        };
        let sentence = format!("{which} while nothing could be started");
        let event = Event::NotDone {
            verb: "its time".to_owned(),
            text: name.to_string(),
            error: Failure::new(FailureCode::ScheduleMissed, sentence).to_string(),
        };
        let mut changed = Changed::of(read);
        let owed = &mut changed.instance.record.owed;
        if owed.len() <= ROOM {
            owed.push(also_owed(&name, "skip", event.envelope(Topic::Scheduler, id)));
        }
        changed.wish.progress.skipped(skipped);
        commit(self.0.ports.store.as_ref(), changed.ops(now)).await?;
        tracing::warn!(instance = %name, skipped = skipped.count, %first, %last, "windows of a schedule passed unseen");
        self.0.metrics.windows.with_label_values(&["skipped"]).inc_by(skipped.count.into());
        self.0.wake.wake(name);
        Ok(())
    }

    /// Between its windows an instance is scheduled; when no more come, it is stopped.
    async fn rest(
        &self,
        read: Read,
        from: State,
        to: State,
        now: Timestamp,
    ) -> Result<(), records::Error> {
        let mut instance = read.instance;
        if instance.record.state != from {
            return Ok(());
        }
        instance.record.state = to;
        instance.record.updated_at = now;
        // It was read before the instance: who took it away meanwhile has said what becomes of that.
        let Stored { record: Scheduled { instance: name, .. }, version } = read.scheduled;
        let as_read = Op::Check { path: path::schedule(&name), version };
        let rested = instances::put(&instance.record, Some(instance.version));
        commit(self.0.ports.store.as_ref(), vec![as_read, rested]).await
    }
}

/// A request that a schedule makes, and what is told of it.
struct Step {
    kind: Kind,
    id: RequestId,
    told: Event,
    command: DeploymentCommand,
}

/// What a step writes: the instance, and last the schedule.
struct Changed {
    scheduled: Stored<Scheduled>,
    wish: Wish,
    instance: Stored<Instance>,
}

impl Changed {
    fn of(read: Read) -> Self {
        let Read { scheduled, wish, instance } = read;
        Changed { scheduled, wish, instance }
    }

    fn ops(self, now: Timestamp) -> Vec<Op> {
        let Changed { scheduled, wish, instance } = self;
        let record = Scheduled { wish: Some(wish), updated_at: now, ..scheduled.record };
        vec![
            instances::put(&instance.record, Some(instance.version)),
            schedules::put(&record, Some(scheduled.version)),
        ]
    }
}

/// The request of a window's start or end: the same whoever makes it, and however often.
fn request(scheduled: &Scheduled, window: &Occurrence, step: &str) -> RequestId {
    scheduled.request.derive(&format!("{step} {}", window.local))
}

/// Writes, or finds that somebody wrote: then it is decided again.
async fn commit(store: &dyn Store, ops: Vec<Op>) -> Result<(), records::Error> {
    match store.commit(ops).await {
        Ok(_) => Ok(()),
        // If it was written after all, deciding again finds nothing to be done.
        Err(store::Error::Conflict { .. } | store::Error::OutcomeUnknown(_)) => {
            Err(records::Error::Changed)
        }
        Err(err) => Err(err.into()),
    }
}
