//! An authority that is not on the first machine: whether the platform has one all the same, and where it can be taken
//! back from. Whoever makes a second one takes every node from its platform; whoever takes another platform's gives its
//! nodes away.

use std::collections::{BTreeMap, BTreeSet};

use common::name::NodeName;
use futures::future::join_all;
use rollout::Code;
use rollout::machine::{Remains, remains};
use rollout::parts::Secrets;
use rollout::platform::Platform;

use crate::keys::{HostKeys, pinned};
use crate::trouble::Trouble;
use crate::work::Work;

const AUTHORITY_LOST: &str = "AUTHORITY_LOST";
const AUTHORITY_UNKNOWN: &str = "AUTHORITY_UNKNOWN";
const STEP: &str = "find the platform's authority";

/// Whether somebody says that the platform never had an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// Nobody does: a machine that cannot be looked at may have one.
    Unsaid,
    /// Nodes, and machines that cannot be looked at, are other platforms', or nobody's.
    Said,
}

/// What a lifecycle manager was given, and on which machine it stands.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) on: NodeName,
    pub(crate) secrets: Secrets,
}

/// What a search ends with.
#[derive(Debug)]
pub(crate) enum Sought {
    /// The platform has no authority yet.
    Nothing,
    Kept(Box<Kept>),
    /// Nobody can say: what stands in the way of each machine, and what that means.
    Unknown(Vec<Trouble>),
}

/// What was seen of the machines.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) nodes: Vec<(NodeName, Remains)>,
    /// Why the others could not be looked at that are there.
    unseen: Vec<Trouble>,
}

/// Looks on every machine. Fails where the platform has an authority that nobody has any more.
pub(crate) async fn search(
    work: &Work<'_>,
    platform: &Platform,
    host_keys: HostKeys,
    novelty: Novelty,
) -> Result<Sought, Vec<Trouble>> {
    let looks = platform.machines.iter().map(|machine| async move {
        let name = &machine.name;
        let looked = async {
            let mut goal = work.goal(platform, name)?;
            goal.machine = pinned(work, machine, host_keys).await?;
            if goal.machine.host_key != machine.host_key {
                work.learn(|state| state.know(&goal.machine))?;
            }
            Ok::<_, Trouble>(remains(&work.machine_ports(None), &goal).await?)
        };
        (name.clone(), looked.await)
    });
    let mut seen = Seen::default();
    for (name, looked) in join_all(looks).await {
        match looked {
            Ok(Some(remains)) => seen.nodes.push((name, remains)),
            Ok(None) => {}
            Err(trouble) => seen.unseen.push(trouble.on(&name)),
        }
    }
    let known = work.known().authority;
    let unseen = seen.unseen.clone();
    let with_theirs = |trouble| unseen.into_iter().chain([trouble]).collect();
    match decided(platform, known.as_deref(), novelty, seen) {
        Ok(Decision::Nothing) => Ok(Sought::Nothing),
        Ok(Decision::Kept(kept)) => Ok(Sought::Kept(Box::new(kept))),
        Ok(Decision::Unknown(trouble)) => Ok(Sought::Unknown(with_theirs(trouble))),
        Err(trouble) => Err(with_theirs(trouble)),
    }
}

enum Decision {
    Nothing,
    Kept(Kept),
    Unknown(Trouble),
}

fn decided(
    platform: &Platform,
    known: Option<&str>,
    novelty: Novelty,
    seen: Seen,
) -> Result<Decision, Trouble> {
    let Some(first) = platform.seed().map(|seed| &seed.name) else {
        return Ok(Decision::Nothing);
    };
    let wanted = match known {
        Some(known) => Some(known.to_owned()),
        None => candidate(platform, first, &seen.nodes)?,
    };
    let Some(wanted) = wanted else {
        return match novelty {
            Novelty::Said => Ok(Decision::Nothing),
            Novelty::Unsaid => none_there(platform, first, &seen),
        };
    };
    let trusting = |(_, remains): &&(NodeName, Remains)| remains.trusts == wanted;
    let trusting: Vec<&NodeName> = seen.nodes.iter().filter(trusting).map(|(on, _)| on).collect();
    if trusting.is_empty() {
        let cause = "it is not there any more, nor on any other machine that can be reached";
        return Err(lost(first, cause.to_owned(), &begin_again(platform)));
    }
    let without = format!(
        "{} trust an authority that is not on {first}, and no lifecycle manager that can be reached has it",
        listed(&trusting)
    );
    let kept = seen.nodes.into_iter().find_map(|(on, remains)| {
        let secrets = remains.secrets.filter(|secrets| secrets.authority.certificate == wanted)?;
        Some(Kept { on, secrets })
    });
    let Some(kept) = kept else { return Err(lost(first, without, &begin_again(platform))) };
    match former_first(&kept) {
        Some(former) if former != *first => {
            let cause = format!("it is on {former}, and the file begins with another machine");
            let hint = format!("write {former} as the first of the machines, then begin again");
            Err(lost(first, cause, &hint))
        }
        Some(_) | None => Ok(Decision::Kept(kept)),
    }
}

