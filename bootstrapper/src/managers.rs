//! What lifecycle managers of a platform that keeps itself are given: what opens shares and Azure, what is said of services,
//! and the image of the base.

mod turns;

use common::name::NodeName;
use futures::future::join_all;
use rollout::Code;
use rollout::machine::{Goal, credentials, give_credentials};
use rollout::parts::{Configured, Credentials, FormerBase};
use rollout::platform::Platform;

use crate::described::DESCRIPTION_CHANGED;
use crate::first::{self, Vault};
use crate::keys::{HostKeys, pinned};
use crate::report::Event;
use crate::trouble::Trouble;
use crate::work::Work;
use turns::Turn;

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

/// What a look at all of them found.
#[derive(Default)]
struct Looked {
    /// Those that are there. One that is still to be made is given everything by whoever makes it.
    known: Vec<Known>,
    /// Those that are not, as what hinders another image of the base, and nothing else.
    away: Vec<Trouble>,
    troubles: Vec<Trouble>,
}

/// Gives them what they go by otherwise. Gives what went wrong, each told already.
pub(crate) async fn give_lifecycle_managers(
    managers: Managers<'_>,
    silent: &[NodeName],
) -> Vec<Trouble> {
    let Looked { known, away, mut troubles } = managers.look(silent).await;
    let mut wanted = managers.vault.secrets(managers.platform).credentials();
    let now = managers.work.ports.clock.now().as_second();
    // A clock that went back makes them no older.
    let newest = known.iter().map(|one| one.now.given + 1).max().unwrap_or_default();
    wanted.given = u64::try_from(now).unwrap_or_default().max(newest);
    let upgrade = upgraded_from(&known, &wanted);
    if upgrade.is_some() {
        let refused = alone(managers.platform);
        if refused.is_none() && !away.is_empty() {
            troubles.extend(away);
            let turns: Vec<Turn> = known.into_iter().map(|one| one.but_base(&wanted)).collect();
            troubles.extend(managers.give_all(&turns, None).await);
            return managers.told(troubles);
        }
        let may = match refused {
            Some(trouble) => Err(trouble),
            None => managers.bring_base().await,
        };
        if let Err(trouble) = may {
            troubles.push(trouble);
            return managers.told(troubles);
        }
    }
    wanted.upgraded_from = upgrade;
    let turns: Vec<Turn> = known.into_iter().map(|one| one.all_of(&wanted)).collect();
    let given = managers.give_all(&turns, wanted.upgraded_from.as_ref()).await;
    if given.is_empty() && wanted.upgraded_from.is_some() {
        troubles.extend(managers.upgraded(&wanted).await);
    }
    troubles.extend(given);
    managers.told(troubles)
}

impl Known {
    fn all_of(self, wanted: &Credentials) -> Turn {
        Turn { name: self.name, had: self.now, wanted: wanted.clone() }
    }

    /// All but another image of the base, and what that goes back to.
    fn but_base(self, wanted: &Credentials) -> Turn {
        let Known { name, now } = self;
        let base = now.configured.base.clone();
        let configured = Configured { base, ..wanted.configured.clone() };
        let upgraded_from = now.upgraded_from.clone();
        Turn { name, wanted: Credentials { configured, upgraded_from, ..wanted.clone() }, had: now }
    }
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

/// Why nothing of the base changes.
fn not_now(name: &NodeName, cause: &str) -> Trouble {
    let hint = "see why, then begin again: nothing of the base changes while a part of it is away. Credentials and settings are given to the others all the same";
    Trouble::here(GIVE_BASE, Code::StepFailed.as_str(), cause.to_owned(), hint).on(name)
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

    async fn look(&self, silent: &[NodeName]) -> Looked {
        const AWAY: &str = "its agent, or its machine, does not answer";
        let mut found = Looked::default();
        for name in &self.platform.placement.lifecycle_manager {
            if silent.contains(name) {
                found.away.push(not_now(name, AWAY));
                continue;
            }
            let looked = async {
                let goal = self.goal(name).await?;
                Ok::<_, Trouble>(credentials(&self.work.machine_ports(None), &goal).await?)
            };
            match looked.await {
                Ok(Some(now)) => found.known.push(Known { name: name.clone(), now }),
                Ok(None) => found.away.push(not_now(name, "no lifecycle manager is on it")),
                Err(trouble) => {
                    found.away.push(not_now(name, AWAY));
                    found.troubles.push(trouble);
                }
            }
        }
        found
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
        let all = self.platform.placement.lifecycle_manager.iter().cloned();
        let turns: Vec<Turn> =
            all.map(|name| Known { name, now: wanted.clone() }.all_of(wanted)).collect();
        let back: Vec<&Turn> = turns.iter().collect();
        let back = self.give_back(&back, wanted.upgraded_from.as_ref()).await;
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
}
