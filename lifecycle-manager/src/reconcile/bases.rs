//! The base on each node: what is absent is made, and what hangs is restarted. What ends is the agent's to start again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::port::part::Part;
use common::port::store::{Op, Version};
use common::record::machine::MachineState;
use jiff::Timestamp;
use rollout::order::ensure_part;
use rollout::parts::{BasePart, base_parts};
use rollout::platform::Platform;
use tokio::time::timeout;

use super::{LATER, SOON, refusal};
use crate::domain::base::{
    Facts, Others as HowOthersAre, Step, is_restarting, plan, was_started_again,
};
use crate::domain::note::Sightings;
use crate::domain::sighting::{Sighting, is_ready};
use crate::draft::{Order, draft};
use crate::fleet;
use crate::records::{Base, BaseHistory, Error, base_path, commit, load, save};
use crate::shared::Shared;

/// The reconciler of the base, by node.
#[derive(Debug)]
pub(crate) struct Bases<'a>(pub(crate) &'a Shared);

/// A node among the others, as they are seen.
#[derive(Clone, Copy)]
struct Scene<'a> {
    platform: &'a Platform,
    node: &'a NodeName,
    seen: &'a Sightings,
    others: &'a Others,
}

/// What was done about the base of those that have parts of the same kinds.
type Others = BTreeMap<NodeName, Stored<Base>>;

/// A node's record as it was read.
struct Known {
    base: Base,
    version: Option<Version>,
}

#[async_trait]
impl Reconcile for Bases<'_> {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        Ok(fleet::names(self.0).await?)
    }

    async fn reconcile(&self, node: &NodeName) -> Result<Outcome, Error> {
        if !self.0.is_settled() {
            return Ok(Outcome::Again(SOON));
        }
        let seen = self.0.sight.all(self.0.config.window);
        let ready = self.0.sight.state(node) == Some(MachineState::Ready);
        let answers = seen.get(node).is_some_and(Sighting::answers);
        let platform = if ready && answers { fleet::platform(self.0).await? } else { None };
        let Some(platform) = platform else { return Ok(Outcome::Again(LATER)) };
        let others = self.others(&platform, node).await?;
        let scene = Scene { platform: &platform, node, seen: &seen, others: &others };
        let known = self.noted(scene).await?;
        let mut again = LATER;
        for part in base_parts(&platform, node) {
            match self.step(scene, part, &known.base) {
                Step::Rest | Step::Hold => {}
                // One that cannot be made holds up no other.
                Step::Make => again = again.min(self.make(node, &part.name()).await?),
                Step::Restart => return self.restart(scene, known, part).await,
            }
        }
        Ok(Outcome::Again(again))
    }
}

impl Bases<'_> {
    async fn others(&self, platform: &Platform, node: &NodeName) -> Result<Others, Error> {
        let parts = base_parts(platform, node);
        let twins: BTreeSet<&NodeName> =
            parts.iter().flat_map(|part| part.nodes(platform)).filter(|one| *one != node).collect();
        let mut others = Others::new();
        for twin in twins {
            if let Some(stored) = load::<Base>(self.0, &base_path(twin)).await? {
                others.insert(twin.clone(), stored);
            }
        }
        Ok(others)
    }

    /// The record with everything that was ever ready in it, and what waits for others.
    async fn noted(&self, scene: Scene<'_>) -> Result<Known, Error> {
        let node = scene.node;
        let (mut base, version) = match load::<Base>(self.0, &base_path(node)).await? {
            Some(Stored { record, version }) => (record, Some(version)),
            None => (Base { schema: 1, ..Base::default() }, None),
        };
        let before = base.clone();
        for part in base_parts(scene.platform, node) {
            let name = part.name();
            if scene.found(node, &name).is_some_and(is_ready) {
                base.parts.entry(name.clone()).or_default().stood = true;
            }
            let is_held = self.step(scene, part, &base) == Step::Hold;
            if let Some(history) = base.parts.get_mut(&name) {
                let now = self.0.ports.clock.now();
                history.held_since = is_held.then(|| history.held_since.unwrap_or(now));
            }
        }
        if base == before {
            return Ok(Known { base, version });
        }
        let version = save(self.0, &base_path(node), &base, version).await?;
        Ok(Known { base, version: Some(version) })
    }

    fn step(&self, scene: Scene<'_>, part: BasePart, base: &Base) -> Step {
        let name = part.name();
        let found = scene.found(scene.node, &name);
        let never = BaseHistory::default();
        let brakes = self.0.brakes();
        plan(&Facts {
            part,
            found,
            history: base.parts.get(&name).unwrap_or(&never),
            illness: found.and_then(|found| self.0.illnesses.see(scene.node, found)),
            others: scene.how_others_are(part),
            another_restarts: scene.another_restarts(part, self.0.ports.clock.now()),
            braked: brakes.machines || brakes.services,
            rules: &self.0.config.base,
            now: self.0.ports.clock.now(),
        })
    }

    /// One that a machine does not know has no specification there that this one could contradict: the epoch is
    /// generation enough.
    async fn make(&self, node: &NodeName, part: &PartName) -> Result<Duration, Error> {
        let generation = Generation(self.0.issuer().epoch.0);
        let made =
            ensure(self.0, &Order { node, part, generation, image: None, settings: None }).await?;
        match made {
            Ok(()) => {
                tracing::info!(node.id = %node, %part, "a part of the base was made");
                Ok(SOON)
            }
            Err(failure) => {
                tracing::warn!(node.id = %node, %part, %failure, "a part of the base could not be made; trying again");
                Ok(LATER)
            }
        }
    }

    /// Written down first: whoever leads next knows of it. And only if nothing was done about others meanwhile.
    async fn restart(
        &self,
        scene: Scene<'_>,
        known: Known,
        part: BasePart,
    ) -> Result<Outcome, Error> {
        let (node, kind, part) = (scene.node, part, part.name());
        let Some(agent) = self.0.sight.agent(node) else { return Ok(Outcome::Again(LATER)) };
        let Known { mut base, version } = known;
        let (rules, now) = (&self.0.config.base, self.0.ports.clock.now());
        let found = scene.found(node, &part);
        let illness = found.and_then(|found| self.0.illnesses.see(node, found));
        let history = base.parts.entry(part.clone()).or_default();
        history.attempts = rules.attempt(kind, history, illness, now);
        history.last = Some(now);
        let attempt = history.attempts;
        let mut changes = vec![records::put(base_path(node), &base, version)];
        changes.extend(
            scene.others.iter().map(|(other, stored)| Op::Check {
                path: base_path(other),
                version: stored.version,
            }),
        );
        commit(self.0, changes).await?;
        tracing::warn!(node.id = %node, %part, attempt, "a part of the base hangs and is restarted");
        match self.0.ports.parts.restart_part(&agent, self.0.issuer(), &part).await {
            Ok(_) => look_again(self.0, &agent).await,
            Err(err) => {
                let failure = refusal(self.0, node, err).await?;
                tracing::warn!(node.id = %node, %part, %failure, "a part of the base could not be restarted; trying again");
            }
        }
        Ok(Outcome::Again(SOON))
    }
}

