//! The base of the platform on its nodes: registry, images, ZooKeeper, Kafka, edge, lifecycle managers, platform
//! initializers. Once a lifecycle manager leads, the platform keeps itself, and nothing is done here any more.

use std::mem::discriminant;

use common::id::{Epoch, Generation};
use common::name::NodeName;
use common::port::Parts;
use common::port::host::{Credential, Gate};
use common::port::nodes::{self, Issuer};
use common::service::ServiceName;
use futures::future::join_all;
use rollout::Failure;
use rollout::machine::Trust;
use rollout::order::{Base, PartAction, PartStep, apply_part, observe_parts, plan_parts};
use rollout::parts::{BasePart, REGISTRY_PORT, SSH_KEY};
use rollout::platform::{Component, Platform};

use crate::first::Vault;
use crate::report::Event;
use crate::trouble::Trouble;
use crate::work::Work;

/// The bootstrapper speaks before any lifecycle manager leads.
pub(crate) const ISSUER: Issuer =
    Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(0) };

/// Who keeps the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Nobody yet: it is being made.
    Bootstrapper,
    LifecycleManager,
}

/// What the agents said when they were asked.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) keeper: Keeper,
    /// Machines whose agent did not answer.
    pub(crate) silent: Vec<NodeName>,
}

/// Asks all agents: whichever has heard a lifecycle manager that leads refuses us. Any of them may be new and have
/// heard nobody yet.
pub(crate) async fn ask(work: &Work<'_>, platform: &Platform, trust: &Trust) -> Heard {
    let agents = &work.agents(platform, trust);
    let registry = platform.address(&platform.placement.registry);
    let asks = platform.machines.iter().map(|machine| async move {
        let name = machine.name.clone();
        let Some(agent) = platform.agent(&name) else { return (name, None) };
        let registry = registry.unwrap_or_else(|| agent.address.ip());
        let at = (registry, REGISTRY_PORT).into();
        (name, Some(agents.registry_at(&agent, ISSUER, at).await))
    });
    let mut heard = Heard { keeper: Keeper::Bootstrapper, silent: Vec::new() };
    for (name, answer) in join_all(asks).await {
        match answer {
            Some(Err(nodes::Error::StaleEpoch { .. })) => heard.keeper = Keeper::LifecycleManager,
            Some(Err(nodes::Error::Unreachable { .. })) | None => heard.silent.push(name),
            Some(Ok(()) | Err(nodes::Error::Failed { .. })) => {}
        }
    }
    heard
}

/// Brings the base up, step by step. What went wrong is told already.
pub(crate) async fn bring_up(
    work: &Work<'_>,
    platform: &mut Platform,
    vault: &Vault,
    generation: Generation,
) -> Result<Keeper, Vec<Trouble>> {
    let agents = work.agents(platform, &vault.trust);
    let parts: &dyn Parts = &agents;
    let seen = observe_parts(platform, parts).await.map_err(|err| vec![err.into()])?;
    let steps = plan_parts(platform, generation, &seen);
    for wave in waves(&steps) {
        let secrets = vault.secrets(&for_lifecycle_managers(platform));
        let authority = vault.trust.authority.as_ref();
        let base =
            Base { platform, generation, issuer: ISSUER, parts, authority, secrets: &secrets };
        let done = join_all(wave.iter().map(|step| take(work, &base, step))).await;
        let mut troubles = Vec::new();
        let mut pushed = Vec::new();
        let mut superseded = false;
        for step in done {
            match step {
                Ok(name) => pushed.extend(name),
                Err(Refusal::Superseded) => superseded = true,
                Err(Refusal::Failed(trouble)) => troubles.push(trouble),
            }
        }
        for name in pushed {
            if let Some(image) = platform.images.get_mut(&name.component) {
                image.named = Some(name.image);
            }
        }
        let mut images = platform.images.clone();
        images.remove(&Component::Base);
        if let Err(trouble) = work.learn(|state| state.images = images) {
            troubles.push(trouble);
        }
        if !troubles.is_empty() {
            return Err(troubles);
        }
        if superseded {
            return Ok(Keeper::LifecycleManager);
        }
    }
    Ok(Keeper::Bootstrapper)
}

