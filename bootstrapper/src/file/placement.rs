//! `[placement]`: what stands on which machine.

use std::collections::BTreeMap;

use common::name::NodeName;
use rollout::platform::Placement;

use super::nearest::suggestion;
use super::section::{Entry, Section};

const KEYS: [&str; 5] = ["zookeeper", "kafka", "registry", "edge", "lifecycle_manager"];

/// `names` are all machines' of the file.
pub(super) fn read(root: &Section<'_>, names: &[NodeName]) -> Option<Placement> {
    let example = names.first().map_or("node-1", NodeName::as_str);
    let hint = |key: &str| format!("write {key} = [{example:?}] in it, and the others");
    let section = root.required("placement", hint("zookeeper"))?.section()?;
    section.only(&KEYS);
    let list = |key: &str| {
        section.required(key, format!("write {key} = [{example:?}]")).map(|entry| {
            let found = several(&entry, names);
            (entry, found)
        })
    };
    let single = |key: &str| {
        section
            .required(key, format!("write {key} = {example:?}"))
            .and_then(|entry| one(&entry, names))
    };
    let zookeeper = list("zookeeper").and_then(|(entry, found)| ensemble(&entry, found?));
    let kafka = list("kafka").and_then(|(entry, found)| ensemble(&entry, found?));
    let registry = single("registry");
    let hint = format!("write edge = {example:?}, or two machines in [ ]");
    let edge = section.required("edge", hint).and_then(|entry| edges(&entry, names));
    let twins = list("lifecycle_manager").and_then(|(entry, found)| twins(&entry, found?, names));
    Some(Placement {
        zookeeper: zookeeper?,
        kafka: kafka?,
        registry: registry?,
        edge: edge?,
        lifecycle_manager: twins?,
    })
}

fn one(entry: &Entry<'_>, names: &[NodeName]) -> Option<NodeName> {
    let text = entry.text()?;
    if let Some(known) = names.iter().find(|name| name.as_str() == text) {
        return Some(known.clone());
    }
    let known: Vec<&str> = names.iter().map(NodeName::as_str).collect();
    let hint = match known.as_slice() {
        [] => format!("write a [[machines]] with name = {text:?}"),
        known => suggestion(text, known),
    };
    entry.wrong(format!("there is no machine {text:?}"), hint)
}

/// One machine, as a name or a list of it; or two, of which one stands by.
fn edges(entry: &Entry<'_>, names: &[NodeName]) -> Option<Vec<NodeName>> {
    if !entry.is_list() {
        return Some(vec![one(entry, names)?]);
    }
    let found = several(entry, names)?;
    match found.len() {
        1 | 2 => Some(found),
        0 => entry.wrong("nobody is named", "write 1 machine, or 2"),
        more => entry.wrong(format!("there are {more}"), "write 2 machines, or 1"),
    }
}

/// Each machine once.
fn several(entry: &Entry<'_>, names: &[NodeName]) -> Option<Vec<NodeName>> {
    let mut found: BTreeMap<NodeName, String> = BTreeMap::new();
    let mut all_right = true;
    let mut listed = Vec::new();
    for item in entry.list()? {
        let Some(name) = one(&item, names) else {
            all_right = false;
            continue;
        };
        if let Some(first) = found.insert(name.clone(), item.key.clone()) {
            item.wrong::<()>(format!("{name} is {first} already"), "write every machine once");
            all_right = false;
        }
        listed.push(name);
    }
    all_right.then_some(listed)
}

/// A majority must be left when one dies, so a second one only makes it worse.
fn ensemble(entry: &Entry<'_>, machines: Vec<NodeName>) -> Option<Vec<NodeName>> {
    match machines.len() {
        1 | 3 => Some(machines),
        0 => entry.wrong("nobody is named", "write 1 machine, or 3"),
        2 => entry.wrong(
            "of 2, none can be missing: that is worse than 1",
            "write 3 machines, of which one may be missing, or 1",
        ),
        more => entry.wrong(format!("there are {more}"), "write 3 machines, or 1"),
    }
}

fn twins(entry: &Entry<'_>, machines: Vec<NodeName>, names: &[NodeName]) -> Option<Vec<NodeName>> {
    match (machines.len(), names.len()) {
        (0, _) => entry.wrong("nobody is named", "write 2 machines"),
        (1, 2..) => entry.wrong(
            "nobody stands by where there is only one",
            "write 2 machines at least: the platform has more than one",
        ),
        _ => Some(machines),
    }
}
