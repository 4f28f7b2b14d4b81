//! What is true of a machine now. Changes nothing.

use std::sync::Arc;
use std::time::Duration;

use common::port::host::{self, Access, Credential, HostKey};
use common::port::machines::{Machine, MachineId, Power, Shape};
use common::port::{Host, Machines};
use tokio::time::{Instant, sleep};

use super::look::look_inside;
use super::{Goal, Ports};
use crate::failure::{Failure, Why};
use crate::platform::PlannedMachine;

/// A machine as it was seen, from the outside inwards: what could not be seen yet is none.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What is known of it: its gate, its address, who signs in, its pinned key.
    pub machine: PlannedMachine,
    /// Which machine its backend shows, whosever the pinned key is.
    pub id: Option<MachineId>,
    pub existence: Existence,
    /// What it shows where no host key is pinned.
    pub shown_key: Option<HostKey>,
    pub entry: Entry,
    pub inside: Option<Inside>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    Absent,
    /// It is there, and does not run as it should.
    Off,
    Runs,
}

/// How one got in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Nobody tried.
    Closed,
    /// By what the description says only.
    ByCredential,
    /// By the platform's own key.
    ByKey,
}

/// A machine's inside, as root sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The kernel's release and the architecture, as the machine says them.
    pub kernel: String,
    pub architecture: String,
    /// `ID` and `ID_LIKE` of its system.
    pub systems: Vec<String>,
    /// How far its clock is ahead of ours, in seconds.
    pub clock_ahead: i64,
    /// Bytes that are free where the engine keeps images; none if it cannot be said.
    pub free_disk: Option<u64>,
    pub engine: Engine,
    pub has_folders: bool,
    /// Whether a former copy left an archive.
    pub has_archive: bool,
    pub has_build_env: bool,
    pub certificate: Certificate,
    /// How many of the wanted images are missing.
    pub missing_images: usize,
    pub agent: AgentSeen,
    /// Ports that the platform needs there and somebody else listens on.
    pub taken_ports: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    Absent,
    /// It is installed and does not answer.
    Silent,
    Answers {
        version: String,
    },
}

/// The agent's certificate on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// None, for other names, or due to be renewed.
    Wrong,
    /// Of another authority.
    Foreign,
    Right,
}

/// The agent's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentSeen {
    Absent,
    /// It does not run, or was run with something else.
    Other,
    /// As it should be, but it does not answer.
    Silent,
    Answers,
}

/// How long a machine that was busy for a moment is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Looks at a machine, as deep as it lets us.
pub async fn observe(ports: &Ports, goal: &Goal) -> Result<Observed, Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| Failure::of(name, format!("look at {name}"), why);
    let mut seen = outside(ports, goal).await.map_err(failed)?;
    if seen.existence != Existence::Runs {
        return Ok(seen);
    }
    if seen.machine.host_key.is_none() {
        let gate = seen.machine.gate.clone().ok_or_else(|| failed(no_gate(goal)))?;
        let shown = patiently(|| ports.hosts.host_key(&gate)).await;
        seen.shown_key = Some(shown.map_err(|err| failed(err.into()))?);
        return Ok(seen);
    }
    let goal = goal.with(&seen.machine);
    let (host, entry) = signed_in(ports, &goal).await.map_err(failed)?;
    seen.entry = entry;
    // It has shown the pinned key.
    seen.machine.id = seen.machine.id.or_else(|| seen.id.clone());
    seen.inside = Some(look_inside(ports, &goal, host.as_ref()).await.map_err(failed)?);
    Ok(seen)
}

/// Looks at a machine from outside only: nobody signs in. One that is given is there.
pub async fn locate(ports: &Ports, goal: &Goal) -> Result<Observed, Failure> {
    let name = &goal.machine.name;
    let seen = outside(ports, goal).await;
    seen.map_err(|why| Failure::of(name, format!("look at {name}"), why))
}

fn no_gate(goal: &Goal) -> Why {
    Why::incomplete(format!("where {} listens is not known", goal.machine.name))
}

