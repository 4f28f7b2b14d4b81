//! The first machine, before there is an authority: it exists, and lets us in. The lease and the platform's secrets are
//! on it.

use std::sync::Arc;

use common::name::NodeName;
use common::port::authority::Papers;
use common::port::host::{Access, Credential};
use common::port::{Authority, Host};
use rollout::machine::{Action, Entry, Goal, Trust, apply, observe, plan};
use rollout::parts::Secrets;
use rollout::platform::{PlannedMachine, Platform};
use rollout::seed::Seed;

use crate::keys::{HostKeys, pinned};
use crate::trouble::Trouble;
use crate::work::Work;

/// How often it is looked at: made, started, pinned, let in.
const ROUNDS: usize = 6;
const AUTHORITY: &str = "authority.json";
const AUTHORITY_LOST: &str = "AUTHORITY_LOST";
const MACHINE_CLOSED: &str = "MACHINE_CLOSED";

/// The first machine, signed in to.
pub(crate) struct First {
    pub(crate) seed: Seed,
    access: Access,
}

/// The platform's authority, and what it has once.
pub(crate) struct Vault {
    pub(crate) trust: Trust,
    authority: Papers,
    jwt: String,
    ssh_key: String,
}

/// Makes the first machine exist, run and let us in, and nothing more.
pub(crate) async fn enter(
    work: &Work<'_>,
    goal: Goal,
    host_keys: HostKeys,
) -> Result<First, Trouble> {
    let mut goal = goal;
    let name = goal.machine.name.clone();
    let ports = work.machine_ports(None);
    for _ in 0..ROUNDS {
        goal.machine = pinned(work, &goal.machine, host_keys).await?;
        work.learn(|state| state.know(&goal.machine))?;
        let seen = observe(&ports, &goal).await?;
        goal.machine = seen.machine.clone();
        if seen.entry == Entry::ByKey {
            return signed_in(work, &goal).await;
        }
        let steps = plan(&goal, &seen)?;
        let opening = steps.into_iter().find(|step| match step.action {
            Action::Make(_) | Action::Start | Action::Pin(_) | Action::Authorize(_) => true,
            Action::InstallEngine
            | Action::StartEngine
            | Action::MakeFolders
            | Action::Sweep
            | Action::BringBuildEnv
            | Action::Certify
            | Action::BringImages(_)
            | Action::RunAgent
            | Action::AwaitAgent
            | Action::RemoveAgent
            | Action::RemoveContainers
            | Action::RemoveFolders
            | Action::Delete(_) => false,
        });
        let Some(step) = opening else { break };
        let doing = apply(&ports, &goal, &seen, &step);
        goal.machine = work.step(Some(&name), &step.to_string(), doing).await?;
        work.learn(|state| state.know(&goal.machine))?;
    }
    let cause = "it changes while it is looked at".to_owned();
    let hint = "see who else works on it, and try again";
    Err(Trouble::here("sign in", MACHINE_CLOSED, cause, hint).on(&name))
}

async fn signed_in(work: &Work<'_>, goal: &Goal) -> Result<First, Trouble> {
    work.learn(|state| state.know(&goal.machine))?;
    let name = &goal.machine.name;
    let PlannedMachine { gate, user, host_key, .. } = goal.machine.clone();
    let (Some(at), Some(host_key)) = (gate, host_key) else {
        let cause = "its gate or its host key is not known".to_owned();
        return Err(Trouble::here("sign in", MACHINE_CLOSED, cause, "try again").on(name));
    };
    let credential = Credential::KeyFile(goal.key.clone());
    let access = Access { at, user, credential, host_key };
    let host = connect(work, name, &access).await?;
    let entropy = Arc::clone(&work.ports.entropy);
    Ok(First { seed: Seed { machine: name.clone(), host, entropy }, access })
}

async fn connect(
    work: &Work<'_>,
    name: &NodeName,
    access: &Access,
) -> Result<Arc<dyn Host>, Trouble> {
    let connected = work.ports.hosts.connect(access).await;
    connected.map_err(|err| {
        let hint = err.hint();
        Trouble::here("sign in", MACHINE_CLOSED, err.to_string(), &hint).on(name)
    })
}

