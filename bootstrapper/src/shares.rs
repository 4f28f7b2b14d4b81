//! What opens shares, and Azure, on nodes of a platform that keeps itself, and what is said of its services.

use std::time::Duration;

use common::name::NodeName;
use common::port::Parts as _;
use common::port::container::ContainerState;
use common::port::nodes;
use common::port::part::Part;
use futures::future::join_all;
use rollout::Code;
use rollout::machine::{credentials, give_credentials, renew_shares};
use rollout::parts::{BasePart, Credentials};
use rollout::platform::{PlannedMachine, Platform};
use tokio::time::{Instant, sleep, timeout};

use crate::first::{self, Vault};
use crate::keys::{HostKeys, pinned};
use crate::report::Event;
use crate::trouble::{Trouble, whole};
use crate::work::Work;

/// How long a lifecycle manager may take to see what it was given, to end, and to be ready again.
const ANEW_WITHIN: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Tells nodes what opens shares from now on. Gives what went wrong, each told already.
pub(crate) async fn tell_of_shares(
    work: &Work<'_>,
    platform: &Platform,
    silent: &[NodeName],
    vault: &Vault,
    host_keys: HostKeys,
) -> Vec<Trouble> {
    if vault.shares().is_empty() {
        return Vec::new();
    }
    let nodes = platform.machines.iter().filter(|machine| !silent.contains(&machine.name));
    let told = nodes.map(|machine| tell(work, platform, machine, vault, host_keys));
    let troubles: Vec<Trouble> = join_all(told).await.into_iter().filter_map(Result::err).collect();
    for trouble in &troubles {
        work.tell(&Event::Failed(trouble.clone()));
    }
    troubles
}

/// Gives lifecycle managers what opens shares and Azure from now on, and what is said of services, where they go by
/// something else. One after another: each begins anew with it, and another one leads meanwhile; where one does not come
/// back with it, no other is given it. Gives what went wrong, each told already.
pub(crate) async fn give_lifecycle_managers(
    work: &Work<'_>,
    platform: &Platform,
    silent: &[NodeName],
    vault: &Vault,
    host_keys: HostKeys,
) -> Vec<Trouble> {
    let mut wanted = vault.secrets(platform).credentials();
    wanted.given = u64::try_from(work.ports.clock.now().as_second()).unwrap_or_default();
    let mut troubles = Vec::new();
    for name in &platform.placement.lifecycle_manager {
        if silent.contains(name) {
            continue;
        }
        let before = run(work, platform, vault, name).await;
        let given = match give(work, platform, name, &mut wanted, host_keys).await {
            Ok(Given::Before) => continue,
            Ok(Given::Now) => Ok(()),
            Err(trouble) => Err(trouble),
        };
        let is_given = given.is_ok();
        let ended = match (given, before) {
            (Ok(()), Ok(before)) => anew(work, platform, vault, name, before.as_ref()).await,
            (Ok(()), Err(trouble)) | (Err(trouble), _) => Err(trouble),
        };
        if let Err(trouble) = ended {
            work.tell(&Event::Failed(trouble.clone()));
            troubles.push(trouble);
            if is_given {
                break;
            }
        }
    }
    troubles
}

/// Which lifecycle managers go by other credentials or settings than the file has, by their machines.
#[derive(Debug, Default)]
pub(crate) struct ToBeGiven {
    pub(crate) to: Vec<NodeName>,
    /// Of these nobody knows it: why they could not be looked at.
    pub(crate) unseen: Vec<Trouble>,
}

pub(crate) async fn to_be_given(
    work: &Work<'_>,
    platform: &Platform,
) -> Result<ToBeGiven, Trouble> {
    let wanted = first::credentials(work)?;
    let managers = platform.placement.lifecycle_manager.iter();
    let looks = managers.filter_map(|name| platform.machine(name)).map(|machine| {
        let wanted = &wanted;
        async move {
            let looked = async {
                let mut goal = work.goal(platform, &machine.name)?;
                goal.machine = pinned(work, machine, HostKeys::PinnedOnly).await?;
                let now = credentials(&work.machine_ports(None), &goal).await?;
                Ok::<_, Trouble>(now.is_some_and(|now| !now.is_as(wanted)))
            };
            (&machine.name, looked.await)
        }
    });
    let mut found = ToBeGiven::default();
    for (name, looked) in join_all(looks).await {
        match looked {
            Ok(true) => found.to.push(name.clone()),
            Ok(false) => {}
            Err(trouble) => found.unseen.push(trouble.on(name)),
        }
    }
    Ok(found)
}

