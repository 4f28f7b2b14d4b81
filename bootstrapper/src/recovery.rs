//! An authority that is not on the first machine: whether the platform has one all the same, and where it can be taken
//! back from. Whoever makes a second one takes every node from its platform.

use std::collections::BTreeMap;

use common::name::NodeName;
use futures::future::join_all;
use rollout::machine::{Remains, remains};
use rollout::parts::Secrets;
use rollout::platform::Platform;

use crate::keys::{HostKeys, pinned};
use crate::trouble::Trouble;
use crate::work::Work;

const AUTHORITY_LOST: &str = "AUTHORITY_LOST";

/// What a lifecycle manager was given, and on which machine it stands.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) on: NodeName,
    pub(crate) secrets: Secrets,
}

/// Looks on every machine that can be reached. None where the platform has no authority yet; fails where it has one that
/// nobody has any more. `known` is the certificate of the one that it had before.
pub(crate) async fn search(
    work: &Work<'_>,
    platform: &Platform,
    known: Option<&str>,
    host_keys: HostKeys,
) -> Result<Option<Kept>, Trouble> {
    let looks = platform.machines.iter().map(|machine| async move {
        let name = machine.name.clone();
        let looked = async {
            let mut goal = work.goal(platform, &name)?;
            goal.machine = pinned(work, machine, host_keys).await?;
            if goal.machine.host_key != machine.host_key {
                work.learn(|state| state.know(&goal.machine))?;
            }
            Ok::<_, Trouble>(remains(&work.machine_ports(None), &goal).await?)
        };
        // What stands in the way is told when the machine is to become a node.
        looked.await.ok().flatten().map(|found| (name, found))
    });
    let found: Vec<_> = join_all(looks).await.into_iter().flatten().collect();
    decided(platform, known, found)
}

fn decided(
    platform: &Platform,
    known: Option<&str>,
    found: Vec<(NodeName, Remains)>,
) -> Result<Option<Kept>, Trouble> {
    let Some(first) = platform.seed().map(|seed| &seed.name) else { return Ok(None) };
    let mut nodes: BTreeMap<&str, Vec<&NodeName>> = BTreeMap::new();
    for (name, remains) in &found {
        nodes.entry(&remains.trusts).or_default().push(name);
    }
    let wanted = match (known, nodes.keys().collect::<Vec<_>>().as_slice()) {
        (None, []) => return Ok(None),
        (Some(known), _) => known.to_owned(),
        (None, [only]) => (**only).to_owned(),
        (None, [_, ..]) => {
            let groups: Vec<String> = nodes.values().map(|names| listed(names)).collect();
            let cause = format!(
                "{} are nodes of different authorities, and {first} has none",
                groups.join(" and ")
            );
            let hint = "take the machines of other platforms out of the file, then begin again";
            return Err(lost(first, cause, hint));
        }
    };
    let Some(trusting) = nodes.get(wanted.as_str()).map(|names| listed(names)) else {
        let cause = "it is not there any more, nor on any other machine that can be reached";
        return Err(lost(first, cause.to_owned(), &begin_again(platform)));
    };
    let kept = found.into_iter().find_map(|(on, remains)| {
        let secrets = remains.secrets.filter(|secrets| secrets.authority.certificate == wanted)?;
        Some(Kept { on, secrets })
    });
    let Some(kept) = kept else {
        let cause = format!(
            "{trusting} trust an authority that is not on {first}, and no lifecycle manager that can be reached has it"
        );
        return Err(lost(first, cause, &begin_again(platform)));
    };
    match former_first(&kept) {
        Some(former) if former != *first => {
            let cause = format!("it is on {former}, and the file begins with another machine");
            let hint = format!("write {former} as the first of the machines, then begin again");
            Err(lost(first, cause, &hint))
        }
        Some(_) | None => Ok(Some(kept)),
    }
}

/// The first machine of the platform as its lifecycle managers know it.
fn former_first(kept: &Kept) -> Option<NodeName> {
    let platform: Platform = serde_json::from_str(&kept.secrets.platform).ok()?;
    platform.seed().map(|seed| seed.name.clone())
}

fn listed(names: &[&NodeName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn begin_again(platform: &Platform) -> String {
    let keepers: Vec<&NodeName> = platform.placement.lifecycle_manager.iter().collect();
    format!(
        "see that the machines of the lifecycle managers ({}) can be reached, or put {} back from a backup, then begin again; to give the platform up: destroy it, then apply",
        listed(&keepers),
        rollout::seed::FOLDER
    )
}

/// Nobody has the platform's authority.
pub(crate) fn lost(first: &NodeName, cause: String, hint: &str) -> Trouble {
    Trouble::here("find the platform's authority", AUTHORITY_LOST, cause, hint).on(first)
}

/// The sentence of taking it back.
pub(crate) fn sentence(first: &NodeName, kept: &Kept) -> String {
    format!("bring the platform's authority back to {first} from {}", kept.on)
}
