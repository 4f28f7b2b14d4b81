//! Placed services: instances where they are wished, in the wished version. What is to be done is written down
//! first, so that who comes after a crash goes on with it.

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::name::{NodeName, PartName};
use common::port::part::{PartFolders, PartRemoval};
use common::port::store::{Op, Version as StoredVersion};
use common::record::machine::MachineState;
use common::record::path;
use common::record::platform::{
    BackedOut, InstanceState, PlacedService, RunningInstance, RunningService, ServiceImage,
};
use common::service::ServiceName;
use futures::future::join_all;
use tokio::time::timeout;

use super::bases::{ensure, look_again};
use super::{LATER, SOON, refusal};
use crate::domain::brake::Count;
use crate::domain::note::{Sightings, note};
use crate::domain::rollout::{Bound, Scene, Step, is_behind, plan, take};
use crate::domain::sighting::Sighting;
use crate::domain::target::Target;
use crate::draft::Order;
use crate::fleet;
use crate::records::{
    Error, Instance, InstanceRestart, Restart, Rollout, Stage, Work, commit, load, restart_path,
    rollout_path, save, written,
};
use crate::shared::Shared;

/// No more steps are planned at once.
const MOST_STEPS: usize = 32;

/// The reconciler of placed services.
#[derive(Debug)]
pub(crate) struct Services<'a>(pub(crate) &'a Shared);

/// What an agent said: done, or why not; or why this leadership ends.
type Answer = Result<Result<(), Failure>, Error>;

/// Something that an agent is asked for, on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Ensure,
    Restart,
    Remove,
}