/// Whether it is there, and what its backend knows of it.
pub(super) async fn outside(ports: &Ports, goal: &Goal) -> Result<Observed, Why> {
    let machine = goal.machine.clone();
    let mut seen = Observed {
        machine,
        id: None,
        existence: Existence::Runs,
        shown_key: None,
        entry: Entry::Closed,
        inside: None,
    };
    if goal.machine.shape == Shape::Given {
        return Ok(seen);
    }
    let Some(found) = backend(ports, goal)?.look(&goal.machine.name).await? else {
        seen.existence = Existence::Absent;
        unpin(&mut seen.machine);
        return Ok(seen);
    };
    learn(&mut seen.machine, &found);
    // A key that the backend vouches for and that is not the pinned one is as wrong as one that the machine shows.
    if let (Some(expected), Some(shown)) = (&seen.machine.host_key, &found.host_key)
        && expected != shown
    {
        let (at, expected) = (found.entry.clone(), expected.clone());
        return Err(host::Error::HostKeyChanged { at, expected, found: shown.clone() }.into());
    }
    seen.existence = match found.power {
        Power::Running => Existence::Runs,
        Power::Stopped | Power::Changing | Power::Unknown => Existence::Off,
    };
    seen.id = found.id;
    Ok(seen)
}

/// Whether a machine was made anew, by somebody else, while it was seen to: then it was no stranger that showed another key.
pub(super) async fn was_made_anew(ports: &Ports, goal: &Goal, failure: &Failure) -> bool {
    failure.is_quarantine()
        && goal.machine.id.is_some()
        && outside(ports, goal).await.is_ok_and(|seen| seen.machine.id != goal.machine.id)
}

/// What was pinned was another machine's: what is made in its place has a key of its own.
fn unpin(machine: &mut PlannedMachine) {
    machine.id = None;
    machine.host_key = None;
}

/// What a backend says of a machine that it made.
pub(super) fn learn(machine: &mut PlannedMachine, found: &Machine) {
    if found.is_another_than(machine.id.as_ref()) {
        unpin(machine);
    }
    machine.gate = Some(found.entry.clone());
    machine.address = found.address.or(machine.address);
    machine.user.clone_from(&found.user);
    // A pin is never replaced: it is compared.
    if machine.host_key.is_none() {
        machine.host_key.clone_from(&found.host_key);
    }
    // Of a key that was pinned before anybody knew whose it is, it is not known either.
    if machine.host_key == found.host_key {
        machine.id.clone_from(&found.id);
    }
}

pub(super) fn backend<'a>(ports: &'a Ports, goal: &Goal) -> Result<&'a dyn Machines, Why> {
    let kind = goal.machine.shape.kind();
    let backend = ports.backend(&goal.machine.shape);
    backend.ok_or_else(|| Why::incomplete(format!("nobody here makes machines that are {kind}")))
}

/// Signs in: by the platform's own key, or else by what the description says.
pub(super) async fn signed_in(ports: &Ports, goal: &Goal) -> Result<(Arc<dyn Host>, Entry), Why> {
    let own = goal.own_key();
    match connect(ports, &access(goal, own.clone())?).await {
        Ok(host) => return Ok((host, Entry::ByKey)),
        Err(host::Error::AuthRefused { .. } | host::Error::CredentialUnusable { .. })
            if goal.machine.credential != own => {}
        Err(err) => return Err(err.into()),
    }
    let host = connect(ports, &access(goal, goal.machine.credential.clone())?).await?;
    Ok((host, Entry::ByCredential))
}

pub(super) fn access(goal: &Goal, credential: Credential) -> Result<Access, Why> {
    let PlannedMachine { name, gate, user, host_key, .. } = &goal.machine;
    let at = gate.clone().ok_or_else(|| no_gate(goal))?;
    let unpinned = || Why::incomplete(format!("no host key of {name} is pinned"));
    let host_key = host_key.clone().ok_or_else(unpinned)?;
    Ok(Access { at, user: user.clone(), credential, host_key })
}

async fn connect(ports: &Ports, access: &Access) -> Result<Arc<dyn Host>, host::Error> {
    patiently(|| ports.hosts.connect(access)).await
}

/// A machine that is there answers within a moment, unless it is busy, or boots.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, host::Error>
where
    F: Future<Output = Result<T, host::Error>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(err) if err.is_retryable() && Instant::now() < until => sleep(ASK_AGAIN).await,
            ended => return ended,
        }
    }
}
