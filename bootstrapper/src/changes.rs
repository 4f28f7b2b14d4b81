//! What one description of a platform says otherwise than another. Pure.
//!
//! How one signs in to a machine is not the platform: users, keys and pins may be others from every computer.

use std::fmt;

use common::name::NodeName;
use common::port::machines::Shape;
use rollout::platform::{Component, Placement, PlannedMachine, Platform};

use crate::base::Keeper;
use crate::description::key_of;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Added {
        machine: NodeName,
        is_made: bool,
    },
    Gone(NodeName),
    /// Another kind, or another size.
    Reshaped {
        machine: NodeName,
        what: String,
    },
    Placed {
        part: &'static str,
        before: Vec<NodeName>,
        now: Vec<NodeName>,
    },
    Set {
        key: &'static str,
        before: String,
        now: String,
    },
    Image(Component),
    /// Nobody knows any more what it was.
    Unknown,
}

/// All that differs, in the order of the file.
pub(crate) fn changes(before: &Platform, now: &Platform) -> Vec<Change> {
    let mut found = Vec::new();
    for machine in &now.machines {
        match before.machine(&machine.name) {
            Some(former) => found.extend(reshaped(former, machine)),
            None => {
                let is_made = machine.shape != Shape::Given;
                found.push(Change::Added { machine: machine.name.clone(), is_made });
            }
        }
    }
    let gone = before.machines.iter().filter(|former| now.machine(&former.name).is_none());
    found.extend(gone.map(|former| Change::Gone(former.name.clone())));
    found.extend(placed(&before.placement, &now.placement));
    found.extend(set(before, now));
    let another = now.images.iter().filter(|(component, image)| {
        before.images.get(component).is_some_and(|former| former.id != image.id)
    });
    found.extend(another.map(|(component, _)| Change::Image(*component)));
    found
}

fn reshaped(before: &PlannedMachine, now: &PlannedMachine) -> Option<Change> {
    let machine = now.name.clone();
    if before.shape.kind() != now.shape.kind() {
        let what = format!("it was {}, and is to be {}", before.shape.kind(), now.shape.kind());
        return Some(Change::Reshaped { machine, what });
    }
    if before.shape != now.shape {
        let what = "it was made otherwise than the file says: size, disk, address or ports";
        return Some(Change::Reshaped { machine, what: what.to_owned() });
    }
    match (before.reached_at(), now.reached_at()) {
        (Some(before), Some(now)) if before != now => {
            let what = format!("other machines reach it at {before}, and are to at {now}");
            Some(Change::Reshaped { machine, what })
        }
        _ => None,
    }
}

fn placed(before: &Placement, now: &Placement) -> Vec<Change> {
    let one = |name: &NodeName| vec![name.clone()];
    let all = [
        ("zookeeper", before.zookeeper.clone(), now.zookeeper.clone()),
        ("kafka", before.kafka.clone(), now.kafka.clone()),
        ("registry", one(&before.registry), one(&now.registry)),
        ("edge", one(&before.edge), one(&now.edge)),
        ("lifecycle_manager", before.lifecycle_manager.clone(), now.lifecycle_manager.clone()),
    ];
    let differing = all.into_iter().filter(|(_, before, now)| before != now);
    differing.map(|(part, before, now)| Change::Placed { part, before, now }).collect()
}

fn set(before: &Platform, now: &Platform) -> Vec<Change> {
    let settings = |platform: &Platform| {
        let advertised = platform.edge_advertised.map(|address| address.to_string());
        let local = platform.local.as_ref();
        [
            ("network.door", platform.door.to_string()),
            ("network.edge", platform.edge_bind.to_string()),
            ("network.edge_advertised", advertised.unwrap_or_else(|| "nothing".to_owned())),
            ("network.denied", platform.denied_networks.join(", ")),
            ("local.image", local.map(|place| place.image.clone()).unwrap_or_default()),
            ("local.range", local.map(|place| place.range.clone()).unwrap_or_default()),
            ("code", listed_code(platform)),
        ]
    };
    let pairs = settings(before).into_iter().zip(settings(now));
    let differing = pairs.filter(|((_, before), (_, now))| before != now);
    differing.map(|((key, before), (_, now))| Change::Set { key, before, now }).collect()
}

fn listed_code(platform: &Platform) -> String {
    let code = platform.code.iter().map(|(service, code)| format!("{service} = {code}"));
    code.collect::<Vec<_>>().join(", ")
}

impl Change {
    /// The machine that it is about, if it is about one.
    pub(crate) fn machine(&self) -> Option<&NodeName> {
        match self {
            Change::Added { machine, .. }
            | Change::Gone(machine)
            | Change::Reshaped { machine, .. } => Some(machine),
            Change::Placed { .. } | Change::Set { .. } | Change::Image(_) | Change::Unknown => None,
        }
    }

    /// Before a lifecycle manager leads, parts are run anew, and none has to leave a machine. Afterwards it has the word.
    pub(crate) fn can_be_made(&self, keeper: Keeper) -> bool {
        if keeper == Keeper::LifecycleManager {
            return false;
        }
        match self {
            Change::Added { .. } | Change::Set { .. } | Change::Image(_) => true,
            Change::Placed { before, now, .. } => before.iter().all(|node| now.contains(node)),
            Change::Gone(_) | Change::Reshaped { .. } | Change::Unknown => false,
        }
    }

    /// What to do instead.
    pub(crate) fn hint(&self, keeper: Keeper) -> String {
        let otherwise = match keeper {
            Keeper::LifecycleManager => "or make the platform anew: destroy, then apply",
            Keeper::Bootstrapper => "or begin anew: destroy with the former file, then apply",
        };
        match self {
            Change::Added { machine, is_made: true } => format!(
                "have a lifecycle manager add a machine of its own choice, by POST /api/v1/machines with {{\"name\": \"{machine}\", \"reason\": ...}}, and take it out of the file; {otherwise}"
            ),
            Change::Added { machine, is_made: false } => format!(
                "take {machine} out of the file: no given machine is added to a platform that runs; {otherwise}"
            ),
            Change::Gone(machine) => format!("put {machine} back into the file, {otherwise}"),
            Change::Reshaped { machine, .. } => {
                format!("write {machine} as it was into the file, {otherwise}")
            }
            Change::Placed { part, before, .. } => {
                format!("write {part} = {} into the file, {otherwise}", listed(before))
            }
            Change::Set { key, before, .. } => {
                format!("write {key} as it was into the file ({before}), {otherwise}")
            }
            Change::Image(_) => format!(
                "name the image that it was made from: `apply` upgrades no platform that runs; {otherwise}"
            ),
            Change::Unknown => {
                format!("apply the file that the platform was made from, {otherwise}")
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Added { machine, .. } => write!(f, "{machine} is new in the file"),
            Change::Gone(machine) => write!(f, "{machine} is in the file no more"),
            Change::Reshaped { what, .. } => f.write_str(what),
            Change::Placed { part, before, now } => {
                write!(f, "{part} is on {}, and is to be on {}", listed(before), listed(now))
            }
            Change::Set { key, before, now } => {
                write!(f, "{key} is {before}, and is to be {now}")
            }
            Change::Image(component) => {
                write!(f, "images.{} is another image than it was", key_of(*component))
            }
            Change::Unknown => f.write_str("the file is another one than was applied last"),
        }
    }
}

fn listed(names: &[NodeName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{:?}", name.as_str())).collect();
    format!("[{}]", names.join(", "))
}
