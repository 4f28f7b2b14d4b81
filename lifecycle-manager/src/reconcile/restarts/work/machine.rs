//! A machine, restarted through its backend. Whether it was is seen by its parts: all of them run since later.

use chassis::reconcile::Outcome;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::id::Epoch;
use common::name::NodeName;
use common::port::machines::Ability;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use jiff::Timestamp;

use super::ran_since;
use crate::domain::restart::Asker;
use crate::domain::sighting::Sighting;
use crate::domain::target::Target;
use crate::fleet;
use crate::reconcile::SOON;
use crate::reconcile::restarts::{Known, Restarts};
use crate::records::{Error, Stage, Work, commit, load, restart_path, written};

/// A machine's record keeps as many.
const MOST_RESTARTS: usize = 16;

impl Restarts<'_> {
    /// Never two at once, and never beside one that is down already: a quorum would be gone.
    pub(super) async fn machine(
        &self,
        node: &NodeName,
        asker: Asker,
    ) -> Result<Result<Work, Failure>, Error> {
        let Some(machine) = load::<MachineRecord>(self.0, &path::machine(node)).await? else {
            let message = format!("no machine is called {node}");
            return Ok(Err(Failure::new(FailureCode::NodeUnknown, message)));
        };
        let machine = machine.record;
        let lacks = match self.0.ports.backends.of(&machine.shape) {
            Some(backend) => backend.lacks(Ability::Restart),
            None => Some("there is no access to what it comes from"),
        };
        if let Some(why) = lacks {
            let message = format!("machine {node} cannot be restarted here: {why}");
            return Ok(Err(Failure::new(FailureCode::NodeUnavailable, message)));
        }
        if machine.state == MachineState::Quarantined {
            let message = format!("machine {node} is quarantined: {}", machine.reason);
            return Ok(Err(Failure::new(FailureCode::NodeUnavailable, message)));
        }
        let others = fleet::machines(self.0).await?;
        let down = others.iter().find(|other| {
            other.name != *node && !self.0.sight.of(&other.name, self.0.config.window).answers()
        });
        if let Some(down) = down.filter(|_| asker == Asker::Program) {
            let message = format!("{} does not answer either: one at a time", down.name);
            return Ok(Err(Failure::new(FailureCode::RestartHeld, message)));
        }
        Ok(Ok(Work::Machine { asked: None, before: self.run_since(node) }))
    }

    /// Since when each of a machine's parts runs, as it was seen last.
    fn run_since(&self, node: &NodeName) -> Vec<Timestamp> {
        match self.0.sight.of(node, self.0.config.window) {
            Sighting::Answers { parts } => parts.iter().filter_map(ran_since).collect(),
            Sighting::Unknown | Sighting::Silent { .. } => Vec::new(),
        }
    }

    pub(super) async fn power(
        &self,
        known: Known,
        since: Timestamp,
        asked: Option<Epoch>,
        before: Vec<Timestamp>,
    ) -> Result<Outcome, Error> {
        let Target::Node(node) = known.restart.target.clone() else {
            return self.conclude(known, Ok(())).await;
        };
        let epoch = self.0.issuer().epoch;
        let seen = self.0.sight.of(&node, self.0.config.window);
        let now = self.run_since(&node);
        let is_back = seen.answers()
            && asked.is_some()
            && now.iter().all(|since| !before.contains(since))
            && (!now.is_empty() || before.is_empty());
        if is_back {
            return self.conclude(known, Ok(())).await;
        }
        // Who came after the leader that asked does not know whether it did: only parts that go on running as before
        // say that it did not.
        let goes_on = seen.answers() && before.iter().any(|since| now.contains(since));
        let again = asked.is_none_or(|by| by != epoch && goes_on);
        if !again {
            return Ok(Outcome::Again(SOON));
        }
        let known = self.write_down(known, (since, epoch, before), &node).await?;
        self.ask_backend(known, &node).await
    }

    /// The machine's record remembers it, so that nobody restarts it again too soon.
    async fn write_down(
        &self,
        known: Known,
        (since, epoch, before): (Timestamp, Epoch, Vec<Timestamp>),
        node: &NodeName,
    ) -> Result<Known, Error> {
        let Known { mut restart, version } = known;
        let work = Work::Machine { asked: Some(epoch), before };
        restart.stage = Stage::Underway { since, work };
        let target = restart_path(&restart.target);
        let mut changes = vec![records::put(target, &restart, Some(version))];
        if let Some(mut machine) = load::<MachineRecord>(self.0, &path::machine(node)).await? {
            machine.record.restarts.push(self.0.ports.clock.now());
            let excess = machine.record.restarts.len().saturating_sub(MOST_RESTARTS);
            machine.record.restarts.drain(..excess);
            let at = path::machine(node);
            changes.push(records::put(at, &machine.record, Some(machine.version)));
        }
        let done = commit(self.0, changes).await?;
        let version = done.first().and_then(written).ok_or(records::Error::Changed)?;
        Ok(Known { restart, version })
    }

    async fn ask_backend(&self, known: Known, node: &NodeName) -> Result<Outcome, Error> {
        let machine = load::<MachineRecord>(self.0, &path::machine(node)).await?;
        let shape = machine.map(|machine| machine.record.shape);
        let Some(backend) = shape.as_ref().and_then(|shape| self.0.ports.backends.of(shape)) else {
            let message = format!("machine {node} is gone");
            let failure = Failure::new(FailureCode::NodeUnknown, message);
            return self.conclude(known, Err(failure)).await;
        };
        tracing::warn!(machine = %node, "a machine is restarted");
        match backend.restart(node).await {
            Ok(_) => Ok(Outcome::Again(SOON)),
            // Whether it was done is unknown: what it shows will tell.
            Err(err) if err.is_retryable() => {
                tracing::warn!(error = &err as &dyn std::error::Error, machine = %node, "the backend did not say whether it restarted the machine");
                Ok(Outcome::Again(SOON))
            }
            Err(err) => {
                let message = format!("{err}; {}", err.hint());
                let failure = Failure::new(FailureCode::NodeUnavailable, message);
                self.conclude(known, Err(failure)).await
            }
        }
    }
}
