//! All machines to nodes, at the same time. Where one fails, the others go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Cause;
use common::port::machines::Shape;
use futures::future::join_all;
use rollout::machine::{
    Action, Existence, Journal, Step, Trust, apply, ensure, locate, observe, plan,
};
use rollout::platform::{PlannedMachine, Platform};
use tokio::time::Instant;

use crate::keys::{HostKeys, pinned, shown};
use crate::report::{Event, began, ended};
use crate::trouble::Trouble;
use crate::work::Work;

/// Writes down what becomes of a machine, and tells it.
pub(crate) struct Told<'a, 'b> {
    work: &'a Work<'b>,
    begun: Mutex<BTreeMap<NodeName, Instant>>,
}

impl<'a, 'b> Told<'a, 'b> {
    pub(crate) fn of(work: &'a Work<'b>) -> Self {
        Told { work, begun: Mutex::default() }
    }

    fn tell_end(&self, step: &Step) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let took = begun.get(&step.machine).map(Instant::elapsed).unwrap_or_default();
        self.work.tell(&ended(Some(&step.machine), &step.to_string(), took));
    }
}

#[async_trait]
impl Journal for Told<'_, '_> {
    async fn begins(&self, step: &Step) -> Result<(), Cause> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(step.machine.clone(), Instant::now());
        self.work.tell(&began(Some(&step.machine), &step.to_string()));
        Ok(())
    }

    async fn found(&self, machine: &PlannedMachine) -> Result<(), Cause> {
        self.work.learn(|state| state.know(machine)).map_err(|trouble| trouble.cause.into())
    }

    async fn ends(&self, step: &Step, machine: &PlannedMachine) -> Result<(), Cause> {
        self.tell_end(step);
        self.work.learn(|state| state.know(machine)).map_err(|trouble| trouble.cause.into())
    }
}

/// Asks those who made machines where they are, and which ones: the platform may have made some anew since they were seen
/// from here.
pub(crate) async fn find(work: &Work<'_>, platform: &Platform) -> Result<(), Trouble> {
    let made = platform.machines.iter().filter(|machine| machine.shape != Shape::Given);
    let looks = made.map(|machine| async move {
        let goal = work.goal(platform, &machine.name)?;
        // What cannot be asked is told when the machine is to become a node.
        let ports = work.machine_ports(None);
        let Ok(seen) = locate(&ports, &goal).await else { return Ok(()) };
        let mut found = seen.machine;
        match seen.existence {
            Existence::Absent => return Ok(()),
            Existence::Runs if found.host_key.is_none() => {
                found.host_key = shown(work, &found).await;
                // What was pinned before stays known until there is something else to pin.
                if found.host_key.is_none() && machine.host_key.is_some() {
                    return Ok(());
                }
            }
            // Of a key that was pinned before ids were known only the machine itself tells whose it is.
            Existence::Runs if found.id.is_none() => {
                found = observe(&ports, &goal).await.map_or(found, |seen| seen.machine);
            }
            Existence::Off | Existence::Runs => {}
        }
        work.learn(|state| state.know(&found))
    });
    join_all(looks).await.into_iter().collect()
}

/// Makes machines of the platform nodes. Gives what went wrong, each told already.
pub(crate) async fn to_nodes(
    work: &Work<'_>,
    platform: &Platform,
    names: &[NodeName],
    trust: &Trust,
    host_keys: HostKeys,
) -> Vec<Trouble> {
    let wanted = platform.machines.iter().filter(|machine| names.contains(&machine.name));
    let done = wanted.map(|machine| to_node(work, platform, machine, trust, host_keys));
    let failed = join_all(done).await.into_iter().filter_map(Result::err);
    failed.collect()
}

async fn to_node(
    work: &Work<'_>,
    platform: &Platform,
    machine: &PlannedMachine,
    trust: &Trust,
    host_keys: HostKeys,
) -> Result<(), Trouble> {
    let made = async {
        let mut goal = work.goal(platform, &machine.name)?;
        goal.machine = pinned(work, machine, host_keys).await?;
        // Before it is touched for the first time, so that it can be found again.
        work.learn(|state| state.know(&goal.machine))?;
        let ports = work.machine_ports(Some(trust));
        let known = ensure(&ports, &goal, &Told::of(work)).await?;
        work.learn(|state| state.know(&known))
    };
    let made: Result<(), Trouble> = made.await;
    if let Err(trouble) = &made {
        work.tell(&Event::Failed(trouble.clone()));
    }
    made
}

/// Tells nodes how packages are reached from now on: only who has the archive can. Gives what went wrong, each told
/// already.
pub(crate) async fn tell_of_packages(
    work: &Work<'_>,
    platform: &Platform,
    silent: &[NodeName],
    trust: &Trust,
    host_keys: HostKeys,
) -> Vec<Trouble> {
    if work.description.build_env.is_none() {
        return Vec::new();
    }
    let nodes = platform.machines.iter().filter(|machine| !silent.contains(&machine.name));
    let told = nodes.map(|machine| async move {
        let ports = work.machine_ports(Some(trust));
        let mut goal = work.goal(platform, &machine.name)?;
        goal.machine = pinned(work, machine, host_keys).await?;
        let seen = observe(&ports, &goal).await?;
        let is_needed = |step: &Step| step.certain && step.action == Action::BringBuildEnv;
        let Some(step) = plan(&goal, &seen)?.into_iter().find(is_needed) else { return Ok(()) };
        let doing = apply(&ports, &goal, &seen, &step);
        work.step(Some(&machine.name), &step.to_string(), doing).await.map(drop)
    });
    let troubles: Vec<Trouble> = join_all(told).await.into_iter().filter_map(Result::err).collect();
    for trouble in &troubles {
        work.tell(&Event::Failed(trouble.clone()));
    }
    troubles
}
