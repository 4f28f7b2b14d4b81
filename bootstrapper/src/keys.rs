//! Host keys. Of given machines they are pinned in the file, or accepted on purpose; never by themselves. Those of machines
//! that are made come from who makes them, or are pinned as they are shown.

use common::port::host::HostKey;
use common::port::machines::Shape;
use rollout::Failure;
use rollout::machine::{Goal, Observed, Ports, observe};
use rollout::platform::PlannedMachine;

use crate::trouble::{Trouble, whole};
use crate::work::Work;

const HOST_KEY_UNKNOWN: &str = "HOST_KEY_UNKNOWN";

/// What happens with a given machine whose host key nobody has pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeys {
    /// It is left alone.
    PinnedOnly,
    /// Its key is pinned as it is shown now.
    AcceptNew,
}

/// The machine with its host key. That of a machine that is made comes from who makes it, or, where he cannot say it as in
/// Azure, is pinned as the machine shows it first.
pub(crate) async fn pinned(
    work: &Work<'_>,
    machine: &PlannedMachine,
    host_keys: HostKeys,
) -> Result<PlannedMachine, Trouble> {
    let mut machine = machine.clone();
    let Some(gate) = machine.gate.clone() else { return Ok(machine) };
    if machine.shape != Shape::Given || machine.host_key.is_some() {
        return Ok(machine);
    }
    let name = machine.name.clone();
    let shown = work.ports.hosts.host_key(&gate).await.map_err(|err| {
        let code = rollout::Code::MachineUnreachable.as_str();
        Trouble::here("ask for its host key", code, whole(&err), &err.hint()).on(&name)
    })?;
    match host_keys {
        HostKeys::AcceptNew => {
            work.say(format!("{name} shows the host key {shown}, which is pinned from now on"));
            machine.host_key = Some(shown);
            Ok(machine)
        }
        HostKeys::PinnedOnly => {
            let cause = format!("it shows the host key {shown}, and none is pinned");
            let hint = format!(
                "compare it with `ssh-keygen -lf` at its console, then write host_key = \"{shown}\" into the file, or say --accept-new-host-keys"
            );
            let step = "know the machine again";
            Err(Trouble::here(step, HOST_KEY_UNKNOWN, cause, &hint).on(&name))
        }
    }
}

/// The host key that a made machine shows, where nobody vouches for one. None where it shows none now.
pub(crate) async fn shown(work: &Work<'_>, machine: &PlannedMachine) -> Option<HostKey> {
    let shown = work.ports.hosts.host_key(machine.gate.as_ref()?).await.ok()?;
    work.say(format!("{} shows the host key {shown}, which is pinned from now on", machine.name));
    Some(shown)
}

/// Looks at a machine, and into one that was made also where nobody has pinned its host key yet: then by that which it shows.
pub(crate) async fn look_into(ports: &Ports, goal: &Goal) -> Result<(Goal, Observed), Failure> {
    let mut goal = goal.clone();
    let mut seen = observe(ports, &goal).await?;
    if goal.machine.shape != Shape::Given && seen.shown_key.is_some() {
        goal.machine = PlannedMachine { host_key: seen.shown_key, ..seen.machine };
        seen = observe(ports, &goal).await?;
    }
    goal.machine.clone_from(&seen.machine);
    Ok((goal, seen))
}
