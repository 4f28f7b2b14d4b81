//! `apply`: from a description to a platform that keeps itself. It may be cut off anywhere and begun again.

use std::net::IpAddr;
use std::time::Duration;

use common::name::NodeName;
use common::service::ServiceName;
use rollout::Code;
use rollout::parts::{BasePart, listeners};
use rollout::platform::Platform;

use crate::base::{Heard, Keeper, ask, bring_up, one_is_ready};
use crate::described::{self, Described};
use crate::description::Description;
use crate::first::{First, Vault, enter};
use crate::keys::HostKeys;
use crate::lease::{self, Holder, Lease};
use crate::machines::{find, tell_of_packages, to_nodes};
use crate::managers::{Managers, give_lifecycle_managers};
use crate::ports::Ports;
use crate::recovery::Novelty;
use crate::report::{Event, Report};
use crate::shares::tell_of_shares;
use crate::state::{Book, Endpoints, Phase, State};
use crate::trouble::{Trouble, whole};
use crate::work::Work;

const PLATFORM_HELD: &str = "PLATFORM_HELD";

/// How it is to be done.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Who does it, as people know him.
    pub who: String,
    pub host_keys: HostKeys,
    pub novelty: Novelty,
    /// How long to wait for another bootstrapper.
    pub patience: Duration,
}

/// Makes the platform. Gives what is known of it then, or everything that went wrong.
pub async fn apply(
    ports: &Ports,
    description: &Description,
    book: &dyn Book,
    report: &dyn Report,
    manner: &Manner,
) -> Result<State, Vec<Trouble>> {
    let begun = Work::begin(ports, description, book, report);
    let work = begun.map_err(one)?;
    applied(&work, manner).await
}

fn one(trouble: Trouble) -> Vec<Trouble> {
    vec![trouble]
}

async fn applied(work: &Work<'_>, manner: &Manner) -> Result<State, Vec<Trouble>> {
    let images = work.images().await.map_err(one)?;
    let elsewhere = described::elsewhere(&work.known(), &work.description.platform);
    if !elsewhere.is_empty() {
        return Err(all_told(work, elsewhere));
    }
    work.enter(Phase::Applying).map_err(one)?;
    let azure = work.description.platform.azure.clone();
    work.learn(|state| state.azure = azure).map_err(one)?;
    let platform = work.platform(&images);
    let name = first_name(&platform).map_err(one)?;
    let goal = work.goal(&platform, &name).map_err(one)?;
    let first = enter(work, goal, manner.host_keys).await;
    let first = first.map_err(|trouble| told(work, trouble))?;
    let lease = take_lease(work, &first, manner).await.map_err(|trouble| told(work, trouble))?;
    let made = tokio::select! {
        biased;
        made = making(work, &first, manner) => made,
        lost = lease.keep() => Err(told(work, not_ours(&name, &lost))),
    };
    // It ends by itself, too.
    drop(lease.release().await);
    made
}

fn first_name(platform: &Platform) -> Result<NodeName, Trouble> {
    let first = platform.seed().map(|machine| machine.name.clone());
    first.ok_or_else(|| {
        let code = Code::DescriptionIncomplete.as_str();
        let cause = "there is no machine".to_owned();
        Trouble::here("begin with the first machine", code, cause, "write a [[machines]]")
    })
}

fn told(work: &Work<'_>, trouble: Trouble) -> Vec<Trouble> {
    all_told(work, vec![trouble])
}

fn all_told(work: &Work<'_>, troubles: Vec<Trouble>) -> Vec<Trouble> {
    for trouble in &troubles {
        work.tell(&Event::Failed(trouble.clone()));
    }
    troubles
}

/// The right to change the platform.
pub(crate) async fn take_lease(
    work: &Work<'_>,
    first: &First,
    manner: &Manner,
) -> Result<Lease, Trouble> {
    let host = first.another_host(work).await?;
    let holder = Holder { name: manner.who.clone(), computer: work.computer() };
    let entropy = std::sync::Arc::clone(&work.ports.entropy);
    let told = |who: &str| work.say(format!("waiting: {who} is at work on the platform"));
    let taken = Lease::take(host, entropy, &holder, manner.patience, told).await;
    taken.map_err(|err| not_ours(&first.seed.machine, &err))
}

fn not_ours(name: &NodeName, err: &lease::Error) -> Trouble {
    let failed = Code::StepFailed.as_str();
    let (code, hint) = match err {
        lease::Error::Held { .. } => {
            (PLATFORM_HELD, "wait until that one is done, then begin again")
        }
        lease::Error::Lost => {
            (PLATFORM_HELD, "see who else works on the platform, then begin again")
        }
        lease::Error::Damaged { .. } => (failed, "remove the file, if nobody is at work"),
        lease::Error::Command { .. } => {
            (failed, "run the same on the machine to see what it lacks")
        }
        lease::Error::Host(_) => {
            (Code::MachineUnreachable.as_str(), "see whether the machine runs, then begin again")
        }
    };
    Trouble::here("have the platform for ourselves", code, whole(err), hint).on(name)
}

