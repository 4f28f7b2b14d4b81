//! Instances of a service, restarted one after another by their agents. Whether one was is seen by when it runs since.

use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::port::part::Part;
use common::port::store::Op;
use common::record::machine::MachineState;
use common::record::platform::InstanceState;
use common::service::ServiceName;
use jiff::Timestamp;
use rollout::parts::BasePart;
use tokio::time::timeout;

use crate::domain::restart::Asker;
use crate::domain::restart::instances::{
    Before, Choice, Fresh, Instance, Look, Progress, Turn, choose, progress, turn,
};
use crate::domain::restart::machine::ran_since;
use crate::domain::sighting::is_ready;
use crate::domain::target::Target;
use crate::domain::waits::elapsed;
use crate::fleet;
use crate::reconcile::restarts::{Known, Restarts};
use crate::reconcile::services::part_of;
use crate::reconcile::{SOON, refusal};
use crate::records::{
    Error, InstanceRestart, Rollout, Stage, Work, commit, load, restart_path, rollout_path,
};

/// How far the instances of a service are, as [`Work::Instances`] has it.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) left: Vec<NodeName>,
    pub(super) now: Option<InstanceRestart>,
    pub(super) done: Vec<NodeName>,
    pub(super) well_too: bool,
    pub(super) before: Before,
}

/// A restart of instances that is under way, as it was read.
pub(super) struct Underway {
    pub(super) known: Known,
    pub(super) since: Timestamp,
    pub(super) round: Round,
}

impl Underway {
    /// The record with how far it is.
    fn written(self) -> Known {
        let Underway { mut known, since, round } = self;
        let Round { left, now, done, well_too, before } = round;
        let work = Work::Instances { left, now, done, well_too, before };
        known.restart.stage = Stage::Underway { since, work };
        known
    }
}

