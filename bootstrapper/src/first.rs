//! The first machine, before there is an authority: it exists, and lets us in. The lease and the platform's secrets are
//! on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::name::{NodeName, ShareName};
use common::port::authority::Papers;
use common::port::host::{Access, Credential};
use common::port::{Authority, Host, share};
use rollout::machine::{Action, Entry, Goal, Trust, apply, observe, plan};
use rollout::parts::{Configured, Credentials, Receiver, Secrets};
use rollout::platform::{Component, PlannedMachine, Platform};
use rollout::seed::{AUTHORITY, JWT, SSH_KEY, Seed};

use crate::described::Described;
use crate::description::{KnownReceiver, KnownShare};
use crate::keys::{HostKeys, look_into, pinned};
use crate::recovery::{Kept, Novelty, Sought, another_first, lost, search, sentence};
use crate::trouble::{Trouble, whole};
use crate::work::Work;

/// How often it is looked at: made, started, pinned, let in.
const ROUNDS: usize = 6;
/// As monitoring takes it: a shorter one could be guessed.
const SHORTEST_SECRET: usize = 16;
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
    azure: Option<String>,
    shares: BTreeMap<ShareName, share::Access>,
    configured: Configured,
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
        Trouble::here("sign in", MACHINE_CLOSED, whole(&err), &hint).on(name)
    })
}

impl First {
    /// A connection of its own: calls of one host come one after another.
    pub(crate) async fn another_host(&self, work: &Work<'_>) -> Result<Arc<dyn Host>, Trouble> {
        connect(work, &self.seed.machine, &self.access).await
    }