/// The authority of nodes whose lifecycle managers call their platform by our name. Others' are never taken.
fn candidate(
    platform: &Platform,
    first: &NodeName,
    nodes: &[(NodeName, Remains)],
) -> Result<Option<String>, Trouble> {
    let authorities = ours(&platform.name, nodes);
    if authorities.len() > 1 {
        let groups: Vec<String> = authorities
            .iter()
            .map(|authority| {
                let trusting = nodes.iter().filter(|(_, remains)| remains.trusts == **authority);
                listed(&trusting.map(|(name, _)| name).collect::<Vec<_>>())
            })
            .collect();
        let cause = format!(
            "{} are nodes of different authorities, and {first} has none",
            groups.join(" and ")
        );
        let hint = "take the machines of other platforms out of the file, then begin again";
        return Err(lost(first, cause, hint));
    }
    Ok(authorities.first().map(|authority| (*authority).to_owned()))
}

/// The authorities that lifecycle managers of a platform of this name have.
pub(crate) fn ours<'a>(platform: &NodeName, nodes: &'a [(NodeName, Remains)]) -> BTreeSet<&'a str> {
    let named = nodes.iter().filter(|(_, remains)| remains.platform().as_ref() == Some(platform));
    named.map(|(_, remains)| remains.trusts.as_str()).collect()
}

/// Whether it is certain that no machine of the file is a node of this platform.
fn none_there(platform: &Platform, first: &NodeName, seen: &Seen) -> Result<Decision, Trouble> {
    let named: BTreeMap<&str, NodeName> = seen
        .nodes
        .iter()
        .filter_map(|(_, remains)| Some((remains.trusts.as_str(), remains.platform()?)))
        .collect();
    let nameless = seen.nodes.iter().filter(|(_, seen)| !named.contains_key(seen.trusts.as_str()));
    let nameless: Vec<&NodeName> = nameless.map(|(name, _)| name).collect();
    if !nameless.is_empty() {
        let cause = format!(
            "{} trust an authority that is not on {first}, and no lifecycle manager that can be reached has it or says whose it is",
            listed(&nameless)
        );
        return Err(lost(first, cause, &begin_again(platform)));
    }
    let unseen: Vec<&NodeName> =
        seen.unseen.iter().filter_map(|trouble| trouble.machine.as_ref()).collect();
    if unseen.is_empty() {
        return Ok(Decision::Nothing);
    }
    let cause = format!(
        "{first} has none, and {} could not be looked at, which may be nodes of this platform",
        listed(&unseen)
    );
    let hint = format!(
        "see that they can be signed in to, then begin again; if no platform {} was ever made of them, say --new-platform",
        platform.name
    );
    Ok(Decision::Unknown(Trouble::here(STEP, AUTHORITY_UNKNOWN, cause, &hint).on(first)))
}

/// It is not said whose node it is.
pub(crate) fn nobody_says(machine: &NodeName) -> Trouble {
    let cause = "it is a node, and nothing that is left says of which platform".to_owned();
    let hint = format!(
        "if it is this platform's: on the machine, remove the container {} and the folders /etc/avishkar and /var/lib/avishkar; then begin again",
        rollout::machine::AGENT
    );
    let step = "see whose node it is";
    Trouble::here(step, AUTHORITY_UNKNOWN, cause, &hint).on(machine)
}

/// The first machine of the file is that of a platform of another name.
pub(crate) fn another_first(first: &NodeName, platform: &NodeName, other: &NodeName) -> Trouble {
    let cause = format!("it is the first machine of the platform {other}, and keeps its authority");
    let hint = format!(
        "begin the file of {platform} with another machine, or destroy {other}; one platform keeps its name"
    );
    Trouble::here(STEP, Code::NodeForeign.as_str(), cause, &hint).on(first)
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
    Trouble::here(STEP, AUTHORITY_LOST, cause, hint).on(first)
}

/// The sentence of taking it back.
pub(crate) fn sentence(first: &NodeName, kept: &Kept) -> String {
    format!("bring the platform's authority back to {first} from {}", kept.on)
}