impl Restarts<'_> {
    /// What a program says is compared with what is seen from here.
    pub(super) async fn instances_of(
        &self,
        service: ServiceName,
        asker: Asker,
    ) -> Result<Result<Work, Failure>, Error> {
        Ok(match choose(asker, self.looks(service).await?) {
            Choice::These { nodes, well_too } => {
                let (before, now, done) = (self.ran_since(&nodes, service), None, Vec::new());
                Ok(Work::Instances { left: nodes, now, done, well_too, before })
            }
            Choice::Explained(nodes) => {
                let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                let message = format!(
                    "its instance on {} was just started, or is being replaced, and no other looks bad: none was restarted",
                    nodes.join(", ")
                );
                Err(Failure::new(FailureCode::RestartHeld, message))
            }
            Choice::Nothing => {
                let message = format!("no instance of {service} is seen on any machine");
                Err(Failure::new(FailureCode::ServiceUnknown, message))
            }
        })
    }

    /// Since when these run, as they were seen last.
    fn ran_since(&self, nodes: &[NodeName], service: ServiceName) -> Before {
        let (part, seen) = (part_of(service), self.0.sight.all(self.0.config.window));
        let ran = |node: &NodeName| {
            let found = seen.get(node)?.part(&part)?;
            Some((node.clone(), ran_since(found)))
        };
        nodes.iter().filter_map(ran).collect()
    }

    /// Every instance that is seen, or that should be somewhere.
    async fn looks(&self, service: ServiceName) -> Result<Vec<Instance>, Error> {
        let part = part_of(service);
        let rollout = load::<Rollout>(self.0, &rollout_path(service)).await?;
        let rollout = rollout.map(|stored| stored.record);
        let wanted = self.wanted(&part, rollout.as_ref()).await?;
        let own = fleet::own_node(self.0).filter(|_| service == ServiceName::LifecycleManager);
        let now = self.0.ports.clock.now();
        let pause = self.0.config.restart.waits.first;
        let mut looks = Vec::new();
        for (node, sighting) in self.0.sight.all(self.0.config.window) {
            let found = sighting.part(&part);
            let is_wanted = wanted.contains(&node);
            let record = rollout.as_ref().and_then(|one| one.instance(&node));
            let state = record.map(|one| one.state);
            let is_fresh = |one: &Part| {
                ran_since(one).is_some_and(|ran| match record.map(|record| record.run) {
                    // Its machine's clock may differ from this one.
                    Some(Some(run)) if run.since == ran => elapsed(run.seen, now) < pause,
                    Some(Some(_) | None) => true,
                    None => elapsed(ran, now) < pause,
                })
            };
            let look = match (sighting.answers(), found, state) {
                (true, Some(_), None) if !is_wanted => Look::OnItsWay,
                (true, Some(_), Some(InstanceState::Starting | InstanceState::Stopping)) => {
                    Look::OnItsWay
                }
                // Somebody has just started it.
                (true, Some(one), _) if is_fresh(one) => Look::OnItsWay,
                (true, Some(one), _) if is_ready(one) => Look::Ready,
                (true, Some(_), _) => Look::Bad,
                (true, None, _) if is_wanted => Look::OnItsWay,
                (false, ..) if is_wanted => Look::Away,
                (true | false, ..) => continue,
            };
            looks.push(Instance { is_this: own.as_ref() == Some(&node), node, look });
        }
        Ok(looks)
    }

    /// Where instances should be: as the service's record has it; those of the base as it is described.
    async fn wanted(
        &self,
        part: &PartName,
        rollout: Option<&Rollout>,
    ) -> Result<Vec<NodeName>, Error> {
        if let Some(rollout) = rollout {
            return Ok(rollout.staying().map(|one| one.node.clone()).collect());
        }
        let base = BasePart::ALL.into_iter().find(|base| base.name() == *part);
        let platform = fleet::platform(self.0).await?;
        Ok(match (base, platform) {
            (Some(base), Some(platform)) => base.nodes(&platform).to_vec(),
            // Where nothing is described, it belongs where it is.
            (Some(_), None) => {
                let seen = self.0.sight.all(self.0.config.window).into_iter();
                seen.filter(|(_, one)| one.part(part).is_some()).map(|(node, _)| node).collect()
            }
            (None, _) => Vec::new(),
        })
    }

    pub(super) async fn instances(&self, mut underway: Underway) -> Result<Outcome, Error> {
        let Target::Service(service) = underway.known.restart.target else {
            return self.conclude(underway.known, Ok(())).await;
        };
        let part = part_of(service);
        let Some(current) = underway.round.now.clone() else {
            return self.next_instance(underway, service).await;
        };
        match progress(&current, &self.fresh(&current.node, &part).await?) {
            Progress::Wait => return Ok(Outcome::Again(SOON)),
            Progress::Ask => return self.attempt(underway, current, &part).await,
            Progress::Restarted => underway.round.done.push(current.node),
            Progress::Passed => {}
        }
        underway.round.now = None;
        self.turned(underway).await?;
        Ok(Outcome::Again(Duration::ZERO))
    }

    async fn next_instance(
        &self,
        mut underway: Underway,
        service: ServiceName,
    ) -> Result<Outcome, Error> {
        if underway.round.left.is_empty() {
            return self.conclude(underway.known, Ok(())).await;
        }
        let round = &mut underway.round;
        let node = round.left.remove(0);
        let fresh = self.fresh(&node, &part_of(service)).await?;
        match turn(&node, &fresh, &round.before, round.well_too) {
            Turn::Later => {
                round.left.push(node);
                self.turned(underway).await?;
                Ok(Outcome::Again(SOON))
            }
            Turn::Passed => {
                self.turned(underway).await?;
                Ok(Outcome::Again(Duration::ZERO))
            }
            Turn::Begins { ran_since } => {
                let now = InstanceRestart { node, ran_since, attempts: 0, attempted_at: None };
                self.turn_begins(underway, service, now).await
            }
        }
    }

    async fn turned(&self, underway: Underway) -> Result<Known, Error> {
        self.saved(underway.written()).await
    }

    /// Only if whoever looks after the service has not just decided to restart this one: each of the two writes down what it
    /// decides only if the other's record is as it was read, so that of two that meet one sees what the other one does.
    async fn turn_begins(
        &self,
        mut underway: Underway,
        service: ServiceName,
        now: InstanceRestart,
    ) -> Result<Outcome, Error> {
        let path = rollout_path(service);
        let rollout = load::<Rollout>(self.0, &path).await?;
        let tried = rollout.as_ref().and_then(|stored| stored.record.instance(&now.node));
        let tried = tried.and_then(|instance| instance.attempted_at);
        let pause = self.0.config.restart.waits.first;
        if tried.is_some_and(|at| elapsed(at, self.0.ports.clock.now()) < pause) {
            return Ok(Outcome::Again(SOON));
        }
        underway.round.now = Some(now);
        let Known { restart, version } = underway.written();
        let mut changes =
            vec![records::put(restart_path(&restart.target), &restart, Some(version))];
        changes.extend(rollout.map(|stored| Op::Check { path, version: stored.version }));
        commit(self.0, changes).await?;
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Asks for the restart, and again with growing pauses: what ended before may end again.
    async fn attempt(
        &self,
        mut underway: Underway,
        mut current: InstanceRestart,
        part: &PartName,
    ) -> Result<Outcome, Error> {
        let (waits, now) = (&self.0.config.rollout.waits, self.0.ports.clock.now());
        if !waits.left(current.attempts, current.attempted_at, now).is_zero() {
            return Ok(Outcome::Again(SOON));
        }
        current.attempts = waits.next(current.attempts, current.attempted_at, now);
        current.attempted_at = Some(now);
        let node = current.node.clone();
        underway.round.now = Some(current);
        let known = self.turned(underway).await?;
        self.restart_instance(known, &node, part).await
    }

    async fn restart_instance(
        &self,
        known: Known,
        node: &NodeName,
        part: &PartName,
    ) -> Result<Outcome, Error> {
        let Some(agent) = self.0.sight.agent(node) else { return Ok(Outcome::Again(SOON)) };
        let is_this = known.restart.target == Target::Service(ServiceName::LifecycleManager)
            && fleet::own_node(self.0).as_ref() == Some(node);
        // Who ends itself says before that it did what it was asked to.
        let known = if is_this { self.concluded(known, Ok(())).await? } else { known };
        let known = if is_this { self.pay(known).await? } else { known };
        tracing::warn!(node.id = %node, %part, "a part is restarted");
        match self.0.ports.parts.restart_part(&agent, self.0.issuer(), part).await {
            Ok(part) => {
                // Or whoever looks after the service would see it as ill as before, and restart it again.
                self.0.sight.part_is(node, part);
                Ok(Outcome::Again(SOON))
            }
            Err(err) if err.is_retryable() => {
                tracing::warn!(error = &err as &dyn std::error::Error, node.id = %node, "an agent was not reached");
                Ok(Outcome::Again(SOON))
            }
            Err(err) => {
                let failure = refusal(self.0, node, err).await?;
                if is_this {
                    Ok(Outcome::Settled)
                } else {
                    self.conclude(known, Err(failure)).await
                }
            }
        }
    }

    /// A machine that is quarantined has nothing that anybody asks for.
    async fn fresh(&self, node: &NodeName, part: &PartName) -> Result<Fresh, Error> {
        if self.0.sight.state(node) == Some(MachineState::Quarantined) {
            return Ok(Fresh::Gone);
        }
        let Some(agent) = self.0.sight.agent(node) else { return Ok(Fresh::Gone) };
        let turn = self.0.sight.turn();
        let asked = timeout(self.0.config.answer_within, self.0.ports.parts.parts(&agent)).await;
        let Ok(Ok(parts)) = asked else { return Ok(Fresh::Silent) };
        let found = parts.iter().find(|one| one.name == *part).cloned();
        self.0.sight.answered(node, turn, parts);
        Ok(found.map_or(Fresh::Gone, Fresh::There))
    }
}
