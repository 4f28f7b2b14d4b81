//! What lifecycle managers of a platform that keeps itself are given: what opens shares and Azure, what is said of services,
//! and the image of the base. One after another: each begins anew with it, and another one leads meanwhile.

use std::time::Duration;

use common::name::NodeName;
use common::port::Parts as _;
use common::port::container::ContainerState;
use common::port::nodes;
use common::port::part::Part;
use futures::future::join_all;
use rollout::Code;
use rollout::machine::{Goal, credentials, give_credentials};
use rollout::parts::{BasePart, Configured, Credentials, FormerBase};
use rollout::platform::Platform;
use tokio::time::{Instant, sleep, timeout};

use crate::described::DESCRIPTION_CHANGED;
use crate::first::{self, Vault};
use crate::keys::{HostKeys, pinned};
use crate::report::Event;
use crate::trouble::{Trouble, whole};
use crate::work::Work;

/// How long a lifecycle manager may take to see what it was given, to end, and to be ready again.
const ANEW_WITHIN: Duration = Duration::from_mins(3);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const GIVE_BASE: &str = "give lifecycle managers another image of the base";

/// The lifecycle managers of a platform, and how one speaks with their machines.
#[derive(Clone, Copy)]
pub(crate) struct Managers<'a> {
    pub(crate) work: &'a Work<'a>,
    pub(crate) platform: &'a Platform,
    pub(crate) vault: &'a Vault,
    pub(crate) host_keys: HostKeys,
}

/// One of them, by its machine, and what it goes by.
struct Known {
    name: NodeName,
    now: Credentials,
}

/// Gives them what they go by otherwise. Where one does not come back with it, it is given again what it had, and no other
/// is given anything; another image of the base is then given back by all. Gives what went wrong, each told already.
pub(crate) async fn give_lifecycle_managers(
    managers: Managers<'_>,
    silent: &[NodeName],
) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let known = managers.known(silent, &mut troubles).await;
    let mut wanted = managers.vault.secrets(managers.platform).credentials();
    let now = managers.work.ports.clock.now().as_second();
    // A clock that went back makes them no older.
    let newest = known.iter().map(|one| one.now.given + 1).max().unwrap_or_default();
    wanted.given = u64::try_from(now).unwrap_or_default().max(newest);
    let upgrade = upgraded_from(&known, &wanted);
    if upgrade.is_some() {
        let all = &managers.platform.placement.lifecycle_manager;
        let away = all.iter().find(|name| known.iter().all(|one| one.name != **name));
        let may = match (alone(managers.platform), away) {
            (Some(trouble), _) => Err(trouble),
            (None, Some(name)) => Err(not_now(name)),
            (None, None) => managers.bring_base().await,
        };
        if let Err(trouble) = may {
            troubles.push(trouble);
            return managers.told(troubles);
        }
    }
    wanted.upgraded_from = upgrade;
    let given = managers.give_all(&known, &wanted).await;
    if given.is_empty() && wanted.upgraded_from.is_some() {
        troubles.extend(managers.upgraded(&wanted).await);
    }
    troubles.extend(given);
    managers.told(troubles)
}

/// From what the base ran, where it is to run from something else, or may not do so everywhere yet.
fn upgraded_from(known: &[Known], wanted: &Credentials) -> Option<FormerBase> {
    let under_way = known.iter().find_map(|one| one.now.upgraded_from.clone());
    let other = || known.iter().find(|one| one.now.configured.base != wanted.configured.base);
    under_way.or_else(|| Some(FormerBase { image: other()?.now.configured.base.clone() }))
}

/// Where nobody stands by, nobody would take the base back from an image that cannot lead.
pub(crate) fn alone(platform: &Platform) -> Option<Trouble> {
    let [only] = platform.placement.lifecycle_manager.as_slice() else { return None };
    let cause = "placement.lifecycle_manager has one name, so nobody could take the base back from another image that does not work".to_owned();
    let hint = "name the image that it runs from as images.base, or say nothing of it if it ran from images.platform; or make the platform anew: destroy, then apply";
    Some(Trouble::here(GIVE_BASE, DESCRIPTION_CHANGED, cause, hint).on(only))
}