async fn making(work: &Work<'_>, first: &First, manner: &Manner) -> Result<State, Vec<Trouble>> {
    let failed = |trouble| told(work, trouble);
    // Somebody else may have been at work before we had the lease.
    let images = work.images().await.map_err(one)?;
    let platform = work.platform(&images);
    let recovered = first.recover(work, &platform, manner.host_keys, manner.novelty).await;
    recovered.map_err(|troubles| all_told(work, troubles))?;
    let step = "find the platform's authority and secrets";
    let vault = first.vault(work, &platform);
    let vault = work.step(Some(&first.seed.machine), step, vault).await.map_err(failed)?;
    find(work, &platform).await.map_err(failed)?;
    let mut platform = work.platform(&images);
    let Heard { keeper: mut kept_by, silent } = ask(work, &platform, &vault.trust).await;
    let described = compared(work, first, (&platform, &vault), kept_by).await?;
    if kept_by == Keeper::LifecycleManager {
        // It can do without us, unless a machine lacks what only we can bring.
        let (trust, host_keys) = (&vault.trust, manner.host_keys);
        let mut troubles = to_nodes(work, &platform, &silent, trust, host_keys).await;
        platform = work.platform(&images);
        // Those that were down when they were asked, and are not any more, are told as well.
        let silent = if silent.is_empty() {
            silent
        } else {
            ask(work, &platform, &vault.trust).await.silent
        };
        troubles.extend(tell_of_packages(work, &platform, &silent, trust, host_keys).await);
        troubles.extend(tell_of_shares(work, &platform, &silent, &vault, host_keys).await);
        let managers = Managers { work, platform: &platform, vault: &vault, host_keys };
        troubles.extend(give_lifecycle_managers(managers, &silent).await);
        return finish(work, &platform, &vault, kept_by, troubles).await;
    }
    described.keep(&first.seed).await.map_err(failed)?;
    let all: Vec<NodeName> = platform.machines.iter().map(|one| one.name.clone()).collect();
    let mut troubles = to_nodes(work, &platform, &all, &vault.trust, manner.host_keys).await;
    if troubles.iter().any(|trouble| carries_base(&platform, trouble)) {
        return Err(troubles);
    }
    platform = work.platform(&images);
    match bring_up(work, &mut platform, &vault, described.generation()).await {
        Ok(by) => kept_by = by,
        Err(more) => {
            troubles.extend(more);
            return Err(troubles);
        }
    }
    finish(work, &platform, &vault, kept_by, troubles).await
}

/// The description as it counts from now on, unless it says what cannot be done.
async fn compared(
    work: &Work<'_>,
    first: &First,
    (platform, vault): (&Platform, &Vault),
    kept_by: Keeper,
) -> Result<Described, Vec<Trouble>> {
    let before = Described::find(&first.seed).await.map_err(|trouble| told(work, trouble))?;
    let now = Described::now(work, platform, vault.configured());
    let refused = described::refused(before.as_ref(), &work.known(), &now, kept_by);
    if refused.is_empty() {
        let next = work.learn(|state| described::next(before.as_ref(), state, &now));
        return next.map_err(one);
    }
    let refused = all_told(work, refused);
    if kept_by == Keeper::LifecycleManager {
        // Nothing was touched: it is there as it was.
        work.learn(|state| state.phase = Phase::Applied).map_err(one)?;
    }
    Err(refused)
}

/// Whether the machine that failed is one that the base needs.
fn carries_base(platform: &Platform, trouble: &Trouble) -> bool {
    let needed =
        |name: &NodeName| BasePart::ALL.into_iter().any(|part| part.nodes(platform).contains(name));
    trouble.machine.as_ref().is_none_or(needed)
}

async fn finish(
    work: &Work<'_>,
    platform: &Platform,
    vault: &Vault,
    kept_by: Keeper,
    troubles: Vec<Trouble>,
) -> Result<State, Vec<Trouble>> {
    if kept_by == Keeper::LifecycleManager {
        work.say("a lifecycle manager keeps the platform: it has the word from here");
        one_is_ready(work, platform, vault).await?;
    }
    let endpoints = endpoints(platform);
    let learned = work.learn(|state| {
        state.endpoints = Some(endpoints);
        state.phase = if troubles.is_empty() { Phase::Applied } else { Phase::Applying };
    });
    learned.map_err(one)?;
    if troubles.is_empty() { Ok(work.known()) } else { Err(troubles) }
}

/// Where visitors find apps on the machines' network.
fn front(platform: &Platform) -> Option<IpAddr> {
    let first = || platform.address(platform.placement.edge.first()?);
    platform.edge.address.map(IpAddr::V4).or_else(first)
}

fn endpoints(platform: &Platform) -> Endpoints {
    let placement = &platform.placement;
    let at = |name: &NodeName, port: u16| {
        platform.address(name).map(|address| std::net::SocketAddr::new(address, port).to_string())
    };
    let all = |names: &[NodeName], port| names.iter().filter_map(|name| at(name, port)).collect();
    let service = |service: ServiceName| match listeners(service) {
        Some(ports) => all(&placement.lifecycle_manager, ports.mutual_tls),
        None => Vec::new(),
    };
    Endpoints {
        lifecycle_managers: service(ServiceName::LifecycleManager),
        platform_initializers: service(ServiceName::PlatformInitializer),
        kafka: all(&placement.kafka, rollout::parts::KAFKA_PORT),
        zookeeper: all(&placement.zookeeper, rollout::parts::ZOOKEEPER_PORT),
        registry: at(&placement.registry, rollout::parts::REGISTRY_PORT).unwrap_or_default(),
        edge: front(platform).map(|at| at.to_string()).unwrap_or_default(),
    }
}