#[async_trait]
impl Reconcile for Services<'_> {
    type Key = ServiceName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<ServiceName>, Error> {
        let names = self.0.ports.store.children(&path::folder("platform/services")).await?;
        Ok(names.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn reconcile(&self, service: &ServiceName) -> Result<Outcome, Error> {
        if !self.0.is_settled() {
            return Ok(Outcome::Again(SOON));
        }
        let store = self.0.ports.store.as_ref();
        let wish = records::load::<PlacedService>(store, &path::placed_service(*service)).await?;
        let Some(Stored { record: wish, .. }) = wish else { return Ok(Outcome::Settled) };
        let (before, at) = match load::<Rollout>(self.0, &rollout_path(*service)).await? {
            Some(Stored { record, version }) => (record, Some(version)),
            None => (Rollout::new(*service), None),
        };
        let restart = load::<Restart>(self.0, &restart_path(&Target::Service(*service))).await?;
        let asked = restart.as_ref().and_then(|stored| instance_of(&stored.record));
        let seen = self.0.sight.all(self.0.config.window);
        let part = part_of(*service);
        let (rollout, effects) = self.planned(&wish, &part, (&seen, asked), before.clone()).await?;
        let restarts = effects.iter().any(|(effect, _)| *effect == Effect::Restart);
        let only_if = restarts.then(|| unchanged(*service, restart.as_ref()));
        let at = self.saved((&before, &rollout), at, only_if).await?;
        self.tell(&rollout, &seen).await?;
        self.count(&rollout, &seen);
        let asked = effects.iter().map(|(effect, node)| self.ask(&rollout, &part, *effect, node));
        let answers = join_all(asked).await;
        self.take_in(rollout, at, answers).await
    }
}

/// What a service's part is called.
pub(crate) fn part_of(service: ServiceName) -> PartName {
    service.as_str().parse().expect("services' names are host labels")
}

impl Services<'_> {
    /// The record with all that follows from what is seen, and what agents are to be asked for.
    async fn planned(
        &self,
        wish: &PlacedService,
        part: &PartName,
        (seen, asked): (&Sightings, Option<&InstanceRestart>),
        rollout: Rollout,
    ) -> Result<(Rollout, Vec<(Effect, NodeName)>), Error> {
        let spare = self.spare(seen).await?;
        let shares_folders = wish.service == ServiceName::LoadBalancer;
        let scene = Scene {
            wish,
            part,
            seen,
            spare: &spare,
            asked,
            bound: if shares_folders { Bound::ToItsMachine } else { Bound::Anywhere },
            brakes: self.0.brakes(),
            rules: &self.0.config.rollout,
            now: self.0.ports.clock.now(),
        };
        let rollout = self.configured(rollout);
        let mut rollout = note(rollout, part, seen, scene.now);
        let mut effects = Vec::new();
        for _ in 0..MOST_STEPS {
            let step = plan(&rollout, &scene);
            if step == Step::Rest {
                break;
            }
            self.told(wish.service, &step);
            effects.extend(effect_of(&step));
            rollout = take(rollout, &step, &scene);
        }
        Ok((rollout, effects))
    }

    /// The record with what is said of the service now, as far as this process was given it last.
    fn configured(&self, mut rollout: Rollout) -> Rollout {
        let vault = self.0.ports.vault.as_ref();
        if let Some(secrets) = vault.map(|vault| &vault.secrets)
            && secrets.given >= rollout.given
        {
            rollout.given = secrets.given;
            rollout.configured = secrets.configured_of(rollout.service);
        }
        rollout
    }

    /// The machines that could take an instance, those with the fewest parts first.
    async fn spare(&self, seen: &Sightings) -> Result<Vec<NodeName>, Error> {
        let mut spare: Vec<(usize, NodeName)> = Vec::new();
        for machine in fleet::machines(self.0).await? {
            let sighting = seen.get(&machine.name);
            if let Some(Sighting::Answers { parts }) = sighting
                && machine.state == MachineState::Ready
            {
                spare.push((parts.len(), machine.name));
            }
        }
        spare.sort();
        Ok(spare.into_iter().map(|(_, name)| name).collect())
    }

    fn told(&self, service: ServiceName, step: &Step) {
        match step {
            Step::BackOut { failure, .. } => {
                self.0.metrics.backed_out(service);
                tracing::error!(%service, %failure, "a version did not become ready and is backed out of");
            }
            Step::Move { from, to } => {
                tracing::warn!(%service, %from, %to, "an instance is made on another machine");
            }
            Step::Fail { node, failure } => {
                tracing::error!(%service, node.id = %node, %failure, "an instance failed");
            }
            Step::Restart { node } => {
                tracing::warn!(%service, node.id = %node, "an instance does not answer and is restarted");
            }
            Step::Follow
            | Step::Adopt { .. }
            | Step::Start { .. }
            | Step::Ensure { .. }
            | Step::Replace { .. }
            | Step::Leave { .. }
            | Step::Remove { .. }
            | Step::Settle { .. }
            | Step::Rest => tracing::info!(%service, ?step, "a step"),
        }
    }

    async fn saved(
        &self,
        (before, after): (&Rollout, &Rollout),
        at: Option<StoredVersion>,
        only_if: Option<Op>,
    ) -> Result<Option<StoredVersion>, Error> {
        if before == after && at.is_some() {
            return Ok(at);
        }
        let mut changes = vec![records::put(rollout_path(after.service), after, at)];
        changes.extend(only_if);
        let done = commit(self.0, changes).await?;
        let version = done.first().and_then(written).ok_or(records::Error::Changed)?;
        Ok(Some(version))
    }

    /// How the service is, for the platform initializer and everybody else. Of what was left behind nobody knows anything.
    async fn tell(&self, rollout: &Rollout, seen: &Sightings) -> Result<(), Error> {
        let addresses = fleet::addresses(self.0).await?;
        let instance = |instance: &Instance| {
            let ip = addresses.get(&instance.node)?;
            let (address, internal) = self.0.config.doors(rollout.service, *ip)?;
            Some(RunningInstance {
                part: part_of(rollout.service),
                node: instance.node.clone(),
                address,
                internal,
                image: instance.version.image.clone(),
                state: instance.state,
                failure: instance.failure.clone(),
                since: instance.since,
            })
        };
        let ran = rollout.good.as_ref().map(|good| &good.image);
        let backed_out = rollout.refused.clone().map(|refusal| BackedOut {
            settings: ran == Some(&refusal.version.image),
            image: refusal.version.image,
            generation: refusal.wish,
            failure: refusal.failure,
            at: refusal.at,
        });
        let rules = &self.0.config.rollout;
        let told = rollout.instances.iter().filter(|one| !is_behind(one, seen, rules));
        let running = RunningService {
            schema: 1,
            service: rollout.service,
            generation: rollout.wish,
            instances: told.filter_map(instance).collect(),
            backed_out,
        };
        let path = path::running_service(rollout.service);
        let stored: Option<Stored<RunningService>> = load(self.0, &path).await?;
        if stored.as_ref().is_some_and(|stored| stored.record == running) {
            return Ok(());
        }
        save(self.0, &path, &running, stored.map(|stored| stored.version)).await.map(drop)
    }

    /// Instances on machines that answer; those on silent ones count with their machine.
    fn count(&self, rollout: &Rollout, seen: &Sightings) {
        let answers = |node: &NodeName| seen.get(node).is_some_and(Sighting::answers);
        let mut count = Count::default();
        for instance in rollout.staying().filter(|instance| answers(&instance.node)) {
            let was_ready = matches!(instance.state, InstanceState::Ready | InstanceState::Silent);
            count.known += usize::from(was_ready);
            count.bad += usize::from(instance.state == InstanceState::Silent);
        }
        self.0.counts(rollout.service, count);
    }

    /// Asks a node's agent; why not, where it could not.
    async fn ask(
        &self,
        rollout: &Rollout,
        part: &PartName,
        effect: Effect,
        node: &NodeName,
    ) -> (NodeName, Answer) {
        let asked = async {
            let Some(instance) = rollout.instance(node) else { return Ok(Ok(())) };
            let Some(agent) = self.0.sight.agent(node) else { return Ok(Ok(())) };
            let (parts, issuer) = (self.0.ports.parts.as_ref(), self.0.issuer());
            let done = match effect {
                Effect::Ensure => {
                    let (image, generation) =
                        (instance.version.image.as_ref(), instance.generation);
                    let settings = Some(&instance.version.configured.settings);
                    let order = Order { part, node, generation, image, settings };
                    return ensure(self.0, &order).await;
                }
                Effect::Restart => parts.restart_part(&agent, issuer, part).await.map(drop),
                Effect::Remove => {
                    let seen = self.0.sight.of(node, self.0.config.window);
                    let found = seen.part(part).map(|part| part.generation);
                    let generation = found.unwrap_or_default().max(instance.generation);
                    let (name, data) = (part.clone(), PartFolders::Keep);
                    let removal = PartRemoval { name, generation, data };
                    parts.remove_part(&agent, issuer, &removal).await
                }
            };
            match done {
                Ok(()) => {
                    look_again(self.0, &agent).await;
                    Ok(Ok(()))
                }
                Err(err) => refusal(self.0, node, err).await.map(Err),
            }
        };
        match timeout(self.0.config.effect_within, asked).await {
            Ok(answer) => (node.clone(), answer),
            Err(_) if effect == Effect::Ensure && is_built(rollout, node) => {
                tracing::info!(service = %rollout.service, node.id = %node, "its machine may still build it; it is asked again");
                (node.clone(), Ok(Ok(())))
            }
            Err(_) => {
                let seconds = self.0.config.effect_within.as_secs();
                let message = format!("node {node} did not answer within {seconds} s");
                let code = FailureCode::DeadlineExceeded;
                (node.clone(), Ok(Err(Failure::new(code, message))))
            }
        }
    }

    /// Why an instance is not there yet stands in its record.
    async fn take_in(
        &self,
        mut rollout: Rollout,
        at: Option<StoredVersion>,
        answers: Vec<(NodeName, Answer)>,
    ) -> Result<Outcome, Error> {
        let before = rollout.clone();
        let asked = answers.len();
        for (node, answer) in answers {
            if let Err(failure) = answer? {
                tracing::warn!(service = %rollout.service, node.id = %node, %failure, "an agent could not do what was asked");
                if let Some(instance) = rollout.instance_mut(&node) {
                    instance.failure = Some(failure);
                }
            }
        }
        self.saved((&before, &rollout), at, None).await?;
        let at_rest =
            rollout.instances.iter().all(|instance| instance.state == InstanceState::Ready);
        Ok(Outcome::Again(if at_rest && asked == 0 { LATER } else { SOON }))
    }
}