    /// Fails where another platform's authority is kept here.
    pub(crate) async fn is_ours(&self, platform: &NodeName) -> Result<(), Trouble> {
        match Described::find(&self.seed).await? {
            Some(described) if described.name() != platform => {
                Err(another_first(&self.seed.machine, platform, described.name()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Brings back what the platform had, where it is not here any more.
    pub(crate) async fn recover(
        &self,
        work: &Work<'_>,
        platform: &Platform,
        host_keys: HostKeys,
        novelty: Novelty,
    ) -> Result<(), Vec<Trouble>> {
        let one = |trouble: Trouble| vec![trouble];
        self.is_ours(&platform.name).await.map_err(one)?;
        if self.seed.find(AUTHORITY).await.map_err(|err| one(err.into()))?.is_some() {
            return Ok(());
        }
        match search(work, platform, host_keys, novelty).await? {
            Sought::Nothing => Ok(()),
            Sought::Kept(kept) => self.take_back(work, &kept).await.map_err(one),
            Sought::Unknown(troubles) => Err(troubles),
        }
    }

    /// The platform's authority and secrets, made if nobody did: whether somebody did elsewhere is known by now.
    pub(crate) async fn vault(
        &self,
        work: &Work<'_>,
        platform: &Platform,
    ) -> Result<Vault, Trouble> {
        let known = work.known().authority;
        let authorities = work.ports.authorities.as_ref();
        let (papers, authority) = self.seed.authority(authorities).await?;
        if known.is_some_and(|known| known != authority.certificate()) {
            let cause = "another one stands there than the platform had".to_owned();
            let hint = "put the former one back from a backup; or put the state file aside, if it is of another platform";
            return Err(lost(&self.seed.machine, cause, hint));
        }
        work.learn(|state| state.authority = Some(authority.certificate().to_owned()))?;
        let jwt = self.seed.secret(JWT).await?;
        let own = own_key(work)?;
        let ssh_key = self.seed.ensure_once(SSH_KEY, own).await?;
        let ssh_key = String::from_utf8_lossy(&ssh_key).into_owned();
        let Credentials { azure, shares, configured, .. } = credentials(work, platform)?;
        let trust = trust(work, authority)?;
        Ok(Vault { trust, authority: papers, jwt, ssh_key, azure, shares, configured })
    }

    /// The description comes before the authority: that one is looked for again if this is cut off.
    async fn take_back(&self, work: &Work<'_>, kept: &Kept) -> Result<(), Trouble> {
        let name = &self.seed.machine;
        let taking = async {
            if let Some(described) = Described::of_lifecycle_manager(&kept.secrets) {
                described.keep(&self.seed).await?;
            }
            Ok::<_, Trouble>(self.seed.restore(&kept.secrets).await?)
        };
        work.step(Some(name), &sentence(name, kept), taking).await
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

/// The same by an authority that is to be brought back.
pub(crate) fn trust_of(work: &Work<'_>, kept: &Kept) -> Result<Trust, Trouble> {
    let opened = work.ports.authorities.open(&kept.secrets.authority);
    let authority = opened.map_err(|err| unusable(whole(&err)))?;
    trust(work, authority)
}

/// Looks whether the first machine lets us in already. Nothing is changed.
pub(crate) async fn look(work: &Work<'_>, goal: &Goal) -> Option<First> {
    let ports = work.machine_ports(None);
    let (goal, seen) = look_into(&ports, goal).await.ok()?;
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
    let parts = parts.map_err(|err| unusable(err.to_string()))?;
    Ok(Trust { authority, parts })
}

fn unusable(cause: String) -> Trouble {
    let code = rollout::Code::StepFailed.as_str();
    let hint = "see whether the authority's files are whole";
    Trouble::here("speak in the platform's name", code, cause, hint)
}

fn own_key(work: &Work<'_>) -> Result<Vec<u8>, Trouble> {
    let file = &work.description.key_file;
    work.ports.files.read(file).map_err(|err| {
        let code = rollout::Code::StepFailed.as_str();
        let hint = "see whether you may read the file of key_file";
        Trouble::here("give the platform its key", code, err.to_string(), hint)
    })
}

/// What opens shares and Azure, and what is said of services, as the file has it now.
pub(crate) fn credentials(work: &Work<'_>, platform: &Platform) -> Result<Credentials, Trouble> {
    let azure = work.ports.azure_principal.as_ref().map(|text| text.expose().to_owned());
    let (shares, configured) = (shares(work)?, configured(work, platform)?);
    Ok(Credentials { given: 0, azure, shares, configured, upgraded_from: None })
}

/// What lifecycle managers need to know of shares, with what opens them.
fn shares(work: &Work<'_>) -> Result<BTreeMap<ShareName, share::Access>, Trouble> {
    let access = |(name, known): (&ShareName, &KnownShare)| {
        let what = format!("opens the share {name}");
        let secret = known.secret_file.as_deref().map(|file| secret(work, &what, file));
        let (share, secret) = (known.share.clone(), secret.transpose()?);
        Ok((name.clone(), share::Access { share, secret }))
    };
    work.description.shares.iter().map(access).collect()
}

/// What is said of services themselves, and from which image those of the base are to run.
pub(crate) fn configured(work: &Work<'_>, platform: &Platform) -> Result<Configured, Trouble> {
    let receiver = |known: &KnownReceiver| {
        let KnownReceiver { name, url, secret_file, internal } = known.clone();
        let what = format!("requests to {name} are signed with");
        let secret = secret(work, &what, &secret_file)?;
        if secret.len() < SHORTEST_SECRET {
            let step = format!("read what {what}");
            let cause = format!("it has fewer than {SHORTEST_SECRET} bytes");
            let hint =
                format!("write a longer one into the first line of {}", secret_file.display());
            let code = rollout::Code::StepFailed.as_str();
            return Err(Trouble::here(&step, code, cause, &hint));
        }
        Ok(Receiver { name, url, secret, internal })
    };
    let receivers = work.description.receivers.iter().map(receiver).collect::<Result<_, _>>()?;
    let base = platform.images.get(&Component::Base).map(|image| image.id.clone());
    Ok(Configured { settings: work.description.settings.clone(), receivers, base })
}

/// The first line of a file.
fn secret(work: &Work<'_>, what: &str, file: &Path) -> Result<String, Trouble> {
    let unusable = |cause: String| {
        let step = format!("read what {what}");
        let hint = format!("see whether its secret stands in the first line of {}", file.display());
        Trouble::here(&step, rollout::Code::StepFailed.as_str(), cause, &hint)
    };
    let bytes = work.ports.files.read(file).map_err(|err| unusable(err.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(unusable("its first line is empty".to_owned())),
    }
}

impl Vault {
    pub(crate) fn shares(&self) -> &BTreeMap<ShareName, share::Access> {
        &self.shares
    }

    pub(crate) fn configured(&self) -> &Configured {
        &self.configured
    }

    /// What parts are given. `platform` is what lifecycle managers begin with.
    pub(crate) fn secrets(&self, platform: &Platform) -> Secrets {
        let platform = serde_json::to_string(&platform.clone().on(None))
            .expect("a platform has text keys only");
        Secrets {
            authority: self.authority.clone(),
            jwt: self.jwt.clone(),
            ssh_key: self.ssh_key.clone(),
            platform,
            azure: self.azure.clone(),
            shares: self.shares.clone(),
            configured: self.configured.clone(),
            given: 0,
        }
    }
}