/// Whether it was given them just now.
enum Given {
    Before,
    Now,
}

/// A lifecycle manager as its agent has it.
async fn run(
    work: &Work<'_>,
    platform: &Platform,
    vault: &Vault,
    name: &NodeName,
) -> Result<Option<Part>, Trouble> {
    let Some(agent) = platform.agent(name) else { return Ok(None) };
    let agents = work.agents(platform, &vault.trust);
    let asked = timeout(ANSWER_WITHIN, agents.parts(&agent)).await;
    let late = |_| nodes::Error::Unreachable { node: name.clone(), source: "no answer".into() };
    let parts = asked.map_err(late).and_then(|answer| answer).map_err(|err| {
        let hint = "see whether its agent runs, then begin again";
        not_anew(name, whole(&err), hint)
    })?;
    let manager = BasePart::LifecycleManager.name();
    Ok(parts.into_iter().find(|part| part.name == manager))
}

/// Waits until a lifecycle manager that was given something runs by it, and is ready.
async fn anew(
    work: &Work<'_>,
    platform: &Platform,
    vault: &Vault,
    name: &NodeName,
    before: Option<&Part>,
) -> Result<(), Trouble> {
    let run_of = |part: &Part| (part.state.clone(), part.restarts);
    let before = before.map(run_of);
    let waiting = async {
        let until = Instant::now() + ANEW_WITHIN;
        loop {
            let now = run(work, platform, vault, name).await;
            let is_anew = now.as_ref().is_ok_and(|now| {
                let now = now.as_ref().filter(|part| part.healthy == Some(true));
                now.is_some_and(|part| {
                    let runs = matches!(part.state, ContainerState::Running { .. });
                    runs && before.as_ref() != Some(&run_of(part))
                })
            });
            if is_anew {
                return Ok(());
            }
            if Instant::now() >= until {
                let cause = format!("it is not ready again after {} s", ANEW_WITHIN.as_secs());
                let hint = "see its log for what is wrong with what it was given; the others still have the old";
                return Err(now.err().unwrap_or_else(|| not_anew(name, cause, hint)));
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    work.step(Some(name), &awaited(name), waiting).await
}

fn awaited(name: &NodeName) -> String {
    format!("wait until the lifecycle manager of {name} is ready by it")
}

fn not_anew(name: &NodeName, cause: String, hint: &str) -> Trouble {
    Trouble::here(&awaited(name), Code::StepFailed.as_str(), cause, hint).on(name)
}

async fn give(
    work: &Work<'_>,
    platform: &Platform,
    name: &NodeName,
    wanted: &mut Credentials,
    host_keys: HostKeys,
) -> Result<Given, Trouble> {
    let Some(machine) = platform.machine(name) else { return Ok(Given::Before) };
    let mut goal = work.goal(platform, name)?;
    goal.machine = pinned(work, machine, host_keys).await?;
    let ports = work.machine_ports(None);
    // One that is still to be made is given them by whoever makes it.
    let Some(now) = credentials(&ports, &goal).await? else { return Ok(Given::Before) };
    if now.is_as(wanted) {
        return Ok(Given::Before);
    }
    // A clock that went back makes them no older.
    wanted.given = wanted.given.max(now.given + 1);
    let step =
        format!("give the lifecycle manager of {name} its credentials, and settings of services");
    work.step(Some(name), &step, give_credentials(&ports, &goal, wanted)).await?;
    Ok(Given::Now)
}

async fn tell(
    work: &Work<'_>,
    platform: &Platform,
    machine: &PlannedMachine,
    vault: &Vault,
    host_keys: HostKeys,
) -> Result<(), Trouble> {
    let mut goal = work.goal(platform, &machine.name)?;
    goal.machine = pinned(work, machine, host_keys).await?;
    let renewed = renew_shares(&work.machine_ports(None), &goal, vault.shares()).await?;
    for share in renewed {
        work.say(format!("{} was told what opens the share {share}", machine.name));
    }
    Ok(())
}
