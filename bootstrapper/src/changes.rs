//! What one description of a platform says otherwise than another. Pure.
//!
//! How one signs in to a machine is not the platform: users, keys and pins may be others from every computer.

mod hint;

use std::collections::BTreeMap;
use std::fmt;

use common::digest::Digest;
use common::name::{NodeName, ShareName};
use common::port::machines::Shape;
use common::port::share;
use rollout::platform::{AzurePlace, Component, LocalPlace, Placement, PlannedMachine, Platform};

use crate::base::Keeper;
use crate::description::key_of;

const EDGE: &str = "edge";
const EDGE_ADDRESS: &str = "edge.address";

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
    /// The only edge is to be one of two, with an address that moves between them or without.
    Paired {
        before: Vec<NodeName>,
        now: Vec<NodeName>,
    },
    Set {
        key: &'static str,
        before: String,
        now: String,
    },
    /// Where or how machines are made that are there already: they stay as they were made.
    Moved {
        key: &'static str,
        before: String,
        now: String,
    },
    Share {
        share: ShareName,
        what: &'static str,
    },
    Image(Component),
    /// What is said of services themselves: it may always change.
    Configured,
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
    found.extend(places(before, now));
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
        (EDGE, before.edge.clone(), now.edge.clone()),
        ("lifecycle_manager", before.lifecycle_manager.clone(), now.lifecycle_manager.clone()),
    ];
    let differing = all.into_iter().filter(|(_, before, now)| before != now);
    let change = |(part, before, now): (&'static str, Vec<NodeName>, Vec<NodeName>)| {
        if part == EDGE && becomes_a_pair(&before, &now) {
            return Change::Paired { before, now };
        }
        Change::Placed { part, before, now }
    };
    differing.map(change).collect()
}

fn becomes_a_pair(before: &[NodeName], now: &[NodeName]) -> bool {
    matches!(before, [only] if now.len() == 2 && now.contains(only))
}

fn set(before: &Platform, now: &Platform) -> Vec<Change> {
    let settings = |platform: &Platform| {
        let acme = platform.acme.as_ref();
        let trusted = acme.and_then(|acme| acme.trusted.as_ref());
        let advertised = platform.edge_advertised.map(|address| address.to_string());
        [
            ("max_machines", joined(platform.max_machines)),
            ("idle_seconds", joined(platform.idle_seconds)),
            ("network.door", platform.door.to_string()),
            ("network.edge", platform.edge_bind.to_string()),
            ("network.edge_advertised", advertised.unwrap_or_else(|| "nothing".to_owned())),
            ("network.denied", platform.denied_networks.join(", ")),
            (EDGE_ADDRESS, joined(platform.edge.address)),
            ("edge.host_port", joined(platform.edge.host_port)),
            ("edge.tls_port", joined(platform.edge.tls_port)),
            ("edge.tls_announced", joined(platform.edge.tls_announced)),
            ("edge.requests_per_address", joined(platform.edge.requests_per_address)),
            ("acme.directory", joined(acme.map(|acme| &acme.directory))),
            ("acme.contacts", joined(acme.iter().flat_map(|acme| &acme.contacts))),
            ("acme.trusted_file", joined(trusted.map(|text| Digest::of(text.as_bytes())))),
            ("code", listed_code(platform)),
        ]
    };
    let is_paired = becomes_a_pair(&before.placement.edge, &now.placement.edge);
    let mut differing = differing(settings(before), settings(now));
    // The address of a pair is no change of its own.
    differing.retain(|one| !(is_paired && one.key == EDGE_ADDRESS));
    let change = |Differs { key, before, now }| Change::Set { key, before, now };
    differing.into_iter().map(change).collect()
}

/// A setting that differs.
struct Differs {
    key: &'static str,
    before: String,
    now: String,
}

