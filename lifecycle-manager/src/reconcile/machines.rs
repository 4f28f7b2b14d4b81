//! Each machine a node whose agent answers. What is done is written down before it is done.

mod leaving;

use std::time::Duration;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::host;
use common::port::machines::{self as backend, Ability, Power, Shape};
use common::port::store::{Op, Version};
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;

use super::pinning::Pinning;
use super::restarts::budget;
use super::{LATER, SOON, members};
use crate::domain::machine::{Facts, Found, Remedy, Step, plan, remedy};
use crate::domain::target::Target;
use crate::domain::waits::{Limit, elapsed};
use crate::fleet;
use crate::ports::{Enrolled, NotEnrolled};
use crate::records::{
    Error, Repair, Restart, Stage, Work, base_path, budget_path, commit, load, papers_path,
    repair_path, restart_path, save, uploads_path,
};
use crate::shared::{Duty, Shared};

/// The reconciler of machines.
#[derive(Debug)]
pub(crate) struct Machines<'a>(pub(crate) &'a Shared);

/// A machine's records as they were read.
struct Known {
    machine: Stored<MachineRecord>,
    repair: Repair,
    repair_at: Option<Version>,
}

/// A restart that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It is silent because of it.
    Boots,
    /// It should be back: that it is silent has a reason that no restart removes, such as that its agent is gone.
    Booted,
}

impl Known {
    /// There is no such machine any more: what it proved itself by, and that its agent answered, was another one's.
    fn made_anew(mut self) -> Self {
        self.machine.record.id = None;
        self.machine.record.host_key = None;
        self.repair.was_ready = false;
        self
    }
}

#[async_trait]
impl Reconcile for Machines<'_> {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        fleet::refresh(self.0).await?;
        Ok(fleet::names(self.0).await?)
    }

    async fn reconcile(&self, name: &NodeName) -> Result<Outcome, Error> {
        if !self.0.is_settled() {
            return Ok(Outcome::Again(SOON));
        }
        let Some(known) = self.read(name).await? else { return Ok(Outcome::Settled) };
        let seen = self.0.sight.of(name, self.0.config.window);
        let facts = Facts {
            record: &known.machine.record,
            repair: &known.repair,
            seen: &seen,
            braked: self.0.brakes().machines,
            rules: &self.0.config.machine,
            now: self.0.ports.clock.now(),
        };
        match plan(&facts) {
            Step::Rest => return Ok(Outcome::Again(LATER)),
            Step::Note { state, reason } => self.note(known, state, reason).await?,
            Step::Look if self.0.visits.is_under_way(name) => return Ok(Outcome::Again(LATER)),
            Step::Look if self.asked_restart(name).await? == Some(Asked::Boots) => {
                return Ok(Outcome::Again(LATER));
            }
            Step::Look => match self.look(&known.machine.record).await {
                Ok(found) => {
                    let can_restart = self.can_restart(&known.machine.record);
                    let remedy = remedy(&facts, found, can_restart);
                    let known = match found {
                        Found::Absent | Found::Anew => known.made_anew(),
                        Found::There(_) => known,
                    };
                    let (remedy, turn) = match remedy {
                        Remedy::Wait | Remedy::Enrol => (remedy, None),
                        Remedy::Restart => match self.asked_restart(name).await? {
                            Some(Asked::Boots) => return Ok(Outcome::Again(LATER)),
                            // It may have booted only after the last attempt.
                            Some(Asked::Booted) => (Remedy::Enrol, None),
                            None => match self.turn(&known).await? {
                                Some(turn) => (remedy, Some(turn)),
                                None => return Ok(Outcome::Again(LATER)),
                            },
                        },
                    };
                    self.apply(known, remedy, turn).await?;
                }
                Err(failure) => {
                    let known = self.begin(known, Remedy::Wait, None).await?;
                    self.failed(known, "the backend was asked", failure).await?;
                }
            },
            Step::Delete => return self.leave(known).await,
        }
        Ok(Outcome::Again(SOON))
    }
}