/// Steps that can be done at the same time: neighbours of one kind, but for pushes, which share one node's disk.
fn waves(steps: &[PartStep]) -> impl Iterator<Item = &[PartStep]> {
    steps.chunk_by(|one, next| {
        let pushes = matches!(next.action, PartAction::Push(_));
        !pushes && discriminant(&one.action) == discriminant(&next.action)
    })
}

enum Refusal {
    /// A lifecycle manager leads by now.
    Superseded,
    Failed(Trouble),
}

async fn take(
    work: &Work<'_>,
    base: &Base<'_>,
    step: &PartStep,
) -> Result<Option<rollout::order::Pushed>, Refusal> {
    let doing = async {
        match apply_part(base, step).await {
            Ok(pushed) => Ok(Ok(pushed)),
            Err(err) if err.is_superseded() => Ok(Err(Refusal::Superseded)),
            Err(err) => Err::<_, Failure>(err),
        }
    };
    match work.step(Some(&step.node), &step.to_string(), doing).await {
        Ok(done) => done,
        Err(trouble) => {
            work.tell(&Event::Failed(trouble.clone()));
            Err(Refusal::Failed(trouble))
        }
    }
}

/// Waits until a lifecycle manager is ready, where others than us brought it up.
pub(crate) async fn one_is_ready(
    work: &Work<'_>,
    platform: &Platform,
    vault: &Vault,
) -> Result<(), Vec<Trouble>> {
    let secrets = vault.secrets(platform);
    let agents = work.agents(platform, &vault.trust);
    let (parts, authority): (&dyn Parts, _) = (&agents, vault.trust.authority.as_ref());
    let generation = work.known().generation;
    let base = Base { platform, generation, issuer: ISSUER, parts, authority, secrets: &secrets };
    let mut troubles = Vec::new();
    for node in &platform.placement.lifecycle_manager {
        let action = PartAction::Await(BasePart::LifecycleManager);
        let step = PartStep { node: node.clone(), action, certain: true };
        match take(work, &base, &step).await {
            Ok(_) | Err(Refusal::Superseded) => return Ok(()),
            Err(Refusal::Failed(trouble)) => troubles.push(trouble),
        }
    }
    Err(troubles)
}

/// The same platform as lifecycle managers see it: they are among its machines, and have a key of their own.
pub(crate) fn for_lifecycle_managers(platform: &Platform) -> Platform {
    let mut platform = platform.clone();
    for machine in &mut platform.machines {
        machine.credential = Credential::KeyFile(SSH_KEY.into());
        let Some(address) = machine.reached_at() else { continue };
        let inside = address.to_string();
        if machine.gate.as_ref().is_none_or(|gate| gate.address != inside) {
            machine.gate = Some(Gate::new(inside));
        }
    }
    platform
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollout::platform::Component;

    #[test]
    fn neighbours_of_one_kind_are_done_at_once_but_pushes_are_not() {
        let step =
            |node: &str, action| PartStep { node: node.parse().unwrap(), action, certain: true };
        let steps = [
            step("a", PartAction::Run(BasePart::Registry)),
            step("a", PartAction::Await(BasePart::Registry)),
            step("a", PartAction::Push(Component::Edge)),
            step("a", PartAction::Push(Component::Platform)),
            step("a", PartAction::Run(BasePart::ZooKeeper)),
            step("b", PartAction::Run(BasePart::Kafka)),
        ];
        let lengths: Vec<usize> = waves(&steps).map(<[PartStep]>::len).collect();
        assert_eq!(lengths, [1, 1, 1, 1, 2]);
    }
}