type Settings<const COUNT: usize> = [(&'static str, String); COUNT];

fn differing<const COUNT: usize>(before: Settings<COUNT>, now: Settings<COUNT>) -> Vec<Differs> {
    let pairs = before.into_iter().zip(now).filter(|((_, before), (_, now))| before != now);
    pairs.map(|((key, before), (_, now))| Differs { key, before, now }).collect()
}

/// Where machines are made. What was only written down, and nothing was made of it, is a setting like others.
fn places(before: &Platform, now: &Platform) -> Vec<Change> {
    let local = relocated(before.local.as_ref(), now.local.as_ref()).into_iter();
    let azure = moved(before.azure.as_ref(), now.azure.as_ref()).into_iter();
    let kinds = local.map(|change| ("local", change)).chain(azure.map(|change| ("azure", change)));
    let change = |(kind, Differs { key, before: former, now }): (&str, Differs)| {
        let stood = before.machines.iter().any(|machine| machine.shape.kind() == kind);
        if stood {
            Change::Moved { key, before: former, now }
        } else {
            Change::Set { key, before: former, now }
        }
    };
    kinds.map(change).collect()
}

/// What differs of how machines of Azure are made that are there.
pub(crate) fn azure_moved(before: &AzurePlace, now: &AzurePlace) -> Vec<Change> {
    let differing = moved(Some(before), Some(now)).into_iter();
    differing.map(|Differs { key, before, now }| Change::Moved { key, before, now }).collect()
}

fn relocated(before: Option<&LocalPlace>, now: Option<&LocalPlace>) -> Vec<Differs> {
    let settings = |place: Option<&LocalPlace>| {
        let text = |of: fn(&LocalPlace) -> String| place.map_or_else(nothing, of);
        [
            ("local.image", text(|place| place.image.clone())),
            ("local.range", text(|place| place.range.clone())),
            ("local.resolvers", text(resolvers)),
        ]
    };
    differing(settings(before), settings(now))
}

/// Those that nobody named are the computer's, and no part of what was said.
fn resolvers(place: &LocalPlace) -> String {
    if place.are_resolvers_named { joined(&place.resolvers) } else { nothing() }
}

fn moved(before: Option<&AzurePlace>, now: Option<&AzurePlace>) -> Vec<Differs> {
    let settings = |place: Option<&AzurePlace>| {
        let text = |of: fn(&AzurePlace) -> String| place.map_or_else(nothing, of);
        [
            ("azure.subscription", text(|place| place.subscription.clone())),
            ("azure.resource_group", text(|place| place.resource_group.clone())),
            ("azure.location", text(|place| place.location.clone())),
            ("azure.network", text(|place| place.network.clone())),
            ("azure.network_range", text(|place| place.network_range.clone())),
            ("azure.subnet", text(|place| place.subnet.clone())),
            ("azure.subnet_range", text(|place| place.subnet_range.clone())),
            ("azure.user", text(|place| place.user.clone())),
            ("azure.operators", text(|place| joined(&place.operators))),
            (
                "azure.tags",
                text(|place| {
                    joined(place.tags.iter().map(|(name, value)| format!("{name} = {value}")))
                }),
            ),
        ]
    };
    differing(settings(before), settings(now))
}

fn nothing() -> String {
    "nothing".to_owned()
}

fn joined<T: fmt::Display>(list: impl IntoIterator<Item = T>) -> String {
    let list: Vec<String> = list.into_iter().map(|one| one.to_string()).collect();
    if list.is_empty() { nothing() } else { list.join(", ") }
}

/// What differs of the shares, whatever opens them.
pub(crate) fn shares(
    before: &BTreeMap<ShareName, share::Description>,
    now: &BTreeMap<ShareName, share::Description>,
) -> Vec<Change> {
    let what = |share: &ShareName| match (before.get(share), now.get(share)) {
        (Some(before), Some(now)) if before == now => None,
        (Some(_), Some(_)) => Some("is another one than it was"),
        (None, _) => Some("is new in the file"),
        (Some(_), None) => Some("is in the file no more"),
    };
    let only_before = before.keys().filter(|share| !now.contains_key(*share));
    let all = now.keys().chain(only_before);
    all.filter_map(|share| Some(Change::Share { share: share.clone(), what: what(share)? }))
        .collect()
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
            Change::Placed { .. }
            | Change::Paired { .. }
            | Change::Set { .. }
            | Change::Moved { .. }
            | Change::Share { .. }
            | Change::Image(_)
            | Change::Configured
            | Change::Unknown => None,
        }
    }

    /// Before a lifecycle manager leads, parts are run anew, and none has to leave a machine. Afterwards it has the word.
    pub(crate) fn can_be_made(&self, keeper: Keeper) -> bool {
        if keeper == Keeper::LifecycleManager {
            return *self == Change::Configured;
        }
        match self {
            Change::Added { .. }
            | Change::Paired { .. }
            | Change::Set { .. }
            | Change::Share { .. }
            | Change::Image(_)
            | Change::Configured => true,
            Change::Placed { before, now, .. } => before.iter().all(|node| now.contains(node)),
            Change::Gone(_) | Change::Reshaped { .. } | Change::Moved { .. } | Change::Unknown => {
                false
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
            Change::Paired { before, now } => {
                let (before, now) = (listed(before), listed(now));
                write!(f, "the only edge is on {before}, and is to be one of two, on {now}")
            }
            Change::Set { key, before, now } | Change::Moved { key, before, now } => {
                write!(f, "{key} is {before}, and is to be {now}")
            }
            Change::Share { share, what } => write!(f, "shares.{share} {what}"),
            Change::Image(component) => {
                write!(f, "images.{} is another image than it was", key_of(*component))
            }
            Change::Configured => f.write_str(
                "settings of services, or receivers of alerts, are others than they were",
            ),
            Change::Unknown => f.write_str("the file is another one than was applied last"),
        }
    }
}

fn listed(names: &[NodeName]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{:?}", name.as_str())).collect();
    format!("[{}]", names.join(", "))
}
