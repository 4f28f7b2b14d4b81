//! `destroy`: nothing of the platform is left. Machines that were made are deleted; given ones are left without what
//! the platform put on them. It may be cut off anywhere and begun again.

use std::collections::BTreeSet;
use std::future::pending;

use common::name::NodeName;
use common::port::machines::Shape;
use futures::future::join_all;
use rollout::machine::{Action, Existence, Remains, Step, apply as take, locate, remains, remove};
use rollout::platform::PlannedMachine;

use crate::apply::{Manner, take_lease};
use crate::description::Description;
use crate::first::{First, look};
use crate::keys::look_into;
use crate::machines::Told;
use crate::ports::Ports;
use crate::recovery::{nobody_says, ours as authorities_of};
use crate::report::{Event, Report};
use crate::state::{Book, Phase};
use crate::trouble::Trouble;
use crate::work::Work;

/// How often machines are deleted that a dying lifecycle manager has made again.
const ROUNDS: usize = 3;
const MACHINE_BACK: &str = "MACHINE_BACK";

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
    if let Some(first) = &first {
        first.is_ours(&description.platform.name).await.map_err(one)?;
    }
    let owned = ours(&work, first.as_ref(), machines).await.map_err(one)?;
    let Some(first) = first else { return removing(&work, owned).await };
    let lease = take_lease(&work, &first, manner).await.map_err(one)?;
    tokio::select! {
        biased;
        gone = removing(&work, owned) => gone,
        // It goes with the machine that it is on: that it is lost says nothing here.
        never = async { drop(lease.keep().await); pending().await } => never,
    }
}

async fn removing(work: &Work<'_>, owned: Owned) -> Result<(), Vec<Trouble>> {
    let Owned { machines, doubtful } = owned;
    // Else those that are left would make again what is deleted.
    join_all(machines.iter().map(|machine| silence(work, machine))).await;
    let mut troubles = Vec::new();
    for _ in 0..ROUNDS {
        let removed = join_all(machines.iter().map(|machine| removed(work, machine))).await;
        // Only now: one may have been made again while others were removed.
        let gone = machines.iter().zip(removed).map(|(machine, removed)| async move {
            removed?;
            gone(work, machine).await
        });
        troubles = join_all(gone).await.into_iter().filter_map(Result::err).collect();
        if troubles.is_empty() {
            break;
        }
    }
    troubles.extend(doubtful);
    for trouble in &troubles {
        work.tell(&Event::Failed(trouble.clone()));
    }
    if troubles.is_empty() {
        return work.erase().map_err(|trouble| vec![trouble]);
    }
    Err(troubles)
}

/// What is to be removed.
struct Owned {
    machines: Vec<PlannedMachine>,
    /// Given machines that are left as they are: nobody can say whose nodes they are.
    doubtful: Vec<Trouble>,
}

/// Those of the machines that are not another platform's nodes by now. Whoever was given can be another's; whoever was
/// made was made for us.
async fn ours(
    work: &Work<'_>,
    first: Option<&First>,
    machines: Vec<PlannedMachine>,
) -> Result<Owned, Trouble> {
    let known = known(work, first).await?;
    let looks = machines.into_iter().map(|machine| {
        // Where no key is pinned nobody ever signed in. Made ones may say what our authority is.
        let is_looked_at = match machine.shape {
            Shape::Given => machine.host_key.is_some(),
            Shape::Local(_) | Shape::Azure(_) => known.is_none(),
        };
        async move {
            if !is_looked_at {
                return (machine, Ok(None));
            }
            let found = remains(&work.machine_ports(None), &work.former(&machine)).await;
            (machine, found)
        }
    });
    let mut owned = Owned { machines: Vec::new(), doubtful: Vec::new() };
    let (mut nodes, mut given) = (Vec::new(), Vec::new());
    for (machine, found) in join_all(looks).await {
        if let Ok(Some(found)) = &found {
            nodes.push((machine.name.clone(), found.clone()));
        }
        match (&machine.shape, found) {
            (Shape::Local(_) | Shape::Azure(_), _) | (Shape::Given, Ok(None)) => {
                owned.machines.push(machine);
            }
            (Shape::Given, Ok(Some(found))) => given.push((machine, found)),
            (Shape::Given, Err(failure)) => owned.doubtful.push(failure.into()),
        }
    }
    let trusted = match &known {
        Some(known) => BTreeSet::from([known.as_str()]),
        None => authorities_of(&work.description.platform.name, &nodes),
    };
    for (machine, found) in given {
        if trusted.contains(found.trusts.as_str()) {
            owned.machines.push(machine);
        } else if known.is_some() || is_named(&nodes, &found) {
            work.say(format!("{} is a node of another platform, and is left to it", machine.name));
            work.learn(|state| state.forget(&machine.name))?;
        } else {
            owned.doubtful.push(nobody_says(&machine.name));
        }
    }
    Ok(owned)
}

/// Whether any node of the same authority says which platform's it is.
fn is_named(nodes: &[(NodeName, Remains)], node: &Remains) -> bool {
    let mut same = nodes.iter().filter(|(_, other)| other.trusts == node.trusts);
    same.any(|(_, other)| other.platform().is_some())
}

/// The certificate of our authority, where it is known.
async fn known(work: &Work<'_>, first: Option<&First>) -> Result<Option<String>, Trouble> {
    if let Some(known) = work.known().authority {
        return Ok(Some(known));
    }
    let Some(first) = first else { return Ok(None) };
    let trust = first.trust(work).await?;
    Ok(trust.map(|trust| trust.authority.certificate().to_owned()))
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
    if machine.shape == Shape::Given && machine.host_key.is_none() {
        return;
    }
    let ports = work.machine_ports(None);
    let Ok((goal, seen)) = look_into(&ports, &work.former(machine)).await else { return };
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
    Ok(remove(&ports, &work.former(machine), &Told::of(work)).await?)
}

/// Forgets a machine of which nothing is left. One that was made must not be there any more; nothing is left on a given
/// one.
async fn gone(work: &Work<'_>, machine: &PlannedMachine) -> Result<(), Trouble> {
    if machine.shape != Shape::Given {
        // Whoever made it again gave it another key.
        let unpinned = PlannedMachine { host_key: None, ..machine.clone() };
        let seen = locate(&work.machine_ports(None), &work.former(&unpinned)).await;
        let is_there = seen.as_ref().map_or(true, |seen| seen.existence != Existence::Absent);
        if is_there {
            work.learn(|state| state.know(&unpinned))?;
        }
        if seen?.existence != Existence::Absent {
            return Err(is_back(machine));
        }
    }
    work.learn(|state| state.forget(&machine.name))
}

fn is_back(machine: &PlannedMachine) -> Trouble {
    let step = format!("see that {} is gone", machine.name);
    let cause = "it was deleted, and is there again".to_owned();
    let hint = "see who made it again (a lifecycle manager that still runs?), then destroy the platform again";
    Trouble::here(&step, MACHINE_BACK, cause, hint).on(&machine.name)
}