fn not_now(name: &NodeName) -> Trouble {
    let cause = "its agent, or its machine, does not answer".to_owned();
    let hint = "see why, then begin again: nothing of the base changes while a part of it is away";
    Trouble::here(GIVE_BASE, Code::StepFailed.as_str(), cause, hint).on(name)
}

/// Which lifecycle managers go by other credentials or settings than the file has, by their machines.
#[derive(Debug, Default)]
pub(crate) struct ToBeGiven {
    pub(crate) to: Vec<NodeName>,
    /// Whether the base is to run from another image than it may do everywhere.
    pub(crate) upgrades: bool,
    /// Of these nobody knows it: why they could not be looked at.
    pub(crate) unseen: Vec<Trouble>,
}

pub(crate) async fn to_be_given(
    work: &Work<'_>,
    platform: &Platform,
) -> Result<ToBeGiven, Trouble> {
    let wanted = first::credentials(work, platform)?;
    let managers = platform.placement.lifecycle_manager.iter();
    let looks = managers.map(|name| async move {
        let looked = async {
            let goal = goal(work, platform, name, HostKeys::PinnedOnly).await?;
            Ok::<_, Trouble>(credentials(&work.machine_ports(None), &goal).await?)
        };
        (name, looked.await)
    });
    let mut found = ToBeGiven::default();
    for (name, looked) in join_all(looks).await {
        match looked {
            Ok(Some(now)) => {
                let upgrades =
                    now.configured.base != wanted.configured.base || now.upgraded_from.is_some();
                found.upgrades |= upgrades;
                if upgrades || !now.is_as(&wanted) {
                    found.to.push(name.clone());
                }
            }
            Ok(None) => {}
            Err(trouble) => found.unseen.push(trouble.on(name)),
        }
    }
    Ok(found)
}

/// A machine, with its host key.
pub(crate) async fn goal(
    work: &Work<'_>,
    platform: &Platform,
    name: &NodeName,
    host_keys: HostKeys,
) -> Result<Goal, Trouble> {
    let mut goal = work.goal(platform, name)?;
    goal.machine = pinned(work, &goal.machine, host_keys).await?;
    Ok(goal)
}

