//! `destroy`: nothing of the platform is left. Machines that were made are deleted; given ones are left without what
//! the platform put on them. It may be cut off anywhere and begun again.

use std::future::pending;

use common::port::machines::Shape;
use futures::future::join_all;
use rollout::machine::{Action, Existence, Step, apply as take, observe, remove};
use rollout::platform::PlannedMachine;

use crate::apply::{Manner, take_lease};
use crate::description::Description;
use crate::first::look;
use crate::machines::Told;
use crate::ports::Ports;
use crate::report::{Event, Report};
use crate::state::{Book, Phase};
use crate::trouble::Trouble;
use crate::work::Work;

/// How often machines are deleted that a dying lifecycle manager has made again.
const ROUNDS: usize = 3;

/// Removes the platform. Gives everything that went wrong; what is left is still known then.
pub async fn destroy(
    ports: &Ports,
    description: &Description,
    book: &dyn Book,
    report: &dyn Report,
    manner: &Manner,
) -> Result<(), Vec<Trouble>> {
    let one = |trouble: Trouble| vec![trouble];
    let work = Work::begin(ports, description, book, report).map_err(one)?;
    work.enter(Phase::Destroying).map_err(one)?;
    let machines = machines(&work);
    // Whoever is at work is waited for. A first machine that lets nobody in has no lease to give.
    let first = match machines.first() {
        Some(first) => look(&work, &work.former(first)).await,
        None => None,
    };
    let Some(first) = first else { return removing(&work, &machines).await };
    let lease = take_lease(&work, &first, manner).await.map_err(one)?;
    tokio::select! {
        biased;
        gone = removing(&work, &machines) => gone,
        // It goes with the machine that it is on: that it is lost says nothing here.
        never = async { drop(lease.keep().await); pending().await } => never,
    }
}

async fn removing(work: &Work<'_>, machines: &[PlannedMachine]) -> Result<(), Vec<Trouble>> {
    // Else those that are left would make again what is deleted.
    join_all(machines.iter().map(|machine| silence(work, machine))).await;
    let mut troubles = Vec::new();
    for _ in 0..ROUNDS {
        let removed = join_all(machines.iter().map(|machine| removed(work, machine))).await;
        troubles = removed.into_iter().filter_map(Result::err).collect();
        if troubles.is_empty() && !any_is_back(work, machines).await {
            break;
        }
    }
    for trouble in &troubles {
        work.tell(&Event::Failed(trouble.clone()));
    }
    if troubles.is_empty() {
        return work.erase().map_err(|trouble| vec![trouble]);
    }
    Err(troubles)
}

/// All machines of the file, and those that were touched before and stand in it no more.
fn machines(work: &Work<'_>) -> Vec<PlannedMachine> {
    let known = work.known();
    let platform = known.complete(&work.description.platform);
    let left_over = known.left_over(&platform);
    platform.machines.into_iter().chain(left_over).collect()
}

/// Ends everything of the platform on a machine that can be reached. What cannot is removed all the same, or told then.
async fn silence(work: &Work<'_>, machine: &PlannedMachine) {
    if machine.host_key.is_none() {
        return;
    }
    let goal = work.former(machine);
    let ports = work.machine_ports(None);
    let Ok(seen) = observe(&ports, &goal).await else { return };
    if seen.existence != Existence::Runs || seen.inside.is_none() {
        return;
    }
    for action in [Action::RemoveAgent, Action::RemoveContainers] {
        let step = Step { machine: machine.name.clone(), action, certain: true };
        let doing = take(&ports, &goal, &seen, &step);
        if work.step(Some(&machine.name), &step.to_string(), doing).await.is_err() {
            return;
        }
    }
}

async fn removed(work: &Work<'_>, machine: &PlannedMachine) -> Result<(), Trouble> {
    if machine.shape == Shape::Given && machine.host_key.is_none() {
        // Nobody ever signed in.
        return work.learn(|state| state.forget(&machine.name));
    }
    let ports = work.machine_ports(None);
    remove(&ports, &work.former(machine), &Told::of(work)).await?;
    work.learn(|state| state.forget(&machine.name))
}

async fn any_is_back(work: &Work<'_>, machines: &[PlannedMachine]) -> bool {
    let ports = work.machine_ports(None);
    let made = machines.iter().filter(|machine| machine.shape != Shape::Given);
    let looks = made.map(|machine| {
        let backend = ports.backends.get(machine.shape.kind());
        async move {
            match backend {
                Some(backend) => {
                    backend.look(&machine.name).await.is_ok_and(|found| found.is_some())
                }
                None => false,
            }
        }
    });
    join_all(looks).await.into_iter().any(|is_back| is_back)
}