impl Machines<'_> {
    async fn read(&self, name: &NodeName) -> Result<Option<Known>, Error> {
        let Some(machine) = load::<MachineRecord>(self.0, &path::machine(name)).await? else {
            return Ok(None);
        };
        let repair = load::<Repair>(self.0, &repair_path(name)).await?;
        let (repair, repair_at) = match repair {
            Some(Stored { record, version }) => (record, Some(version)),
            None => (Repair { schema: 1, ..Repair::default() }, None),
        };
        Ok(Some(Known { machine, repair, repair_at }))
    }

    /// How far a restart is that somebody asked for, where one is under way.
    async fn asked_restart(&self, name: &NodeName) -> Result<Option<Asked>, Error> {
        let at = restart_path(&Target::Node(name.clone()));
        let restart = load::<Restart>(self.0, &at).await?;
        let Some(Stage::Underway { work, .. }) = restart.map(|stored| stored.record.stage) else {
            return Ok(None);
        };
        let now = self.0.ports.clock.now();
        let has_booted = match work {
            Work::Machine { asked_at: Some(at), .. } => elapsed(at, now) >= BOOTS_WITHIN,
            Work::Machine { .. } | Work::Instances { .. } | Work::Deployment { .. } => false,
        };
        Ok(Some(if has_booted { Asked::Booted } else { Asked::Boots }))
    }

    fn can_restart(&self, machine: &MachineRecord) -> bool {
        let backend = self.0.ports.backends.of(&machine.shape);
        backend.is_some_and(|backend| backend.lacks(Ability::Restart).is_none())
    }

    /// A machine without a backend here can only be signed in to.
    async fn look(&self, machine: &MachineRecord) -> Result<Found, Failure> {
        let Some(backend) = self.0.ports.backends.of(&machine.shape) else {
            return Ok(Found::There(Power::Unknown));
        };
        match backend.look(&machine.name).await {
            Ok(Some(found)) if found.is_another_than(machine.id.as_ref()) => Ok(Found::Anew),
            Ok(Some(found)) => Ok(Found::There(found.power)),
            // One that is given is there, whether its backend was told of it or not.
            Ok(None) if machine.shape == Shape::Given => Ok(Found::There(Power::Unknown)),
            Ok(None) => Ok(Found::Absent),
            // Enrolment finds out whose key it is, and has it quarantined.
            Err(backend::Error::Machine { source: host::Error::HostKeyChanged { .. }, .. }) => {
                Ok(Found::There(Power::Unknown))
            }
            Err(err) => Err(told(&err)),
        }
    }

    /// The record with another state, saved, and everybody who depends on it woken.
    async fn note(&self, known: Known, state: MachineState, reason: String) -> Result<(), Error> {
        let Known { machine: Stored { mut record, version }, mut repair, repair_at } = known;
        let name = record.name.clone();
        tracing::info!(machine = %name, state = state_name(state), reason, "a machine's state changed");
        record.state = state;
        record.reason = reason;
        record.since = self.0.ports.clock.now();
        let mut changes = vec![records::put(path::machine(&name), &record, Some(version))];
        if state == MachineState::Ready {
            repair.was_ready = true;
            repair.failure = None;
            changes.push(records::put(repair_path(&name), &repair, repair_at));
        }
        commit(self.0, changes).await?;
        fleet::refresh(self.0).await?;
        self.0.services.wake_all();
        self.0.bases.wake(name);
        self.0.duties.wake(Duty::Provision);
        self.0.restarts.wake_all();
        Ok(())
    }

    /// Machines are restarted one at a time, whoever wants it, and none that others may not be able to spare. What keeps
    /// another restart from beginning meanwhile; none where it is not this one's turn.
    async fn turn(&self, known: &Known) -> Result<Option<Op>, Error> {
        let name = &known.machine.record.name;
        if let Some(failure) = members::is_perhaps_needed(self.0, name).await? {
            self.put_off(known, failure).await?;
            return Ok(None);
        }
        let (budget, version) = budget(self.0).await?;
        if fleet::another_is_asked_for(self.0, name).await?
            || fleet::another_boots(self.0, name).await?
        {
            return Ok(None);
        }
        Ok(Some(records::put(budget_path(), &budget, version)))
    }

    /// Why it is left alone for now stands where people look.
    async fn put_off(&self, known: &Known, failure: Failure) -> Result<(), Error> {
        let Known { machine, repair, repair_at } = known;
        if repair.failure.as_ref() == Some(&failure) {
            return Ok(());
        }
        let name = &machine.record.name;
        tracing::warn!(machine = %name, %failure, "a machine is not restarted yet");
        let told = Repair { failure: Some(failure), ..repair.clone() };
        save(self.0, &repair_path(name), &told, *repair_at).await?;
        Ok(())
    }

    /// Writes down what is about to be done, then does it.
    async fn apply(&self, known: Known, remedy: Remedy, turn: Option<Op>) -> Result<(), Error> {
        if remedy == Remedy::Wait {
            return Ok(());
        }
        let name = known.machine.record.name.clone();
        let Some(_visit) = self.0.visits.begin(&name) else { return Ok(()) };
        let mut known = self.begin(known, remedy, turn).await?;
        self.0.metrics.repaired(remedy);
        tracing::warn!(machine = %name, attempt = known.repair.attempts, "{}", remedy.words());
        match remedy {
            Remedy::Wait => Ok(()),
            Remedy::Enrol => match self.enrol(&name, &mut known).await? {
                Ok(enrolled) => self.enrolled(known, enrolled).await,
                Err(NotEnrolled::HostKeyChanged(failure)) => {
                    let reason = failure.message.clone();
                    tracing::error!(machine = %name, reason, "quarantined: its host key changed");
                    self.note(known, MachineState::Quarantined, reason).await
                }
                Err(NotEnrolled::Failed(failure)) => {
                    self.failed(known, remedy.words(), failure).await
                }
            },
            Remedy::Restart => match self.0.ports.backends.of(&known.machine.record.shape) {
                None => Ok(()),
                Some(backend) => match backend.restart(&name).await {
                    Ok(_) => Ok(()),
                    Err(err) => self.failed(known, remedy.words(), told(&err)).await,
                },
            },
        }
    }

    async fn enrol(
        &self,
        name: &NodeName,
        known: &mut Known,
    ) -> Result<Result<Enrolled, NotEnrolled>, Error> {
        let Some(platform) = fleet::platform(self.0).await? else {
            let failure = Failure::new(FailureCode::Internal, "no platform is described here");
            return Ok(Err(NotEnrolled::Failed(failure)));
        };
        let pinning = Pinning::new(self.0, known.machine.clone());
        let enrolled = self.0.ports.enrolment.enrol(&platform, name, &pinning).await;
        known.machine = pinning.ended();
        Ok(enrolled)
    }

    async fn begin(&self, known: Known, remedy: Remedy, turn: Option<Op>) -> Result<Known, Error> {
        let Known { machine: Stored { mut record, version }, mut repair, repair_at } = known;
        let now = self.0.ports.clock.now();
        repair.attempts = self.0.config.machine.waits.next(repair.attempts, repair.last, now);
        repair.last = Some(now);
        remedy.words().clone_into(&mut repair.what);
        if remedy == Remedy::Restart {
            let Limit { attempts, .. } = self.0.config.machine.restarts;
            record.restarts.push(now);
            let excess = record.restarts.len().saturating_sub(attempts.max(MOST_RESTARTS));
            record.restarts.drain(..excess);
        }
        let name = record.name.clone();
        let mut changes = vec![
            records::put(path::machine(&name), &record, Some(version)),
            records::put(repair_path(&name), &repair, repair_at),
        ];
        changes.extend(turn);
        let done = commit(self.0, changes).await?;
        let mut versions = done.iter().filter_map(crate::records::written);
        let (Some(version), Some(repair_at)) = (versions.next(), versions.next()) else {
            return Err(records::Error::Changed.into());
        };
        let machine = Stored { record, version };
        Ok(Known { machine, repair, repair_at: Some(repair_at) })
    }

    /// It is a node from now on: its record says where, and so does that of its agent.
    async fn enrolled(&self, known: Known, enrolled: Enrolled) -> Result<(), Error> {
        let Known { machine: Stored { mut record, version }, .. } = known;
        let Enrolled { address, gate, host_key } = enrolled;
        record.address = Some(address);
        record.gate = gate.or(record.gate);
        record.host_key = host_key.or(record.host_key);
        "its agent was started".clone_into(&mut record.reason);
        let mut changes = vec![records::put(path::machine(&record.name), &record, Some(version))];
        changes.extend(fleet::node_change(self.0, &record).await?);
        commit(self.0, changes).await?;
        fleet::refresh(self.0).await?;
        Ok(())
    }

    async fn failed(&self, known: Known, what: &str, failure: Failure) -> Result<(), Error> {
        let Known { machine, mut repair, repair_at } = known;
        let name = machine.record.name.clone();
        let reason = failure.to_string();
        tracing::warn!(machine = %name, what, reason, attempt = repair.attempts, "a machine could not be looked after");
        repair.failure = Some(failure);
        save(self.0, &repair_path(&name), &repair, repair_at).await?;
        if machine.record.state == MachineState::Failed {
            return Ok(());
        }
        let fresh = self.read(&name).await?;
        match fresh {
            Some(known) => self.note(known, MachineState::Failed, reason).await,
            None => Ok(()),
        }
    }

    /// The machine goes, and all that is written of it.
    async fn delete(&self, known: Known) -> Result<(), Error> {
        let known = self.begin(known, Remedy::Wait, None).await?;
        let Known { machine: Stored { record, version }, repair, repair_at } = known;
        let name = record.name.clone();
        let deleted = match self.0.ports.backends.of(&record.shape) {
            Some(backend) if backend.lacks(Ability::Delete).is_none() => {
                backend.delete(&name).await.map_err(|err| told(&err))
            }
            Some(_) | None => Ok(()),
        };
        if let Err(failure) = deleted {
            let known = Known { machine: Stored { record, version }, repair, repair_at };
            return self.failed(known, "it is being deleted", failure).await;
        }
        let mut changes = vec![Op::Delete { path: path::machine(&name), version }];
        changes.extend(repair_at.map(|version| Op::Delete { path: repair_path(&name), version }));
        for path in [base_path(&name), papers_path(&name), uploads_path(&name)] {
            let entry = self.0.ports.store.get(&path).await?;
            changes.extend(entry.map(|entry| Op::Delete { path, version: entry.version }));
        }
        changes.extend(fleet::node_removal(self.0, &name).await?);
        commit(self.0, changes).await?;
        tracing::warn!(machine = %name, "the machine is gone");
        fleet::refresh(self.0).await?;
        Ok(())
    }
}

/// So long a machine that was told to restart is left alone; then it is made a node again, which its restart waits for.
const BOOTS_WITHIN: Duration = Duration::from_mins(1);
/// A machine's record keeps as many.
const MOST_RESTARTS: usize = 16;

fn told(err: &backend::Error) -> Failure {
    Failure::new(FailureCode::NodeUnavailable, format!("{err}; {}", err.hint()))
}

/// As people read it.
pub(crate) fn state_name(state: MachineState) -> &'static str {
    match state {
        MachineState::Preparing => "preparing",
        MachineState::Ready => "ready",
        MachineState::Silent => "silent",
        MachineState::Quarantined => "quarantined",
        MachineState::Leaving => "leaving",
        MachineState::Failed => "failed",
    }
}