impl Scene<'_> {
    fn found(&self, node: &NodeName, part: &PartName) -> Option<&Part> {
        self.seen.get(node).and_then(|sighting| sighting.part(part))
    }

    /// The other machines that should have one of this kind.
    fn twins(&self, part: BasePart) -> impl Iterator<Item = &NodeName> {
        part.nodes(self.platform).iter().filter(|other| *other != self.node)
    }

    fn is_ready(&self, node: &NodeName, part: &PartName) -> bool {
        self.found(node, part).is_some_and(is_ready)
    }

    fn how_others_are(&self, part: BasePart) -> HowOthersAre {
        let (name, mut twins) = (part.name(), self.twins(part).peekable());
        if twins.peek().is_none() {
            return HowOthersAre::None;
        }
        let all = twins.all(|other| self.is_ready(other, &name));
        if all { HowOthersAre::AllReady } else { HowOthersAre::NotAllReady }
    }

    /// Whether one of those of the same kind was restarted, by whomever, and has still its time to become ready.
    fn another_restarts(&self, part: BasePart, now: Timestamp) -> bool {
        let name = part.name();
        self.twins(part).filter(|other| !self.is_ready(other, &name)).any(|other| {
            let history = self.others.get(other).and_then(|one| one.record.parts.get(&name));
            history.is_some_and(|history| is_restarting(history, now))
                || self.found(other, &name).is_some_and(|found| was_started_again(found, now))
        })
    }
}

/// Has a node's agent make a part; why not, where it could not.
pub(super) async fn ensure(
    shared: &Shared,
    order: &Order<'_>,
) -> Result<Result<(), Failure>, Error> {
    let unavailable =
        |message: &str| Ok(Err(Failure::new(FailureCode::NodeUnavailable, message.to_owned())));
    let Some(platform) = fleet::platform(shared).await? else {
        return unavailable("no platform is described here");
    };
    let Some(vault) = &shared.ports.vault else {
        return unavailable("there is nobody here who vouches for parts");
    };
    let Some(agent) = shared.sight.agent(order.node) else {
        return unavailable("its machine has no address yet");
    };
    let spec = match draft(&platform, vault, order) {
        Ok(spec) => spec,
        Err(failure) => return Ok(Err(failure)),
    };
    let (parts, issuer) = (shared.ports.parts.as_ref(), shared.issuer());
    match ensure_part(parts, &agent, issuer, &spec, &vault.secrets).await {
        Ok(_) => {
            look_again(shared, &agent).await;
            Ok(Ok(()))
        }
        Err(err) => refusal(shared, order.node, err).await.map(Err),
    }
}

/// What was just changed is seen at once, and nothing that was asked before is believed any more.
pub(super) async fn look_again(shared: &Shared, agent: &Agent) {
    shared.sight.changed(&agent.node);
    let turn = shared.sight.turn();
    let asked = timeout(shared.config.answer_within, shared.ports.parts.parts(agent)).await;
    if let Ok(Ok(parts)) = asked {
        shared.sight.answered(&agent.node, turn, parts);
    }
}
