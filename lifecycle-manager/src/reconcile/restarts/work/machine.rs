//! A machine, restarted through its backend. Whether it was is seen by its parts: all of them run anew, and are ready.

use chassis::reconcile::Outcome;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::port::machines::Ability;
use common::port::nodes;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;
use rollout::parts::BasePart;
use tokio::time::timeout;

use crate::domain::restart::Asker;
use crate::domain::restart::machine::{Before, Facts, Order, Step, missing, next, ran_since};
use crate::domain::sighting::Sighting;
use crate::domain::target::Target;
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::reconcile::restarts::{Known, Restarts, asker};
use crate::reconcile::{SOON, members};
use crate::records::{
    Error, Rollout, Stage, Work, commit, load, restart_path, rollout_path, written,
};

/// A machine's record keeps as many.
const MOST_RESTARTS: usize = 16;

/// Why nobody touches it.
fn is_quarantined(machine: &MachineRecord) -> Option<Failure> {
    let MachineRecord { name, state, reason, .. } = machine;
    let message = || format!("machine {name} is quarantined: {reason}");
    (*state == MachineState::Quarantined)
        .then(|| Failure::new(FailureCode::NodeUnavailable, message()))
}

impl Restarts<'_> {
    /// Never two at once, and never beside one that is down already: a quorum would be gone. For a program not where
    /// somebody else has just restarted it, or it has come back by itself.
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
        if let Some(failure) = is_quarantined(&machine) {
            return Ok(Err(failure));
        }
        if let Some(failure) = self.needs_none(&machine, asker).await {
            return Ok(Err(failure));
        }
        if let Some(failure) = self.is_needed(node, asker).await? {
            return Ok(Err(failure));
        }
        // One in quarantine is away until a person has looked: nobody waits for that.
        let others = fleet::machines(self.0).await?;
        let down = others.iter().find(|other| {
            other.name != *node
                && other.state != MachineState::Quarantined
                && !self.0.sight.of(&other.name, self.0.config.window).answers()
        });
        if let Some(down) = down.filter(|_| asker == Asker::Program) {
            let message = format!("{} does not answer either: one at a time", down.name);
            return Ok(Err(Failure::new(FailureCode::RestartHeld, message)));
        }
        let parts = self.run_since(node);
        Ok(Ok(Work::Machine { asked: None, asked_at: None, answered: false, parts }))
    }

    /// Why a machine is not restarted: it was a moment ago, or a program says that it is dead and it is not.
    async fn needs_none(&self, machine: &MachineRecord, asker: Asker) -> Option<Failure> {
        let (node, now) = (&machine.name, self.0.ports.clock.now());
        let pause = self.0.config.restart.waits.first;
        if machine.restarts.last().is_some_and(|last| elapsed(*last, now) < pause) {
            let message = format!("machine {node} was restarted a moment ago");
            return Some(Failure::new(FailureCode::RestartTooSoon, message));
        }
        let answers = asker == Asker::Program && self.answers_now(node).await;
        let message = || format!("machine {node} answers: it was not restarted");
        answers.then(|| Failure::new(FailureCode::RestartHeld, message()))
    }

    /// Why others cannot spare it. For a program only what is silent is restarted, and that may still do something.
    async fn is_needed(&self, node: &NodeName, asker: Asker) -> Result<Option<Failure>, Error> {
        match asker {
            Asker::Operator => members::is_needed(self.0, node).await,
            Asker::Program => members::is_perhaps_needed(self.0, node).await,
        }
    }

    async fn answers_now(&self, node: &NodeName) -> bool {
        let Some(agent) = self.0.sight.agent(node) else { return false };
        let asked = timeout(self.0.config.answer_within, self.0.ports.parts.parts(&agent)).await;
        // Its agent is there before its engine.
        matches!(asked, Ok(Ok(_) | Err(nodes::Error::Failed { .. })))
    }

    /// Since when each of a machine's parts runs, as it was seen last.
    fn run_since(&self, node: &NodeName) -> Before {
        match self.0.sight.of(node, self.0.config.window) {
            Sighting::Answers { parts } => {
                parts.iter().map(|part| (part.name.clone(), ran_since(part))).collect()
            }
            Sighting::Unknown | Sighting::Silent { .. } => Before::new(),
        }
    }

    pub(super) async fn power(
        &self,
        known: Known,
        since: Timestamp,
        order: Option<Order>,
        parts: Before,
    ) -> Result<Outcome, Error> {
        let Target::Node(node) = known.restart.target.clone() else {
            return self.conclude(known, Ok(())).await;
        };
        let seen = self.0.sight.of(&node, self.0.config.window);
        let still_its = self.still_its(&node, &parts).await?;
        let (epoch, now) = (self.0.issuer().epoch, self.0.ports.clock.now());
        let facts = Facts { seen: &seen, before: &still_its, order, epoch, now };
        let step = next(&facts);
        // It will not be back before a person has looked.
        if step != Step::Done
            && self.0.sight.state(&node) == Some(MachineState::Quarantined)
            && let Some(machine) = load::<MachineRecord>(self.0, &path::machine(&node)).await?
            && let Some(failure) = is_quarantined(&machine.record)
        {
            return self.conclude(known, Err(failure)).await;
        }
        match step {
            Step::Done => self.conclude(known, Ok(())).await,
            Step::Wait => Ok(Outcome::Again(SOON)),
            // Somebody makes a node of it right now: then it answers, or is restarted after all.
            Step::AskBackend if self.0.visits.is_under_way(&node) => Ok(Outcome::Again(SOON)),
            Step::AskBackend => {
                // It may have come back, or been restarted by who looks after machines, since it was decided.
                let machine = load::<MachineRecord>(self.0, &path::machine(&node)).await?;
                let asker = asker(&known.restart);
                if let Some(machine) = machine
                    && let Some(failure) = self.needs_none(&machine.record, asker).await
                {
                    return self.conclude(known, Err(failure)).await;
                }
                if let Some(failure) = self.is_needed(&node, asker).await? {
                    return self.conclude(known, Err(failure)).await;
                }
                let order = Order { by: epoch, at: now, answered: false };
                let known = self.write_down(known, (since, order, parts), &node).await?;
                self.ask_backend(known, &node).await
            }
        }
    }

    /// The parts of a machine that have not been given to another one meanwhile.
    async fn still_its(&self, node: &NodeName, parts: &Before) -> Result<Before, Error> {
        let mut still_its = Before::new();
        for (part, ran) in parts {
            if self.is_still_its(node, part).await? {
                still_its.insert(part.clone(), *ran);
            }
        }
        Ok(still_its)
    }

    async fn is_still_its(&self, node: &NodeName, part: &PartName) -> Result<bool, Error> {
        if *part == BasePart::Registry.name() {
            let place = fleet::registry(self.0).await?;
            return Ok(place.is_none_or(|place| place.record.node == *node));
        }
        let Ok(service) = part.as_str().parse::<ServiceName>() else { return Ok(true) };
        let rollout = load::<Rollout>(self.0, &rollout_path(service)).await?;
        // What nobody has placed is of the base: it stays where it is.
        Ok(rollout.is_none_or(|stored| stored.record.staying().any(|one| one.node == *node)))
    }

    /// What keeps a machine's restart from having ended.
    pub(super) async fn missing(
        &self,
        target: &Target,
        work: &Work,
    ) -> Result<Vec<PartName>, Error> {
        let (Target::Node(node), Work::Machine { parts, .. }) = (target, work) else {
            return Ok(Vec::new());
        };
        let seen = self.0.sight.of(node, self.0.config.window);
        let still_its = self.still_its(node, parts).await?;
        Ok(missing(&seen, &still_its).into_iter().cloned().collect())
    }

    /// The machine's record remembers it, so that nobody restarts it again too soon.
    async fn write_down(
        &self,
        known: Known,
        (since, order, parts): (Timestamp, Order, Before),
        node: &NodeName,
    ) -> Result<Known, Error> {
        let Known { mut restart, version } = known;
        let Order { by, at, answered } = order;
        let work = Work::Machine { asked: Some(by), asked_at: Some(at), answered, parts };
        restart.stage = Stage::Underway { since, work };
        let target = restart_path(&restart.target);
        let mut changes = vec![records::put(target, &restart, Some(version))];
        if let Some(mut machine) = load::<MachineRecord>(self.0, &path::machine(node)).await? {
            machine.record.restarts.push(at);
            let excess = machine.record.restarts.len().saturating_sub(MOST_RESTARTS);
            machine.record.restarts.drain(..excess);
            let at = path::machine(node);
            changes.push(records::put(at, &machine.record, Some(machine.version)));
        }
        let done = commit(self.0, changes).await?;
        let version = done.first().and_then(written).ok_or(records::Error::Changed)?;
        Ok(Known { restart, version })
    }

    async fn ask_backend(&self, mut known: Known, node: &NodeName) -> Result<Outcome, Error> {
        let machine = load::<MachineRecord>(self.0, &path::machine(node)).await?;
        let shape = machine.map(|machine| machine.record.shape);
        let Some(backend) = shape.as_ref().and_then(|shape| self.0.ports.backends.of(shape)) else {
            let message = format!("machine {node} is gone");
            let failure = Failure::new(FailureCode::NodeUnknown, message);
            return self.conclude(known, Err(failure)).await;
        };
        tracing::warn!(machine = %node, "a machine is restarted");
        match backend.restart(node).await {
            Ok(_) => {
                // Whoever leads next need not find out.
                if let Stage::Underway { work: Work::Machine { answered, .. }, .. } =
                    &mut known.restart.stage
                {
                    *answered = true;
                }
                self.saved(known).await?;
                Ok(Outcome::Again(SOON))
            }
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