impl Managers<'_> {
    pub(crate) async fn goal(&self, name: &NodeName) -> Result<Goal, Trouble> {
        goal(self.work, self.platform, name, self.host_keys).await
    }

    fn told(&self, troubles: Vec<Trouble>) -> Vec<Trouble> {
        for trouble in &troubles {
            self.work.tell(&Event::Failed(trouble.clone()));
        }
        troubles
    }

    /// Those that are there. One that is still to be made is given everything by whoever makes it.
    async fn known(&self, silent: &[NodeName], troubles: &mut Vec<Trouble>) -> Vec<Known> {
        let mut known = Vec::new();
        let all = self.platform.placement.lifecycle_manager.iter();
        for name in all.filter(|name| !silent.contains(name)) {
            let looked = async {
                let goal = self.goal(name).await?;
                Ok::<_, Trouble>(credentials(&self.work.machine_ports(None), &goal).await?)
            };
            match looked.await {
                Ok(Some(now)) => known.push(Known { name: name.clone(), now }),
                Ok(None) => {}
                Err(trouble) => troubles.push(trouble),
            }
        }
        known
    }

    async fn give_all(&self, known: &[Known], wanted: &Credentials) -> Vec<Trouble> {
        let (mut troubles, mut given, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for one in known.iter().filter(|one| !one.now.is_as(wanted)) {
            let name = &one.name;
            let before = self.run(name).await;
            let step = format!(
                "give the lifecycle manager of {name} its credentials, and settings of services"
            );
            if let Err(trouble) = self.give(name, &step, wanted).await {
                troubles.push(trouble);
                continue;
            }
            given.push(one);
            let ended = match before {
                Ok(before) => self.anew(name, before.as_ref()).await,
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = ended {
                troubles.push(trouble);
                failed.push(one);
                break;
            }
        }
        // Of another image of the base none may be left that would bring it to others.
        let is_upgrade = wanted.upgraded_from.is_some() && !troubles.is_empty();
        let back = if is_upgrade { given } else { failed };
        troubles.extend(self.give_back(back, wanted).await);
        troubles
    }

    /// As the newest: one that runs by what failed looks for newer ones only. That the base goes back stands there until all of
    /// it is seen to run from its former image.
    async fn give_back(
        &self,
        to: impl IntoIterator<Item = &Known>,
        wanted: &Credentials,
    ) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for Known { name, now } in to {
            let configured = match &wanted.upgraded_from {
                Some(former) => Configured { base: former.image.clone(), ..now.configured.clone() },
                None => now.configured.clone(),
            };
            let given = wanted.given + 1;
            let upgraded_from = wanted.upgraded_from.clone();
            let former = Credentials { given, configured, upgraded_from, ..now.clone() };
            let step = format!("give the lifecycle manager of {name} again what it had before");
            troubles.extend(self.give(name, &step, &former).await.err());
        }
        troubles
    }

    async fn give(
        &self,
        name: &NodeName,
        step: &str,
        credentials: &Credentials,
    ) -> Result<(), Trouble> {
        let (goal, ports) = (self.goal(name).await?, self.work.machine_ports(None));
        self.work.step(Some(name), step, give_credentials(&ports, &goal, credentials)).await
    }

    /// Waits until all of the base runs from the image that lifecycle managers were given, and has them go back where one
    /// does not become ready from it; unless they go back by it already.
    async fn upgraded(&self, wanted: &Credentials) -> Vec<Trouble> {
        let Err(trouble) = self.base_runs().await else {
            return self.settle(wanted).await.err().into_iter().collect();
        };
        let former = wanted.upgraded_from.as_ref().map(|former| &former.image);
        if former == Some(&wanted.configured.base) {
            return vec![trouble];
        }
        let all = &self.platform.placement.lifecycle_manager;
        let known = |name: &NodeName| Known { name: name.clone(), now: wanted.clone() };
        let known: Vec<Known> = all.iter().map(known).collect();
        let back = self.give_back(&known, wanted).await;
        [trouble].into_iter().chain(back).collect()
    }

    /// From now on there is nothing to go back to. It is no news to those who are given it.
    async fn settle(&self, wanted: &Credentials) -> Result<(), Trouble> {
        let ports = self.work.machine_ports(None);
        for name in &self.platform.placement.lifecycle_manager {
            let goal = self.goal(name).await?;
            let Some(now) = credentials(&ports, &goal).await? else { continue };
            if now.upgraded_from.is_some() && now.is_as(wanted) {
                give_credentials(&ports, &goal, &Credentials { upgraded_from: None, ..now })
                    .await?;
            }
        }
        Ok(())
    }

    /// What an agent has.
    pub(crate) async fn parts(&self, name: &NodeName) -> Result<Vec<Part>, Trouble> {
        let Some(agent) = self.platform.agent(name) else { return Ok(Vec::new()) };
        let agents = self.work.agents(self.platform, &self.vault.trust);
        let asked = timeout(ANSWER_WITHIN, agents.parts(&agent)).await;
        let late = |_| nodes::Error::Unreachable { node: name.clone(), source: "no answer".into() };
        asked.map_err(late).and_then(|answer| answer).map_err(|err| {
            let hint = "see whether its agent runs, then begin again";
            not_anew(name, whole(&err), hint)
        })
    }

    /// A lifecycle manager as its agent has it.
    async fn run(&self, name: &NodeName) -> Result<Option<Part>, Trouble> {
        let manager = BasePart::LifecycleManager.name();
        Ok(self.parts(name).await?.into_iter().find(|part| part.name == manager))
    }

    /// Waits until a lifecycle manager that was given something runs by it, and is ready.
    async fn anew(&self, name: &NodeName, before: Option<&Part>) -> Result<(), Trouble> {
        let run_of = |part: &Part| (part.state.clone(), part.restarts);
        let before = before.map(run_of);
        let waiting = async {
            let until = Instant::now() + ANEW_WITHIN;
            loop {
                let now = self.run(name).await;
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
                    let hint = "see its log for what is wrong with what it was given; it is given the old again, which the others still have";
                    return Err(now.err().unwrap_or_else(|| not_anew(name, cause, hint)));
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        self.work.step(Some(name), &awaited(name), waiting).await
    }
}

fn awaited(name: &NodeName) -> String {
    format!("wait until the lifecycle manager of {name} is ready by it")
}

fn not_anew(name: &NodeName, cause: String, hint: &str) -> Trouble {
    Trouble::here(&awaited(name), Code::StepFailed.as_str(), cause, hint).on(name)
}