impl First {
    /// A connection of its own: calls of one host come one after another.
    pub(crate) async fn another_host(&self, work: &Work<'_>) -> Result<Arc<dyn Host>, Trouble> {
        connect(work, &self.seed.machine, &self.access).await
    }

    /// The platform's authority and secrets: made if nobody did, and never made a second time for one platform.
    pub(crate) async fn vault(&self, work: &Work<'_>) -> Result<Vault, Trouble> {
        let name = &self.seed.machine;
        let known = work.known().authority;
        if known.is_some() && self.seed.find(AUTHORITY).await?.is_none() {
            return Err(lost(name, "it is on the machine no more"));
        }
        let authorities = work.ports.authorities.as_ref();
        let (papers, authority) = self.seed.authority(authorities).await?;
        if known.is_some_and(|known| known != authority.certificate()) {
            return Err(lost(name, "another one stands on the machine"));
        }
        work.learn(|state| state.authority = Some(authority.certificate().to_owned()))?;
        let jwt = self.seed.secret("jwt").await?;
        let own = own_key(work)?;
        let ssh_key = self.seed.ensure_once("ssh.key", own).await?;
        let ssh_key = String::from_utf8_lossy(&ssh_key).into_owned();
        Ok(Vault { trust: trust(work, authority)?, authority: papers, jwt, ssh_key })
    }

    /// Whoever the platform trusts already; none before it has an authority. Nothing is made.
    pub(crate) async fn trust(&self, work: &Work<'_>) -> Result<Option<Trust>, Trouble> {
        if self.seed.find(AUTHORITY).await?.is_none() {
            return Ok(None);
        }
        let (_, authority) = self.seed.authority(work.ports.authorities.as_ref()).await?;
        trust(work, authority).map(Some)
    }
}

/// Looks whether the first machine lets us in already. Nothing is changed.
pub(crate) async fn look(work: &Work<'_>, goal: &Goal) -> Option<First> {
    let ports = work.machine_ports(None);
    let seen = observe(&ports, goal).await.ok()?;
    let goal = Goal { machine: seen.machine, ..goal.clone() };
    if seen.entry != Entry::ByKey {
        return None;
    }
    let PlannedMachine { name, gate, user, host_key, .. } = goal.machine;
    let credential = Credential::KeyFile(goal.key);
    let access = Access { at: gate?, user, credential, host_key: host_key? };
    let host = work.ports.hosts.connect(&access).await.ok()?;
    let entropy = Arc::clone(&work.ports.entropy);
    Some(First { seed: Seed { machine: name, host, entropy }, access })
}

fn trust(work: &Work<'_>, authority: Arc<dyn Authority>) -> Result<Trust, Trouble> {
    let parts = work.ports.agents.trusting(authority.as_ref());
    let parts = parts.map_err(|err| {
        let code = rollout::Code::StepFailed.as_str();
        let hint = "see whether the authority's files are whole";
        Trouble::here("speak in the platform's name", code, err.to_string(), hint)
    })?;
    Ok(Trust { authority, parts })
}

fn own_key(work: &Work<'_>) -> Result<Vec<u8>, Trouble> {
    let file = &work.description.key_file;
    work.ports.files.read(file).map_err(|err| {
        let code = rollout::Code::StepFailed.as_str();
        let hint = "see whether you may read the file of key_file";
        Trouble::here("give the platform its key", code, err.to_string(), hint)
    })
}

fn lost(name: &NodeName, what: &str) -> Trouble {
    Trouble::here(
        "find the platform's authority",
        AUTHORITY_LOST,
        what.to_owned(),
        "the machine was made anew: put /var/lib/avishkar/platform back from a backup or a lifecycle manager, or destroy the platform",
    )
    .on(name)
}

impl Vault {
    /// What parts are given. `platform` is what lifecycle managers begin with.
    pub(crate) fn secrets(&self, platform: &Platform) -> Secrets {
        let platform = serde_json::to_string(platform).expect("a platform has text keys only");
        Secrets {
            authority: self.authority.clone(),
            jwt: self.jwt.clone(),
            ssh_key: self.ssh_key.clone(),
            platform,
        }
    }
}