/// The instance of a service that is being restarted because somebody asked for it.
fn instance_of(restart: &Restart) -> Option<&InstanceRestart> {
    match &restart.stage {
        Stage::Underway { work: Work::Instances { now, .. }, .. } => now.as_ref(),
        Stage::Underway { work: Work::Machine { .. } | Work::Deployment { .. }, .. }
        | Stage::Idle => None,
    }
}

/// Nobody has begun to restart an instance since, as somebody asked for it: of two that decide about the same one at the
/// same moment, this one or [`Restarts`](super::Restarts), one decides anew. What nobody ever asked for is made, to be
/// compared with.
fn unchanged(service: ServiceName, restart: Option<&Stored<Restart>>) -> Op {
    let target = Target::Service(service);
    let path = restart_path(&target);
    match restart {
        Some(stored) => Op::Check { path, version: stored.version },
        None => records::put(path, &Restart::new(target), None),
    }
}

/// Whether the instance's version is built on its machine.
fn is_built(rollout: &Rollout, node: &NodeName) -> bool {
    let image = rollout.instance(node).and_then(|one| one.version.image.as_ref());
    matches!(image, Some(ServiceImage::Built(_)))
}

fn effect_of(step: &Step) -> Option<(Effect, NodeName)> {
    match step {
        Step::Start { node, .. } | Step::Ensure { node } | Step::Replace { node, .. } => {
            Some((Effect::Ensure, node.clone()))
        }
        Step::Move { to, .. } => Some((Effect::Ensure, to.clone())),
        Step::Restart { node } => Some((Effect::Restart, node.clone())),
        Step::Remove { node } => Some((Effect::Remove, node.clone())),
        Step::Follow
        | Step::Adopt { .. }
        | Step::Leave { .. }
        | Step::BackOut { .. }
        | Step::Fail { .. }
        | Step::Settle { .. }
        | Step::Rest => None,
    }
}
