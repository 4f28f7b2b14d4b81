//! What opens shares, on nodes of a platform that keeps itself.

use common::name::NodeName;
use futures::future::join_all;
use rollout::machine::renew_shares;
use rollout::platform::{PlannedMachine, Platform};

use crate::first::Vault;
use crate::keys::{HostKeys, pinned};
use crate::report::Event;
use crate::trouble::Trouble;
use crate::work::Work;

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
